"""The command `gan-batch`."""

from __future__ import annotations

import csv
import dataclasses
import io
import sys
import time
from pathlib import Path
from typing import Any

import click

import models
from models import console
from models.console import CommandError, ExitCode, log

EXPORTED = Path("models/generator.onnx")
_MODEL = click.option(
    "--model",
    envvar="GAN_BATCH_MODEL",
    type=click.Path(path_type=Path, readable=False),
    help="File of gan-export.  [default: models/generator.onnx, else the bundled generator]",
)
_RUN = click.argument("out", type=click.Path(path_type=Path, readable=False))
_SETTINGS = {"show_default": True, "max_content_width": 110}


@click.group(context_settings=_SETTINGS, invoke_without_command=True, subcommand_metavar="[COMMAND OUT]")
@click.option("--count", type=click.IntRange(min=1), help="Images that the folder shall hold.")
@click.option(
    "--append",
    type=click.IntRange(min=1),
    help="Instead of --count: images to add to a complete run. One that was cut off is finished, nothing is added.",
)
@click.option(
    "--out",
    default="synthetic/{date}",
    help="Folder of the run; {date} and {time} become today's date and the time of the start.",
)
@_MODEL
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="Of the latents.  [default: that of the run in --out, else today's date, such as 20261122, "
    "with the time after it where --out has {time}]",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Images a batch.  [default: 50 on CPU, 250 on CUDA]")
@click.option(
    "--shard-size",
    type=click.IntRange(1, 100_000),
    help="Images a folder.  [default: that of the run in --out, else 1000]",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes.  [default: one a core, on CUDA at most 6]")
@click.option("--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", help="Where the model runs.")
@click.option("--max-seconds", type=click.FloatRange(min=0), help="Stop with exit code 3 after about this long.")
@click.option("--latest", type=click.Path(path_type=Path), help="Symbolic link to point at the verified run.")
@click.option("--keep", type=click.IntRange(min=1), help="Complete runs to keep in the folder of --out; the oldest go.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="For node-exporter's textfile collector (.prom).")
@click.option(
    "--quality-gate",
    type=click.Choice(["fail", "warn", "off"]),
    default="fail",
    help="What a run means that is beyond the limits below.",
)
@click.option("--min-contrast", type=click.FloatRange(min=0), default=1.0, help="Gray values; less counts as blank.")
@click.option(
    "--max-clipped", type=click.FloatRange(0, 1), default=0.5, help="Share of an image at 0 or 255; more is saturated."
)
@click.option(
    "--near-duplicate", type=click.FloatRange(0, 1), default=0.995, help="Correlation of two images that are alike."
)
@click.option(
    "--max-faulty", type=click.FloatRange(0, 1), default=0.01, help="Share of images that may be of one faulty kind."
)
@click.option(
    "--max-near-duplicates",
    type=click.FloatRange(0, 1),
    default=0.1,
    help="Share of a sample of 512 images that may have a near duplicate in it.",
)
@console.log_format_option
@console.debug_option
@click.pass_context
def cli(
    context: click.Context,
    /,
    count: int | None,
    append: int | None,
    out: str,
    model: Path | None,
    seed: int | None,
    metrics_file: Path | None,
    quality_gate: str,
    **options: Any,
) -> None:
    """Make COUNT images in sharded PNG folders, with a manifest.

    A run that was cut off is finished by the same command. Every option is also read from the environment:
    GAN_BATCH_COUNT for --count. The commands below look after a run that is there.
    """
    if context.invoked_subcommand is not None:
        given = [name for name in context.params if _given(context, name)]
        if given:
            raise click.UsageError(f"--{given[0].replace('_', '-')} has no meaning before {context.invoked_subcommand}")
        return
    for name, value in context.params.items():
        if value != value:  # click's ranges let nan pass
            raise click.UsageError(f"--{name.replace('_', '-')} is no number")
    if (count is None) == (append is None):
        raise click.UsageError("Need either --count or --append.")
    from jobs.local import run_batch
    from jobs.metrics import recorded
    from jobs.quality import Gate

    if model is None:
        model = EXPORTED if EXPORTED.exists() else models.path()
        log.info("model: %s%s", model, "" if model == EXPORTED else f" (bundled: there is no {EXPORTED})")
    now = time.localtime()
    folder = Path(out.replace("{date}", time.strftime("%Y-%m-%d", now)).replace("{time}", time.strftime("%H%M%S", now)))
    if seed is None and "{time}" in out:
        seed = int(time.strftime("%Y%m%d%H%M%S", now))
    limits = {field.name: options.pop(field.name) for field in dataclasses.fields(Gate) if field.name != "mode"}
    with recorded(metrics_file, folder) as record:
        result = run_batch(model, folder, count, append=append, seed=seed, gate=Gate(quality_gate, **limits), **options)
        record(result)
    if not result.made:
        log.info("%s is complete: %d images", folder, result.count)
    else:
        log.info(
            "%s is complete: %d images, %d of them made now in %s (%.0f images/s, %s)",
            folder, result.count, result.made, console.duration(result.seconds),
            result.made / result.seconds, result.provider,
        )  # fmt: skip
        log.info("manifest: %s; to look at: %s", folder / "manifest.csv", folder / "contact_sheet.png")


@cli.command()
@_RUN
@console.debug_option
def status(out: Path) -> None:
    """Say how far the run in OUT is."""
    from jobs.status import status as ask

    for name, value in dataclasses.asdict(ask(out)).items():
        click.echo(f"{name}: {str(value).lower() if isinstance(value, bool) else value}")


@cli.command()
@_RUN
@click.option("--repair", is_flag=True, help="Make the broken images again, byte for byte what they were.")
@_MODEL
@console.debug_option
def verify(out: Path, repair: bool, model: Path | None) -> None:
    """Compare every image of the run in OUT with its manifest.

    Faults are rows of CSV on stdout, and the exit code is 76. --repair needs the model of the run.
    """
    from jobs.verify import verify as look

    with console.Stop() as stop:

        def check() -> None:
            if stop:
                raise stop.error("nothing was changed by verifying; what was repaired stays so")

        faults = list(look(out, check=check))
        if faults and repair:
            from jobs.repair import repair as make_again

            again = make_again(out, _model_of(out, model), check)
            log.info("%s: %s, images made again to compare: %d", out, _number(faults), again)
            faults = list(look(out, check=check))
    if faults:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a stray's name can be any bytes
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["fault", "file_name", "detail"])
        writer.writerows([fault.fault, fault.file_name, fault.detail] for fault in faults)
        sys.stdout.flush()
        hint = "" if repair else "; --repair makes broken images again"
        raise CommandError(ExitCode.CHECK_FAILED, f"{out}: {_number(faults)}, the first: {faults[0]}{hint}")
    log.info("%s: every image is what the manifest says", out)


@cli.command()
@_RUN
@click.option("--index", type=click.IntRange(0, 10**12), required=True, help="Of the image.")
@click.option("--to", type=click.Path(path_type=Path), help="File to write.  [default: such as 00073121.png]")
@_MODEL
@click.option("--device", type=click.Choice(["auto", "cuda", "cpu"]), default="auto", help="Where the model runs.")
@console.debug_option
def regen(out: Path, index: int, to: Path | None, model: Path | None, device: str) -> None:
    """Make one image of the run in OUT again, whether the run has it (yet) or not."""
    from jobs.repair import regen as make
    from models.files import write_atomically

    content, same = make(out, index, _model_of(out, model), device)
    path = to or Path(f"{index:08d}.png")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    if same is False:
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"{path} is image {index} as it comes out here; the manifest tells of other bytes, which another "
            "device, processor or version made",
        )
    log.info("%s: image %d, %s", path, index, "equal to the run's" if same else "which the run does not have yet")


def _model_of(out: Path, model: Path | None) -> Path:
    """The model named, else the usual one that made the run in `out`."""
    import hashlib

    from jobs.state import RunState
    from jobs.store import open_store

    if model is not None:
        return model
    sha256 = RunState.of(open_store(out)).fingerprint["model_sha256"]
    for path in (EXPORTED, models.path()):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise CommandError(ExitCode.OTHER_RUN, f"{out} was made with a model of sha256 {sha256}: name it with --model")


def _number(faults: list[Any]) -> str:
    return f"{len(faults)} fault{'s' * (len(faults) != 1)}"


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE and name != "log_format"


def main() -> None:
    """Entry point of `gan-batch`."""
    console.run(cli, "gan-batch")
