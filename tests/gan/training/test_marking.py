"""A generator that is trained already learns masks from a few photos, and its images stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan.evaluation import segmenter
from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.networks.generator import Generator
from gan.networks.pixels import to_pixels
from gan.photos.read import ImageSet
from gan.training import marking, snapshots
from tests.conftest import fails_in_one_line, run_in_process
from tests.gan.networks.shift_made import lively


class Bright:
    """Marks bright regions, as a segmenter would that has learned that these are defects."""

    def marked(self, images: Tensor) -> Tensor:
        return avg_pool2d(images.float(), 5, 1, 2) > 150


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A generator of 32×32 of which a fifth is bright, and what is known of its training."""
    generator = lively(1, 32, 32, seed=1)
    path = tmp_path / "models/generator_model.pth"
    path.parent.mkdir()
    snapshots.save_weights(path, generator)
    known = {"options": {"fit": "stretch"}, "figures": {"diversity": 1.0, "faults": []}}
    sha256 = reader.weights_sha256(generator.state_dict())
    (path.parent / "training_options.json").write_text(json.dumps({**known, "weights_sha256": sha256}))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, Path]:
    """20 plates with a bright square each, and the masks of 12 of them."""
    random = np.random.default_rng(0)
    data, masks = tmp_path / "photos", tmp_path / "drawn"
    data.mkdir()
    masks.mkdir()
    for number in range(20):
        plate, mask = random.normal(90, 6, (64, 64)), np.zeros((64, 64), np.uint8)
        top, left = random.integers(0, 50, 2)
        mask[top : top + 12, left : left + 12] = 255
        Image.fromarray(np.where(mask > 0, 220, plate).astype(np.uint8)).save(data / f"{number:02d}.png")
        if number < 12:
            Image.fromarray(mask).save(masks / f"{number:02d}.png")
    return data, masks


@torch.no_grad()
def made(generator: Generator) -> dict[str, Tensor]:
    return generator.named(**generator.inputs_at(3, 0, 16))


def test_masks_are_learned_and_the_images_stay_to_the_bit(
    model: Path, photos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ImageSet] = []

    def taught(pairs: ImageSet, *_: object) -> Bright:
        seen.append(pairs)
        return Bright()

    monkeypatch.setattr(marking, "Segmenter", taught)
    new = marking.learn_masks(model, *photos, tmp_path / "out", device="cpu", steps=300)
    assert [pairs.names for pairs in seen] == [[f"{number:02d}.png" for number in range(12)]]
    before, after = made(reader.load_generator(model)), made(reader.load_generator(new))
    assert torch.equal(after["images"], before["images"])
    pixels = to_pixels(after["images"]).permute(0, 3, 1, 2)
    wanted, found = Bright().marked(pixels), after["masks"] > 0
    assert 0.02 < wanted.float().mean() < 0.98
    assert segmenter.overlap(found, wanted).pooled > 0.6
    said = json.loads((tmp_path / "out/training_options.json").read_text())
    assert said["masks"]["photos"] == 12
    assert said["masks"]["overlap"] > 0.6
    assert said["weights_sha256"] == reader.weights_sha256(reader.load_generator(new).state_dict())
    assert said["figures"]["diversity"] == 1.0
    assert said["figures"]["masks_real"]["empty"] == 0


def test_the_same_seed_gives_the_same_masks_and_another_others(
    model: Path, photos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "_COMPARED", 20)

    def weights(name: str, seed: int) -> bytes:
        return marking.learn_masks(model, *photos, tmp_path / name, device="cpu", seed=seed, steps=6).read_bytes()

    one = weights("one", 0)
    assert weights("again", 0) == one
    assert weights("other", 1) != one


def taught(model: Path, photos: tuple[Path, Path], out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights that the command leaves."""
    monkeypatch.setattr(marking, "_COMPARED", 20)
    result = run_in_process("gan-train", "masks", model, photos[0], "--masks", photos[1], "--out", out, "--steps", "6")
    assert result.returncode == 0, result.stderr
    assert "learned from 12 photos" in result.stderr
    return out / "generator_model.pth"


def test_the_command_learns_from_photos(
    model: Path, photos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, masks = photos
    weights = taught(model, photos, tmp_path / "masked", monkeypatch)
    assert reader.load_generator(weights).outputs == ("images", "masks")
    again = run_in_process("gan-train", "masks", model, data, "--masks", masks, "--out", weights.parent)
    fails_in_one_line(again, 73, "--overwrite")


def test_masks_of_a_generator_that_makes_some_are_learned_anew(
    model: Path, photos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = taught(model, photos, tmp_path / "masked", monkeypatch)
    options = weights.parent / "training_options.json"
    told = json.loads(options.read_text())
    told["figures"]["faults"] = ["masks: 90% of them are empty (of the photos' 0%)", "grain: all alike"]
    options.write_text(json.dumps(told))
    again = marking.learn_masks(weights, *photos, tmp_path / "again", device="cpu", seed=1, steps=6)
    before, after = (made(reader.load_generator(path)) for path in (weights, again))
    assert torch.equal(after["images"], before["images"])
    assert not torch.equal(after["masks"], before["masks"])
    faults = json.loads((tmp_path / "again/training_options.json").read_text())["figures"]["faults"]
    assert "grain: all alike" in faults
    assert not [fault for fault in faults if "90%" in fault]


@pytest.mark.long
def test_masks_that_were_learned_later_are_exported(
    model: Path, photos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks of a generator that was trained with them are, in tests/export/test_masks.py."""
    weights, onnx = taught(model, photos, tmp_path / "masked", monkeypatch), tmp_path / "generator.onnx"
    result = run_in_process("gan-export", "onnx", weights, "--out", onnx, "--batch-check", "1,2")
    assert result.returncode == 0, result.stderr
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["images", "pixels", "masks"]


def test_what_cannot_learn_masks_is_refused(model: Path, photos: tuple[Path, Path], tmp_path: Path) -> None:
    data, masks = photos
    for number in range(3, 12):
        (masks / f"{number:02d}.png").unlink()
    few = run_in_process("gan-train", "masks", model, data, "--masks", masks, "--out", tmp_path / "out")
    fails_in_one_line(few, 65, "3 photos")
    snapshots.save_weights(tmp_path / "dcgan.pth", DCGAN(8, 1, 2))
    plain = run_in_process(
        "gan-train", "masks", tmp_path / "dcgan.pth", data, "--masks", masks, "--out", tmp_path / "o"
    )
    fails_in_one_line(plain, 2, "a dcgan generator cannot make masks")
    missing = run_in_process("gan-train", "masks", model, data, "--masks", tmp_path / "none", "--out", tmp_path / "o")
    fails_in_one_line(missing, 66, "none")
    assert not (tmp_path / "out").exists()
