"""The command `gan-export`."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import click

from models import console
from models.console import log


class BatchSizes(click.ParamType[tuple[int, ...]]):
    """`1,2,3,64` to a tuple of positive numbers."""

    name = "N,N,…"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[int, ...]:
        """Fail with a usage error where it is something else."""
        if isinstance(value, tuple):
            return value
        try:
            sizes = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 1,2,3,64", parameter, context)
        if min(sizes) < 1 or max(sizes) > 4096:
            self.fail(f"{value!r}: batch sizes are from 1 to 4096", parameter, context)
        return sizes


@click.group(context_settings={"show_default": True, "max_content_width": 110})
def cli() -> None:
    """Turn a trained generator into a file for production, and prove that the two agree."""


@cli.command("onnx")
@click.argument("model", type=click.Path(path_type=Path, readable=False), default=Path("models/generator_model.pth"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write.  [default: generator.onnx beside MODEL]",
)
@click.option("--opset", type=click.IntRange(18, 24), default=18, help="ONNX operator set.")
@click.option("--batch-check", type=BatchSizes(), default="1,2,3,64", help="Batch sizes to compare at.")
@click.option(
    "--atol",
    type=click.FloatRange(0, 1, max_open=True),
    help="Tolerance on images.  [default: ten times the error of PyTorch's own float32]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@console.debug_option
def onnx_command(
    model: Path, out: Path | None, opset: int, batch_check: tuple[int, ...], atol: float | None, overwrite: bool
) -> None:
    """Export MODEL, a generator_model.pth or network-snapshot-*.pt of gan-train, to ONNX.

    The file appears only after ONNX Runtime gave the same images as PyTorch.
    """
    warnings.simplefilter("ignore")  # the exporter's notes to its own developers
    for name in ("torch", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from export.onnx_exporter import export_onnx
    from export.parity import ParityError
    from gan.checkpoint import load_generator, read_training, weights_sha256

    generator = load_generator(model)
    out = out or model.with_name("generator.onnx")
    if out.exists() and out.samefile(model):
        raise click.UsageError("--out is MODEL itself")
    training = read_training(model, weights_sha256(generator.state_dict()))
    try:
        report = export_onnx(
            generator, out, opset=opset, batch_check=batch_check, atol=atol, training=training, overwrite=overwrite
        )
    except ParityError as error:
        click.echo(error.report.table(), err=True)
        raise
    click.echo(report.table(), err=True)
    log.info("%s is ready (%.1f MB), then: gan-batch --model %s --count 1000", out, out.stat().st_size / 1e6, out)


def main() -> None:
    """Entry point of `gan-export`."""
    console.run(cli, "gan-export")
