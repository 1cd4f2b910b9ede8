"""The command `gan-batch`."""

from __future__ import annotations

import time
from pathlib import Path

import click

import models
from models import console
from models.console import log

EXPORTED = Path("models/generator.onnx")


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.option("--count", type=click.IntRange(min=1), required=True, help="Images that the folder shall hold.")
@click.option("--out", default="synthetic/{date}", help="Folder of the run; {date} becomes today's date.")
@click.option(
    "--model",
    type=click.Path(path_type=Path, readable=False),
    help="File of gan-export.  [default: models/generator.onnx, else the bundled generator]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="Of the latents.  [default: that of the run in --out, else today's date, such as 20261122]",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Images a batch.  [default: 50 on CPU, 250 on CUDA]")
@click.option("--shard-size", type=click.IntRange(1, 100_000), default=1000, help="Images a folder.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads.  [default: one a core]")
@click.option("--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", help="Where the model runs.")
@console.debug_option
def cli(
    count: int,
    out: str,
    model: Path | None,
    seed: int | None,
    batch_size: int | None,
    shard_size: int,
    workers: int | None,
    device: str,
) -> None:
    """Make COUNT images in sharded PNG folders, with a manifest.

    A run that was cut off is finished by the same command. Every option is also read from the environment:
    GAN_BATCH_COUNT for --count.
    """
    from jobs.local import run_batch

    if model is None:
        model = EXPORTED if EXPORTED.exists() else models.path()
        log.info("model: %s%s", model, "" if model == EXPORTED else f" (bundled: there is no {EXPORTED})")
    folder = Path(out.replace("{date}", time.strftime("%Y-%m-%d")))
    result = run_batch(
        model, folder, count, seed=seed, batch_size=batch_size, shard_size=shard_size, workers=workers, device=device
    )
    if result.seconds:
        log.info(
            "%s is complete: %d images, %d of them made now in %s (%.0f images/s, %s)",
            folder, result.count, result.made, console.duration(result.seconds),
            result.made / result.seconds, result.provider,
        )  # fmt: skip
        log.info("manifest: %s; to look at: %s", folder / "manifest.csv", folder / "contact_sheet.png")


def main() -> None:
    """Entry point of `gan-batch`."""
    console.run(cli, "gan-batch")
