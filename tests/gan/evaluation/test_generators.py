"""Generators that are asked for images: PyTorch files, snapshots, ONNX files, and the fit that they tell of."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch

from gan.evaluation.generators import TrainedGenerator
from gan.networks.dcgan import DCGAN
from gan.networks.pixels import to_pixels
from gan.networks.reader import weights_sha256
from gan.networks.shift import ShiftGenerator
from gan.training.snapshots import save
from models.errors import CommandError, ExitCode
from models.latents import latents
from tests.jobs.small_models import SIZE, write_model


@pytest.fixture
def generator() -> DCGAN:
    torch.manual_seed(1)
    return DCGAN(8, 3, 2).eval()


def fit_of(path: Path) -> str:
    return TrainedGenerator.open(path).fit


def test_images_are_those_that_gan_batch_would_make_of_its_latents(tmp_path: Path, generator: DCGAN) -> None:
    save(tmp_path / "generator_model.pth", generator.state_dict())
    opened = TrainedGenerator.open(tmp_path / "generator_model.pth")
    found = opened.images(60, 5)
    with torch.no_grad():
        expected = to_pixels(generator(torch.from_numpy(latents(5, 0, 60, 8)))).permute(0, 3, 1, 2)
    assert (opened.channels, opened.size, opened.fit) == (3, 128, "")
    assert found.images.shape == (60, 3, 128, 128)
    assert found.names[59] == "image 59 of seed 5"
    assert int((found.images.int() - expected.int()).abs().max()) <= 1


def test_onnx_file_gives_the_images_of_its_network_and_the_fit_of_its_training(trained: Path, exported: Path) -> None:
    by_pytorch = TrainedGenerator.open(trained / "generator_model.pth")
    by_onnx = TrainedGenerator.open(exported)
    assert (by_onnx.channels, by_onnx.size, by_onnx.fit) == (by_pytorch.channels, by_pytorch.size, "crop")
    one, other = (opened.images(12, 3).images.int() for opened in (by_pytorch, by_onnx))
    assert int((one - other).abs().max()) <= 1


def test_fit_is_that_of_the_training_options_of_these_very_weights(tmp_path: Path, generator: DCGAN) -> None:
    path = tmp_path / "generator_model.pth"
    save(path, generator.state_dict())
    options = {"options": {"fit": "pad"}, "weights_sha256": weights_sha256(generator.state_dict())}
    (tmp_path / "training_options.json").write_text(json.dumps(options))
    assert fit_of(path) == "pad"
    (tmp_path / "training_options.json").write_text(json.dumps({**options, "weights_sha256": "of others"}))
    assert fit_of(path) == ""


@pytest.mark.parametrize("options", [{}, {"fit": 7}, {"fit": "tile"}])
def test_fit_of_an_onnx_file_is_what_its_metadata_says(exported: Path, tmp_path: Path, options: dict[str, str]) -> None:
    model = onnx.load(exported)
    (training,) = (entry for entry in model.metadata_props if entry.key == "gan.training")
    training.value = json.dumps({"options": options})
    onnx.save(model, tmp_path / "other.onnx")
    assert fit_of(tmp_path / "other.onnx") == ("tile" if options == {"fit": "tile"} else "")


def test_snapshot_tells_its_fit_itself(trained: Path) -> None:
    snapshot = next(trained.glob("network-snapshot-*.pt"))
    assert fit_of(snapshot) == "crop"


def test_what_is_no_generator_or_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("text.pth", "text.onnx"):
        (tmp_path / name).write_text("no model")
        with pytest.raises(CommandError, match=name) as caught:
            TrainedGenerator.open(tmp_path / name)
        assert caught.value.exit_code == ExitCode.BAD_DATA
    for name in ("nowhere.pth", "nowhere.onnx"):
        with pytest.raises(CommandError, match=name) as caught:
            TrainedGenerator.open(tmp_path / name)
        assert caught.value.exit_code == ExitCode.NO_INPUT


@pytest.mark.parametrize(("photos", "counts"), [([30, 10], [15, 5]), ([30, -1], [10, 10]), ("many", [10, 10])])
def test_labels_come_in_the_proportions_of_the_photos(tmp_path: Path, photos: object, counts: list[int]) -> None:
    network = ShiftGenerator(40, 1, 2, 32, 32, 2)
    network.initialise(torch.Generator().manual_seed(0))
    save(tmp_path / "generator_model.pth", network.state_dict())
    told = {"class_names": ["line", "pit"], "data": {"photos_a_class": photos}}
    told["weights_sha256"] = weights_sha256(network.state_dict())
    (tmp_path / "training_options.json").write_text(json.dumps(told))
    found = TrainedGenerator.open(tmp_path / "generator_model.pth").images(20, 0)
    assert [found.labels.count(label) for label in (0, 1)] == counts
    assert found.class_names == ("line", "pit")


def test_masks_come_with_the_images_of_pytorch_files(tmp_path: Path) -> None:
    network = ShiftGenerator(40, 1, 2, 32, 32, 0, masks=True)
    network.initialise(torch.Generator().manual_seed(0))
    save(tmp_path / "generator_model.pth", network.state_dict())
    opened = TrainedGenerator.open(tmp_path / "generator_model.pth")
    assert opened.has_masks
    found = opened.images(60, 5)
    with torch.no_grad():
        expected = network.eval().named(z=torch.from_numpy(latents(5, 0, 60, 40)))["masks"] > 0
    assert found.masks is not None
    assert (found.masks.shape, found.masks.dtype) == ((60, 1, 32, 32), torch.uint8)
    assert set(found.masks.unique().tolist()) <= {0, 255}
    assert float(((found.masks > 0) != expected).float().mean()) < 1e-3


def test_masks_come_with_the_images_of_onnx_files(tmp_path: Path, exported: Path) -> None:
    path = write_model(tmp_path / "small.onnx", masks=0.7)
    opened = TrainedGenerator.open(path)
    found = opened.images(60, 3)
    assert opened.has_masks
    assert found.masks is not None
    squares = found.masks[:, 0].unflatten(1, (SIZE // 4, 4)).unflatten(3, (SIZE // 4, 4))
    assert torch.equal(squares.amax(dim=(2, 4)), squares.amin(dim=(2, 4)))
    assert 0.1 < float((found.masks > 0).float().mean()) < 0.5
    assert not TrainedGenerator.open(exported).has_masks
    assert TrainedGenerator.open(exported).images(12, 3).masks is None
