"""Blobs stand where, and are as large, as their numbers say."""

from __future__ import annotations

import pytest
import torch

from gan.networks.blobs import Blobs, Drawn, opacity
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
    blobs = Drawn(torch.zeros(1, 1, 2), torch.tensor([[[9.0, 0, 0, 9.0]]]), (torch.tensor([[[2.0, -1.0]]]),))
    painted = Blobs.painted(torch.ones(1, 2, 33, 33), blobs, 0)
    torch.testing.assert_close(painted[0, :, 16, 16], torch.tensor([3.0, 0.0]))
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


def test_blobs_begin_anywhere() -> None:
    blobs = Blobs(20, (4, 2))
    random = torch.Generator().manual_seed(0)
    blobs.initialise(random)
    places = blobs(torch.randn(500, 20, generator=random)).places.flatten(0, 1)
    shares = torch.histogramdd(places, [4, 4], range=[-1.2, 1.2] * 2).hist / len(places)
    assert shares.min() > 0.25 / 16
    assert shares.max() < 2.5 / 16
