"""The quality gate: generators that misbehave, each in its own way, are found; one that does not passes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.checks.gate import Gate
from jobs.checks.quality import judge
from jobs.dataset import manifest
from jobs.dataset.formats import Folders
from jobs.dataset.measure import shard_lines
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import SEED, batch, decoded, stamps, succeeds
from tests.jobs.small_models import GOLDEN_SEED, SIZE, first_values, write_model

COUNT, SHARD = 60, 20
REJECTED = "rejected by the quality gate"
UNMET = float(first_values(GOLDEN_SEED, 16).max()) + 1e-3
"""No golden latent begins with a larger value."""
GOOD: dict[str, Any] = {}
MISFITS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "one gray": ({"gain": 0.0}, ["constant", "exact duplicates"]),
    "one image": ({"gain": 0.0, "offset": 0.5}, ["exact duplicates", "near duplicates"]),
    "collapsed": ({"gain": 0.02, "offset": 0.5}, ["near duplicates"]),
    "saturated": ({"gain": 50.0}, ["saturated"]),
    "blank": ({"gain": 0.006}, ["blank"]),
    "not finite": ({"broken_above": UNMET}, ["not finite", "constant", "exact duplicates"]),
}
"""What the generator does, and all kinds of fault that a run of it must be rejected for."""


@dataclass(frozen=True)
class Misfit:
    """A run that the gate rejected; tests must not change it."""

    model: Path
    out: Path
    kinds: list[str]
    result: subprocess.CompletedProcess[str]


def command(model: Path, out: Path, *options: str) -> list[str]:
    return batch(model, out, COUNT, "--shard-size", str(SHARD), *options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quality")


@pytest.fixture(scope="module", params=MISFITS)
def misfit(request: pytest.FixtureRequest, folder: Path) -> Misfit:
    options, kinds = MISFITS[request.param]
    model = write_model(folder / f"{request.param}.onnx", faults=[], **options)
    out = folder / request.param
    return Misfit(model, out, kinds, run_in_process(*command(model, out)))


@pytest.fixture(scope="module")
def blank(folder: Path) -> Path:
    """A run most of whose images are blank."""
    out = folder / "most are blank"
    model = write_model(folder / "blank.onnx", **MISFITS["blank"][0])
    assert run_in_process(*command(model, out)).returncode == 76
    return out


@pytest.fixture(scope="module")
def gray_model(folder: Path) -> Path:
    return write_model(folder / "gray.onnx", gain=0.0)


@pytest.fixture(scope="module")
def good(folder: Path) -> Path:
    """A run of a generator that does not misbehave."""
    out = folder / "good"
    succeeds(run_in_process(*command(write_model(folder / "good.onnx", **GOOD), out)))
    return out


@pytest.fixture
def copy(misfit: Misfit, tmp_path: Path) -> Path:
    return shutil.copytree(misfit.out, tmp_path / "run")


def state_of(out: Path) -> str:
    state: str = json.loads((out / "run.json").read_text())["state"]
    return state


def found(out: Path) -> dict[str, dict[str, Any]]:
    return {fault["kind"]: fault for fault in json.loads((out / "quality.json").read_text())["found"]}


def beyond(out: Path) -> list[str]:
    return [kind for kind, fault in found(out).items() if fault["count"] > fault["allowed"] * fault["of"]]


def images(out: Path) -> dict[str, tuple[int, int]]:
    return {name: stamp for name, stamp in stamps(out).items() if name.startswith("images/")}


def verdict(out: Path, gate: Gate) -> dict[str, tuple[int, int]]:
    """What `judge` says of a run whose measures are whole: by kind, how many of how many."""
    store, shards = LocalStore(out), [manifest.read_shard(LocalStore(out), number) for number in range(COUNT // SHARD)]
    format = Folders("images")

    def measures(number: int) -> bytes:
        return shard_lines(store, number, shards[number], format, lambda index: pytest.fail("measured again"))

    measured = [(rows, measures(number)) for number, rows in enumerate(shards)]
    return {found.kind: (found.count, found.of) for found in judge(store, format, measured, gate, COUNT)}


def verdict_without(model: Path, out: Path, damage: Callable[[Path], object], tmp_path: Path) -> dict[str, Any]:
    """What the gate finds when a run, with its measures damaged, is judged again."""
    copy = shutil.copytree(out, tmp_path / "judged again")
    damage(copy / "_quality")
    run_in_process(*command(model, copy))
    return found(copy)


# What each of the three modes does


def test_bad_run_is_rejected_and_every_fault_is_named(misfit: Misfit) -> None:
    fails_in_one_line(misfit.result, 76, *misfit.kinds, "quality_offenders.png", "--quality-gate warn")
    assert state_of(misfit.out) == REJECTED
    assert beyond(misfit.out) == misfit.kinds


def test_rejected_run_keeps_its_images_and_its_manifest(misfit: Misfit) -> None:
    rows = manifest.from_csv((misfit.out / "manifest.csv").read_bytes())
    assert [row.index for row in rows] == list(range(COUNT))
    assert all((misfit.out / row.file_name).is_file() for row in rows)


def test_picture_shows_the_offenders(misfit: Misfit) -> None:
    faults = found(misfit.out)
    indices = [index for kind in misfit.kinds for index in faults[kind]["indices"]]
    assert all(faults[kind]["indices"] for kind in misfit.kinds)
    sheet = decoded((misfit.out / "quality_offenders.png").read_bytes())
    for place, index in enumerate(indices):
        top, left = place // 8 * (SIZE + 2), place % 8 * (SIZE + 2)
        image = decoded((misfit.out / "images" / f"{index // SHARD:05d}" / f"{index:08d}.png").read_bytes())
        assert np.array_equal(sheet[top : top + SIZE, left : left + SIZE], image), index


def test_not_finite_images_are_those_of_the_latents_that_break_the_generator(folder: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", broken_above=UNMET)
    fails_in_one_line(run_in_process(*command(model, tmp_path / "run")), 76)
    broken = np.flatnonzero(first_values(SEED, COUNT) > UNMET)
    assert 0 < len(broken) < COUNT / 2
    assert found(tmp_path / "run")["not finite"]["indices"] == broken.tolist()


def test_warn_accepts_a_rejected_run_without_making_an_image_again(misfit: Misfit, copy: Path) -> None:
    before = images(copy)
    result = run_in_process(*command(misfit.model, copy, "--quality-gate", "warn"))
    succeeds(result)
    assert images(copy) == before
    assert state_of(copy) == "complete"
    (warning,) = (line for line in result.stderr.splitlines() if "WARNING" in line)
    assert [kind for kind in misfit.kinds if kind not in warning] == []
    assert beyond(copy) == misfit.kinds
    assert (copy / "quality_offenders.png").is_file()


def test_off_accepts_it_and_leaves_nothing_of_the_gate(misfit: Misfit, copy: Path) -> None:
    before = images(copy)
    result = run_in_process(*command(misfit.model, copy, "--quality-gate", "off"))
    succeeds(result)
    assert "WARNING" not in result.stderr
    assert images(copy) == before
    assert state_of(copy) == "complete"
    assert not (copy / "quality.json").exists()
    assert not (copy / "quality_offenders.png").exists()


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_bad_run_is_complete_at_once_where_the_gate_does_not_fail(mode: str, gray_model: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(gray_model, tmp_path / "run", "--quality-gate", mode))
    succeeds(result)
    assert ("WARNING" in result.stderr) == (mode == "warn")
    assert state_of(tmp_path / "run") == "complete"
    assert (tmp_path / "run" / "quality.json").exists() == (mode == "warn")


def test_rejected_run_stays_rejected_when_asked_again(blank: Path, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(blank, tmp_path / "run")
    before = images(copy)
    fails_in_one_line(run_in_process(*command(folder / "blank.onnx", copy)), 76, "blank")
    assert images(copy) == before
    assert state_of(copy) == REJECTED
    assert (copy / "quality.json").read_bytes() == (blank / "quality.json").read_bytes()


def test_good_run_has_no_fault_and_no_picture(good: Path) -> None:
    assert [fault["count"] for fault in found(good).values()] == [0] * 6
    assert found(good).keys() == {kind for _, kinds in MISFITS.values() for kind in kinds}
    assert not (good / "quality_offenders.png").exists()
    assert state_of(good) == "complete"


# Limits


@pytest.mark.parametrize("kind", ["one image", "not finite"])
def test_wider_limits_accept_a_run_unless_it_is_not_finite(kind: str, tmp_path: Path) -> None:
    out, model = tmp_path / "run", write_model(tmp_path / "model.onnx", **MISFITS[kind][0])
    options = {
        "max-faulty": 1,
        "near-duplicate": 0.99,
        "max-near-duplicates": 1,
        "max-clipped": 0.99,
        "min-contrast": 0,
    }
    result = run_in_process(*command(model, out, *(f"--{name}={value}" for name, value in options.items())))
    if kind == "not finite":  # which no option allows
        fails_in_one_line(result, 76, "not finite")
        assert beyond(out) == ["not finite"]
    else:
        succeeds(result)
        assert beyond(out) == []
        assert state_of(out) == "complete"
    gate = json.loads((out / "quality.json").read_text())["gate"]
    assert gate == {"mode": "fail", **{name.replace("-", "_"): value for name, value in options.items()}}


def test_narrower_limit_rejects_a_good_run(folder: Path, good: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(folder / "good.onnx", tmp_path / "run", "--min-contrast", "100"))
    fails_in_one_line(result, 76, "60 of 60 images are blank")
    assert state_of(tmp_path / "run") == REJECTED


@pytest.mark.parametrize(
    ("gate", "kind"),
    [(Gate(min_contrast=100), "blank"), (Gate(near_duplicate=-1), "near duplicates")],
)
def test_each_limit_decides_only_its_own_kind(gate: Gate, kind: str, good: Path) -> None:
    assert {name: count for name, (count, _) in verdict(good, gate).items() if count} == {kind: COUNT}


def test_wider_limits_find_nothing_of_what_they_allow(misfit: Misfit) -> None:
    wide = verdict(misfit.out, Gate(max_clipped=0.99, min_contrast=0, near_duplicate=1.01))
    kept = {"constant", "exact duplicates", "not finite"}  # which have no limit of their own
    assert {kind for kind, (count, _) in wide.items() if count} == kept & set(misfit.kinds)


# A run that was cut off is judged over all its images


def lose_all(table: Path) -> None:
    table.unlink()


def empty(table: Path) -> None:
    table.write_bytes(b"")


def overwrite(table: Path) -> None:
    table.write_bytes(b"\xff\x00 no table")


def cut_off(table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-20])


def cut_off_after_the_header(table: Path) -> None:
    table.write_bytes(table.read_bytes().split(b"\n")[0] + b"\n")


def rename_a_column(table: Path) -> None:
    table.write_bytes(table.read_bytes().replace(b"contrast", b"brightness"))


def lose_a_column(table: Path) -> None:
    lines = table.read_bytes().splitlines()
    table.write_bytes(b"".join(line.rpartition(b",")[0] + b"\n" for line in lines))


def swap_two_rows(table: Path) -> None:
    lines = table.read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    table.write_bytes(b"".join(lines))


def take_those_of_another_shard(table: Path) -> None:
    shutil.copy(table.parent / "00002.csv", table)


def put_words_for_numbers(table: Path) -> None:
    table.write_bytes(table.read_bytes().replace(b".", b" point "))


DAMAGES = [
    lose_all,
    empty,
    overwrite,
    cut_off,
    cut_off_after_the_header,
    rename_a_column,
    lose_a_column,
    swap_two_rows,
    take_those_of_another_shard,
    put_words_for_numbers,
]


def test_first_shards_of_a_cut_off_run_are_judged_too(gray_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*command(gray_model, out, "--max-seconds", "0")).returncode == 3
    assert [path.name for path in (out / "_quality").iterdir()] == ["00000.csv"]
    fails_in_one_line(run_in_process(*command(gray_model, out)), 76, "60 of 60 images are constant")
    assert (out / "_quality" / "00002.csv").is_file()


def test_cut_off_run_without_its_measures_is_judged_over_all_images(gray_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*command(gray_model, out, "--max-seconds", "0")).returncode == 3
    shutil.rmtree(out / "_quality")
    fails_in_one_line(run_in_process(*command(gray_model, out)), 76, "60 of 60 images are constant")


def test_lost_measures_do_not_change_the_verdict(misfit: Misfit, tmp_path: Path) -> None:
    assert verdict_without(misfit.model, misfit.out, shutil.rmtree, tmp_path) == found(misfit.out)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_measures_do_not_change_the_verdict(
    damage: Callable[[Path], None], blank: Path, folder: Path, tmp_path: Path
) -> None:
    again = verdict_without(folder / "blank.onnx", blank, lambda tables: damage(tables / "00001.csv"), tmp_path)
    assert again == found(blank)


def test_measures_of_a_partial_shard_are_the_same_after_they_were_lost(
    folder: Path, good: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(folder / "good.onnx", out, SHARD + 7, "--shard-size", str(SHARD))))
    (out / "_quality" / "00001.csv").unlink()
    succeeds(run_in_process(*command(folder / "good.onnx", out)))
    assert (out / "_quality" / "00001.csv").read_bytes() == (good / "_quality" / "00001.csv").read_bytes()
    assert (out / "quality.json").read_bytes() == (good / "quality.json").read_bytes()


def test_damaged_image_is_an_error_and_not_a_verdict(blank: Path, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(blank, tmp_path / "run")
    (copy / "images" / "00000" / "00000000.png").write_bytes(b"")
    result = run_in_process(*command(folder / "blank.onnx", copy))
    fails_in_one_line(result, 76, "00000000.png", "--repair")


# What the model says of its images


@pytest.fixture(scope="module")
def of_a_grid(folder: Path) -> Path:
    return write_model(folder / "grid.onnx", faults=["places: lines stand on a grid (rows, 8 px)"])


def test_a_model_with_faults_makes_nothing(of_a_grid: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(of_a_grid, tmp_path / "run"))
    fails_in_one_line(result, 76, "lines stand on a grid (rows, 8 px)", "nothing is made", "--quality-gate warn")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_a_model_with_faults_makes_images_where_the_gate_does_not_fail(
    mode: str, of_a_grid: Path, tmp_path: Path
) -> None:
    result = run_in_process(*command(of_a_grid, tmp_path / "run", "--quality-gate", mode))
    succeeds(result)
    assert ("lines stand on a grid" in result.stderr) == (mode == "warn")


@pytest.mark.parametrize(("faults", "warned"), [([], False), (None, True)], ids=["none found", "not measured"])
def test_a_model_that_does_not_say_what_its_images_are_like_is_warned_of(
    faults: list[str] | None, warned: bool, folder: Path, tmp_path: Path
) -> None:
    model = write_model(folder / f"{warned}.onnx", faults=faults)
    result = run_in_process(*command(model, tmp_path / "run"))
    succeeds(result)
    assert ("does not say what its images are like" in result.stderr) == warned
