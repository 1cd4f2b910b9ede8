"""The command `gan-batch`."""

from __future__ import annotations

import csv
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobs import options
from jobs.dataset.convert import NAMES
from models import console
from models.errors import CommandError, ExitCode
from models.flags import Group
from models.log import log
from models.progress import duration
from models.stopping import Stop

if TYPE_CHECKING:
    from jobs.dataset.part import Part

_SETTINGS = {"show_default": True, "max_content_width": 110}


@click.group(cls=Group, context_settings=_SETTINGS, invoke_without_command=True, subcommand_metavar="[COMMAND OUT]")
@click.option("--count", type=click.IntRange(min=1), help="How many images the folder shall hold.")
@click.option(
    "--append",
    type=click.IntRange(min=1),
    help="Add so many images to a complete run, in place of --count. A run that was cut off is finished first, and "
    "nothing is added then.",
)
@options.mix_options
@click.option(
    "--out",
    type=options.NAME,
    default="synthetic/{date}",
    help="Folder to write to, or s3://, gs:// or az:// with bucket and prefix. {date} becomes today's date, {time} the "
    "time of the start.",
)
@options.model
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="Number that decides which images come out. The same model and seed give the same images.  [default: that of "
    "the run in --out, else today's date, such as 20261122, with the time after it where --out has {time}]",
)
@click.option(
    "--line",
    metavar="NAME",
    help="Name for the runs that follow one another; --keep removes only runs of the same name.  [default: that of the "
    "run in --out, else the name of the model's file]",
)
@click.option(
    "--part",
    type=options.PART,
    help="Make only one part of the run, while other processes make the others: 3/16 is every 16th shard from the "
    "third on. When all parts are there: gan-batch finish OUT.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="How many images go through the model at once.  [default: 50 on CPU, 250 on CUDA; fewer beyond 128 x 128]",
)
@click.option(
    "--shard-size",
    type=click.IntRange(1, 100_000),
    help="How many images lie in one folder or tar file.  [default: that of the run in --out, else 1000]",
)
@click.option(
    "--format",
    type=click.Choice(["png", "tar"]),
    help="Write each shard as a folder of PNG files, or as one tar file of them.  [default: that of the run in --out, "
    "else png]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="How many processes make images.  [default: one for each core, on CUDA at most 6]",
)
@options.device
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0),
    help="Begin no new shard after so many seconds, and end with exit code 3. The same command goes on later.  "
    "[default: no limit]",
)
@options.engine_options
@options.manifest
@options.publishing_options
@options.quality_gate
@console.log_format_option
@console.version_option
@console.debug_option
@click.pass_context
def cli(
    context: click.Context,
    /,
    count: int | None,
    append: int | None,
    mix: str | None,
    per_class: int | None,
    fill: Path | str | None,
    want: str | None,
    out: str,
    model: str | None,
    seed: int | None,
    part: Part | None,
    line: str | None,
    **others: Any,
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
    options.refuse_nan(context)
    options.refuse_two_numbers(context)
    from jobs.run import run_batch

    work, gate = options.work(others), options.gate(others)
    on_disk, publishing = options.on_disk(others), options.publishing(others)
    result = run_batch(
        model, out, count, append=append, mix=mix, per_class=per_class, fill=fill, want=want, seed=seed, part=part,
        line=line, on_disk=on_disk, work=work, gate=gate, publishing=publishing,
    )  # fmt: skip
    if part:
        log.info(
            "%s: part %s has its %d images, %d of them made now; when all parts are there: gan-batch finish %s",
            result.out, part, result.count, result.made, result.out,
        )  # fmt: skip
    elif not result.count:
        log.info("nothing to make: %s has as many images of each class", fill)
    elif not result.made:
        log.info("%s is complete: %d images", result.out, result.count)
    else:
        log.info(
            "%s is complete: %d images, %d of them made now in %s (%.0f images/s, %s)",
            result.out, result.count, result.made, duration(result.seconds), result.rate, result.provider,
        )  # fmt: skip
        if result.classes:
            log.info("classes: %s", ", ".join(f"{name} {number}" for name, number in result.classes.items()))
        log.info("manifest: %s/%s; to look at: %s/contact_sheet.png", result.out, result.manifest, result.out)


@cli.command()
@options.run
@console.debug_option
def status(out: Path | str) -> None:
    """Say how far the run in OUT is."""
    from jobs.checks.status import status as ask

    found = dataclasses.asdict(ask(out))
    if found["mix"] is None:
        del found["mix"]
    seconds, rate = found.pop("seconds_left"), found["images_per_second"]
    found["images_per_second"] = None if rate is None else f"{rate:.1f}"
    found["time_left"] = None if seconds is None else duration(seconds)
    found["last_error"] = found.pop("last_error")  # last, since it is long
    for name, value in found.items():
        click.echo(f"{name}: {str(value).lower() if isinstance(value, bool) else '-' if value is None else value}")


@cli.command()
@options.run
@options.model
@options.manifest
@options.publishing_options
@options.quality_gate
@console.debug_option
@click.pass_context
def finish(context: click.Context, /, out: Path | str, model: str | None, **others: Any) -> None:
    """Write the manifest of the run in OUT, whose parts are all there, and judge it.

    --model is needed only where files in _quality/ were lost.
    """
    from jobs.finishing import finish as complete

    options.refuse_nan(context)
    gate, publishing = options.gate(others), options.publishing(others)
    result = complete(out, model, gate=gate, publishing=publishing, **others)
    log.info("%s is complete: %d images", out, result.count)


@cli.command()
@options.run
@click.option("--repair", is_flag=True, help="Make broken images again, byte for byte as they were.")
@options.model
@console.debug_option
def verify(out: Path | str, repair: bool, model: str | None) -> None:
    """Compare every image of the run in OUT, and its mask, with the manifest.

    Faults are rows of CSV on stdout, and the exit code is 76. --repair needs the model of the run.
    """
    from jobs.checks.verify import is_repairable, number_of
    from jobs.checks.verify import verify as look

    with Stop() as stop:

        def check() -> None:
            if stop:
                raise stop.error("nothing was changed by verifying; what was repaired stays so")

        if repair:
            from jobs.checks.repair import verify_and_repair

            faults = verify_and_repair(out, model, check)
        else:
            faults = list(look(out, check=check))
    if faults:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["fault", "file_name", "detail"])
        writer.writerows([fault.fault, fault.file_name, fault.detail] for fault in faults)
        hint = "; --repair makes broken images again" if not repair and any(map(is_repairable, faults)) else ""
        raise CommandError(ExitCode.CHECK_FAILED, f"{out}: {number_of(faults)}, the first: {faults[0]}{hint}")
    log.info("%s: every image is what the manifest says", out)


@cli.command()
@options.run
@click.option("--index", type=click.IntRange(0, 10**12), required=True, help="Which image to make: 0 is the first.")
@click.option(
    "--to",
    type=options.PATH,
    help="File to write.  [default: its own name, such as 00073121.png]",
)
@options.model
@options.device
@console.debug_option
def regen(out: Path | str, index: int, to: Path | None, model: str | None, device: str) -> None:
    """Make one image of the run in OUT again, whether the run has it (yet) or not; with its mask, X_mask.png."""
    from jobs.checks.repair import regen as make

    made = make(out, index, model, device)
    path = made.write(to)
    if made.same is False:
        raise CommandError(
            ExitCode.CHECK_FAILED,
            f"{path} is image {index} as it comes out here; the manifest tells of other bytes, which another "
            "device, processor or version made",
        )
    log.info("%s: image %d, %s", path, index, "equal to the run's" if made.same else "which the run does not have yet")


@cli.command()
@options.run
@click.option("--to", type=options.PATH, help="File to write.  [default: report.html in OUT]")
@options.model
@console.debug_option
def report(out: Path | str, to: Path | None, model: str | None) -> None:
    """Write a page about the run in OUT, complete or not: pictures, quality, origin, checks and times.

    --model is needed only to tell how a model was trained that is not models/generator.onnx or the bundled one.
    """
    from jobs.checks.report import report as write

    log.info("%s is ready: open it in a browser", write(out, model, to))


@cli.command()
@click.argument("run", type=options.PLACE)
@click.option("--to", type=click.Choice(NAMES), required=True, help="Layout of the trainer.")
@click.option("--out", type=options.PATH, required=True, help="Folder to write: a new or an empty one.")
@options.converting_options
@console.debug_option
@click.pass_context
def convert(context: click.Context, /, run: Path | str, to: str, out: Path, **others: Any) -> None:
    """Write the complete run RUN as the data set of a trainer.

    A conversion that was cut off is finished by the same command.
    """
    options.refuse_nan(context)
    from jobs.dataset.convert.conversion import convert as write

    shaping, real = options.shaping(others), options.real(others)
    result = write(run, out, to, shaping=shaping, real=real, **others)
    counts = ", ".join(f"{count} {part}" for part, count in result.images.items())
    there = "" if result.made else ", as it was"
    log.info("%s is complete%s: %s; classes: %s", out, there, counts, ", ".join(result.classes))


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE and name != "log_format"


def main() -> None:
    """Entry point of `gan-batch`."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start a thread a core, for next to nothing here
    console.run(cli, "gan-batch")
