"""`verify --repair` and `regen`: any image again, byte for byte, and nothing else touched."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.checks.repair import regen, repair, verify_and_repair
from jobs.checks.verify import verify
from jobs.dataset import manifest
from jobs.stores.local_store import LocalStore
from models.progress import Progress
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import batch, differing, kill_at, rows_of, stamps, start, succeeds, temporaries, wait_for
from tests.jobs.damage import (
    BROKEN,
    INDEX,
    REPAIRABLE,
    UNREADABLE,
    USERS_FILES,
    Damage,
    change_row,
    delete_a_shards_manifest,
    other_image,
    put,
    replace_rows,
)
from tests.jobs.small_models import write_model


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that made none of the runs here."""
    return write_model(tmp_path_factory.mktemp("other") / "other.onnx")


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def touched(before: dict[str, tuple[int, int]], out: Path) -> set[str]:
    """Files that are new, gone, or written since."""
    after = stamps(out)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def remains(out: Path) -> list[tuple[str, str]]:
    return [(fault.fault, fault.file_name) for fault in verify(out)]


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
    assert remains(copy) == []


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
    assert remains(copy) != []
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
    assert remains(copy) == [("stray", "images/00001/00000130.png")]


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
    assert remains(copy) == [("unreadable", BROKEN)]


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
    assert remains(copy) != []
    repair(copy, model)
    assert differing(copy, finished, without=()) == []
    assert temporaries(copy) == []


# regen


@pytest.mark.parametrize("index", [0, INDEX, 99, 100, 129])
def test_regen_gives_the_file_of_the_run(index: int, finished: Path, model: Path) -> None:
    made = regen(finished, index, model)
    assert made.image == (finished / rows_of(finished)[index].file_name).read_bytes()
    assert (made.mask, made.same) == (None, True)


def test_image_that_was_made_again_is_written_by_its_name(
    finished: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = regen(finished, INDEX, model)
    assert (made.write(), made.write(Path("mine.png"))) == (Path("00000007.png"), Path("mine.png"))
    assert Path("00000007.png").read_bytes() == Path("mine.png").read_bytes() == made.image


def test_regen_writes_the_file_where_it_is_told_to(copy: Path, model: Path, tmp_path: Path) -> None:
    before = stamps(copy)
    result = run_in_process(
        "gan-batch", "regen", copy, "--index", INDEX, "--model", model, "--to", tmp_path / "again.png"
    )
    succeeds(result)
    assert "equal" in result.stderr
    assert (tmp_path / "again.png").read_bytes() == (copy / BROKEN).read_bytes()
    assert touched(before, copy) == set()
    assert temporaries(tmp_path) == []


def test_regen_gives_an_image_that_the_run_lost(copy: Path, model: Path, finished: Path, tmp_path: Path) -> None:
    (copy / BROKEN).unlink()
    before = stamps(copy)
    succeeds(run_in_process("gan-batch", "regen", copy, "--index", INDEX, "--model", model, cwd=tmp_path))
    assert (tmp_path / "00000007.png").read_bytes() == (finished / BROKEN).read_bytes()
    assert touched(before, copy) == set()


def test_regen_gives_images_beyond_the_count(finished: Path, model: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    succeeds(run_in_process(*batch(model, longer, 205, "--shard-size", "100")))
    for index in (130, 199, 200, 204):
        made = regen(finished, index, model)
        assert made.image == (longer / rows_of(longer)[index].file_name).read_bytes()
        assert made.same is None


def test_regen_gives_an_image_far_beyond_the_count(finished: Path, model: Path, tmp_path: Path) -> None:
    result = run_in_process("gan-batch", "regen", finished, "--index", 10**12, "--model", model, cwd=tmp_path)
    succeeds(result)
    assert (tmp_path / "1000000000000.png").is_file()
    assert "does not have" in result.stderr


def test_regen_with_another_model_is_refused(copy: Path, other_model: Path, tmp_path: Path) -> None:
    before = stamps(copy)
    result = run_in_process(
        "gan-batch", "regen", copy, "--index", INDEX, "--model", other_model, "--to", tmp_path / "again.png"
    )
    fails_in_one_line(result, 78, str(other_model))
    assert not (tmp_path / "again.png").exists()
    assert touched(before, copy) == set()


def test_regen_tells_where_the_manifest_tells_of_other_bytes(copy: Path, model: Path, tmp_path: Path) -> None:
    put(copy, BROKEN, other_image())
    before = stamps(copy)
    result = run_in_process(
        "gan-batch", "regen", copy, "--index", INDEX, "--model", model, "--to", tmp_path / "again.png"
    )
    fails_in_one_line(result, 76, "again.png")
    assert (tmp_path / "again.png").is_file()
    assert touched(before, copy) == set()


def test_regen_of_no_run_is_missing_input(tmp_path: Path, model: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "regen", tmp_path, "--index", 0, "--model", model), 66, str(tmp_path))


@pytest.mark.parametrize("where", ["nowhere/again.png", "a-folder"])
def test_regen_to_a_place_that_cannot_be_written_is_refused(
    where: str, finished: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a-folder").mkdir()
    result = run_in_process("gan-batch", "regen", finished, "--index", 0, "--model", model, "--to", tmp_path / where)
    fails_in_one_line(result, 73, where)
