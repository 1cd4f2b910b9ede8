"""Labelled images are taken and joined with all that belongs to them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.gan.usefulness.surfaces import surfaces


def test_images_are_taken_with_labels_names_and_masks_and_may_come_twice() -> None:
    of = surfaces(6, 1)
    assert of.masks is not None
    for places in ([5, 0, 5], torch.tensor([5, 0, 5])):
        taken = of.take(places)
        assert len(taken) == 3
        assert taken.names == ("1-5.png", "1-0.png", "1-5.png")
        assert taken.labels.tolist() == [1, 0, 1]
        assert torch.equal(taken.images, of.images[[5, 0, 5]])
        assert taken.masks is not None
        assert torch.equal(taken.masks, of.masks[[5, 0, 5]])
    assert len(of.take([])) == 0


def test_sets_are_joined_in_order_with_masks_where_both_have_them() -> None:
    one, other = surfaces(4, 1), surfaces(2, 2)
    joined = one.joined(other)
    assert joined.names == one.names + other.names
    assert torch.equal(joined.images[4:], other.images)
    assert joined.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert joined.masks is not None
    assert joined.masks.shape == (6, 32, 32)
    assert one.joined(dataclasses.replace(other, masks=None)).masks is None


def test_what_does_not_belong_together_is_refused() -> None:
    of = surfaces(4, 1)
    with pytest.raises(ValueError, match="images are uint8"):
        dataclasses.replace(of, images=of.images.float())
    with pytest.raises(ValueError, match="as many names, and labels"):
        dataclasses.replace(of, labels=of.labels[:3])
    with pytest.raises(ValueError, match="masks are uint8"):
        dataclasses.replace(of, masks=torch.zeros(4, 1, 32, 32, dtype=torch.uint8))
