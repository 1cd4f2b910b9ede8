"""Image i is a function of the model, the seed and i alone: a set is the same, however it was made."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from jobs.workers.session import GeneratorSession
from models.latents import BLOCK_SIZE, latent_block, latents
from tests.conftest import run, run_in_process
from tests.jobs.conftest import SEED, batch, decoded, differing, rows_of, start, succeeds, wait_for

COUNT = 60
WAYS = {
    "one by one, in small shards": ["--batch-size", "1", "--shard-size", "7", "--workers", "1"],
    "by sevens, two workers": ["--batch-size", "7", "--shard-size", "20", "--workers", "2"],
    "by sixteens, three workers": ["--batch-size", "16", "--shard-size", "60", "--workers", "3"],
    "all in one batch": ["--batch-size", "60", "--shard-size", "60", "--workers", "1"],
}


def made(model: Path, out: Path, *options: str) -> Path:
    succeeds(run_in_process(*batch(model, out, COUNT, *options)))
    return out


@pytest.fixture(scope="module")
def at_once(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set as one command makes it, in shards of 20."""
    return made(model, tmp_path_factory.mktemp("exact") / "at-once", *WAYS["by sevens, two workers"])


def hashes(out: Path) -> list[str]:
    """The sha256 of each image, in order, by the manifest; which tells the truth."""
    assert list(verify(out)) == []
    rows = rows_of(out)
    assert [row.index for row in rows] == list(range(COUNT))
    return [row.sha256 for row in rows]


def measures(out: Path) -> bytes:
    """What the quality gate knows of each image, in order."""
    tables = sorted((out / "_quality").iterdir())
    return b"".join(table.read_bytes().partition(b"\n")[2] for table in tables)


def test_no_two_images_are_the_same(at_once: Path) -> None:
    assert len(set(hashes(at_once))) == COUNT


@pytest.mark.parametrize("way", WAYS)
def test_set_does_not_depend_on_batches_shards_and_workers(
    way: str, model: Path, at_once: Path, tmp_path: Path
) -> None:
    out = made(model, tmp_path / "run", *WAYS[way])
    assert hashes(out) == hashes(at_once)
    assert measures(out) == measures(at_once)


def test_set_is_the_same_after_a_kill_and_a_resume_with_other_batches_and_workers(
    model: Path, at_once: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed = start(batch(model, out, COUNT, *WAYS["one by one, in small shards"]))
    wait_for(out / "_manifests" / "00000.csv", killed)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert 0 < len(manifest.committed(LocalStore(out), 7)) < 9, "it was over before it was killed"
    made(model, out, "--batch-size", "16", "--workers", "3")
    assert hashes(out) == hashes(at_once)
    assert measures(out) == measures(at_once)


def test_set_is_the_same_in_two_steps(model: Path, at_once: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    appending = [word for word in batch(model, out, 0, "--shard-size", "20") if word not in ("--count", "0")]
    succeeds(run(*appending, "--append", "25", "--batch-size", "16"))
    succeeds(run(*appending, "--append", "35", "--batch-size", "1", "--workers", "3"))
    assert hashes(out) == hashes(at_once)
    assert differing(out, at_once) == []


def test_files_are_the_pixels_of_their_latents(model: Path, at_once: Path) -> None:
    session = GeneratorSession(model, "cpu")
    for row in rows_of(at_once):
        z = {"z": latents(SEED, row.index, row.index + 1, session.info.z_dim)}
        assert np.array_equal(decoded((at_once / row.file_name).read_bytes()), session.pixels(z, 1)[0])


@pytest.mark.parametrize("size", [1, 7, 16, 60])
def test_latents_do_not_depend_on_how_they_are_cut(size: int) -> None:
    start, stop = BLOCK_SIZE - 30, BLOCK_SIZE + 30  # over the border of two blocks
    parts = [latents(SEED, at, min(at + size, stop), 8) for at in range(start, stop, size)]
    blocks = np.concatenate([latent_block(SEED, 0, 8), latent_block(SEED, 1, 8)])
    assert np.array_equal(np.concatenate(parts), blocks[start:stop])


def test_another_seed_gives_another_set(model: Path, at_once: Path, tmp_path: Path) -> None:
    out = made(model, tmp_path / "run", "--seed", str(SEED + 1))
    assert not set(hashes(out)) & set(hashes(at_once))
