"""Masks for a generator that is trained already, learned from the photos that have some, which may be few.

Ten to thirty masks are too few for a discriminator, which would learn them by heart. But what a finished generator
draws from knows its defects: a small part that reads its maps learns masks from few (Zhang et al., "DatasetGAN:
Efficient Labeled Data Factory with Minimal Human Effort", CVPR 2021). There people mark generated images; here a
segmenter that has learned from the marked photos does, and the generator's own part learns to draw what it marks. The
images stay as they are, to the last bit. Where all photos have masks and a generator that was trained with them marks
something else, it learns better ones in the same way.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from gan.devices import find_device
from gan.evaluation.defaults import STEPS
from gan.evaluation.segmenter import Segmenter, overlap, segmentation_loss
from gan.networks import reader
from gan.networks.generator import Generator
from gan.networks.pixels import to_pixels
from gan.photos.masks import checked
from gan.photos.pairing import pair
from gan.photos.read import ImageSet, load_images
from gan.photos.traces import Traces
from gan.sizes import told
from gan.training import folder, snapshots
from gan.training.figures import OF_MASKS, made, mask_figures
from models.errors import CommandError, ExitCode
from models.files import write_atomically
from models.info import IMAGES, MASKS
from models.log import log
from models.progress import Progress

LEAST_MARKED = 10
"""Photos with masks, at least."""
_BATCH, _RATE = 8, 3e-3
_FIRST_LATENT = 1 << 22
"""Far from the latents of sample grids, of what is measured, and from those that a small dataset begins with."""
_COMPARED = 200
"""Images on which the generator's masks are compared with the segmenter's."""
_SURE = 0.9999
"""Of what tanh gives: beyond it nothing is to be learned."""


def learn_masks(
    model: Path,
    data: Path,
    masks: Path,
    out: Path,
    *,
    device: str = "auto",
    seed: int = 0,
    steps: int = STEPS,
    overwrite: bool = False,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Path:
    """Leave a generator in `out` that makes the images of another, and masks of their defects.

    Masks that it made before are gone.

    Args:
        model: the generator, as `gan.networks.reader.load_generator` reads it.
        data: folder or `.zip` of photos such as it was trained on; those without a mask are not looked at.
        masks: folder or zip of their masks: `gan.photos.pairing.pair`.
        out: folder for `generator_model.pth` and `training_options.json`.
        device: `auto`, or a torch device.
        seed: decides everything random.
        steps: of the segmenter, which learns from the photos; the generator takes half as many.
        overwrite: replace a generator that is there.
        only, without: patterns of photos; see `gan.photos.find.fits`.

    Returns:
        The path of the new `generator_model.pth`.

    Raises:
        CommandError: 2 a generator that cannot make masks; 65 too few photos with masks, or masks that do not fit;
            66 nothing by one of these names; 69 no such device; 73/74 `out` cannot be written.
    """
    folder.refuse_images(out)
    target = out / folder.GENERATOR
    if target.exists() and not overwrite:
        raise CommandError(
            ExitCode.CANNOT_WRITE, f"{target} is there: add `overwrite=True` to replace it, or take another `out`"
        )
    generator = reader.load_generator(model)
    random = torch.Generator().manual_seed(seed)
    try:
        marking, part = generator.with_marker(random)
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, f"`model` {model}: {error}") from None
    known = reader.read_training(model, reader.weights_sha256(generator.state_dict()))
    options = known.get("options") or {}
    pairs = _marked_photos(data, masks, generator, str(options.get("fit", "crop")), only, without)
    place = find_device(device)
    with Progress("segmenter", steps, "steps") as progress:
        segmenter = Segmenter(pairs, seed, place, progress, steps)
    _learn(marking.to(place), part, segmenter, seed, max(1, steps // 2))
    images, found = made(marking, seed, _FIRST_LATENT, _COMPARED)
    assert found is not None
    assert pairs.masks is not None
    agreed = overlap(segmenter.marked(images), found[:, None] > 0)
    figures, faults = mask_figures(found, pairs.masks)
    before = known.get("figures") or {}
    said = {
        **known,
        "options": {**options, "masks": True},
        "masks": {"photos": len(pairs.names), "overlap": round(agreed.pooled, 4), "seed": seed},
        "weights_sha256": reader.weights_sha256(marking.cpu().state_dict()),
    }
    if before_seen := Traces.from_dict((known.get("photos") or {}).get("trained_on")):
        seen = before_seen if pairs.traces is None else before_seen.joined(pairs.traces)
        said["photos"] = {**known["photos"], "trained_on": seen.to_dict()}
    if before:
        others = [fault for fault in before.get("faults", ()) if not fault.startswith(OF_MASKS)]
        said["figures"] = {**before, **figures, "faults": [*others, *faults]}
    out.mkdir(parents=True, exist_ok=True)
    snapshots.save_weights(target, marking)
    text = json.dumps(said, indent=2) + "\n"
    write_atomically(out / folder.OPTIONS, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    log.info(
        "%s makes masks, learned from %d photos; they overlap with what was learned by %.2f (IoU); look at them, then: "
        "gan-export onnx %s", target, len(pairs.names), agreed.pooled, target,
    )  # fmt: skip
    for fault in faults:
        log.warning("a detector would learn a fault: %s", fault)
    return target


def _marked_photos(
    data: Path, masks: Path, generator: Generator, fit: str, only: Sequence[str], without: Sequence[str]
) -> ImageSet:
    """The photos that have masks, fitted as the generator's were."""
    pairing = pair([data], masks, only, without)
    found = load_images(
        data, generator.channels, told(generator.width, generator.height), fit=fit, only=only, without=without,
        masks=checked(pairing, "empty"),
    )  # fmt: skip
    assert found.masks is not None
    rows = [row for row, name in enumerate(found.names) if pairing.mask_of[data].get(name)]
    if len(rows) < LEAST_MARKED:
        raise CommandError(
            ExitCode.BAD_DATA, f"{len(rows)} photos in {data} have a mask in {masks}, {LEAST_MARKED} are needed"
        )
    log.info("%d of %d photos have masks", len(rows), len(found.names))
    return dataclasses.replace(
        found, images=found.images[rows], masks=found.masks[rows], names=[found.names[row] for row in rows],
        traces=None if found.traces is None else found.traces.take(rows),
    )  # fmt: skip


def _learn(generator: Generator, part: nn.Module, segmenter: Segmenter, seed: int, steps: int) -> None:
    """Teach `part` of a generator to draw what a segmenter marks in its images; nothing else of it changes."""
    generator.eval().requires_grad_(False)
    part.requires_grad_(True)
    optimiser = torch.optim.Adam(part.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    with Progress("masks", steps, "steps") as progress:
        for step in range(steps):
            first = _FIRST_LATENT + _COMPARED + step * _BATCH
            outputs = generator.named(**generator.inputs_at(seed, first, first + _BATCH))
            wanted = segmenter.marked(to_pixels(outputs[IMAGES]).permute(0, 3, 1, 2)).to(outputs[MASKS])
            # tanh of x is what the sigmoid of 2x is, on another scale.
            loss = segmentation_loss(2 * outputs[MASKS].clamp(-_SURE, _SURE).atanh(), wanted)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            progress.update(1)
    generator.requires_grad_(True)
