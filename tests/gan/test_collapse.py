"""Collapse, noticed while it happens."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.collapse import CollapseWatch, diversity


def plates(count: int = 16, seed: int = 0) -> Tensor:
    """Plates of different brightness with grain."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand((count, 1, 1, 1), generator=random) + 0.1 * torch.rand((count, 1, 32, 32), generator=random)


def said(losses: list[float], shares: list[float], kimg: float = 20.0) -> list[str]:
    """What the watch says to rows of these losses of the discriminator and diversities of the samples."""
    watch = CollapseWatch(plates())
    rows = [
        {"Loss_D": loss, "Loss_G": 1.0, "kimg": kimg, "diversity": share}
        for loss, share in zip(losses, shares, strict=True)
    ]
    return [sentence for row in rows if (sentence := watch.look(row))]


def test_the_same_picture_again_and_again_has_no_diversity() -> None:
    assert diversity(plates(1).expand(8, -1, -1, -1)) < 1e-6


def test_diversity_is_the_deviation_from_image_to_image() -> None:
    images = torch.stack([torch.full((1, 32, 32), value) for value in (-1.0, 1.0)])
    assert abs(diversity(images) - 2**0.5) < 1e-6


def test_grain_is_no_diversity() -> None:
    grain = torch.randn((16, 1, 128, 128), generator=torch.Generator().manual_seed(1))
    assert diversity(grain) < 0.1 * float(grain.std(dim=0).mean())


def test_photos_have_the_whole_diversity_of_the_photos() -> None:
    assert abs(CollapseWatch(plates()).share(plates()) - 1) < 1e-6


def test_a_discriminator_that_has_won_is_told_of_once() -> None:
    assert len(said([1.0] + [0.001] * 20, [1.0] * 21)) == 1


def test_a_discriminator_that_wins_now_and_then_is_not_told_of() -> None:
    assert said([0.001, 0.001, 0.001, 0.5] * 5, [1.0] * 20) == []


def test_samples_that_look_alike_three_times_are_told_of() -> None:
    assert "look alike" in said([0.7] * 3, [0.05] * 3)[0]


def test_samples_that_differ_in_between_are_not_told_of() -> None:
    assert said([0.7] * 6, [0.05, 0.05, 0.5] * 2) == []


def test_even_gray_at_the_beginning_is_no_collapse() -> None:
    assert said([0.7] * 9, [0.0] * 9, kimg=5.0) == []


def test_usual_rows_are_not_told_of() -> None:
    assert said([1.4, 0.9, 0.3, 0.05, 0.6] * 5, [0.3, 0.8, 1.2, 0.9, 0.6] * 5) == []


def test_the_sentence_names_the_remedy() -> None:
    assert "--recipe small-data" in said([0.0] * 9, [1.0] * 9)[0]
