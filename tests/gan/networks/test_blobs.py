"""Blobs stand where, and are as large, as their numbers say."""

from __future__ import annotations

import pytest
import torch

from gan.networks.blobs import Blobs, Drawn, opacity, unevenness
from gan.networks.shift import ShiftGenerator


def test_half_of_a_blob_is_seen_at_its_edge_and_all_of_it_in_its_middle() -> None:
    places, shapes = torch.tensor([[[0.5, -0.25]]]), torch.tensor([[[8.0, 0.0, 0.0, 4.0]]])  # 8 across, 16 down, of 128
    seen = opacity(places, shapes, 127, 127)[0, 0]
    row, column = round(1.5 / 2 * 127 - 0.5), round(0.75 / 2 * 127 - 0.5)
    assert seen.argmax() == row * 127 + column
    rows, columns = (seen > 0.5).nonzero().T
    assert (rows.min() - row).item() in (-16, -15)
    assert (rows.max() - row).item() in (15, 16)
    assert (columns.min() - column).item() in (-8, -7)
    assert (columns.max() - column).item() in (7, 8)
    assert seen[0, -1] < 1e-3


def test_a_turned_blob_lies_along_its_own_direction() -> None:
    places, shapes = torch.zeros(1, 1, 2), torch.tensor([[[2.0, 2.0, 10.0, -10.0]]])  # long where right = down
    seen = opacity(places, shapes, 65, 65)[0, 0]
    assert seen.diagonal().sum() > 3 * seen.flip(1).diagonal().sum()


def test_only_what_is_under_a_blob_is_painted() -> None:
    even, features = torch.ones(1, 1, 33, 33), torch.tensor([[[2.0, -1.0]]])
    middle = torch.full((1, 1, 2), 1 / 66)  # of the place at 33, 33
    drawn = Drawn(middle, torch.tensor([[[9.0, 0, 0, 9.0]]]), even, (features, features))
    painted = Blobs(20, (2, 2)).painted(torch.ones(1, 2, 66, 66), drawn, 1)
    torch.testing.assert_close(painted[0, :, 33, 33], torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(painted[0, :, 0, 0], torch.ones(2), atol=1e-3, rtol=0)


@pytest.mark.parametrize("blobs", [True, False])
def test_a_state_tells_whether_there_are_blobs(blobs: bool) -> None:
    made = ShiftGenerator(60, 1, 2, 64, 64, masks=True, blobs=blobs)
    random = torch.Generator().manual_seed(0)
    made.initialise(random)
    read = ShiftGenerator.shaped_like(made.state_dict())
    assert (read.blobs is not None) is blobs
    read = read.to_empty(device="cpu")
    read.load_state_dict(made.state_dict())
    z = torch.randn(2, 60, generator=random)
    torch.testing.assert_close(read.eval()(z), made.eval()(z), atol=0, rtol=0)


def test_another_marker_changes_masks_and_no_image() -> None:
    random = torch.Generator().manual_seed(0)
    made = ShiftGenerator(60, 1, 2, 64, 64, masks=True)
    made.initialise(random)
    again, _ = made.with_marker(random)
    z = torch.randn(4, 60, generator=random)
    (images, masks), (same, others) = made.eval()(z), again.eval()(z)
    assert torch.equal(images, same)
    assert not torch.equal(masks, others)


def test_blobs_begin_anywhere() -> None:
    blobs = Blobs(20, (4, 2))
    random = torch.Generator().manual_seed(0)
    blobs.initialise(random)
    places = blobs(torch.randn(500, 20, generator=random), torch.zeros(500, 1, 36, 36)).places.flatten(0, 1)
    shares = torch.histogramdd(places, [4, 4], range=[-1.2, 1.2] * 2).hist / len(places)
    assert shares.min() > 0.25 / 16
    assert shares.max() < 2.5 / 16


def test_edges_are_as_ragged_as_their_roughness_says() -> None:
    places, shapes = torch.zeros(1, 1, 2), torch.tensor([[[2.0, 0, 0, 2.0]]])
    noise = unevenness(torch.randn((1, 1, 132, 132), generator=torch.Generator().manual_seed(0)))
    assert noise.shape == (1, 1, 33, 33)
    assert 0.8 < noise.std() < 1.2

    def border(roughness: float) -> int:
        inside = opacity(places, shapes, 33, 33, torch.exp(roughness * noise))[0, 0] > 0.5
        return int((inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum())

    assert border(0.0) < border(0.5) < border(1.5)


def test_an_image_that_is_clear_has_no_blob_and_the_others_stay_as_they_are() -> None:
    made = ShiftGenerator(60, 1, 2, 64, 64, masks=True)
    random = torch.Generator().manual_seed(0)
    made.initialise(random)
    z, clear = torch.randn(4, 60, generator=random), torch.tensor([True, False, True, False])
    some, none = made.eval()(z, clear=clear), made(z, clear=torch.tensor([False] * 4))
    with torch.no_grad():
        assert made.blobs is not None
        made.blobs.features.bias.add_(3)
    other = made(z, clear=clear)
    for before, after, without in zip(some, other, none, strict=True):
        assert torch.equal(before[clear], after[clear])
        assert torch.equal(before[~clear], without[~clear])
        assert not (before[~clear] == after[~clear]).flatten(1).all(dim=1).any()
        assert not (before[clear] == without[clear]).flatten(1).all(dim=1).any()
