"""What a run or a plan of one needs before its first step: photos, held-out photos, a device."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from gan.config import TrainConfig
from gan.devices import fast_bfloat16, find_device
from gan.evaluation import features as feature_networks
from gan.photos.duplicates import near_copies, same_pixels
from gan.photos.find import NOBODY, ExactNames
from gan.photos.labels import Classes, few
from gan.photos.layout import LAID_OUT, common
from gan.photos.lettering import LETTERED_SHARE, lettered
from gan.photos.masks import Masks
from gan.photos.read import ImageSet, find_images, load_images, to_picture
from gan.photos.which import Which
from gan.training.processes import Processes
from gan.training.validation import Validation
from models.errors import CommandError, ExitCode
from models.log import log
from models.picks import spread
from models.progress import Progress

FEW_IMAGES = 1000
"""Images under which the plain recipe is known to collapse."""
LETTERS_SOUGHT = 64
"""Photos that are looked at, spread over all: letters stand on nearly all or on few."""


@dataclass(frozen=True)
class Known:
    """What is known of the photos in folders before they are loaded.

    Attributes:
        which: of them are meant.
        classes: what they show, or None.
        masks: of their defects, or None.
        held_out: names of those of the folder to measure on, where a split says so.
    """

    which: Which
    classes: Classes | None = None
    masks: Masks | None = None
    held_out: ExactNames = NOBODY


@dataclass(frozen=True)
class Ready:
    """What to train on and where.

    Attributes:
        images: to train on.
        held_out: to measure on, or None; of several processes the first has them.
        device: where to train.
    """

    images: ImageSet
    held_out: ImageSet | Validation | None
    device: torch.device


def prepare(
    data: ImageSet | Path,
    validation: ImageSet | Validation | Path | None,
    config: TrainConfig,
    device: str,
    known: Known,
    processes: Processes,
) -> Ready:
    """Load the photos, choose the device, and say what about them makes a bad generator likely.

    Raises:
        CommandError: 65 photos that cannot be used, too few, or in both parts; 66 no photos; 69 no such device.
    """
    found = find_device(device)
    place = torch.device(f"cuda:{processes.local_rank}" if found == "cuda" and processes.count > 1 else found)
    if config.precision == "auto" and not fast_bfloat16(place.type):
        log.info("%s does not calculate in bfloat16, so float32 is used; `precision=bfloat16` insists", place)
    images = _load(data, config, known)
    _warn_of_few(images)
    if config.plain and len(images.names) < FEW_IMAGES:
        log.warning(
            "the plain recipe is known to collapse on few images and there are %d: `recipe=shift` is for few",
            len(images.names),
        )
    _warn_of_letters(images, config)
    if (same := common(images.images)) > LAID_OUT:
        log.warning(
            "%.0f %% of what the photos show stands at the same place in all of them, as in pictures of whole parts: "
            "surfaces are what is learned well, so photos of their surface alone give better images", 100 * same,
        )  # fmt: skip
    if known.held_out:
        of_split = dataclasses.replace(known.which, only=known.held_out)
        validation, known = data, dataclasses.replace(known, which=of_split)
    if validation is None or not processes.is_first:
        return Ready(images, None, place)
    if isinstance(validation, Validation):
        return Ready(images, validation, place)
    held_out = _load(validation, config, known, images)
    if held_out.class_names and held_out.class_names != images.class_names:
        raise CommandError(
            ExitCode.USAGE,
            f"`validation` has the classes {', '.join(held_out.class_names)}, `data` {', '.join(images.class_names)}",
        )
    _refuse_shared(images, held_out, str(validation) if isinstance(validation, Path) else "`validation`")
    return Ready(images, held_out, place)


def held_out_for(ready: Ready, features: str, seed: int) -> Validation | None:
    """What measures the KID while training, or None.

    Raises:
        CommandError: 65, 66 `features` that cannot be loaded.
    """
    if not isinstance(ready.held_out, ImageSet):
        return ready.held_out
    network = feature_networks.load_features(features, str(ready.device))
    return Validation(ready.held_out.images, network, seed, ready.held_out.labels, ready.held_out.traces)


def _load(photos: ImageSet | Path, config: TrainConfig, known: Known, like: ImageSet | None = None) -> ImageSet:
    if isinstance(photos, ImageSet):
        return photos
    which, masks = known.which, known.masks
    within = masks.within(photos) if masks else ()
    count = len(find_images(photos, which.only, which.without, within))
    with Progress("checking", count, "files") as progress:
        images = load_images(
            photos, config.channels, config.image_size, which.skip_bad_files, lambda: progress.update(1), config.fit,
            only=which.only, without=which.without, scales=like.scales if like else None, masks=masks,
            classed=known.classes is not None,
        )  # fmt: skip
    if known.classes is None:
        return images
    labels = known.classes.labels(images.names)
    if like is None and (gone := [name for label, name in enumerate(known.classes.names) if label not in labels]):
        raise CommandError(
            ExitCode.BAD_DATA, f"the class {gone[0]} is empty: none of its photos in {photos} can be used"
        )
    return dataclasses.replace(images, labels=labels, class_names=known.classes.names)


def _warn_of_few(images: ImageSet) -> None:
    if images.class_names:
        each = ", ".join(f"{name} {images.labels.count(label)}" for label, name in enumerate(images.class_names))
        log.info("%d classes, photos of each: %s", len(images.class_names), each)
    if complaint := few(images.labels, images.class_names):
        log.warning("%s", complaint)


def _warn_of_letters(images: ImageSet, config: TrainConfig) -> None:
    """Where a fit or flips would turn letters round."""
    harms = {
        "`fit=pad` shows them mirrored at the border, `fit=crop` does not": config.fit == "pad",
        f"`flip={config.flip}` turns them, `flip=none` does not": config.flip != "none",
    }
    said = [harm for harm, holds in harms.items() if holds]
    looked_at = [images.images[index] for index in spread(len(images.names), LETTERS_SOUGHT)]
    if said and (count := sum(lettered(to_picture(image)) for image in looked_at)) >= LETTERED_SHARE * len(looked_at):
        log.warning("letters seem to stand on %d of %d photos: %s", count, len(looked_at), "; ".join(said))


def _refuse_shared(images: ImageSet, held_out: ImageSet, where: str) -> None:
    """One photo in both parts, under whatever name, would make the KID flatter; near-copies do, and are warned of."""
    shared = [name for name, known in zip(held_out.names, same_pixels(held_out, images), strict=True) if known]
    if shared:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{where}: {len(shared)} of its photos are trained on as well, such as {shared[0]}: gan-eval data makes "
            "a split",
        )
    if copies := near_copies(held_out, images):
        log.warning(
            "%s: %s: if they show the same, the KID flatters; gan-eval data --split keeps near-duplicates together",
            where, copies,
        )  # fmt: skip
