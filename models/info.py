"""What a generator file says of itself: written into the ONNX file by the exporter, read by the job."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.latents import latents

SCHEMA_VERSION = 2
GOLDEN_COUNT = 16
_PREFIX = "gan."
_STRIDE = 8
_MOST_BYTES = 1 << 28
"""Of golden pixels: of 16 images of 512×512 in colour there are 13 million."""
PRECISIONS = ("float32", "fp16")
_KINDS = {
    "architecture": str,
    "precision": str,
    "class_names": list,
    "weights_sha256": str,
    "training": dict,
    "versions": dict,
    "parity": dict,
    "golden": dict,
}
LARGEST = 65536
"""Of any size in the metadata; a larger number is damage."""


class InfoError(ValueError):
    """The file does not say what a generator file must say, or not in a way that this version reads."""


@dataclasses.dataclass(frozen=True)
class GeneratorInfo:
    """Metadata of one generator.

    Attributes:
        architecture: for people; nothing depends on it.
        precision: of the weights and of what is computed with them, one of `PRECISIONS`.
        class_names: of what the images show, in the order of their labels; empty for a generator without labels.
        z_dim, channels, height, width: sizes of a latent and an image.
        weights_sha256: of the trained weights, whatever file they come in.
        training: options, data summary and length of the training; empty where unknown.
        versions: of the packages that made the file.
        parity: what was compared with PyTorch in float64, tolerances, largest differences: `export.ParityReport`.
        golden: see `Golden`.
        schema_version: of this description.
    """

    architecture: str
    precision: str
    class_names: list[str]
    z_dim: int
    channels: int
    height: int
    width: int
    weights_sha256: str
    training: dict[str, Any]
    versions: dict[str, str]
    parity: dict[str, Any]
    golden: dict[str, Any]
    schema_version: int = SCHEMA_VERSION

    def to_metadata(self) -> dict[str, str]:
        """As ONNX `metadata_props`: one JSON value a field, keys begin with `gan.`."""
        fields = dataclasses.asdict(self)
        return {_PREFIX + name: json.dumps(value, sort_keys=True) for name, value in fields.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> GeneratorInfo:
        """The inverse of `to_metadata`; properties without our prefix are left alone.

        Raises:
            InfoError: a field is missing or damaged, or the schema is another version's.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        found = {key[len(_PREFIX) :]: value for key, value in metadata.items() if key.startswith(_PREFIX)}
        if not found:
            raise InfoError("it holds no metadata of gan-export: export the trained model with `gan-export onnx`")
        try:
            values = {name: json.loads(value) for name, value in found.items() if name in names}
        except (ValueError, RecursionError):
            raise InfoError("its metadata is damaged: export the trained model again") from None
        if values.get("schema_version") != SCHEMA_VERSION:
            raise InfoError(
                f"its metadata has schema version {values.get('schema_version')}, this program reads {SCHEMA_VERSION}"
            )
        missing = sorted(names - values.keys())
        if missing:
            raise InfoError(f"its metadata lacks {', '.join(missing)}: export the trained model again")
        for name, kind in _KINDS.items():
            if not isinstance(values[name], kind):
                raise InfoError(f"its metadata is damaged, {name} is {values[name]!r}: export the trained model again")
        if values["precision"] not in PRECISIONS:
            raise InfoError(f"its precision is {values['precision']!r}, this program knows {', '.join(PRECISIONS)}")
        for name in ("z_dim", "channels", "height", "width"):
            if type(values[name]) is not int or not 1 <= values[name] <= LARGEST:
                raise InfoError(f"its metadata is damaged, {name} is {values[name]!r}: export the trained model again")
        info = cls(**values)
        shape = Golden.from_dict(info.golden).pixels.shape[1:]
        if shape != (info.height, info.width, info.channels):
            raise InfoError(f"its metadata is damaged, its golden images are {shape}: export the trained model again")
        return info


class Golden:
    """A few latents with the images they must give, so that every load can be checked.

    The latents are `models.latents.latents(seed, 0, 16, z_dim)`. Of `images` every eighth row and column is kept
    as float32; `pixels` are kept whole. Two correct kernels differ in rounding, so neither is compared exactly.
    """

    def __init__(self, seed: int, atol: float, images: NDArray[np.float32], pixels: NDArray[np.uint8]) -> None:
        self.seed, self.atol = seed, atol
        self.images = np.ascontiguousarray(images, dtype="<f4")
        self.pixels = np.ascontiguousarray(pixels)

    @classmethod
    def of(cls, seed: int, atol: float, images: NDArray[np.float32], pixels: NDArray[np.uint8]) -> Golden:
        """From whole outputs: `images` float32 `[16, C, H, W]`, `pixels` uint8 `[16, H, W, C]`."""
        return cls(seed, atol, images[:, :, ::_STRIDE, ::_STRIDE], pixels)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "seed": self.seed,
            "atol": self.atol,
            "images_shape": list(self.images.shape),
            "images": base64.b64encode(self.images.tobytes()).decode(),
            "pixels_shape": list(self.pixels.shape),
            "pixels": base64.b64encode(zlib.compress(self.pixels.tobytes(), 9)).decode(),
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
            size = min(math.prod(shape), _MOST_BYTES)
            raw = zlib.decompressobj().decompress(base64.b64decode(values["pixels"]), size + 1)
            pixels = np.frombuffer(raw, np.uint8).reshape(shape)
            seed, atol = int(values["seed"]), float(values["atol"])
            if not (0 <= seed < 2**64 and 0 <= atol < 1 and pixels.ndim == 4):
                raise ValueError
            return cls(seed, atol, images, pixels)
        except (KeyError, TypeError, ValueError, OverflowError, zlib.error):
            raise InfoError("its golden images are damaged: export the trained model again") from None

    def fault(self, z_dim: int, run: Callable[[NDArray[np.float32]], Sequence[NDArray[Any]]]) -> str:
        """What is wrong with the images that `run` makes of the golden latents; empty where nothing is.

        Args:
            z_dim: latent dimension.
            run: float32 `[16, z_dim]` to whole `images` and `pixels`.
        """
        images, pixels = run(latents(self.seed, 0, GOLDEN_COUNT, z_dim))
        by_value, by_pixels = self.differences(images, pixels)
        if by_value <= self.atol and by_pixels <= 1:
            return ""
        return f"they differ by {by_value:.2e} (allowed {self.atol:.2e}) and {by_pixels} pixel steps (allowed 1)"

    def differences(self, images: NDArray[np.float32], pixels: NDArray[np.uint8]) -> tuple[float, int]:
        """Largest difference of whole outputs for the golden latents: in `images`, and in steps of `pixels`."""
        sampled = images[:, :, ::_STRIDE, ::_STRIDE]
        if sampled.shape != self.images.shape or pixels.shape != self.pixels.shape:
            raise InfoError("its outputs do not have the shape of its golden images")
        by_pixels = np.abs(pixels.astype(np.int16) - self.pixels.astype(np.int16)).max()
        return float(np.abs(sampled - self.images).max()), int(by_pixels)
