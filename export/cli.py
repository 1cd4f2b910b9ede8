"""The command `gan-export`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from export.defaults import OPSET, PHOTOS, PORT, PRECISION
from export.exporting import NAMES, ONNX, TORCH, export_file, without_notes
from export.target import refuse_missing
from models import console
from models.errors import CommandError
from models.flags import Group
from models.log import log


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


@click.group(cls=Group, context_settings={"show_default": True, "max_content_width": 110})
@console.version_option
def cli() -> None:
    """Turn a trained generator into a file for production, and prove that the two agree."""


model_argument = click.argument("model", type=console.READ, default=Path("models/generator_model.pth"))
file_argument = click.argument("file", type=console.READ)
batch_option = click.option(
    "--batch-check",
    type=BatchSizes(),
    help="Compare batches of these sizes with PyTorch.  [default: 1,2,3,64,129; of networks with large maps 1,2,3]",
)
atol_option = click.option(
    "--atol",
    type=click.FloatRange(0, 1, max_open=True),
    help="Largest difference from PyTorch that is accepted, on values from -1 to 1.  [default: ten times the error of "
    "PyTorch's own float32, four times that of float16]",
)
key_option = click.option("--key", default="", help="Where in MODEL the generator lies, such as netG.")
unseen_options = (
    click.option(
        "--activation",
        type=click.Choice(["relu", "leaky-relu", "elu", "silu", "gelu"]),
        help="Activation after each stage of a checkpoint made elsewhere. Weights do not show it.  [default: relu]",
    ),
    click.option("--slope", type=click.FloatRange(0, 1), help="Slope of leaky-relu below zero.  [default: 0.2]"),
    click.option(
        "--last-activation",
        type=click.Choice(["tanh", "sigmoid"]),
        help="sigmoid where the network was trained on images from 0 to 1.  [default: tanh]",
    ),
    click.option(
        "--bn-eps",
        type=click.FloatRange(0, 1, min_open=True),
        help="What batch norm adds to the variance.  [default: 1e-05]",
    ),
    click.option(
        "--truncation-psi",
        type=click.FloatRange(-2, 2),
        help="Of a StyleGAN2 snapshot: how far its images may be from the average one; less is safer and more alike.  "
        "[default: 1]",
    ),
    click.option(
        "--noise",
        type=click.Choice(["const", "none"]),
        help="Of a StyleGAN2 snapshot: its own fixed noise, or none.  [default: const]",
    ),
)
class_names_option = click.option(
    "--class-names",
    help="Of a StyleGAN2 snapshot with classes: their names in the order of its labels, such as crack,dent.  "
    "[default: 0,1,2,…]",
)
photos_option = click.option(
    "--photos/--no-photos",
    default=PHOTOS,
    help="Say in the file which photos it was trained on, with thumbnails of 32 x 32, as gan-eval usefulness asks for.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the file that is there.")


def foreign_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options for checkpoints made elsewhere."""
    for option in reversed((key_option, *unseen_options, class_names_option)):
        function = option(function)
    return function


def out_option(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--out` of a command that writes `name` by default."""
    return click.option("--out", type=console.WRITTEN, help=f"File to write.  [default: {name} beside MODEL]")


@cli.command("onnx")
@model_argument
@out_option(NAMES[ONNX])
@click.option(
    "--opset",
    type=click.IntRange(18, 21),
    default=OPSET,
    help="Write the file for this ONNX operator set. ONNX Runtime 1.20 reads up to 21.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "fp16"]),
    default=PRECISION,
    help="Store the weights and calculate in this precision. fp16 halves the file, and is for GPUs.",
)
@batch_option
@atol_option
@foreign_options
@photos_option
@overwrite_option
@console.debug_option
def onnx_command(model: Path, out: Path | None, **options: Any) -> None:
    """Export MODEL, a generator_model.pth or network-snapshot-*.pt of gan-train, or a StyleGAN2 *.pkl, to ONNX.

    The file appears only after ONNX Runtime gave the same images as PyTorch. It says how it was trained and compared:
    `gan-export info FILE`.
    """
    out = _export(ONNX, model, out, **options)
    log.info("%s is ready (%.1f MB), then: gan-batch --model %s --count 1000", out, out.stat().st_size / 1e6, out)


@cli.command("torch")
@model_argument
@out_option(NAMES[TORCH])
@batch_option
@atol_option
@foreign_options
@photos_option
@overwrite_option
@console.debug_option
def torch_command(model: Path, out: Path | None, **options: Any) -> None:
    """Export MODEL to a .pt2 of torch.export, for programs that stay in PyTorch, with the same check and evidence."""
    out = _export(TORCH, model, out, **options)
    log.info('%s is ready (%.1f MB): torch.export.load("%s").module()', out, out.stat().st_size / 1e6, out)


@cli.command("info")
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a page.")
@console.debug_option
def info_command(file: Path, as_json: bool) -> None:
    """Show what FILE says of itself: sizes, training, versions, and how it was compared with PyTorch."""
    refuse_missing(file)
    from export import facts as said

    info, facts = said.read_facts(file)
    click.echo(json.dumps(said.as_json(info, facts), indent=2) if as_json else said.as_page(file, info, facts))


@cli.command("page")
@click.argument("file", type=console.READ, default=Path("models/generator.onnx"))
@click.option("--out", type=console.WRITTEN, help="Folder to write.  [default: FILE's name and -page, beside it]")
@click.option(
    "--runtime",
    type=console.READ,
    help="Folder of npm's package onnxruntime-web.  [default: that in node_modules here or in a folder above]",
)
@click.option("--serve", is_flag=True, help="Show the page to this machine at an address of its own, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="Port for --serve; 0 is any that is free.")
@click.option("--overwrite", is_flag=True, help="Replace the page that is there.")
@console.debug_option
def page_command(file: Path, out: Path | None, runtime: Path | None, serve: bool, port: int, overwrite: bool) -> None:
    """Write a folder with FILE, an ONNX file of gan-export, to play with in a browser, without a network.

    Open index.html in it, or let --serve show it. A page of the same file that is there is served as it is.
    """
    refuse_missing(file)
    from export.page import INDEX, make_page
    from export.serving import serve as show

    out = out or file.with_name(f"{file.stem}-page")
    if make_page(file, out, runtime=runtime, overwrite=overwrite, keep=serve and not overwrite):
        log.info("%s is ready: open it in a browser", out / INDEX)
    if serve:
        show(out, port)


@cli.command("verify")
@file_argument
@click.option(
    "--model",
    type=console.READ,
    help="Trained weights to compare with.  [default: the file's own]",
)
@key_option
@console.debug_option
def verify_command(file: Path, model: Path | None, key: str) -> None:
    """Check FILE again, on this machine: its form, its golden images, and all comparisons of the export.

    Without --model they are made with the file's own weights in float64.
    """
    refuse_missing(file)
    from export.verify import verify_file

    with without_notes(), _table_of_what_fails():
        report = verify_file(file, model, key)
    click.echo(report.table(), err=True)
    log.info("%s is as it was exported", file)


def _export(to: str, model: Path, out: Path | None, **options: Any) -> Path:
    out = out or model.with_name(NAMES[to])
    with _table_of_what_fails():
        report = export_file(model, out, to, **options)
    click.echo(report.table(), err=True)
    return out


@contextlib.contextmanager
def _table_of_what_fails() -> Iterator[None]:
    """Show all comparisons before the error that tells of one."""
    try:
        yield
    except CommandError as error:
        if hasattr(error, "report"):  # a ParityError, whose module loads PyTorch
            click.echo(error.report.table(), err=True)
        raise


def main() -> None:
    """Entry point of `gan-export`."""
    console.run(cli, "gan-export")
