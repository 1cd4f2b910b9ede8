"""The golden images of a generator file: what it must give for a few latents, on every runtime and at every load."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.latents import Input, inputs

GOLDEN_COUNT = 16
UNSURE = 128
"""Of a pixel of a mask that is so near to the limit that rounding may decide."""
_STRIDE = 8
_MOST_BYTES = 1 << 28
"""Of golden pixels: of 16 images of 512×512 in colour there are 13 million."""
_MOST_PIXELS = 1 << 20
"""Of images that are made at once."""
Run = Callable[[Mapping[str, NDArray[Any]]], Sequence[NDArray[Any]]]
"""Inputs by name, `[N, …]` each, to `images` float32 `[N, C, H, W]`, `pixels` uint8 `[N, H, W, C]` and, of a generator
that gives them, `masks` uint8 `[N, H, W]`, 0 or 255."""


class InfoError(ValueError):
    """The file does not say what a generator file must say, or not in a way that this version reads."""


class Golden:
    """A few latents with the images they must give, so that every load can be checked.

    The inputs are `models.latents.inputs(seed, 0, 16, …)`. Of `images` every eighth row and column is kept
    as float32; `pixels` are kept whole. Two correct kernels differ in rounding, so neither is compared exactly. `masks`
    are kept whole too, with `UNSURE` where rounding may decide; elsewhere they must be equal.
    """

    def __init__(
        self,
        seed: int,
        atol: float,
        images: NDArray[np.float32],
        pixels: NDArray[np.uint8],
        masks: NDArray[np.uint8] | None = None,
    ) -> None:
        self.seed, self.atol = seed, atol
        self.images = np.ascontiguousarray(images, dtype="<f4")
        self.pixels = np.ascontiguousarray(pixels)
        self.masks = None if masks is None else np.ascontiguousarray(masks)

    @classmethod
    def of(
        cls,
        seed: int,
        atol: float,
        images: NDArray[np.float32],
        pixels: NDArray[np.uint8],
        masks: NDArray[np.floating[Any]] | None = None,
    ) -> Golden:
        """From whole outputs: `images` float32 `[16, C, H, W]`, `pixels` uint8 `[16, H, W, C]`, and `masks` before they
        are told from 0 and 255, `[16, 1, H, W]` in [-1, 1]."""
        told = None if masks is None else sure_masks(masks, atol)
        return cls(seed, atol, images[:, :, ::_STRIDE, ::_STRIDE], pixels, told)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        masks = {} if self.masks is None else {"masks": _packed(self.masks)}
        return {
            **masks,
            "seed": self.seed,
            "atol": self.atol,
            "images_shape": list(self.images.shape),
            "images": base64.b64encode(self.images.tobytes()).decode(),
            "pixels_shape": list(self.pixels.shape),
            "pixels": _packed(self.pixels),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Golden:
        """The inverse of `to_dict`.

        Raises:
            InfoError: it is damaged.
        """
        try:
            images = np.frombuffer(base64.b64decode(values["images"]), "<f4").reshape(values["images_shape"])
            shape = values["pixels_shape"]
            if min(shape) < 1:  # their product limits what is unpacked, and 0 would be no limit
                raise ValueError
            pixels = _unpacked(values["pixels"], shape)
            masks = _unpacked(values["masks"], shape[:3]) if "masks" in values else None
            seed, atol = int(values["seed"]), float(values["atol"])
            if not (0 <= seed < 2**64 and 0 <= atol < 1 and pixels.ndim == 4):
                raise ValueError
            return cls(seed, atol, images, pixels, masks)
        except (KeyError, TypeError, ValueError, OverflowError, zlib.error):
            raise InfoError("its golden images are damaged: export the trained model again") from None

    def fault(self, needed: Mapping[str, Input], run: Run) -> str:
        """What is wrong with the images that `run` makes of the golden inputs; empty where nothing is.

        Args:
            needed: the generator's inputs.
            run: gives whole `images` and `pixels`, and `masks` where there are any.
        """
        images, pixels, *masks = self._made(needed, run)
        by_value, by_pixels = self.differences(images, pixels)
        if by_value <= self.atol and by_pixels <= 1:
            others = 0 if self.masks is None else mask_differences(masks[0], self.masks)
            return f"{others} pixels of their masks differ (allowed none)" if others else ""
        return f"they differ by {by_value:.2e} (allowed {self.atol:.2e}) and {by_pixels} pixel steps (allowed 1)"

    def _made(self, needed: Mapping[str, Input], run: Run) -> list[NDArray[Any]]:
        """The images; large ones a few at a time, as their maps take memory."""
        height, width = self.pixels.shape[1:3]
        at_once = min(GOLDEN_COUNT, max(1, _MOST_PIXELS // (height * width)))
        given = inputs(self.seed, 0, GOLDEN_COUNT, needed)
        parts = [
            run({name: values[start : start + at_once] for name, values in given.items()})
            for start in range(0, GOLDEN_COUNT, at_once)
        ]
        return [np.concatenate(several) for several in zip(*parts, strict=True)]

    def differences(self, images: NDArray[np.float32], pixels: NDArray[np.uint8]) -> tuple[float, int]:
        """Largest difference of whole outputs for the golden latents: in `images`, and in steps of `pixels`."""
        sampled = images[:, :, ::_STRIDE, ::_STRIDE]
        if sampled.shape != self.images.shape or pixels.shape != self.pixels.shape:
            raise InfoError("its outputs do not have the shape of its golden images")
        by_pixels = np.abs(pixels.astype(np.int16) - self.pixels.astype(np.int16)).max()
        return float(np.abs(sampled - self.images).max()), int(by_pixels)


def sure_masks(masks: NDArray[np.floating[Any]], atol: float) -> NDArray[np.uint8]:
    """What any correct kernel makes of masks: uint8 `[N, H, W]`, 255, 0, or `UNSURE`.

    Args:
        masks: `[N, 1, H, W]` in [-1, 1].
        atol: by how much kernels may differ.
    """
    flat = masks[:, 0]
    return np.where(np.abs(flat) <= atol, UNSURE, np.where(flat > 0, 255, 0)).astype(np.uint8)


def mask_differences(masks: NDArray[np.uint8], sure: NDArray[np.uint8]) -> int:
    """How many pixels of masks uint8 `[N, H, W]` are not what `sure_masks` says, or neither 0 nor 255.

    Raises:
        InfoError: they have another shape.
    """
    if masks.shape != sure.shape:
        raise InfoError("its masks do not have the shape of its images")
    return int(np.where(sure == UNSURE, (masks != 0) & (masks != 255), masks != sure).sum())


def _packed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def _unpacked(text: str, shape: Sequence[int]) -> NDArray[np.uint8]:
    size = min(math.prod(shape), _MOST_BYTES)
    raw = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)
    return np.frombuffer(raw, np.uint8).reshape(shape)
