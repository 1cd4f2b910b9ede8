"""One training step, and the state that it moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gan.networks import reader
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.monitor import sample
from gan.training.trainer import Trainer
from models.errors import CommandError, ExitCode
from tests.gan.conftest import CPU, after, numbered, same, tiny


def shown(trainer: Trainer, images: int) -> list[int]:
    """Indices of the first images of the endless row, as batches of real images show them."""
    order: list[int] = []
    while len(order) < images:
        batch = trainer._real_batch(len(order))
        order += ((batch[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
    return order[:images]


def large_photos(count: int) -> tuple[list[Tensor], Tensor]:
    """Noise of different sizes, and the centre of each photo."""
    random = torch.Generator().manual_seed(3)
    sizes = [(128 + 16 * (number % 3), 160 - 16 * (number % 2)) for number in range(count)]
    photos = [torch.randint(0, 256, (1, *size), generator=random, dtype=torch.uint8) for size in sizes]
    return photos, torch.stack([photo[:, :128, :128] for photo in photos])


# Going on exactly


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["dcgan", "small-data"])
def test_four_steps_are_two_and_two_more_to_the_bit(
    plates: ImageSet, tmp_path: Path, recipe: str, precision: str
) -> None:
    config = tiny(recipe, precision=precision, instance_noise=0.1, flip="both")
    whole = after(4, plates.images, config)
    snapshots.save(tmp_path / "a.pt", after(2, plates.images, config).state())
    resumed = Trainer(plates.images, config, CPU)
    resumed.restore(reader.load(tmp_path / "a.pt"))
    resumed.train_step()
    resumed.train_step()
    assert same(resumed.state(), whole.state())


NEW: dict[str, dict[str, Any]] = {
    "d_spectral_norm": {"d_spectral_norm": True},
    "d_patches": {"d_patches": True},
    "d_decoder": {"d_decoder": True},
    "bands": {"standardize": True, "bands": True},
    "r2_gamma": {"r2_gamma": 1.0, "penalty_interval": 3, "d_batch_norm": False},
    "hinge": {"loss": "hinge"},
    "d_steps": {"d_steps": 2},
    "lr_decay": {"lr_decay": 0.9, "instance_noise": 0.1},
}


@pytest.mark.parametrize("options", NEW.values(), ids=NEW)
def test_a_run_cut_anywhere_goes_on_to_the_bit_with(options: dict[str, Any], plates: ImageSet, tmp_path: Path) -> None:
    config = tiny(**options)
    trainer = Trainer(plates.images, config, CPU)
    for step in range(3):
        snapshots.save(tmp_path / f"{step}.pt", trainer.state())
        trainer.train_step()
    for step in range(3):
        resumed = Trainer(plates.images, config, CPU)
        resumed.restore(reader.load(tmp_path / f"{step}.pt"))
        for _ in range(3 - step):
            resumed.train_step()
        assert same(resumed.state(), trainer.state())


def test_a_run_on_crops_of_large_photos_goes_on_to_the_bit(tmp_path: Path) -> None:
    photos, images = large_photos(12)
    whole, cut, resumed = (Trainer(images, tiny(fit="tile", flip="both"), CPU, photos) for _ in range(3))
    for trainer, steps in ((whole, 4), (cut, 2)):
        for _ in range(steps):
            trainer.train_step()
    snapshots.save(tmp_path / "a.pt", cut.state())
    resumed.restore(reader.load(tmp_path / "a.pt"))
    resumed.train_step()
    resumed.train_step()
    assert same(resumed.state(), whole.state())


def test_a_large_photo_that_changed_outside_its_centre_is_another_image() -> None:
    photos, images = large_photos(12)
    trainer = Trainer(images, tiny(fit="tile"), CPU, photos)
    photos[3][0, 0, 0] ^= 1
    with pytest.raises(CommandError, match="other images"):
        Trainer(images, tiny(fit="tile"), CPU, photos).restore(trainer.state())


@pytest.mark.parametrize("part", ["g", "d", "g_ema", "g_optimiser", "d_optimiser", "random", "step", "kimg"])
def test_a_step_moves_every_part_of_the_state(plates: ImageSet, part: str) -> None:
    trainer = Trainer(plates.images, tiny("small-data"), CPU)
    before = Trainer(plates.images, tiny("small-data"), CPU).state()[part]
    trainer.train_step()
    assert not same(trainer.state()[part], before)


def test_a_run_of_another_option_is_refused_and_the_option_named_with_both_values(plates: ImageSet) -> None:
    state = after(1, plates.images, tiny(lr=0.0002)).state()
    with pytest.raises(CommandError, match=r"lr was 0\.0002 and is 0\.001") as refused:
        Trainer(plates.images, tiny(lr=0.001), CPU).restore(state)
    assert refused.value.exit_code is ExitCode.OTHER_RUN


def test_a_run_of_other_images_is_refused(plates: ImageSet) -> None:
    state = after(1, plates.images, tiny()).state()
    changed = plates.images.clone()
    changed[3, 0, 5, 5] ^= 1
    with pytest.raises(CommandError, match="other images") as refused:
        Trainer(changed, tiny(), CPU).restore(state)
    assert refused.value.exit_code is ExitCode.OTHER_RUN


@pytest.mark.parametrize("longer", [{"epochs": 9}, {"total_kimg": 2.0}])
def test_a_run_may_go_on_for_longer_than_planned(plates: ImageSet, longer: dict[str, Any]) -> None:
    trainer = Trainer(plates.images, tiny(**longer), CPU)
    trainer.restore(after(1, plates.images, tiny()).state())
    assert trainer.step == 1


def test_the_same_seed_gives_the_same_run(plates: ImageSet) -> None:
    assert same(after(2, plates.images, tiny(seed=5)).state(), after(2, plates.images, tiny(seed=5)).state())


def test_another_seed_gives_another_run(plates: ImageSet) -> None:
    assert not same(
        after(2, plates.images, tiny(seed=5)).state()["g"], after(2, plates.images, tiny(seed=6)).state()["g"]
    )


def test_the_global_random_state_has_no_say(plates: ImageSet) -> None:
    torch.manual_seed(1)
    first = after(2, plates.images, tiny("small-data")).state()
    torch.manual_seed(2)
    assert same(after(2, plates.images, tiny("small-data")).state(), first)


# Which images are shown


def test_every_epoch_shows_each_image_exactly_once() -> None:
    order = shown(Trainer(numbered(20), tiny(), CPU), 100)
    assert [sorted(order[start : start + 20]) for start in range(0, 100, 20)] == [list(range(20))] * 5


def test_epochs_come_in_different_orders() -> None:
    order = shown(Trainer(numbered(20), tiny(), CPU), 60)
    assert len({tuple(order[start : start + 20]) for start in (0, 20, 40)}) == 3


def test_every_epoch_shows_a_crop_of_each_large_photo_exactly_once() -> None:
    photos = [torch.full((1, 150, 140), number, dtype=torch.uint8) for number in range(20)]
    order = shown(Trainer(numbered(20), tiny(fit="tile"), CPU, photos), 40)
    assert [sorted(order[start : start + 20]) for start in (0, 20)] == [list(range(20))] * 2


def test_crops_of_a_large_photo_come_from_all_over_it() -> None:
    photo = (torch.arange(132)[:, None] - torch.arange(131)[None]).remainder(251).to(torch.uint8)[None]
    trainer = Trainer(
        photo[None, :, :128, :128].expand(10, -1, -1, -1), tiny(fit="tile", image_size=128), CPU, [photo] * 10
    )
    corners = {round((float(image[0, 0, 0]) + 1) * 127.5) for p in range(0, 400, 8) for image in trainer._real_batch(p)}
    assert corners == {int(photo[0, top, left]) for top in range(5) for left in range(4)}


def test_a_photo_just_as_large_as_the_crop_is_the_crop() -> None:
    images = torch.randint(0, 256, (10, 1, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    tiled, plain = Trainer(images, tiny(fit="tile"), CPU, list(images)), Trainer(images, tiny(), CPU)
    assert torch.equal(tiled._real_batch(0), plain._real_batch(0))


def test_a_batch_may_be_larger_than_the_data_set() -> None:
    order = shown(Trainer(numbered(12), tiny(batch_size=30), CPU), 60)
    assert sorted(order) == sorted(list(range(12)) * 5)


def test_several_discriminator_steps_show_the_images_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(numbered(24), tiny(d_steps=3), CPU)
    positions: list[int] = []
    real_batch = trainer._real_batch
    monkeypatch.setattr(trainer, "_real_batch", lambda position: positions.append(position) or real_batch(position))
    trainer.train_step()
    trainer.train_step()
    assert positions == [0, 8, 16, 24, 32, 40]


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"epochs": 2}, 6),
        ({"epochs": 1, "batch_size": 10}, 3),
        ({"epochs": 3, "d_steps": 3}, 3),
        ({"total_kimg": 0.8}, 100),
        ({"total_kimg": 0.8, "epochs": 1}, 100),
    ],
)
def test_length_counts_images_shown(plates: ImageSet, options: dict[str, Any], steps: int) -> None:
    assert Trainer(plates.images, tiny(**options), CPU).total_steps == steps


def test_kimg_counts_thousands_of_real_images(plates: ImageSet) -> None:
    assert after(2, plates.images, tiny(d_steps=2)).kimg == pytest.approx(2 * 2 * 8 / 1000)


# Learning


@pytest.mark.parametrize(
    ("recipe", "steps", "far", "brightness", "direction"),
    [("dcgan", 120, 0.05, 230, 1), ("small-data", 40, 0.2, 230, 1), ("small-data", 40, 0.2, 25, -1)],
)
def test_generated_images_become_as_bright_or_dark_as_the_real_ones(
    recipe: str, steps: int, far: float, brightness: int, direction: int
) -> None:
    images = torch.full((16, 1, 32, 32), brightness, dtype=torch.uint8)
    z = torch.randn((16, 40), generator=torch.Generator().manual_seed(0))
    # A discriminator as fast as the generator wins on some processors and not on others: rounding decides.
    trainer = Trainer(images, tiny(recipe, lr=0.005, d_lr=0.001 if recipe == "dcgan" else None, epochs=100), CPU)
    assert abs(sample(trainer.generator, {"z": z})["images"].mean().item()) < 0.01
    for _ in range(steps):
        trainer.train_step()
    assert direction * sample(trainer.generator, {"z": z})["images"].mean().item() > far


def test_colour_images_are_learned_with_three_channels() -> None:
    images = torch.zeros((16, 3, 32, 32), dtype=torch.uint8)
    images[:, 0] = 255
    trainer = after(40, images, tiny("small-data", channels=3, lr=0.005, epochs=100))
    red, green, blue = sample(trainer.generator, {"z": torch.zeros(4, 40)})["images"].mean(dim=(0, 2, 3)).tolist()
    assert red > 0 > max(green, blue)


@pytest.mark.parametrize("name", ["Loss_D", "Loss_G", "D(x)", "D(G(z)) before", "D(G(z)) after"])
def test_a_step_reports_the_numbers_that_dcgan_papers_report(plates: ImageSet, name: str) -> None:
    assert Trainer(plates.images, tiny(), CPU).train_step()[name].isfinite()


@pytest.mark.parametrize("name", ["D(x)", "D(G(z)) before", "D(G(z)) after"])
def test_scores_are_probabilities(plates: ImageSet, name: str) -> None:
    assert 0 < Trainer(plates.images, tiny(), CPU).train_step()[name].item() < 1


@pytest.mark.parametrize("network", ["g", "d"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_weight_that_is_not_finite_is_noticed(plates: ImageSet, network: str, value: float) -> None:
    trainer = Trainer(plates.images, tiny(), CPU)
    assert trainer.is_finite()
    with torch.no_grad():
        next(getattr(trainer, network).parameters())[0, 0, 0, 0] = value
    assert not trainer.is_finite()
