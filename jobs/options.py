"""Options that commands of `gan-batch` share; each is read from the same variable of the environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobs.checks.gate import Gate
from jobs.dataset.convert import CLASS_NAME, FILL, HOLES, MIN_AREA, SIMPLIFY
from jobs.dataset.part import Part
from jobs.stores.place import place
from models.console import PathType
from models.errors import CommandError
from models.providers import DEVICES

if TYPE_CHECKING:
    from jobs.dataset.convert.conversion import Real
    from jobs.dataset.convert.shapes import Shaping
    from jobs.ending import Publishing
    from jobs.run import OnDisk
    from jobs.workers.engine import Engine, Work


_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


def _option(name: str, **settings: Any) -> Callable[[_Command], _Command]:
    return click.option(name, envvar=f"GAN_BATCH_{name[2:].replace('-', '_').upper()}", **settings)


class _PlaceType(PathType):
    """A folder, or the URL of an object store."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        try:
            return place(super().convert(value, parameter, context))
        except CommandError as error:
            self.fail(str(error), parameter, context)


NAME, PATH, PLACE = PathType(), PathType(path_type=Path), _PlaceType()
"""Types of what names a file or folder: str, `Path`, and either."""
model = _option(
    "--model",
    type=NAME,
    metavar="FILE",
    help="ONNX file of gan-export, or the word bundled for the steel scratches that come with this package.  [default: "
    "models/generator.onnx]",
)
device = _option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    help="Run the model on the GPU (cuda) or not (cpu). auto takes a GPU that works, and keeps to what the run began "
    "with.",
)
run = click.argument("out", type=PLACE)
_MIX = (
    _option(
        "--mix",
        metavar="MIX",
        help="Which classes the images show, for a model that has some: scratch=0.6,inclusion=0.4, or balanced, or "
        "like:DIR for the proportions of a folder of classes or of an earlier run.  [default: that of the run in "
        "--out, else balanced]",
    ),
    _option(
        "--per-class",
        type=click.IntRange(min=1),
        help="Make so many images of each class, in place of --count.",
    ),
    _option(
        "--fill",
        type=PLACE,
        metavar="DIR",
        help="Make what brings the classes of DIR to equal numbers of images, in place of --count. DIR is a folder of "
        "classes, or an earlier run in a folder or at s3://, gs:// or az://, and is not changed.",
    ),
    _option(
        "--want",
        metavar="WISH",
        help="Make only images that are so: 'length<20 and contrast<8', or defect=none. They are measured by count, "
        "area, length, width, direction, contrast, x, y, polarity and defect.  [default: that of the run in --out, "
        "else all are taken]",
    ),
)
_PUBLISHING = (
    _option(
        "--latest",
        type=PATH,
        help="Symbolic link to point at the run when all its images are checked.",
    ),
    _option(
        "--keep",
        type=click.IntRange(min=1),
        help="Keep so many runs in the folder of --out and remove the older ones: those of the same --line whose names "
        "differ in the date or time, and that hold nothing else. The log says which went.  [default: all stay]",
    ),
    _option(
        "--metrics-file",
        type=PATH,
        help="File to write figures of the run to, for node-exporter's textfile collector; its name ends in .prom.",
    ),
    _option("--report", is_flag=True, help="Write report.html into the run, a page about it for people."),
)
manifest = _option(
    "--manifest",
    type=click.Choice(["csv", "parquet"]),
    help="Write one file manifest.csv, or a set of files in manifest.parquet/.  [default: that of the run, else csv]",
)
_ENGINE = (
    _option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        help="Make the images on this machine, or on a Ray cluster.",
    ),
    _option(
        "--ray-address",
        help="Use the Ray cluster at this address: auto, HOST:PORT or ray://HOST:PORT.  [default: start one here, for "
        "this run]",
    ),
    _option(
        "--gpus-per-worker",
        type=click.FloatRange(0, 64),
        help="How much of a GPU each worker of Ray gets; 0.25 lets four share one.  [default: 1 where there are GPUs "
        "and --device permits, else 0]",
    ),
    _option(
        "--shard-timeout",
        type=click.FloatRange(min=0, min_open=True),
        help="Kill a worker that says nothing for so many seconds at one shard, or without Ray at one batch, and do "
        "its work again.  [default: 600, and 1 more for each image]",
    ),
)
_SHARE = click.FloatRange(0, 1)
_QUALITY_GATE = (
    _option(
        "--quality-gate",
        type=click.Choice(["fail", "warn", "off"]),
        default=Gate.mode,
        help="End with exit code 76 where the model's own figures tell of faults, or images are beyond the limits "
        "below (fail), only say so (warn), or do not look (off).",
    ),
    _option(
        "--min-contrast",
        type=click.FloatRange(min=0),
        default=Gate.min_contrast,
        help="An image is blank where its contrast is below so many gray values.",
    ),
    _option(
        "--max-clipped",
        type=_SHARE,
        default=Gate.max_clipped,
        help="An image is saturated where more of it than this is 0 or 255.",
    ),
    _option(
        "--near-duplicate",
        type=_SHARE,
        default=Gate.near_duplicate,
        help="Two images are alike where they correlate by at least this.",
    ),
    _option(
        "--max-faulty",
        type=_SHARE,
        default=Gate.max_faulty,
        help="How much of the run may be blank, saturated or not finite, each.",
    ),
    _option(
        "--max-near-duplicates",
        type=_SHARE,
        default=Gate.max_near_duplicates,
        help="How much of a sample of 512 images may be alike with another in it.",
    ),
)
_CONVERTING = (
    click.option(
        "--class-name",
        default=CLASS_NAME,
        help="Class of all images where the run has no classes, and of photos that lie in no class folder.",
    ),
    click.option(
        "--copy/--link",
        default=False,
        help="Copy images, or let them be hard links where the disk allows it: then a change in place changes both.",
    ),
    click.option(
        "--min-area",
        type=click.IntRange(min=1),
        default=MIN_AREA,
        help="Pixels that a spot of a mask must have to count as a defect.",
    ),
    click.option(
        "--holes",
        type=click.Choice(HOLES),
        default=FILL,
        help="Take a hole in a defect for a part of it (fill), or leave it out of the outline (keep).",
    ),
    click.option(
        "--simplify",
        type=click.FloatRange(min=0),
        default=SIMPLIFY,
        help="Pixels by which an outline may differ from the true one to have fewer corners.",
    ),
    click.option(
        "--real", type=PATH, help="Folder of photos, a folder a class, to mix in: val and test have only photos."
    ),
    click.option("--real-masks", type=PATH, help="Folder of the masks of these photos, paired by name."),
    click.option("--real-good", type=PATH, help="Folder of photos of good parts, for mvtec-ad."),
    click.option(
        "--split",
        type=PATH,
        help="split.json of gan-eval: which photos are trained on.  [default: divided here, by groups]",
    ),
)


def converting_options(command: _Command) -> _Command:
    """Add the options of `convert`; `shaping` and `real` take most of them."""
    return _with(command, _CONVERTING)


def shaping(given: dict[str, Any]) -> Shaping:
    """How masks become boxes and polygons, taken out of `given`."""
    from jobs.dataset.convert.shapes import Shaping

    return Shaping(**_taken(given, Shaping))


def real(given: dict[str, Any]) -> Real:
    """The photos to mix in, taken out of `given`."""
    from jobs.dataset.convert.conversion import Real

    names = {"photos": "real", "masks": "real_masks", "good": "real_good", "split": "split"}
    return Real(**{field: given.pop(name) for field, name in names.items()})


def publishing_options(command: _Command) -> _Command:
    """Add the options for what others see of a complete run; `publishing` takes them."""
    return _with(command, _PUBLISHING)


def mix_options(command: _Command) -> _Command:
    """Add the options for which classes the images show, and what else they have to be like."""
    return _with(command, _MIX)


def quality_gate(command: _Command) -> _Command:
    """Add the options of the quality gate; `gate` takes them."""
    return _with(command, _QUALITY_GATE)


def engine_options(command: _Command) -> _Command:
    """Add the options of the engine; `work` takes them."""
    return _with(command, _ENGINE)


def publishing(given: dict[str, Any]) -> Publishing:
    """What others are to see of the run, taken out of `given`."""
    from jobs.ending import Publishing

    return Publishing(**_taken(given, Publishing))


def on_disk(given: dict[str, Any]) -> OnDisk:
    """How images are to lie on disk, taken out of `given`."""
    from jobs.run import OnDisk

    return OnDisk(**_taken(given, OnDisk))


def work(given: dict[str, Any]) -> Work:
    """How the run is to be made, taken out of `given`.

    Raises:
        click.UsageError: an option of Ray's is given without it, or is none.
    """
    from jobs.workers.engine import Work

    engine = _engine(given)
    return Work(engine=engine, **_taken(given, Work, "engine"))


def _taken(given: dict[str, Any], kind: Any, *without: str) -> dict[str, Any]:
    """What options say of the fields of a data class, taken out of `given`."""
    return {field.name: given.pop(field.name) for field in dataclasses.fields(kind) if field.name not in without}


def _engine(given: dict[str, Any]) -> Engine:
    """The engine that options ask for, which are taken out of `given`.

    Raises:
        click.UsageError: an option of Ray's is given without it, or is none.
    """
    from jobs.workers.engine import Engine

    for name in ("ray_address", "gpus_per_worker"):
        if given["engine"] == "local" and given[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} has a meaning with --engine ray only.")
    settings = _taken(given, Engine, "name")
    try:
        return Engine(given.pop("engine"), **settings)
    except ValueError as error:
        raise click.UsageError(f"--gpus-per-worker: {error}.") from None


def gate(given: dict[str, Any]) -> Gate:
    """The quality gate that options ask for, which are taken out of `given`."""
    return Gate(given.pop("quality_gate"), **_taken(given, Gate, "mode"))


def refuse_two_numbers(context: click.Context) -> None:
    """Refuse none or several of the options that say how many images there shall be."""
    names = [name for name in ("count", "append", "per_class", "fill") if context.params[name] is not None]
    if len(names) != 1:
        raise click.UsageError("Need one of --count, --append, --per-class and --fill, and no more than one.")
    if context.params["mix"] is not None and names[0] in ("per_class", "fill"):
        raise click.UsageError(f"--{names[0].replace('_', '-')} is a mix of its own: leave out --mix.")


def refuse_nan(context: click.Context) -> None:
    """Refuse a number that is none: click's ranges let it pass."""
    for name, value in context.params.items():
        if value != value:
            raise click.UsageError(f"--{name.replace('_', '-')} is no number")


def _with(command: _Command, settings: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for setting in reversed(settings):  # the last one applied is the first in the help
        command = setting(command)
    return command


class _PartType(click.ParamType[Part]):
    name = "K/N"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Part:
        try:
            return value if isinstance(value, Part) else Part.parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


PART = _PartType()
