"""Collapse, noticed while it happens."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.training.collapse import CollapseWatch, diversity, least_share


def plates(count: int = 16, seed: int = 0) -> Tensor:
    """Plates of different brightness with grain."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand((count, 1, 1, 1), generator=random) + 0.1 * torch.rand((count, 1, 32, 32), generator=random)


def row(doubt: float, share: float = 1.0, kimg: float = 20.0, target: float = 1.0) -> dict[str, float]:
    """A row in which the discriminator is that far from certain, of samples of that diversity."""
    scores = {"D(x)": target * (1 - doubt), "D(G(z)) before": doubt}
    return {**scores, "Loss_D": 0.7, "Loss_G": 1.0, "kimg": kimg, "diversity": share}


def said(doubts: list[float], shares: list[float], kimg: float = 20.0) -> list[str]:
    """What the watch says to rows of these doubts of the discriminator and diversities of the samples."""
    watch = CollapseWatch(plates())
    rows = [row(doubt, share, kimg) for doubt, share in zip(doubts, shares, strict=True)]
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
    assert said([0.95, 0.9, 0.3, 0.05, 0.6] * 5, [0.3, 0.8, 1.2, 0.9, 0.6] * 5) == []


def test_the_sentence_names_the_remedy() -> None:
    assert "`recipe=shift`" in said([0.0] * 9, [1.0] * 9)[0]


def test_smoothed_labels_do_not_hide_that_the_discriminator_has_won() -> None:
    watch = CollapseWatch(plates(), label_smoothing=0.1)
    assert any(watch.look(row(0.001, target=0.9)) for _ in range(4))


def test_a_hinge_loss_of_zero_is_won_though_the_probabilities_are_not_certain() -> None:
    rows = [{**row(0.2), "Loss_D": loss} for loss in (0.5, 0.001, 0.0, 0.001, 0.0)]
    assert [bool(CollapseWatch(plates(), bounded=True, rows=rows[:n]).look(rows[n])) for n in (3, 4)] == [False, True]
    assert not CollapseWatch(plates(), rows=rows[:4]).look(rows[4])


def test_a_discriminator_that_tells_photos_but_not_fakes_has_not_won() -> None:
    watch = CollapseWatch(plates())
    assert not any(watch.look({**row(0.001), "D(G(z)) before": 0.3}) for _ in range(9))


def test_what_a_resumed_run_showed_before_counts_and_is_said_again() -> None:
    before = [row(0.001)] * 3
    assert CollapseWatch(plates(), rows=before).look(row(0.001))
    assert not CollapseWatch(plates(), rows=before[:2]).look(row(0.001))
    assert CollapseWatch(plates(), rows=[row(0.001)] * 9).look(row(0.001))


def test_a_class_of_one_picture_is_seen_though_classes_differ() -> None:
    photos, labels = plates(16), [0, 1] * 8
    samples = torch.cat([plates(8, seed=1), plates(1, seed=2).expand(8, -1, -1, -1)])
    share, label = least_share(samples, [0] * 8 + [1] * 8, photos, labels)
    assert (share < 1e-3, label) == (True, 1)
    assert least_share(samples, [], photos, [])[0] > 0.5
    watch = CollapseWatch(photos, labels=labels)
    assert watch.share(samples, [0] * 8 + [1] * 8) == share
    complaints = [watch.look(row(0.7, share)) for _ in range(3)]
    assert "all samples of a class look alike" in complaints[2]


def test_a_class_of_one_photo_does_not_tell_how_much_images_differ() -> None:
    assert least_share(plates(4), [0, 0, 1, 1], plates(3, seed=1), [0, 0, 1])[1] == 0
