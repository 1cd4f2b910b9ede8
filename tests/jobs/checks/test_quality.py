"""The quality gate: generators that misbehave, each in its own way, are found; one that does not passes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jobs.checks.gate import Gate
from jobs.checks.quality import judge
from jobs.dataset import manifest
from jobs.dataset.formats import Folders
from jobs.dataset.measure import shard_lines
from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.checks.misfits import COUNT, MISFITS, SHARD, UNMET, Judged, command, found
from tests.jobs.conftest import SEED, decoded, stamps, succeeds
from tests.jobs.small_models import SIZE, first_values, write_model

pytestmark = pytest.mark.usefixtures("workers_here")

REJECTED = "rejected by the quality gate"


@pytest.fixture
def copy(misfit: Judged, tmp_path: Path) -> Path:
    return shutil.copytree(misfit.out, tmp_path / "run")


def state_of(out: Path) -> str:
    state: str = json.loads((out / "run.json").read_text())["state"]
    return state


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


# What each of the three modes does


def test_bad_run_is_rejected_and_every_fault_is_named(misfit: Judged) -> None:
    fails_in_one_line(misfit.result, 76, *misfit.kinds, "quality_offenders.png", "--quality-gate warn")
    assert state_of(misfit.out) == REJECTED
    assert beyond(misfit.out) == misfit.kinds


def test_rejected_run_keeps_its_images_and_its_manifest(misfit: Judged) -> None:
    rows = manifest.from_csv((misfit.out / "manifest.csv").read_bytes())
    assert [row.index for row in rows] == list(range(COUNT))
    assert all((misfit.out / row.file_name).is_file() for row in rows)


def test_picture_shows_the_offenders(misfit: Judged) -> None:
    faults = found(misfit.out)
    indices = [index for kind in misfit.kinds for index in faults[kind]["indices"]]
    assert all(faults[kind]["indices"] for kind in misfit.kinds)
    sheet = decoded((misfit.out / "quality_offenders.png").read_bytes())
    for place, index in enumerate(indices):
        top, left = place // 8 * (SIZE + 2), place % 8 * (SIZE + 2)
        image = decoded((misfit.out / "images" / f"{index // SHARD:05d}" / f"{index:08d}.png").read_bytes())
        assert np.array_equal(sheet[top : top + SIZE, left : left + SIZE], image), index


def test_not_finite_images_are_those_of_the_latents_that_break_the_generator(judged: Callable[[str], Judged]) -> None:
    broken = np.flatnonzero(first_values(SEED, COUNT) > UNMET)
    assert 0 < len(broken) < COUNT / 2
    assert found(judged("not finite").out)["not finite"]["indices"] == broken.tolist()


def test_warn_accepts_a_rejected_run_without_making_an_image_again(misfit: Judged, copy: Path) -> None:
    before = images(copy)
    result = run_in_process(*command(misfit.model, copy, "--quality-gate", "warn"))
    succeeds(result)
    assert images(copy) == before
    assert state_of(copy) == "complete"
    (warning,) = (line for line in result.stderr.splitlines() if "WARNING" in line)
    assert [kind for kind in misfit.kinds if kind not in warning] == []
    assert beyond(copy) == misfit.kinds
    assert (copy / "quality_offenders.png").is_file()


def test_off_accepts_it_and_leaves_nothing_of_the_gate(misfit: Judged, copy: Path) -> None:
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


def test_rejected_run_stays_rejected_when_asked_again(blank: Judged, tmp_path: Path) -> None:
    copy = shutil.copytree(blank.out, tmp_path / "run")
    before = images(copy)
    fails_in_one_line(run_in_process(*command(blank.model, copy)), 76, "blank")
    assert images(copy) == before
    assert state_of(copy) == REJECTED
    assert (copy / "quality.json").read_bytes() == (blank.out / "quality.json").read_bytes()


def test_good_run_has_no_fault_and_no_picture(good: Judged) -> None:
    succeeds(good.result)
    assert [fault["count"] for fault in found(good.out).values()] == [0] * 6
    assert found(good.out).keys() == {kind for _, kinds in MISFITS.values() for kind in kinds}
    assert not (good.out / "quality_offenders.png").exists()
    assert state_of(good.out) == "complete"


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


def test_narrower_limit_rejects_a_good_run(good: Judged, tmp_path: Path) -> None:
    result = run_in_process(*command(good.model, tmp_path / "run", "--min-contrast", "100"))
    fails_in_one_line(result, 76, "60 of 60 images are blank")
    assert state_of(tmp_path / "run") == REJECTED


@pytest.mark.parametrize(
    ("gate", "kind"),
    [(Gate(min_contrast=100), "blank"), (Gate(near_duplicate=-1), "near duplicates")],
)
def test_each_limit_decides_only_its_own_kind(gate: Gate, kind: str, good: Judged) -> None:
    assert {name: count for name, (count, _) in verdict(good.out, gate).items() if count} == {kind: COUNT}


def test_wider_limits_find_nothing_of_what_they_allow(misfit: Judged) -> None:
    wide = verdict(misfit.out, Gate(max_clipped=0.99, min_contrast=0, near_duplicate=1.01))
    kept = {"constant", "exact duplicates", "not finite"}  # which have no limit of their own
    assert {kind for kind, (count, _) in wide.items() if count} == kept & set(misfit.kinds)


# What the model says of its images


@pytest.fixture
def of_a_grid(tmp_path: Path) -> Path:
    return write_model(tmp_path / "grid.onnx", faults=["places: lines stand on a grid (rows, 8 px)"])


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
    faults: list[str] | None, warned: bool, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "model.onnx", faults=faults)
    result = run_in_process(*command(model, tmp_path / "run"))
    succeeds(result)
    assert ("does not say what its images are like" in result.stderr) == warned
