"""The segmenter agrees with real pairs, whoever made them, and not with masks that are shuffled or drift."""

from __future__ import annotations

import pytest
import torch

from gan.evaluation import segmenter
from gan.evaluation.mask_rows import mask_findings, mask_rows
from gan.evaluation.masks import MaskFigures
from gan.evaluation.segmenter import Agreement, Overlap, Segmenter, agreement, overlap
from gan.networks.unet import UNet
from gan.photos.read import ImageSet
from models.progress import Progress
from tests.gan.evaluation.pairs import drifted, pairs, shuffled


@pytest.fixture(scope="module")
def trained() -> Segmenter:
    """One that has learned from forty pairs, in a fraction of the usual steps: a streak is easily found."""
    return Segmenter(pairs(40, 2), 0, "cpu", Progress("segmenter", 100, "steps"), steps=100)


def of(trained: Segmenter, images: ImageSet) -> Overlap:
    assert images.masks is not None
    return overlap(trained.marked(images.images), images.masks > 0)


def test_fresh_pairs_agree_as_those_held_out_do_and_wrong_masks_collapse(trained: Segmenter) -> None:
    held_out, fresh = pairs(30, 1), pairs(30, 3)
    photos = of(trained, held_out)
    assert photos.pooled > 0.5
    assert of(trained, fresh).pooled / photos.pooled > 0.9
    assert of(trained, fresh).mean / photos.mean > 0.9
    for wrong in (shuffled(fresh), drifted(fresh)):
        assert of(trained, wrong).pooled / photos.pooled < 0.3


def test_images_of_any_size_are_marked(trained: Segmenter) -> None:
    assert trained.marked(torch.full((2, 1, 45, 70), 9, dtype=torch.uint8)).shape == (2, 1, 45, 70)


def test_same_seed_gives_the_same_agreement_and_halves_are_asked_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter, "STEPS", 4)
    real, fake = pairs(20, 1), pairs(20, 3)
    found = agreement(fake, real, None, 5)
    assert found == agreement(fake, real, None, 5)
    assert found.trained_on == "each half of the real photos, asked of the other half"
    assert agreement(fake, real, pairs(12, 2), 5).trained_on == "12 training photos"
    assert agreement(real, real, pairs(12, 2), 5).ratio == 1


def test_large_images_are_learned_in_pieces_that_hold_the_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter, "_SIDE", 32)
    both = torch.zeros(2, 96, 160)
    both[1, 70:74, 130:150] = 1
    random = torch.Generator().manual_seed(0)
    pieces = [segmenter._moved(both, random) for _ in range(40)]
    assert {tuple(piece.shape) for piece in pieces} == {(2, 32, 32)}
    assert sum(bool(piece[1].any()) for piece in pieces) >= 25


def test_overlap_counts_pixels_and_images() -> None:
    marked, defect = torch.zeros(2, 3, 1, 4, 4, dtype=torch.bool)
    marked[0, 0, :2], defect[0, 0, 1:3] = True, True
    marked[1, 0, 0, 0] = True
    found = overlap(marked, defect)
    assert found.pooled == pytest.approx(4 / 13)
    assert found.mean == pytest.approx((4 / 12 + 0 + 1) / 3)
    assert overlap(torch.zeros_like(marked), torch.zeros_like(defect)) == Overlap(1.0, 1.0)


def figures(generated: float, photos: float, mean: float = 1.0) -> MaskFigures:
    """The mean overlaps have the ratio `mean`."""
    found = Agreement(Overlap(photos, 0.4), Overlap(generated, 0.4 * mean), generated / photos, mean, "12 photos")
    return MaskFigures(9, 9, {}, (), (), found)


def test_verdict_names_masks_that_disagree_unless_the_segmenter_knows_nothing() -> None:
    (said,) = mask_findings(figures(0.3, 0.6))
    assert said.startswith("masks: a segmenter of photos overlaps with them by 0.30 (0.40) (IoU), with those of photos")
    assert list(mask_findings(figures(0.5, 0.6))) == []
    assert len(list(mask_findings(figures(0.5, 0.6, mean=0.7)))) == 1
    assert list(mask_findings(figures(0.01, 0.1))) == []
    (row,) = mask_rows(figures(0.01, 0.1))
    assert "too few defects in photos to judge by it" in row.meaning
    (row,) = mask_rows(figures(0.3, 0.6))
    assert (row.fakes, row.photos) == ("0.30 (0.40)", "0.60 (0.40)")
    assert "0.50 of the photos'" in row.meaning


def test_network_is_small_and_its_weights_are_those_of_the_seed() -> None:
    one, other = (UNet(1, torch.Generator().manual_seed(0)) for _ in range(2))
    assert 100_000 < sum(weights.numel() for weights in one.parameters()) < 300_000
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, other.state_dict()[name]), name
