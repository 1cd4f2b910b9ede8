"""Which of its candidates each image of a run is, and that image: for all who make one, for the first time or again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobs.dataset.plan import Plan
from jobs.extras import extra
from models.attributes import Attributes, attributes_of
from models.errors import CommandError, ExitCode
from models.latents import Candidates
from models.mix import Mix
from models.wish import Wish

if TYPE_CHECKING:  # ONNX Runtime is loaded where there is a session
    from jobs.workers.session import GeneratorSession, Inputs

MOST_ATTEMPTS = 10**6
"""At one image. A run whose images would need so many together is refused before it begins."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """What may become an image.

    Attributes:
        image: its index.
        attempt: at it, from 0.
        inputs: what it was made from, by name, without the batch.
        pixels: uint8 `[H, W, C]`.
        mask: uint8 `[H, W]`, 0 or 255; None where the generator makes none.
    """

    image: int
    attempt: int
    inputs: Inputs
    pixels: Pixels
    mask: Pixels | None

    def measure(self) -> Attributes:
        """What it shows."""
        return attributes_of(gray(self.pixels), None if self.mask is None else self.mask > 0)

    def copy(self) -> Candidate:
        """The same, which lasts when its batch is gone."""
        inputs = {name: values.copy() for name, values in self.inputs.items()}
        mask = None if self.mask is None else self.mask.copy()
        return replace(self, inputs=inputs, pixels=self.pixels.copy(), mask=mask)


@dataclass(frozen=True)
class Chosen:
    """Images of a run.

    Attributes:
        inputs: what they were made from, `[N, …]` each.
        pixels: uint8 `[N, H, W, C]`.
        masks: uint8 `[N, H, W]`, 0 or 255; None where the generator makes none.
        attempts: which of its own each is; 0 where there is no wish.
    """

    inputs: Inputs
    pixels: Pixels
    masks: Pixels | None
    attempts: list[int]


def draw(
    session: GeneratorSession, seed: int, start: int, stop: int, batch_size: int, mix: Mix | None, wish: Wish | None
) -> Chosen:
    """Images `start` to `stop - 1`.

    Without a wish they are the first attempts. With one, each is the first of its own attempts 0, 1, 2, … that the wish
    accepts, so that no image depends on another.

    Args:
        session: the generator.
        seed: of the latents.
        start, stop: which images, at most `batch_size`.
        batch_size: candidates a batch.
        mix: of a run with classes.
        wish: of a run that has one.

    Raises:
        CommandError: 2 where scikit-image is needed and not there, 65 where an image has no match among
            `MOST_ATTEMPTS`; and what the session raises.
    """
    if wish is None:
        inputs = session.inputs(seed, start, stop, mix)
        return Chosen(inputs, *session.run(inputs, batch_size), [0] * (stop - start))
    found = _first_matches(session, seed, range(start, stop), batch_size, mix, wish)
    chosen = [found[image] for image in range(start, stop)]
    masks = [one.mask for one in chosen if one.mask is not None]
    return Chosen(
        {name: np.stack([one.inputs[name] for one in chosen]) for name in chosen[0].inputs},
        np.stack([one.pixels for one in chosen]),
        np.stack(masks) if masks else None,
        [one.attempt for one in chosen],
    )


def is_finite(session: GeneratorSession, plan: Plan, index: int) -> NDArray[np.bool_]:
    """Whether image `index` of a run holds only finite values, before they become pixels: bool `[1]`."""
    return session.finite(draw(session, plan.seed, index, index + 1, 1, plan.mix, plan.wish).inputs)


def candidates_of(
    session: GeneratorSession, seed: int, candidates: Candidates, batch_size: int, mix: Mix | None
) -> Iterator[Candidate]:
    """Candidates, at most `batch_size`, in their order."""
    inputs = session.inputs_of(seed, candidates, mix)
    pixels, masks = session.run(inputs, batch_size)
    for place, (image, attempt) in enumerate(
        zip(candidates.images.tolist(), candidates.attempts.tolist(), strict=True)
    ):
        own = {name: values[place] for name, values in inputs.items()}
        yield Candidate(image, attempt, own, pixels[place], None if masks is None else masks[place])


def check_measurable() -> None:
    """Refuse a wish where its images could not be measured.

    Raises:
        CommandError: 2 where scikit-image is not installed.
    """
    with extra("convert", "skimage", "`want` needs"):
        import skimage  # noqa: F401  # only whether it is there


def _first_matches(
    session: GeneratorSession, seed: int, images: range, batch_size: int, mix: Mix | None, wish: Wish
) -> dict[int, Candidate]:
    """Of each image the first of its attempts that the wish accepts.

    A batch has room for several attempts at an image when few are left: at most as many as it had before, so that at
    most half of what is generated is not needed. What comes after a match is not measured.
    """
    check_measurable()
    found = dict[int, Candidate]()
    had = 0
    while left := [image for image in images if image not in found]:
        if had >= MOST_ATTEMPTS:
            raise CommandError(
                ExitCode.BAD_DATA,
                f"image {left[0]}: none of {had:,} candidates is as `want` says, {wish}: ask for less",
            )
        each = max(1, min(had, batch_size // len(left)))
        attempts = np.arange(had, had + each, dtype=np.int64)
        candidates = Candidates(np.repeat(np.array(left, np.int64), each), np.tile(attempts, len(left)))
        for candidate in candidates_of(session, seed, candidates, batch_size, mix):
            if candidate.image not in found and wish.accepts(candidate.measure()):
                found[candidate.image] = candidate.copy()
        had += each
    return found


def gray(pixels: Pixels) -> Pixels:
    """An image uint8 `[H, W, C]` as `[H, W]`, as who reads its file gets it from Pillow."""
    from PIL import Image  # here, since only wishes need it

    return pixels[..., 0] if pixels.shape[-1] == 1 else np.asarray(Image.fromarray(pixels).convert("L"))
