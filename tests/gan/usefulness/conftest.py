"""What the tests of proofs of use share: photos of two kinds of grain that few photos hardly tell apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan.evaluation.refusals import CommonShape
from gan.photos.read import load_images
from gan.photos.split_file import TEST, TRAIN, VALIDATION, Place, Split
from gan.usefulness import usefulness
from gan.usefulness.outcome import Outcome
from tests.conftest import made_once

CLASSES = ("dents", "pits")
SMALL = CommonShape(image_size=32)
DETECTOR = "tests.gan.usefulness.standin:nearest"
_PARTS = [*[TRAIN] * 40, *[VALIDATION] * 20, *[TEST] * 40]


def write_kinds(folder: Path, count: int, seed: int, names: tuple[str, str] = CLASSES) -> Path:
    """`count` gray images of 32×32 of each kind, in a folder of its name."""
    pattern = np.random.default_rng(5).normal(0, 1, (4, 4))
    pattern = np.block([[pattern, pattern[:, ::-1]], [pattern[::-1], pattern[::-1, ::-1]]])  # flips change nothing
    pattern *= 1.4 / np.sqrt((pattern**2).mean()) / 8
    for sign, name in zip((-1, 1), names, strict=True):
        (folder / name).mkdir(parents=True)
        random = np.random.default_rng([seed, sign + 1])
        for number in range(count):
            coarse = 120 + 25 * (random.normal(0, 1, (8, 8)) + sign * pattern)
            image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((32, 32), Image.Resampling.NEAREST)
            image.save(folder / name / f"{seed}-{number:03d}.png")
    return folder


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos`, 100 of each kind, their `split.json`, and as synthetic images `useful` and `harmful`; not to change."""

    def make(folder: Path) -> None:
        write_kinds(folder / "photos", 100, 1)
        write_kinds(folder / "useful", 200, 2)
        write_kinds(folder / "harmful", 200, 3, ("pits", "dents"))
        write_kinds(folder / "few", 40, 4)
        found = load_images(folder / "photos", 1, 32).traces
        assert found is not None
        parts = dict(zip(found.names, _PARTS * len(CLASSES), strict=True))
        places = {
            name: Place(parts[name], sha256, name) for name, sha256 in zip(found.names, found.sha256, strict=True)
        }
        Split(places).write(folder / "split.json")

    return made_once(tmp_path_factory, "kinds", make, copy=False)


@pytest.fixture
def augmented_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's detector sees one augmented view of all images, drawn for all together: an image at a time is slow."""

    def views(images: Tensor, augment: Callable[..., Tensor]) -> Tensor:
        return torch.cat([images, augment(images, torch.Generator().manual_seed(0))])

    monkeypatch.setattr("gan.usefulness.own.views", views)


@pytest.fixture
def proof(kinds: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """The verdict of some images by the stand-in, with few photos; options may be given."""

    def prove(*synthetic: str | Path, **options: Any) -> Outcome:
        usual: dict[str, Any] = {
            "out": tmp_path / "out", "split": kinds / "split.json", "budget": [5], "detector": DETECTOR,
            "shape": SMALL, "quick": True,
        }  # fmt: skip
        found = usefulness(kinds / "photos", [kinds / each for each in synthetic], **{**usual, **options})
        assert found is not None
        return found

    return prove
