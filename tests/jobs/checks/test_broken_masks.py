"""Masks that are broken: each is named, comes back, and nothing else is touched."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jobs.checks.repair import repair
from jobs.dataset import manifest
from jobs.dataset.png import encode_masks
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.checks.conftest import touched
from tests.jobs.conftest import decoded, differing, rows_of, stamps, succeeds
from tests.jobs.damage import TABLES, faults
from tests.jobs.small_models import SIZE

pytestmark = pytest.mark.usefixtures("workers_here")

BROKEN = "masks/00000/00000007.png"


def put_mask(out: Path, content: bytes, row_agrees: bool = True) -> None:
    """Replace the mask `BROKEN`, and where the row is to agree, its hash in both manifests."""
    (out / BROKEN).write_bytes(content)
    if row_agrees:
        old = manifest.read_shard(LocalStore(out), 0)[7].mask_sha256 or ""
        for name in ("_manifests/00000.csv", "manifest.csv"):
            text = (out / name).read_text().splitlines(keepends=True)
            text[8] = text[8].replace(old, hashlib.sha256(content).hexdigest())
            (out / name).write_text("".join(text))


def delete(out: Path) -> None:
    (out / BROKEN).unlink()


def cut_off(out: Path) -> None:
    put_mask(out, (out / BROKEN).read_bytes()[:-20], row_agrees=False)


def invert(out: Path) -> None:
    mask = decoded((out / BROKEN).read_bytes())[None, ..., 0]
    put_mask(out, next(encode_masks(255 - mask)), row_agrees=False)


def give_the_row_another_hash(out: Path) -> None:
    before = (out / BROKEN).read_bytes()
    put_mask(out, b"another")
    (out / BROKEN).write_bytes(before)


def give_the_row_another_name(out: Path) -> None:
    for name in ("_manifests/00000.csv", "manifest.csv"):
        (out / name).write_text((out / name).read_text().replace(BROKEN, "masks/00000/00000099.png"))


def lose_the_columns(out: Path) -> None:
    rows = manifest.read_shard(LocalStore(out), 0)
    rows = [dataclasses.replace(row, mask_file_name=None, mask_sha256=None) for row in rows]
    (out / "_manifests/00000.csv").write_bytes(manifest.to_csv(rows))


def lose_the_manifest_and_the_folder(out: Path) -> None:
    (out / "_manifests/00000.csv").unlink()
    shutil.rmtree(out / "masks/00000")


def leave_a_mask_beyond_the_count(out: Path) -> None:
    (out / "masks/00002/00000130.png").write_bytes(b"left by a kill")


def leave_a_temporary_mask(out: Path) -> None:
    (out / "masks/00000/.00000007.png.tmp").write_bytes(b"left by a kill")


@pytest.mark.parametrize(
    ("damage", "fault", "may_touch"),
    [
        (delete, ("missing", BROKEN), {BROKEN}),
        (cut_off, ("hash", BROKEN), {BROKEN}),
        (invert, ("hash", BROKEN), {BROKEN}),
        (give_the_row_another_hash, ("hash", BROKEN), TABLES),
        (give_the_row_another_name, ("bad row", BROKEN), TABLES),
        (lose_the_columns, ("bad manifest", "_manifests/00000.csv"), TABLES),
        (
            lose_the_manifest_and_the_folder,
            ("no manifest", "_manifests/00000.csv"),
            TABLES | {f"masks/00000/{index:08d}.png" for index in range(50)},
        ),
        (leave_a_mask_beyond_the_count, ("stray", "masks/00002/00000130.png"), {"masks/00002/00000130.png"}),
        (leave_a_temporary_mask, ("stray", "masks/00000/.00000007.png.tmp"), {"masks/00000/.00000007.png.tmp"}),
    ],
)
def test_broken_mask_is_named_and_comes_back_and_nothing_else_is_touched(
    damage: Callable[[Path], None],
    fault: tuple[str, str],
    may_touch: set[str],
    masked_copy: Path,
    masked_runs: dict[str, Path],
    masked_model: Path,
) -> None:
    damage(masked_copy)
    assert fault in faults(masked_copy)
    before = stamps(masked_copy)
    repair(masked_copy, masked_model)
    assert differing(masked_copy, masked_runs["png"], without=()) == []
    assert touched(before, masked_copy) <= may_touch
    assert faults(masked_copy) == []


@pytest.mark.parametrize("damage", ["missing", "cut off", "swapped", "repacked"])
def test_broken_tar_of_masks_comes_back_and_that_of_images_is_not_touched(
    damage: str, masked_runs: dict[str, Path], masked_model: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(masked_runs["tar"], tmp_path / "run")
    path, before = out / "masks/00001.tar", stamps(out)
    content = path.read_bytes()
    damaged = {
        "cut off": content[:-9000],
        "swapped": (out / "masks/00000.tar").read_bytes(),
        "repacked": content + bytes(512),
    }
    path.write_bytes(damaged[damage]) if damage in damaged else path.unlink()
    result = run_in_process("gan-batch", "verify", out, "--repair", "--model", masked_model)
    succeeds(result)
    assert differing(out, masked_runs["tar"], without=()) == []
    assert touched(before, out) == {"masks/00001.tar"}


def test_mask_with_other_values_than_0_and_255_is_named_where_its_row_agrees(
    masked_copy: Path, masked_model: Path
) -> None:
    put_mask(masked_copy, next(encode_masks(np.full((1, SIZE, SIZE), 7, np.uint8))))
    assert faults(masked_copy) == [("unreadable", BROKEN)]
    put_mask(masked_copy, next(encode_masks(np.zeros((1, 5, 5), np.uint8))))
    assert faults(masked_copy) == [("unreadable", BROKEN)]
    before = stamps(masked_copy)
    repair(masked_copy, masked_model)  # as an image of another generation, it stays as it is
    assert stamps(masked_copy) == before


def test_mask_comes_back_beside_an_image_that_another_machine_made(masked_copy: Path, masked_model: Path) -> None:
    other, old = (masked_copy / "images/00000/00000008.png").read_bytes(), rows_of(masked_copy)[7]
    (masked_copy / "images/00000/00000007.png").write_bytes(other)
    for name in ("_manifests/00000.csv", "manifest.csv"):
        text = (masked_copy / name).read_text().splitlines(keepends=True)
        text[8] = text[8].replace(old.sha256, hashlib.sha256(other).hexdigest())
        text[8] = text[8].replace(f",{old.bytes},", f",{len(other)},")
        (masked_copy / name).write_text("".join(text))
    assert faults(masked_copy) == []
    before = {path: path.read_bytes() for path in masked_copy.rglob("*.*") if path.is_file()}
    (masked_copy / BROKEN).unlink()
    repair(masked_copy, masked_model)
    assert faults(masked_copy) == []
    assert {path: path.read_bytes() for path in before} == before


def test_regen_writes_the_image_and_its_mask(masked_copy: Path, masked_model: Path, tmp_path: Path) -> None:
    for options, stem in (((), "00000007"), (("--to", tmp_path / "again.png"), "again")):
        command = ["gan-batch", "regen", masked_copy, "--index", 7, "--model", masked_model, *options]
        result = run_in_process(*map(str, command), cwd=tmp_path)
        succeeds(result)
        assert "equal to the run's" in result.stderr
        for kind, name in (("images", f"{stem}.png"), ("masks", f"{stem}_mask.png")):
            assert (tmp_path / name).read_bytes() == (masked_copy / kind / "00000/00000007.png").read_bytes()
    put_mask(masked_copy, b"another")
    result = run_in_process("gan-batch", "regen", masked_copy, "--index", 7, "--model", masked_model, cwd=tmp_path)
    fails_in_one_line(result, 76, "other bytes")
