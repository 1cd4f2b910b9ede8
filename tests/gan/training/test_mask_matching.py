"""Masks are matched with the photos' in numbers that tell size, shape and whether the defect stands out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.networks.pixels import to_float
from gan.training.mask_matching import MaskMatching
from gan.training.trainer import Trainer
from tests.gan.conftest import tiny
from tests.gan.training.made import spots


def pairs(count: int = 64, seed: int = 0) -> Tensor:
    """Plates with bright squares of 6×6, and their masks: float `[N, 2, 64, 64]`."""
    data = spots(count, 64, seed)
    assert data.masks is not None
    return to_float(torch.cat([data.images, data.masks], dim=1))


def changed(masks: Tensor) -> Tensor:
    return torch.cat([pairs(seed=1)[:, :1], masks], dim=1)


@pytest.fixture(scope="module")
def matching() -> MaskMatching:
    return MaskMatching([pairs()])


@pytest.mark.parametrize("kind", ["empty", "full", "larger", "a line", "elsewhere", "speckles"])
def test_other_masks_are_farther_than_others_like_the_photos(matching: MaskMatching, kind: str) -> None:
    fresh = pairs(seed=1)
    masks = fresh[:, 1:]
    others = {
        "empty": torch.full_like(masks, -1),
        "full": torch.full_like(masks, 1),
        "larger": torch.nn.functional.max_pool2d(masks, 7, 1, 3),
        "a line": torch.full_like(masks, -1),
        "elsewhere": masks.roll((20, 20), (2, 3)),
        "speckles": masks.flatten(2)[:, :, torch.randperm(64 * 64, generator=torch.Generator().manual_seed(0))]
        .reshape_as(masks)
        .clone(),
    }[kind]
    if kind == "a line":
        others[:, :, 30, 10:46] = 1  # as many pixels
    near, far = matching.distance(fresh), matching.distance(torch.cat([fresh[:, :1], others], dim=1))
    assert far > near + 0.1


def test_its_gradient_gives_an_empty_mask_a_defect(matching: MaskMatching) -> None:
    empty = changed(torch.full((64, 1, 64, 64), -0.99))
    towards = -matching.gradient(empty)[:, 1:]
    assert towards.mean() > 0


def test_in_a_step_it_pulls_the_mask_and_not_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = spots()
    trainer = Trainer(
        data.images, tiny("shift", masks=True, feature_matching=2.0), torch.device("cpu"), masks=data.masks
    )
    fake = torch.zeros(4, 2, 32, 32, requires_grad=True)
    ways = torch.zeros(4, 1, 32, 32), torch.zeros(4, 1, 32, 32)
    ways[1][0, 0, 0, 0] = 1e-6
    pulls = trainer._pulls
    assert pulls is not None
    monkeypatch.setattr(pulls.of_images, "gradient", lambda *given: ways[0])
    monkeypatch.setattr(pulls.of_masks, "gradient", lambda *given: torch.cat(ways, dim=1))
    pulls.add(fake, None, None, 1.0)
    fake[1].sum().mul(3).backward()
    assert fake.grad is not None
    assert float(fake.grad[0, 0].norm()) == 0
    assert float(fake.grad[0, 1].norm()) == pytest.approx(2 * float(fake.grad[1, 1].norm()), rel=1e-5)
