"""Images of a trained generator, made for a comparison; and how its training photos were fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.networks.pixels import to_masks, to_pixels
from gan.networks.reader import load_generator, read_training, weights_sha256
from gan.photos.read import ImageSet
from gan.photos.traces import Traces
from gan.sizes import told
from models.errors import CommandError, ExitCode, first_line
from models.golden import InfoError
from models.info import IMAGES, MASKS, PIXELS, GeneratorInfo
from models.latents import LABEL, Input, inputs
from models.picks import in_proportion

ONNX = ".onnx"
Inputs = Mapping[str, NDArray[Any]]
Made = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]
"""Images uint8 `[N, H, W, C]`, and their masks uint8 `[N, H, W]`, 0 or 255, of a generator that gives them."""
_BATCH = 50
_MOST_PHOTOS = 1_000_000
"""Of a class; a larger number is damage."""


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator file that can be asked for images.

    Attributes:
        path: the file.
        needed: its inputs.
        channels, size: of its images; the size as `gan.sizes.told` tells it.
        fit: how its training photos got their shape, one of `gan.photos.fit.FITS`; empty where the file does not say.
        taught: by the network `gan.evaluation.defaults.MATCHED`, which therefore must not judge it.
        make: the images of inputs `[N, …]`, N up to 50, and their masks.
        has_masks: whether it gives masks.
        class_names: in the order of its labels; empty where it has none.
        trained_on: the photos that it was trained on, or None where the file does not say.
        measured_on: the photos by which it was chosen among those of its training; None: by none, or it is not said.
        photos_a_class: how many of each it was trained on, or empty: where its images are asked for, labels come in
            these proportions.
    """

    path: Path
    needed: Mapping[str, Input]
    channels: int
    size: int | str
    fit: str
    taught: bool
    make: Callable[[Inputs], Made]
    has_masks: bool = False
    class_names: tuple[str, ...] = ()
    photos_a_class: tuple[int, ...] = ()
    trained_on: Traces | None = None
    measured_on: Traces | None = None

    @classmethod
    def open(cls, path: Path, device: str = "cpu") -> TrainedGenerator:
        """The generator in an ONNX file of `gan-export`, or in a PyTorch file that `load_generator` reads.

        Raises:
            CommandError: 66 no such file, 65 not a generator.
        """
        return _of_onnx(path) if path.suffix.lower() == ONNX else _of_pytorch(path, device)

    def images(self, count: int, seed: int) -> ImageSet:
        """The images of the first `count` latents of a seed, uint8 `[count, C, H, W]`, and their masks.

        Without classes they are those that `gan-batch` makes. With classes they have labels in the proportions of the
        photos, or in turn where these are not known.
        """
        labels = self._labels(count)
        batches: list[Tensor] = []
        masks: list[Tensor] = []
        for start in range(0, count, _BATCH):
            stop = min(start + _BATCH, count)
            named = inputs(seed, start, stop, self.needed, None if labels is None else labels[start:stop])
            made, defects = self.make(named)
            batches.append(torch.from_numpy(made).permute(0, 3, 1, 2))
            if defects is not None:
                masks.append(torch.from_numpy(defects)[:, None])
        names = [f"image {index} of seed {seed}" for index in range(count)]
        told = () if labels is None else tuple(labels.tolist())
        found = torch.cat(masks) if masks else None
        return ImageSet(torch.cat(batches), names, labels=told, class_names=self.class_names, masks=found)

    def _labels(self, count: int) -> NDArray[np.int64] | None:
        if LABEL not in self.needed:
            return None
        classes = range(self.needed[LABEL].high)
        photos = [label for label, photos in zip(classes, self.photos_a_class, strict=False) for _ in range(photos)]
        return np.array(in_proportion(photos or classes, count), np.int64)


def _of_pytorch(path: Path, device: str) -> TrainedGenerator:
    generator = load_generator(path).to(device).eval()

    @torch.no_grad()
    def make(named: Inputs) -> Made:
        made = generator.named(**{name: torch.from_numpy(values).to(device) for name, values in named.items()})
        masks = to_masks(made[MASKS]).cpu().numpy() if MASKS in made else None
        return to_pixels(made[IMAGES]).cpu().numpy(), masks

    training = read_training(path, weights_sha256(generator.state_dict()))
    options, found = training.get("options"), training.get("class_names")
    names = tuple(map(str, found)) if isinstance(found, list) else ()
    if len(names) != generator.classes:
        names = tuple(f"class {label}" for label in range(generator.classes))
    size = told(generator.width, generator.height)
    return TrainedGenerator(
        path, generator.inputs, generator.channels, size, _fit_in(options), _taught(options), make,
        MASKS in generator.outputs, names, _photos_a_class(training, generator.classes), *_seen(training),
    )  # fmt: skip


def _of_onnx(path: Path) -> TrainedGenerator:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what goes wrong is raised
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read {path.absolute()}: {error.strerror}") from None
    try:
        session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        info = GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    except InfoError as error:
        raise CommandError(ExitCode.BAD_DATA, f"{path} is no generator of gan-export: {error}") from None
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise CommandError(ExitCode.BAD_DATA, f"{path} is not an ONNX model: {first_line(error)}") from None

    asked = [PIXELS, MASKS] if info.has_masks else [PIXELS]

    def make(named: Inputs) -> Made:
        made, *masks = session.run(asked, named)
        return made, masks[0] if masks else None

    options = info.training.get("options")
    size = told(info.width, info.height)
    names = tuple(info.class_names) if LABEL in info.inputs else ()
    return TrainedGenerator(
        path, info.inputs, info.channels, size, _fit_in(options), _taught(options), make,
        info.has_masks, names, _photos_a_class(info.training, len(names)), *_seen(info.training),
    )  # fmt: skip


def _photos_a_class(training: Mapping[str, Any], classes: int) -> tuple[int, ...]:
    """How many photos of each class a generator was trained on, by what a file says; empty where it does not."""
    match training:
        case {"data": {"photos_a_class": [*counts]}} if len(counts) == classes:
            if all(type(count) is int and 0 <= count <= _MOST_PHOTOS for count in counts):
                return tuple(counts)
    return ()


def _seen(training: Mapping[str, Any]) -> tuple[Traces | None, Traces | None]:
    """The photos that a generator was trained on and measured on, by what a file says."""
    photos = training.get("photos")
    said = photos if isinstance(photos, dict) else {}
    return Traces.from_dict(said.get("trained_on")), Traces.from_dict(said.get("measured_on"))


def _fit_in(options: Any) -> str:
    """The fit in the options of a training, which come from a file."""
    fit = options.get("fit") if isinstance(options, dict) else None
    return fit if isinstance(fit, str) else ""


def _taught(options: Any) -> bool:
    """Whether the options of a training, which come from a file, have feature matching."""
    return isinstance(options, dict) and bool(options.get("feature_matching"))
