"""Training on photos with masks: what belongs together stays together, and a cut run goes on to the bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import Course, TrainConfig
from gan.networks import reader
from gan.networks.standardizer import MaskScale
from gan.photos.read import ImageSet
from gan.training import figures, snapshots
from gan.training.augment import augment
from gan.training.monitor import sample
from gan.training.run import train
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode
from tests.gan.conftest import same, tiny
from tests.gan.training.made import spots

CPU = torch.device("cpu")


def tiles() -> ImageSet:
    """Spots in plates of 80×80, to be cropped anew each time."""
    whole = spots(side=80)
    assert whole.masks is not None
    images, masks = (part[:, :, :32, :32] for part in (whole.images, whole.masks))
    return ImageSet(images, whole.names, tuple(whole.images), masks=masks, whole_masks=tuple(whole.masks))


def masked(**changes: object) -> TrainConfig:
    return tiny("shift", masks=True, **changes)


@pytest.fixture
def few_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feature matching looks at so many crops of tiles that a trainer takes a second to begin."""
    monkeypatch.setattr("gan.training.pulls.LOOKED_AT", 64)


def begun(data: ImageSet, config: TrainConfig) -> Trainer:
    return Trainer(data.images, config, CPU, data.photos, masks=data.masks, whole_masks=data.whole_masks)


def after(steps: int, data: ImageSet, config: TrainConfig) -> Trainer:
    trainer = begun(data, config)
    for _ in range(steps):
        trainer.train_step()
    return trainer


@pytest.mark.parametrize("data", [spots(), tiles()], ids=["whole", "tile"])
def test_a_photo_and_its_mask_are_mirrored_cropped_and_moved_together(data: ImageSet) -> None:
    trainer = begun(data, masked(flip="both", fit="tile" if data.photos else "crop"))
    batches = [trainer._real_batch(8 * step) for step in range(6)]
    for batch in [*batches, *(augment(batch, trainer.random, channels=1) for batch in batches)]:
        image, mask = batch[:, 0], batch[:, 1]
        assert set(mask.unique().tolist()) == {-1.0, 1.0}
        bright = image > image.flatten(1).median(dim=1).values[:, None, None] + 0.5
        assert torch.equal(bright, mask > 0)


def test_every_fourth_crop_shows_no_defect_and_all_others_some_of_it() -> None:
    batches = begun(tiles(), masked(fit="tile")).batches
    for position in range(0, 240, 8):
        clear = batches.clear(position)
        assert clear is not None
        assert clear.tolist() == [False, False, False, True] * 2
        assert torch.equal((batches.images(position)[:, 1] > 0).flatten(1).any(dim=1), ~clear)


def test_no_crop_is_clear_where_a_defect_leaves_no_room_or_photos_are_not_cropped() -> None:
    data = tiles()
    full = dataclasses.replace(data, whole_masks=tuple(torch.full_like(mask, 255) for mask in data.whole_masks))
    clear = begun(full, masked(fit="tile")).batches.clear(0)
    assert clear is not None
    assert clear.tolist() == [False] * 8
    assert begun(spots(), masked()).batches.clear(0) is None


@pytest.mark.parametrize("feature_matching", [0.0, 3.0])
def test_what_is_generated_beside_a_clear_crop_is_clear_too(
    few_crops: None, monkeypatch: pytest.MonkeyPatch, feature_matching: float
) -> None:
    trainer = begun(tiles(), masked(fit="tile", feature_matching=feature_matching))
    clear = trainer.batches.clear(0)
    drawn = mock.Mock(wraps=trainer.g.draw)
    monkeypatch.setattr(trainer.g, "draw", drawn)
    compared = {}
    pulls = trainer._pulls
    for name, matching in {"images": pulls.of_images, "pairs": pulls.of_masks}.items() if pulls is not None else ():
        compared[name] = mock.Mock(wraps=matching.gradient)
        monkeypatch.setattr(matching, "gradient", compared[name])
    trainer.train_step()
    assert clear is not None
    assert torch.equal(drawn.call_args.args[3], clear)
    # The photos that feature matching knows all have a defect; masks are matched as they are shown.
    seen = {name: len(matched.call_args.args[0]) for name, matched in compared.items()}
    assert seen == ({"images": 6, "pairs": 8} if feature_matching else {})


def test_the_mask_is_neither_lightened_nor_darkened() -> None:
    pairs = torch.rand((16, 2, 32, 32), generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = augment(pairs, torch.Generator().manual_seed(1), channels=1)
    assert set(made[:, 1].unique().tolist()) <= set(pairs[:, 1].unique().tolist())
    assert not set(made[:, 0].unique().tolist()) <= set(pairs[:, 0].unique().tolist())


def test_masks_as_the_discriminator_sees_them_have_mean_0_and_deviation_1() -> None:
    masks = spots(64).masks
    assert masks is not None
    seen = MaskScale(masks)(masks.float() / 127.5 - 1)
    assert seen.mean().abs() < 0.05
    assert 0.7 < float(seen.std()) < 1  # less than 1, as edges are soft
    assert torch.equal(MaskScale(masks * 0)(masks * 0.0 - 1), masks * 0.0)


@pytest.mark.parametrize("feature_matching", [0.0, 3.0])
def test_a_cut_run_goes_on_to_the_bit(few_crops: None, tmp_path: Path, feature_matching: float) -> None:
    config, data = masked(feature_matching=feature_matching, fit="tile"), tiles()
    whole = after(4, data, config)
    snapshots.save(tmp_path / "a.pt", after(2, data, config).state())
    resumed = begun(data, config)
    resumed.restore(reader.load(tmp_path / "a.pt"))
    for _ in range(2):
        resumed.train_step()
    assert same(resumed.state(), whole.state())


def test_other_masks_are_other_images() -> None:
    data, config = spots(), masked()
    assert data.masks is not None
    other = begun(dataclasses.replace(data, masks=255 - data.masks), config)
    with pytest.raises(CommandError) as refused:
        other.restore(begun(data, config).state())
    assert refused.value.exit_code is ExitCode.OTHER_RUN


def test_masks_and_the_option_belong_together() -> None:
    data = spots()
    for config, masks in ((tiny("shift"), data.masks), (masked(), None)):
        with pytest.raises(ValueError, match="belong together"):
            Trainer(data.images, config, CPU, masks=masks)


def test_masks_come_to_be_mostly_without_defect_as_those_of_the_photos() -> None:
    data = spots()
    trainer = begun(data, masked(lr=0.004, d_lr=0.004, epochs=27, ema_kimg=0.05))  # quick: few steps are made
    inputs = trainer.generator.inputs_at(0, 0, 16)
    assert abs(sample(trainer.generator, inputs)["masks"].mean()) < 0.2
    for _ in range(30):
        trainer.train_step()
    assert sample(trainer.generator, inputs)["masks"].mean() < -0.7  # of the photos -0.93


def test_a_run_leaves_masks_beside_its_samples_and_figures_of_them(tmp_path: Path) -> None:
    data = spots()
    model = train(data, tmp_path / "out", masked(epochs=1), course=Course(sample_epochs=1))
    assert reader.load_generator(model).outputs == ("images", "masks")
    said = json.loads((tmp_path / "out/training_options.json").read_text())
    assert said["options"]["masks"] is True
    assert said["figures"]["masks_real"] == {"empty": 0.0, "defect": 0.03516}
    samples = tmp_path / "out/samples"
    shapes = [Image.open(samples / f"fakes000003{which}.png").size for which in ("", "_masks")]
    assert shapes[0] == shapes[1]
    real = np.asarray(Image.open(samples / "reals_masks.png").convert("L"))
    assert set(np.unique(real)) == {0, 255}


def test_masks_that_are_empty_though_the_photos_are_not_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    data = spots(50)
    generator = begun(data, masked()).generator
    for masks, faults in ((data.masks, []), (torch.zeros_like(data.images), ["masks: 100% of them are empty"])):
        assert masks is not None
        monkeypatch.setattr(figures, "made", lambda *_, masks=masks: (data.images, masks[:, 0]))
        found = figures.figures(generator, data.images, 0, masks=data.masks)["faults"]
        assert [fault.partition(" (")[0] for fault in found if fault.startswith("masks")] == faults
