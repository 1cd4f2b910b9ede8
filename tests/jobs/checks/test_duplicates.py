"""Exact duplicates are found among very many images, in little memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.checks import quality


def counted(indices: int, hashes: NDArray[np.uint64], shard: int = 50) -> tuple[quality._Duplicates, int]:
    """What remains after adding hashes shard by shard, and the most that were ever kept in between."""
    duplicates, most = quality._Duplicates(), 0
    for start in range(0, indices, shard):
        duplicates.add(np.arange(start, min(start + shard, indices)), hashes[start : start + shard])
        most = max(most, len(duplicates._kept[0]))
    return duplicates, most


def random_hashes(count: int) -> NDArray[np.uint64]:
    return np.random.RandomState(0).randint(0, 2**63, count).astype(np.uint64)


def test_all_duplicates_are_found_below_the_capacity() -> None:
    hashes = random_hashes(1000)
    hashes[700:] = hashes[:300]
    duplicates, _ = counted(1000, hashes)
    finding = duplicates.finding(0.01)
    assert (finding.count, finding.of) == (300, 1000)
    assert finding.indices[:4] == [0, 700, 1, 701]
    assert finding.too_many


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_share_of_duplicates_is_about_right_beyond_the_capacity(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_HASHES", 4000)
    hashes = random_hashes(20_000)
    repeated = int(share * 20_000)
    hashes[20_000 - repeated :] = hashes[:repeated]
    duplicates, most = counted(20_000, hashes)
    finding = duplicates.finding(0.01)
    assert most <= 4000
    assert finding.count / finding.of == pytest.approx(share, abs=0.05)
    assert finding.too_many == (share > 0)


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_one_image_repeated_again_and_again_is_found_beyond_the_capacity(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "_HASHES", 4000)
    hashes = random_hashes(20_000)
    hashes[np.random.RandomState(1).uniform(size=20_000) < share] = 0x123456781234565A
    duplicates, most = counted(20_000, hashes)
    finding = duplicates.finding(0.01)
    assert most <= 4000
    assert finding.too_many
    assert finding.count / finding.of == pytest.approx(share, abs=0.1)
