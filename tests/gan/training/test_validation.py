"""How good the generator is while it trains, in the eyes of a small feature network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.evaluation.features import FeatureNetwork
from gan.evaluation.metrics import kid
from gan.networks.dcgan import DCGAN
from gan.networks.pixels import to_pixels
from gan.networks.shift import ShiftGenerator
from gan.training import validation
from gan.training.validation import FIRST_LATENT, Validation
from models.latents import latents


@pytest.fixture(autouse=True)
def _few_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "FAKES", 70)


class Seen(FeatureNetwork):
    """Colours of four cells and their squares; it keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Tensor] = []
        super().__init__("cells", self._cells)

    def _cells(self, images: Tensor) -> Tensor:
        cells = nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
        return torch.cat([cells, cells.square()], dim=1)

    def __call__(self, images: Tensor, *arguments: Any) -> Tensor:
        self.shown.append(images)
        return super().__call__(images, *arguments)


def generator(channels: int = 1, seed: int = 0) -> DCGAN:
    """A generator in the midst of training, whose images differ."""
    network = DCGAN(8, channels, 2, 32)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.2, 0.3, generator=random)
    return network.train()


def made_by(network: DCGAN, first: int, count: int = 40) -> Tensor:
    """Photos that this generator made, uint8."""
    with torch.no_grad():
        images = network.eval()(torch.from_numpy(latents(1, first, first + count, 8)))
    network.train()
    return to_pixels(images).permute(0, 3, 1, 2)


def test_the_same_weights_are_measured_alike_every_time() -> None:
    held_out = Validation(made_by(generator(), 0), Seen(), 3)
    assert held_out.measure(generator(seed=1)) == held_out.measure(generator(seed=1))


def test_a_generator_of_the_very_photos_is_nearer_than_another() -> None:
    held_out = Validation(made_by(generator(), 0), Seen(), 3)
    near, far = held_out.measure(generator()), held_out.measure(generator(seed=1))
    assert near.kid_x1000 < far.kid_x1000
    assert near.score < far.score


def test_it_is_the_kid_of_the_photos_and_of_images_in_eval_mode_times_1000() -> None:
    network, photos = Seen(), made_by(generator(), 0)
    found = Validation(photos, network, 1).measure(generator(seed=1))
    fakes = made_by(generator(seed=1), FIRST_LATENT, 70)
    assert found.kid_x1000 == pytest.approx(1000 * kid(network(photos), network(fakes)))


def test_what_the_kid_hardly_sees_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = Validation(made_by(generator(), 0), Seen(), 1)
    images = made_by(generator(), 300, 70)
    monkeypatch.setattr(validation, "made", lambda *arguments: (images, None))
    plain = held_out.measure(generator())
    images[:, :, :, 8] = 255  # a line at one place of all images
    lined = held_out.measure(generator())
    assert lined.score - lined.kid_x1000 > plain.score - plain.kid_x1000 + 20


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_measured_is_what_would_be_written_to_disk(channels: int) -> None:
    network = Seen()
    Validation(made_by(generator(channels), 0), network, 1).measure(generator(channels))
    fakes = torch.cat(network.shown[1:])
    assert (fakes.dtype, fakes.shape) == (torch.uint8, (70, channels, 32, 32))
    assert torch.equal(fakes, made_by(generator(channels), FIRST_LATENT, 70))


def test_photos_are_looked_at_once_however_often_is_measured() -> None:
    network, photos = Seen(), made_by(generator(), 0)
    held_out = Validation(photos, network, 3)
    for _ in range(3):
        held_out.measure(generator())
    assert [torch.equal(images, photos) for images in network.shown] == [True, False, False, False]


def test_measuring_changes_nothing_in_the_generator() -> None:
    network = generator()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Validation(made_by(generator(), 0), Seen(), 3).measure(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_measuring_tells_how_far_it_is() -> None:
    looked_at: list[int] = []
    Validation(made_by(generator(), 0), Seen(), 3).measure(generator(), looked_at.append)
    assert len(looked_at) > 1
    assert sum(looked_at) == 70


def test_measuring_draws_no_random_numbers() -> None:
    network, photos = generator(), made_by(generator(), 0)
    before = torch.get_rng_state()
    Validation(photos, Seen(), 3).measure(network)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_photos_and_other_features_are_told_apart() -> None:
    photos, network = made_by(generator(), 0), Seen()
    usual = Validation(photos, network, 0).against
    assert Validation(photos, network, 1).against == usual
    assert Validation(photos.flip(0), network, 0).against != usual
    network.name = "another"
    assert Validation(photos, network, 0).against != usual


def test_images_have_labels_in_the_proportions_of_the_photos() -> None:
    network = ShiftGenerator(40, 1, 2, 32, 32, 2)
    network.initialise(torch.Generator().manual_seed(0))
    asked: list[int] = []
    network.register_forward_hook(lambda _, __, named, ___: asked.extend(named["label"].tolist()), with_kwargs=True)
    photos = torch.randint(0, 256, (20, 1, 32, 32), dtype=torch.uint8)
    Validation(photos, Seen(), 3, [1] * 15 + [0] * 5).measure(network)
    assert (asked.count(0), asked.count(1)) in ((17, 53), (18, 52))


def test_an_image_is_like_a_photo_only_where_the_photo_is_of_its_class() -> None:
    labels = [0] * 20 + [1] * 20
    network = ShiftGenerator(40, 1, 2, 32, 32, 2)
    network.initialise(torch.Generator().manual_seed(0))
    held_out = Validation(torch.zeros(40, 1, 32, 32, dtype=torch.uint8), Seen(), 3, labels)
    random = torch.Generator().manual_seed(1)
    apart = torch.tensor(labels)[:, None] * 100.0
    held_out._photos = apart + torch.randn((40, 4), generator=random)
    features = apart + torch.randn((40, 4), generator=random)
    assert held_out._among(features).precision > 0.7
    assert held_out._among(features.flip(0)).precision == 0
