"""How good generated images are: find and read them and real photos, compare, and leave the report.

What can be refused without PyTorch is refused before it is imported, which takes seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gan import sizes
from gan.evaluation import defaults
from gan.evaluation.refusals import (
    AS_MADE,
    CommonShape,
    classes_of,
    paired_masks,
    refuse_nothing,
    refuse_overlap,
    refuse_values,
)
from gan.photos.which import ALL_PHOTOS, Which
from models.errors import CommandError, ExitCode
from models.files import write_probe

if TYPE_CHECKING:
    from gan.evaluation.comparison import Quality, Sets

REPORT = "report.html"


def evaluate(
    real: Path,
    fake: Path,
    *,
    train: Path | None = None,
    model: Path | None = None,
    count: int = defaults.COUNT,
    seed: int = 0,
    features: str = defaults.FEATURES,
    second_features: str | None = None,
    shape: CommonShape = AS_MADE,
    which: Which = ALL_PHOTOS,
    segmenter: bool | None = None,
    device: str = "auto",
    out: Path | None = None,
    words: Callable[[str], str] = str,
) -> Quality:
    """Compare generated images with real photos.

    Args:
        real: folder or `.zip` of photos that were not trained on.
        fake: folder of generated images (of a run of `gan-batch`, with folders or tar files: the images in its
            manifest) or one tar file, of which `count` are taken, evenly spaced in their order; or a generator that is
            asked for `count` images: a file of `gan-export onnx`, a `generator_model.pth` or a `network-snapshot-*.pt`.
        train: folder or `.zip` of the photos that were trained on: for the floor, and for the search for copies.
        model: the ONNX file that made the run in `fake`, which tells how the training photos were fitted; None:
            `models/generator.onnx` or the bundled generator, if that is the file that made it.
        count: how many fakes, at most; 10 to 20,000.
        seed: of the latents, and of everything that is drawn at random; 0 to 2⁶³ - 1.
        features: see `gan.evaluation.features.load_features`.
        second_features: another such network to ask, since each has its own eyes; None: none.
        shape: that all images are brought to.
        which: photos of `real` and `train` to take, and what is told of them. With `classes` or `labels` they are
            compared class by class, too: the fakes tell theirs by the generator, by the column `label` of a run's
            manifest, or by sub-folders. With `masks` the masks of the images are judged, and `crop` and `tile` keep the
            part of a photo with most of the defect; a run in the place of photos has its own.
        segmenter: whether to train a small one on the photos that asks how well masks fit, some minutes; None: where
            `train` and `masks` are given.
        device: `auto`, `cpu` or `cuda`.
        out: folder for `report.html`; None: none is written.
        words: what the report says for an argument that it names between backticks, as `models.flags.in_flags` does.

    Raises:
        CommandError: 2 arguments that cannot be meant, such as folders that overlap; 65 unusable images, model or
            features; 66 nothing there, or an unfinished run; 69 no such device; 73 or 74 where `out` cannot be written.
    """
    refuse_values(count, seed, shape)
    refuse_overlap(real, fake, train)
    which.check()
    if which.masks is None and segmenter:
        raise CommandError(ExitCode.USAGE, "`segmenter` needs the masks of the photos: `masks`")
    for each in filter(None, (features, second_features)):
        defaults.refuse_features(each)
    paired = paired_masks(real, train, which)
    known = classes_of(real, train, which)
    refuse_nothing(real, fake, train, which)
    from gan.devices import find_device
    from gan.evaluation.comparison import compare
    from gan.evaluation.features import load_features
    from gan.evaluation.images import read_made, read_photos
    from gan.evaluation.labelling import labelled
    from gan.evaluation.report import write_report
    from gan.evaluation.sources import generator_in, maker_of, sets_of, sources_of
    from gan.photos.masks import checked

    device = find_device(device)
    generator = generator_in(fake, shape, device)
    maker = maker_of(fake, generator, model)
    if maker is not None and maker.taught:
        for name in (features, second_features):
            defaults.refuse_teacher(name)
    sources = sources_of(real, fake, train, shape.fit, maker)
    fitting = None if paired is None else checked(paired, which.missing_masks, which.skip_bad_files)
    if out is not None:
        write_probe(out)
    network = load_features(features, device)
    second = None if second_features is None else load_features(second_features, device)
    if generator is None:
        fakes, notes = read_made(fake, count, shape.channels, shape.image_size, sources.fit)
    else:
        fakes, notes = generator.images(count, seed), ()
    _, channels, height, width = fakes.images.shape
    load = partial(
        read_photos, channels=channels, size=sizes.told(width, height), skip_bad_files=which.skip_bad_files,
        fit=sources.fit, only=which.only, without=which.without, masks=fitting,
    )  # fmt: skip
    trained = None if train is None else load(train)
    photos = load(real, scales=trained.scales if trained else None)
    sets, told = sets_of(real, photos, fakes, trained)
    if known is not None:
        sets = labelled(sets, known, fake)
    notes = sources.notes + notes + told + _of_masks(sets, which.masks)
    asked = train is not None if segmenter is None else segmenter
    quality, pairs = compare(
        sets, dataclasses.replace(sources, notes=notes), network, seed, second, device if asked else None
    )
    if out is not None:
        write_report(out / REPORT, quality, sets, pairs, words)
    return quality


def _of_masks(sets: Sets, masks: Path | None) -> tuple[str, ...]:
    """What to know where masks are given and cannot be compared."""
    if masks is None or sets.fake.masks is not None:
        return ()
    return ("the images have no masks, so those of the photos only said where to crop",)
