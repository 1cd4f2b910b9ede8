"""The shift generator: content at any pixel, grain of its own, and the same images wherever it runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from gan.config import TrainConfig
from gan.networks.architectures import generator_of
from gan.networks.grain import GRAIN_BITS
from gan.networks.reader import load_generator
from gan.networks.shift import SHIFT_BITS, ShiftGenerator
from gan.networks.shift_layers import Filtered
from gan.networks.turn import WAYS
from gan.photos.read import ImageSet
from gan.training import snapshots
from gan.training.trainer import Trainer
from models.latents import Input
from tests.conftest import TINY, run_in_process
from tests.gan.conftest import same
from tests.gan.networks.shift_made import Z, blind, latents, lively, no_batch_norm_and_one_input

pytestmark = pytest.mark.usefixtures("operators_are_read_once")


@pytest.fixture(scope="module")
def generator() -> ShiftGenerator:
    return lively()


@pytest.mark.parametrize(("height", "wide"), [(32, 32), (64, 160), (128, 128), (96, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_size_that_was_asked_for(height: int, wide: int, channels: int) -> None:
    images = lively(channels, height, wide)(latents(3))
    assert images.shape == (3, channels, height, wide)
    assert images.abs().max() <= 1
    assert images.std() > 0.01


def test_colour_begins_as_brightness_with_faint_tints() -> None:
    drawn = ShiftGenerator(Z, 3, 8, 64, 64)
    drawn.initialise(torch.Generator().manual_seed(0))
    images = drawn.train()(**drawn.draw(16, torch.Generator().manual_seed(1)))
    bright = images.mean(dim=1, keepdim=True)
    assert (images - bright).std() < 0.6 * bright.std()  # of three that are drawn alone it is 1.4 times


@pytest.mark.parametrize("size", [0, 16, 100])
def test_a_size_that_is_no_multiple_of_a_cell_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        ShiftGenerator(Z, 1, 4, size, 64)


def test_a_latent_too_short_for_its_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="`z_dim` of 39 at least"):
        ShiftGenerator(38)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize(("bit", "pixels"), [(0, 16), (1, 8), (2, 4), (3, 2), (4, 1)])
def test_a_sign_moves_the_content_by_its_pixels_exactly(axis: int, bit: int, pixels: int) -> None:
    drawn = blind(lively(height=160, wide=160))
    z = latents(2).repeat(2, 1)
    place = drawn.content + 2 * bit + axis - 2
    z[:2, place], z[2:, place] = -1.0, 1.0
    still, moved = drawn(z).split(2)
    inner = slice(48, 96)  # what the border's zeros reach does not move
    at = slice(48 + pixels, 96 + pixels)
    there = still[:, :, at, inner] if axis == 2 else still[:, :, inner, at]
    assert torch.allclose(moved[:, :, inner, inner], there, atol=1e-5)
    assert still.std() > 0.01


def test_only_the_signs_of_grain_count_and_each_takes_another_crop(generator: ShiftGenerator) -> None:
    z = latents(1)
    stronger = z.clone()
    stronger[:, -GRAIN_BITS:] *= 3
    assert torch.equal(generator(stronger), generator(z))
    images = [generator(z)]
    for bit in range(GRAIN_BITS):
        other = z.clone()
        other[:, Z - GRAIN_BITS + bit] *= -1
        images.append(generator(other))
    assert len({image.numpy(force=True).tobytes() for image in images}) == GRAIN_BITS + 1


def test_grain_is_new_in_training_and_that_of_the_latent_else(generator: ShiftGenerator) -> None:
    random = torch.Generator().manual_seed(0)
    drawn = [generator.draw(4, random) for _ in range(2)]
    assert not torch.equal(drawn[0]["grain"], drawn[1]["grain"])
    z = latents(4)
    assert not torch.equal(generator(z, grain=drawn[0]["grain"]), generator(z, grain=drawn[1]["grain"]))
    assert torch.equal(generator(z), generator(z))


@torch.no_grad()
def test_noise_of_a_region_is_at_most_three_times_as_strong_or_as_weak_as_usual() -> None:
    made = blind(lively()).double()
    made.last.weight[-1] = 0
    z = latents(4).double()
    smooth = torch.atanh(made(z))
    made.grain_gain.fill_(0.01)

    def loudness(wanted: float) -> float:
        made.last.bias[-1] = wanted
        return float((torch.atanh(made(z)) - smooth).std())

    assert loudness(1e3) == pytest.approx(3 * loudness(0), rel=1e-3)
    assert loudness(-1e3) == pytest.approx(loudness(0) / 3, rel=1e-3)


MAPS = [f"stages.{stage}.filtered" for stage in range(3)]


def filtered(folded: ShiftGenerator) -> set[str]:
    """Names of what became products of matrices."""
    return {name for name, module in folded.named_modules() if isinstance(module, Filtered)}


@pytest.mark.parametrize(("channels", "height", "wide"), [(1, 64, 64), (3, 96, 32)])
def test_what_export_folds_changes_nothing_but_rounding(channels: int, height: int, wide: int) -> None:
    generator = lively(channels, height, wide)
    folded = generator.for_export()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert filtered(folded) == {*MAPS, *(["smooth"] if channels == 1 else [])}
    z = latents(8).double()
    assert torch.allclose(folded(z), generator.double()(z), atol=1e-12)


@pytest.mark.parametrize(("name", "others"), [("smooth", MAPS), ("stages.1.smooth", {MAPS[0], MAPS[2], "smooth"})])
def test_a_filter_that_is_not_the_same_in_both_directions_stays_one(name: str, others: Iterable[str]) -> None:
    generator = lively().double()
    generator.get_submodule(name).weight[:, :, 0, 1] += 0.3
    folded = generator.for_export()
    assert filtered(folded) == set(others)
    z = latents(4).double()
    assert torch.allclose(folded(z), generator(z), atol=1e-12)


@pytest.mark.parametrize(("channels", "height", "wide"), [(1, 64, 64), (3, 32, 96)])
def test_a_state_tells_all_sizes_and_gives_the_same_images(channels: int, height: int, wide: int) -> None:
    made = lively(channels, height, wide)
    again = generator_of(made.state_dict())
    assert (again.architecture, again.channels, again.height, again.width) == ("shift", channels, height, wide)
    assert torch.equal(again(z=latents(2)), made(latents(2)))


@pytest.mark.parametrize("name", ["first.weight", "noise", "stages.2.grain", "stages.0.smooth.weight", "smooth.weight"])
def test_a_state_that_lacks_something_is_refused(generator: ShiftGenerator, name: str) -> None:
    state = generator.state_dict()
    del state[name]
    with pytest.raises(ValueError, match=r"not a .*shift generator"):
        generator_of(state)


def test_a_state_of_an_earlier_version_is_told_what_to_do(generator: ShiftGenerator) -> None:
    state = generator.state_dict()
    state["colour.weight"] = state.pop("grain_gain").reshape(1, 1, 1, 1)
    with pytest.raises(ValueError, match="train it anew"):
        generator_of(state)
    drew_each_colour = {**lively(channels=3).state_dict(), "smooth.weight": torch.ones(3, 1, 5, 5)}
    saw_what_lies = {**lively().state_dict(), "turn.transposed": torch.ones(())}
    for state in (drew_each_colour, saw_what_lies):
        with pytest.raises(ValueError, match="train it anew"):
            generator_of(state)


def test_values_that_give_no_image_are_refused(generator: ShiftGenerator) -> None:
    state = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    state["stages.1.grain"][0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"stages\.1\.grain holds non-finite"):
        generator_of(state)


def labelled(classes: int = 3) -> ShiftGenerator:
    made = ShiftGenerator(Z, 1, 2, 32, 32, classes)
    random = torch.Generator().manual_seed(0)
    made.initialise(random)
    with torch.no_grad():
        for weights in made.parameters():
            if weights.ndim == 4 and len(weights) > 1 and weights.requires_grad:
                weights.normal_(0, 0.2, generator=random)
    made.train()(**made.draw(16, random))
    return made.eval()


def test_without_classes_no_weight_and_no_random_number_is_another() -> None:
    plain, told = ShiftGenerator(Z, 1, 2, 32, 32), labelled()
    assert told.state_dict().keys() - plain.state_dict().keys() == {"embed.weight", "class_strength"}
    assert list(plain.inputs) == ["z"]
    random, again = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    drawn = plain.draw(4, random)
    assert torch.equal(drawn["z"], torch.randn((4, Z), generator=again))
    assert torch.equal(drawn["grain"], torch.randn((4, 1, 36, 36), generator=again))


@torch.no_grad()
def test_an_image_depends_on_its_own_label_as_far_as_classes_count() -> None:
    made = labelled()
    assert made.inputs["label"] == Input("int64", (), 3)
    z, zeros = latents(3), torch.zeros(3, dtype=torch.int64)
    plain, mixed = made(z, zeros), made(z, torch.tensor([0, 1, 2]))
    assert torch.allclose(plain[0], mixed[0], atol=1e-6)
    assert not torch.allclose(plain[1:], mixed[1:], atol=1e-4)
    made.phase_in(0.0)
    assert torch.equal(made(z, zeros), made(z, zeros + 2))


@torch.no_grad()
def test_a_state_tells_its_classes_and_export_folds_how_much_they_count() -> None:
    made = labelled()
    made.phase_in(0.5)
    z, label = latents(4), torch.tensor([2, 0, 1, 1])
    again = generator_of(made.state_dict())
    assert again.classes == 3
    assert torch.equal(again(z=z, label=label), made(z, label))
    folded = made.for_export()
    assert torch.allclose(folded(z.double(), label), made.double()(z.double(), label), atol=1e-12)


def test_labels_are_asked_for_where_there_are_classes_alone(generator: ShiftGenerator) -> None:
    with pytest.raises(ValueError, match="give labels"):
        labelled()(latents(2))
    with pytest.raises(ValueError, match="no classes"):
        generator(latents(2), torch.zeros(2, dtype=torch.int64))


def test_labels_are_drawn_given_or_take_turns() -> None:
    made, random = labelled(), torch.Generator().manual_seed(0)
    assert set(made.draw(60, random)["label"].tolist()) == {0, 1, 2}
    given = torch.tensor([1, 1])
    assert torch.equal(made.draw(2, random, given)["label"], given)
    assert made.inputs_at(0, 1, 5)["label"].tolist() == [1, 2, 0, 1]
    assert made.inputs_at(0, 1, 3, [2, 2])["label"].tolist() == [2, 2]
    assert torch.equal(made.inputs_at(0, 1, 3, [2, 2])["z"], made.inputs_at(0, 1, 3)["z"])


def test_four_steps_are_two_and_two_more_to_the_bit(plates: ImageSet, tmp_path: Path) -> None:
    config = TrainConfig.of("shift", image_size=32, z_dim=Z, g_width=2, d_width=2, batch_size=8, penalty_interval=2)
    whole, cut = (Trainer(plates.images, config, torch.device("cpu")) for _ in range(2))
    for trainer, steps in ((whole, 4), (cut, 2)):
        for _ in range(steps):
            trainer.train_step()
    snapshots.save(tmp_path / "a.pt", cut.state())
    resumed = Trainer(plates.images, config, torch.device("cpu"))
    resumed.restore(torch.load(tmp_path / "a.pt", weights_only=True))
    for _ in range(2):
        resumed.train_step()
    assert same(resumed.state(), whole.state())


@pytest.mark.long
def test_the_chain_runs_with_the_recipe(photos: Path, tmp_path: Path) -> None:
    """Its file is of colour images; one of gray images is in test_rectangles.py."""
    options = ("--z-dim", str(Z), "--image-size", "32", "--epochs", "2", "--device", "cpu")
    weights, onnx_file = tmp_path / "models/generator_model.pth", tmp_path / "generator.onnx"
    out = ("--out", weights.parent)
    assert run_in_process("gan-train", photos, "--recipe", "shift", *TINY, *options, *out).returncode == 0
    assert load_generator(weights).summary == "shift, widths 16 12 8 4 2"
    lively_weights = tmp_path / "lively.pth"  # of weights that were hardly trained every image is one gray
    snapshots.save_weights(lively_weights, lively(channels=3, turns=WAYS))
    made = run_in_process("gan-export", "onnx", lively_weights, "--out", onnx_file, "--batch-check", "1,2,5")
    assert made.returncode == 0, made.stderr
    no_batch_norm_and_one_input(onnx_file)
    assert "network        shift, widths 32 24 16 8 4" in run_in_process("gan-export", "info", onnx_file).stdout
    batch = run_in_process(
        "gan-batch", "--model", onnx_file, "--count", "20", "--out", tmp_path / "run", "--quality-gate", "off"
    )
    assert batch.returncode == 0, batch.stderr
    assert len(list((tmp_path / "run").rglob("0*.png"))) == 20


def test_a_latent_too_short_ends_training_with_2(photos: Path, tmp_path: Path) -> None:
    result = run_in_process("gan-train", photos, "--recipe", "shift", "--z-dim", "20", "--out", tmp_path / "models")
    assert result.returncode == 2
    assert "--z-dim" in result.stderr


def test_parts_of_a_latent_are_what_they_are_said_to_be(generator: ShiftGenerator) -> None:
    """Steps of the content are small where it moves a little; of the rest only signs tell, or mostly."""
    assert list(generator.parts) == ["kind", "content", "shift", "noise"]
    assert sum(generator.parts.values()) == Z
    kind, content, shift, noise = latents(8).split(list(generator.parts.values()), dim=1)
    with torch.no_grad():
        images = generator(torch.cat([kind, content, shift, noise], 1))
        assert same(generator(torch.cat([kind, content, shift, 3 * noise], 1)), images)
        assert not same(generator(torch.cat([kind, content, shift, -noise], 1)), images)
        moved = generator(torch.cat([kind, content + 1e-4, shift, noise], 1))
        jumped = generator(torch.cat([kind, content, -shift, noise], 1))
    assert (moved - images).abs().max() < 0.01 < (jumped - images).abs().mean()
    assert ShiftGenerator(6 + SHIFT_BITS + GRAIN_BITS, width=2).parts.keys() == {"kind", "shift", "noise"}
