"""`verify --repair`: what is broken again, byte for byte, and nothing else touched."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.checks.repair import repair, verify_and_repair
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from models.progress import Progress
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.checks.conftest import touched
from tests.jobs.conftest import batch, differing, kill_at, stamps, start, succeeds, temporaries, wait_for
from tests.jobs.damage import (
    BROKEN,
    REPAIRABLE,
    UNREADABLE,
    USERS_FILES,
    Damage,
    change_row,
    delete_a_shards_manifest,
    faults,
    other_image,
    put,
    replace_rows,
)

pytestmark = pytest.mark.usefixtures("workers_here")


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_one_warning(result: subprocess.CompletedProcess[str], *words: str) -> None:
    (warning,) = (line for line in result.stderr.splitlines() if "WARNING" in line)
    assert [word for word in words if word not in warning] == []


# What is broken comes back, and nothing else is touched


@pytest.mark.parametrize("damage", REPAIRABLE, ids=str)
def test_repair_brings_everything_back_and_touches_nothing_else(
    damage: Damage, copy: Path, model: Path, finished: Path
) -> None:
    damage.do(copy)
    before = stamps(copy)
    repair(copy, model)
    assert differing(copy, finished, without=()) == []
    assert touched(before, copy) <= damage.touched | ({damage.file_name} if damage.fault == "stray" else set())
    assert faults(copy) == []


def test_everything_at_once_is_repaired_by_one_command(copy: Path, model: Path, finished: Path) -> None:
    (copy / "images/00000/00000001.png").unlink()
    (copy / "images/00000/00000002.png").write_bytes(b"")
    (copy / "images/00000/00000003.png").write_bytes(other_image())
    for index, fields in enumerate([{"seed": 1, "mode": "P"}, {"sha256": "0" * 64}, {"width": 1, "height": 1}], 50):
        change_row(copy, index, **fields)
    shutil.rmtree(copy / "images" / "00001")
    (copy / "_manifests/00001.csv").unlink()
    (copy / "contact_sheet.png").unlink()
    succeeds(run_in_process("gan-batch", "verify", copy, "--repair", "--model", model))
    assert differing(copy, finished, without=()) == []
    succeeds(run_in_process("gan-batch", "verify", copy))


def test_one_call_verifies_repairs_and_verifies_again(copy: Path, model: Path, finished: Path) -> None:
    (copy / BROKEN).write_bytes(b"")
    (copy / "images" / "notes.txt").write_text("mine")
    assert [fault.fault for fault in verify_and_repair(copy, model)] == ["stray"]
    (copy / "images" / "notes.txt").unlink()
    assert verify_and_repair(copy, "a model that is not looked for") == []
    assert differing(copy, finished, without=()) == []


def test_lost_measures_come_back_with_their_shard(copy: Path, model: Path, finished: Path) -> None:
    for table in ("_manifests", "_quality"):
        shutil.rmtree(copy / table)
        (copy / table).mkdir()
    repair(copy, model)
    assert differing(copy, finished, without=()) == []


def test_run_without_its_folders_of_tables_is_repaired(copy: Path, model: Path, finished: Path) -> None:
    shutil.rmtree(copy / "_manifests")
    shutil.rmtree(copy / "_quality")
    succeeds(run_in_process("gan-batch", "verify", copy, "--repair", "--model", model))
    assert differing(copy, finished, without=()) == []


def test_no_model_is_opened_where_no_image_has_to_be_made(copy: Path, finished: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom jobs.checks.repair import verify_and_repair\n"
        "assert verify_and_repair(Path(sys.argv[1]), 'a model that is not looked for') == []\n"
        "assert 'onnxruntime' not in sys.modules"
    )
    (copy / "manifest.csv").unlink()
    (copy / "images/00000/00009999.png").write_bytes(other_image())
    result = run(sys.executable, "-c", program, copy)
    assert (result.returncode, differing(copy, finished, without=())) == (0, []), result.stderr


def test_same_number_in_other_bytes_comes_back_as_it_was(copy: Path, model: Path, finished: Path) -> None:
    path = copy / "_manifests/00000.csv"
    path.write_bytes(path.read_bytes().replace(b",128,128,", b", 128,128,", 1))
    assert faults(copy) != []
    repair(copy, model)
    assert differing(copy, finished, without=()) == []


def test_fine_run_is_left_alone(copy: Path, model: Path) -> None:
    before = stamps(copy)
    succeeds(run_in_process("gan-batch", "verify", copy, "--repair", "--model", model))
    assert touched(before, copy) == set()


def test_repair_counts_the_images_of_every_shard_as_it_goes(
    copy: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int, int]] = []
    update = Progress.update
    monkeypatch.setattr(
        Progress, "update", lambda self, units: (shown.append((self.label, self.total, units)), update(self, units))
    )
    (copy / "images/00001/00000120.png").unlink()
    repair(copy, model)
    assert shown == [("repairing", 130, 100), ("repairing", 130, 30)]


def test_files_of_the_users_stay_and_are_still_named(copy: Path, model: Path) -> None:
    for name in USERS_FILES:
        (copy / name).write_text("mine")
    (copy / "images" / "00001" / "mine").mkdir()
    (copy / BROKEN).unlink()
    before = stamps(copy)
    result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", model)
    assert result.returncode == 76, result.stderr
    assert sorted(result.stdout.splitlines()[1:]) == sorted(
        f"stray,{name},gan-batch did not leave it" if name.count("/") < 2 else f"stray,{name},no row names it"
        for name in [*USERS_FILES, "images/00001/mine"]
    )
    assert touched(before, copy) == {BROKEN}


def test_users_folder_with_the_name_of_an_image_is_no_bug(copy: Path, model: Path) -> None:
    (copy / "images" / "00001" / "00000130.png").mkdir()
    (copy / BROKEN).unlink()
    result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", model)
    assert result.returncode == 76, result.stderr
    assert (copy / BROKEN).is_file()
    assert faults(copy) == [("stray", "images/00001/00000130.png")]


def test_cut_off_run_is_repaired_and_then_finished(model: Path, finished: Path, tmp_path: Path) -> None:
    out, command = tmp_path / "run", batch(model, tmp_path / "run", 130, "--shard-size", "100")
    assert run_in_process(*command, "--max-seconds", "0").returncode == 3
    (out / BROKEN).unlink()
    result = run_in_process("gan-batch", "verify", out, "--repair", "--model", model)
    assert result.returncode == 76
    assert result.stdout.splitlines()[1:] == [
        'not complete,run.json,"it was cut off, 100 of 130 images are committed: run the same command again"'
    ]
    succeeds(run_in_process(*command))
    assert differing(out, finished) == []


# Refused


def test_other_model_is_refused_and_nothing_is_changed(copy: Path, other_model: Path) -> None:
    (copy / BROKEN).unlink()
    before = stamps(copy)
    result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", other_model)
    fails_in_one_line(result, 78, str(other_model), "--model")
    assert touched(before, copy) == set()


def test_folder_that_another_process_holds_is_refused(copy: Path, model: Path) -> None:
    (copy / BROKEN).unlink()
    before = stamps(copy)
    holder = LocalStore(copy)
    holder.lock()
    try:
        result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", model)
    finally:
        holder.close()
    fails_in_one_line(result, 75, str(copy))
    assert touched(before, copy) == set()


def test_model_is_found_where_gan_export_leaves_it(copy: Path, model: Path, finished: Path, tmp_path: Path) -> None:
    (copy / BROKEN).unlink()
    (tmp_path / "models").mkdir()
    shutil.copy(model, tmp_path / "models" / "generator.onnx")
    succeeds(run_in_process("gan-batch", "verify", "run", "--repair", cwd=tmp_path))
    assert differing(copy, finished, without=()) == []


def test_model_that_is_nowhere_has_to_be_named(copy: Path, tmp_path: Path) -> None:
    (copy / BROKEN).unlink()
    fails_in_one_line(run_in_process("gan-batch", "verify", copy, "--repair", cwd=tmp_path), 78, "--model")


def test_missing_model_is_named(copy: Path, tmp_path: Path) -> None:
    (copy / BROKEN).unlink()
    result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", tmp_path / "none.onnx")
    fails_in_one_line(result, 66, "none.onnx")


# Images that do not come out here as they were


def test_image_of_another_generation_stays_as_it_is(copy: Path, model: Path) -> None:
    put(copy, BROKEN, other_image())
    (copy / BROKEN).write_bytes(other_image()[:-50])  # what is left of it is no reason to lose it
    (copy / "images/00000/00000008.png").unlink()
    before, bytes_before = stamps(copy), content(copy)
    result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", model)
    assert (result.returncode, result.stdout.splitlines()[1:]) == (
        76, [f'size,{BROKEN},"{len(other_image()) - 50} bytes, its row says {len(other_image())}"']
    )  # fmt: skip
    assert_one_warning(result, BROKEN, "stays")
    assert touched(before, copy) == {"images/00000/00000008.png"}
    assert {name: content(copy)[name] for name in bytes_before} == bytes_before


@pytest.mark.parametrize("fields", [{"seed": 6}, {"width": 1}, {"file_name": "images/00000/00000099.png"}], ids=str)
def test_image_of_another_generation_stays_where_its_row_is_wrong(
    fields: dict[str, object], copy: Path, model: Path
) -> None:
    put(copy, BROKEN, other_image())
    change_row(copy, **fields)
    before = content(copy)
    result = run_in_process("gan-batch", "verify", copy, "--repair", "--model", model)
    assert result.returncode == 76
    assert_one_warning(result, BROKEN, "stays")
    assert content(copy) == before


@pytest.mark.parametrize("what", UNREADABLE)
def test_unreadable_file_with_a_row_of_its_own_stays_as_it_is(what: str, copy: Path, model: Path) -> None:
    put(copy, BROKEN, UNREADABLE[what])
    before = content(copy)
    repair(copy, model)
    assert content(copy) == before
    assert faults(copy) == [("unreadable", BROKEN)]


def test_row_of_another_generation_is_mended_where_the_file_is_the_runs(
    copy: Path, model: Path, finished: Path
) -> None:
    change_row(copy, sha256=hashlib.sha256(other_image()).hexdigest(), bytes=len(other_image()))
    repair(copy, model)
    assert differing(copy, finished, without=()) == []


# Killed in the middle


def test_killed_repair_is_finished_by_the_next(copy: Path, model: Path, finished: Path) -> None:
    for index in range(100):
        (copy / f"images/00000/{index:08d}.png").unlink()
    before = stamps(copy)
    process = start(["gan-batch", "verify", str(copy), "--repair", "--model", str(model)])
    wait_for(copy / "images/00000/00000010.png", process)
    process.kill()
    process.communicate()
    assert 10 < len(touched(before, copy)) < 100, "it was over before it was killed"
    succeeds(run_in_process("gan-batch", "verify", copy, "--repair", "--model", model))
    assert differing(copy, finished, without=()) == []


def break_much(out: Path) -> None:
    """An image, a shard's manifest, a row of another shard, the run's manifest, the contact sheet."""
    (out / BROKEN).write_bytes(b"")
    delete_a_shards_manifest(out)
    replace_rows(out, 1, lambda rows: [*rows[:3], manifest.Row(**{**vars(rows[3]), "seed": 1}), *rows[4:]])
    (out / "contact_sheet.png").unlink()


@pytest.mark.parametrize(("operation", "calls"), [("replace", 0), ("replace", 2), ("replace", 5), ("write", 4)])
def test_repair_killed_at_any_step_is_finished_by_the_next(
    operation: str, calls: int, copy: Path, model: Path, finished: Path
) -> None:
    break_much(copy)
    call = f"repair(Path({str(copy)!r}), Path({str(model)!r}))"
    kill_at(operation, calls, "from jobs.checks.repair import repair", call)
    assert faults(copy) != []
    repair(copy, model)
    assert differing(copy, finished, without=()) == []
    assert temporaries(copy) == []
