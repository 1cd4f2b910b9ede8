"""The command `gan-train`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gan.config import AUTO, CHOICES, DEFAULT_RECIPE, ON_COLLAPSE, RECIPES, Course, TrainConfig
from gan.evaluation.defaults import FEATURES
from gan.masks_cli import masks_command
from gan.pattern_options import pattern_options, which_in
from gan.photos.pairing import MISSING
from models import console
from models.flags import Command, in_flags
from models.log import log
from models.progress import duration
from models.providers import DEVICES

if TYPE_CHECKING:
    from gan.training.plan import TrainingPlan

DEFAULT_DATA = Path("datasets/anomaly_detection_dataset/good")
DEFAULT_OUT = Path("models")
F = TypeVar("F", bound=Callable[..., object])
_USUAL = Course()
_SETTINGS = {"show_default": True, "max_content_width": 110}


def _course(name: str, kind: Any, text: str) -> Callable[[F], F]:
    """An option that says how a run is watched and kept."""
    return click.option(name, type=kind, default=getattr(_USUAL, _named(name)), help=text)


def _value(name: str, kind: Any, text: str) -> Callable[[F], F]:
    """An option whose default comes from the recipe, and is shown for each."""
    shown = [(recipe, _shown(getattr(TrainConfig.of(recipe), _named(name)))) for recipe in RECIPES]
    usual = dict(shown)[DEFAULT_RECIPE]
    others = [f"{value} with --recipe {recipe}" for recipe, value in shown if value != usual]
    default = ", ".join([usual, *others])
    return click.option(name, type=kind, default=None, help=f"{text}  [default: {default}]")


def _named(option: str) -> str:
    return option.partition("/")[0].removeprefix("--").replace("-", "_")


def _shown(value: object) -> str:
    if value is None:
        return "that of --lr"  # --d-lr alone has no number of its own
    return (
        ("on" if value else "off")
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else f"{value}"
    )


class _Rate(click.ParamType[float | str]):
    """A learning rate, or `auto`."""

    name = "float or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        return AUTO if value == AUTO else click.FLOAT.convert(value, param, ctx)


class _Train(Command):
    """`gan-train`, and beside it bare words that are commands of their own: `status`, `report` and `masks`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of whichever of them is meant."""
        others = {"status": status_command, "report": report_command, "masks": masks_command}
        if args and (other := others.get(args[0])):
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


@click.command(cls=_Train, context_settings=_SETTINGS)
@click.argument("data", type=console.READ, default=DEFAULT_DATA, envvar="GAN_TRAIN_DATA")
@click.option("--out", type=console.WRITTEN, default=DEFAULT_OUT, help="Folder for everything it writes.")
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default=DEFAULT_RECIPE,
    help="Where the options that are not given come from.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest snapshot in --out, exactly.")
@click.option("--overwrite", is_flag=True, help="Remove an earlier run in --out first.")
@click.option("--skip-bad-files", is_flag=True, help="Train without the files that cannot be used.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", help="Where to train.")
@_course("--sample-epochs", int, "Make a sample grid and a snapshot every so many epochs.")
@_course("--stats-every", int, "Write a row of statistics every so many steps.")
@_course("--keep-snapshots", int, "Keep so many of the newest snapshots.")
@click.option(
    "--validation",
    type=console.READ,
    help="Folder of photos not to train on: the generator that comes nearest to them is kept, by KID.",
)
@click.option(
    "--split",
    type=console.READ,
    help="A split.json of the photos in DATA: its part train is trained on, its part validation is measured on.",
)
@click.option(
    "--classes",
    is_flag=True,
    help="DATA's sub-folders are classes: one generator learns all, and is told which to make.",
)
@click.option(
    "--labels",
    type=console.READ,
    help="The same, but a CSV file says the class of each photo: columns file_name and label.",
)
@click.option(
    "--masks",
    type=console.READ,
    help="Folder or .zip with the masks of all photos: the generator makes a mask with each image.",
)
@click.option(
    "--missing-masks",
    type=click.Choice(MISSING),
    default=MISSING[0],
    help="What a photo without a mask is: refuse it, or take it as one without a defect.",
)
@_course("--validation-kimg", float, "Measure the KID every so many thousand images.")
@click.option("--features", default=FEATURES, help="What the KID is measured in, as in gan-eval quality.")
@_course("--patience-kimg", float, "Stop when the KID has not improved for so many thousand images; 0: never.")
@_course("--on-collapse", click.Choice(ON_COLLAPSE), "What to do when training collapses.")
@click.option(
    "--metrics-file",
    type=console.WRITTEN,
    help="File to leave for Prometheus (node-exporter's textfile collector) when the run ends; its name ends in .prom.",
)
@click.option("--dry-run", is_flag=True, help="Print the options and the time it would take; write nothing.")
@_value(
    "--image-size",
    str,
    "Side of the images in pixels, or width x height, such as 320x128: multiples of 32 up to 1024 with --recipe shift; "
    "squares of 32, 64, 128, 256 or 512 with the others.",
)
@_value("--fit", click.Choice(CHOICES["fit"]), "How a photo gets the shape of the images: docs/photos.md shows it.")
@_value("--channels", int, "1 makes gray images, 3 makes colour.")
@_value("--z-dim", int, "How many random numbers an image is made from.")
@_value("--g-width", int, "Size of the generator: the channels of its last hidden stage.")
@_value("--d-width", int, "Size of the discriminator: the channels of its first stage.")
@_value("--d-batch-norm/--no-d-batch-norm", bool, "Use batch norm in the discriminator.")
@_value("--d-spectral-norm/--no-d-spectral-norm", bool, "Use spectral norm in the discriminator.")
@_value("--d-patches/--no-d-patches", bool, "Let the discriminator score patches too, not whole images alone.")
@_value("--d-decoder/--no-d-decoder", bool, "Let the discriminator learn to redraw real images.")
@_value(
    "--d-two-part/--no-d-two-part", bool, "Let one part of the discriminator see patches, the other the whole coarsely."
)
@_value("--minibatch-stddev/--no-minibatch-stddev", bool, "Show the discriminator how alike a batch is.")
@_value("--epochs", int, "Show each image so many times, where --total-kimg is 0.")
@_value("--total-kimg", click.FloatRange(min=0, min_open=True), "Show so many thousand images, instead of --epochs.")
@_value("--batch-size", int, "Show so many images a step.")
@_value(
    "--loss", click.Choice(CHOICES["loss"]), "How photos and images are told apart: relativistic takes them in pairs."
)
@_value("--lr", float, "How large a step is: twice as much learns faster, and sooner fails.")
@_value("--d-lr", _Rate(), "Another learning rate for the discriminator; auto: by the number of photos.")
@_value("--lr-decay", float, "Let the learning rates fall to 0 over this last share of the run.")
@_value("--beta1", float, "How much of the last steps' direction a step keeps: 0 is calmest.")
@_value("--beta2", float, "Over how many steps a step's size is evened out: 0.99 is 100, 0.999 is 1000.")
@_value(
    "--ema-kimg", float, "Save a moving average of the generator, of this half-life in thousands of images; 0: none."
)
@_value("--d-steps", int, "Discriminator steps for each generator step.")
@_value("--instance-noise", float, "Add noise of this std to what the discriminator sees; it falls to 0.")
@_value("--grad-clip", float, "Limit the norm of the gradients; 0: no limit.")
@_value("--label-smoothing", float, "Aim at 1 minus this for real images (bce).")
@_value("--r1-gamma", float, "Weight of the gradient penalty at real images; 0: none.")
@_value("--r2-gamma", float, "Weight of the gradient penalty at generated images; 0: none.")
@_value("--penalty-interval", int, "Steps between two penalties.")
@_value("--standardize/--no-standardize", bool, "Show the discriminator images of mean 0 and std 1 (for low contrast).")
@_value("--bands/--no-bands", bool, "Standardize fine, middle and coarse structure each by itself.")
@_value("--band-weight", float, "Weight of a finer band, times that of the next coarser one.")
@_value("--augment/--no-augment", bool, "Vary brightness, contrast and place of what the discriminator sees.")
@_value("--class-from", float, "Let classes begin to count after this share of the run.")
@_value("--class-to", float, "Let them count in full from this share of the run on.")
@_value("--flip", click.Choice(CHOICES["flip"]), "Mirror a random half of the training images.")
@_value(
    "--transpose", click.Choice(CHOICES["transpose"]), "Draw what lies as what stands; auto: where photos show both."
)
@_value(
    "--feature-matching", float, "Pull images to the photos in a frozen network's eyes, times the discriminator's pull."
)
@_value("--precision", click.Choice(CHOICES["precision"]), "auto is bfloat16 where the machine calculates in it.")
@_value("--seed", int, "The same seed, photos and options give the same generator; another seed another.")
@pattern_options
@console.version_option
@console.debug_option
def cli(data: Path, recipe: str, dry_run: bool, **given: Any) -> None:
    """Learn a generator from the photos in the folder DATA.

    The default recipe, shift, is for some hundred photos; the plain paper recipe, dcgan, collapses on them.
    Every option is also read from the environment: GAN_TRAIN_BATCH_SIZE for --batch-size.

    gan-train status OUT says how far the run in the folder OUT is, and gan-train report OUT writes a page about it.
    gan-train masks teaches a trained generator to make masks. Folders of photos of these names are ./status, ./report
    and ./masks.
    """
    known = {field.name for field in dataclasses.fields(TrainConfig)} - {"masks"}  # here it is a folder
    options = {name: given.pop(name) for name in known & given.keys()}
    course = {field.name: given.pop(field.name) for field in dataclasses.fields(Course)}
    given["which"] = which_in(given)
    try:
        config = TrainConfig.of(recipe, **{name: value for name, value in options.items() if value is not None})
        given["course"] = Course(**course)
    except ValueError as error:
        raise click.UsageError(in_flags(str(error), cli)) from None
    from gan.training.processes import started
    from gan.training.run import plan, train

    if not dry_run:
        train(data, config=config, **given)
    elif started().is_first:
        for_plan = {name: value for name, value in given.items() if name not in ("features", "metrics_file")}
        _print(plan(data, config=config, **for_plan))


@click.command("status", cls=Command, context_settings=_SETTINGS)
@click.argument("out", type=console.READ, default=DEFAULT_OUT, envvar="GAN_TRAIN_OUT")
@console.debug_option
def status_command(out: Path) -> None:
    """Say how far the run in OUT is, whether it runs now, and how it ended."""
    from gan.training.status import status

    found = status(out)
    for name, value in dataclasses.asdict(found).items():
        if value is not None:
            said = duration(value) if name == "seconds_left" else f"{value:g}" if isinstance(value, float) else value
            said = in_flags(said, cli) if name == "error" else said
            click.echo(f"{name.removeprefix('seconds_') if name == 'seconds_left' else name}: {said}")


@click.command("report", cls=Command, context_settings=_SETTINGS)
@click.argument("out", type=console.READ, default=DEFAULT_OUT, envvar="GAN_TRAIN_OUT")
@click.option("--to", type=console.WRITTEN, help="File to write.  [default: report.html in OUT]")
@console.debug_option
def report_command(out: Path, to: Path | None) -> None:
    """Write a page for people about the run in OUT: its images, curves, options and warnings.

    A run leaves this page when it ends. Here it is written of one that goes on, or was killed, too.
    """
    from gan.training.report import report

    log.info("wrote %s", report(out, to))


def _print(plan: TrainingPlan) -> None:
    options = {parameter.name for parameter in cli.params} - {"masks"}
    for name, value in plan.options.items():
        if name in options and name != ("epochs" if plan.options["total_kimg"] else "total_kimg"):  # one replaces it
            click.echo(f"{'--' + name.replace('_', '-'):<22} {'' if value is None else value}")
    masks = " with masks" if plan.options["masks"] else ""
    click.echo(f"{plan.images} photos{masks}, {plan.steps} steps, {plan.kimg:.1f} kimg on {plan.device}")
    click.echo(f"{plan.g_parameters:,} parameters in the generator, {plan.d_parameters:,} in the discriminator")
    on_top = "sample grids, snapshots and comparisons by KID" if plan.compares else "sample grids and snapshots"
    click.echo(
        f"{1 / plan.step_s:.2f} steps/s here: about {duration(plan.total_s)}, with {on_top} on top; nothing written"
    )


def main() -> None:
    """Entry point of `gan-train`."""
    console.run(cli, "gan-train")
