"""`--metrics-file`: what node-exporter's textfile collector reads, however the run ended."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs.stores.local_store import LocalStore
from tests.conftest import fails_in_one_line, run_in_process
from tests.jobs.conftest import batch, succeeds
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

COUNT = 6
SUCCESS = "gan_batch_last_success_timestamp_seconds"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def night(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a complete run and its metrics; tests must not change it."""
    folder = tmp_path_factory.mktemp("night")
    succeeds(run_in_process(*command(small, folder)))
    return folder


@pytest.fixture
def copy(night: Path, tmp_path: Path) -> Path:
    return shutil.copytree(night, tmp_path / "night")


def command(model: Path, folder: Path, *options: str) -> list[str]:
    return batch(
        model, folder / "run", COUNT, "--shard-size", "2", "--metrics-file", str(folder / "gan-batch.prom"), *options
    )


def figures(folder: Path) -> dict[str, float]:
    """The figures in a folder's file, which must be whole and alone there."""
    families = list(text_string_to_metric_families((folder / "gan-batch.prom").read_text()))
    assert all(family.documentation and family.type == "gauge" for family in families)
    assert [name for name in os.listdir(folder) if "prom" in name] == ["gan-batch.prom"]
    return {sample.name: sample.value for family in families for sample in family.samples}


def labels(folder: Path) -> dict[str, str]:
    families = text_string_to_metric_families((folder / "gan-batch.prom").read_text())
    (found,) = (sample.labels for family in families for sample in family.samples if sample.name == "gan_batch_info")
    return found


def test_good_run_leaves_all_figures(small: Path, tmp_path: Path) -> None:
    before = time.time()
    succeeds(run_in_process(*command(small, tmp_path)))
    found = figures(tmp_path)
    assert found["gan_batch_last_exit_code"] == 0
    assert found["gan_batch_images_made"] == COUNT
    assert found["gan_batch_images_wanted"] == found["gan_batch_images_committed"] == COUNT
    assert found["gan_batch_seconds"] > 0
    assert before <= found["gan_batch_last_start_timestamp_seconds"] < found[SUCCESS] <= time.time()
    assert found[SUCCESS] == found["gan_batch_last_end_timestamp_seconds"]
    assert labels(tmp_path)["state"] == "complete"
    assert labels(tmp_path)["provider"] == "CPUExecutionProvider"
    assert labels(tmp_path)["out"] == str(tmp_path / "run")


def test_run_with_nothing_to_do_is_a_success_of_no_images(small: Path, copy: Path) -> None:
    before = figures(copy)
    succeeds(run_in_process(*command(small, copy)))
    found = figures(copy)
    assert (found["gan_batch_images_made"], found["gan_batch_last_exit_code"]) == (0, 0)
    assert found[SUCCESS] > before[SUCCESS]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--model", "/nowhere/model.onnx"], 66),
        (["--seed", "6"], 78),
        (["--count", "50", "--max-seconds", "0"], 3),
        (["--latest", "/tmp"], 73),
    ],
)
def test_failing_run_leaves_its_exit_code_and_keeps_the_last_success(
    options: list[str], code: int, small: Path, copy: Path
) -> None:
    before = figures(copy)
    assert run_in_process(*command(small, copy, *options)).returncode == code
    found = figures(copy)
    assert found["gan_batch_last_exit_code"] == code
    assert found[SUCCESS] == before[SUCCESS] > 0
    assert found["gan_batch_last_end_timestamp_seconds"] > before["gan_batch_last_end_timestamp_seconds"]
    assert "gan_batch_images_made" not in found


def test_images_that_are_missing_are_told(small: Path, tmp_path: Path) -> None:
    assert run_in_process(*command(small, tmp_path, "--max-seconds", "0")).returncode == 3
    found = figures(tmp_path)
    assert (found["gan_batch_images_committed"], found["gan_batch_images_wanted"]) == (2, COUNT)
    assert found[SUCCESS] == 0
    assert labels(tmp_path)["state"] == "cut off"


def test_rejected_run_is_told(tmp_path: Path) -> None:
    gray = write_model(tmp_path / "gray.onnx", gain=0.0)
    assert run_in_process(*command(gray, tmp_path)).returncode == 76
    assert figures(tmp_path)["gan_batch_last_exit_code"] == 76
    assert labels(tmp_path)["state"] == "rejected by the quality gate"


def test_start_that_meets_another_at_work_leaves_the_file_alone(small: Path, copy: Path) -> None:
    file = copy / "gan-batch.prom"
    before = (file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes())
    holder = LocalStore(copy / "run")
    holder.lock()
    try:
        fails_in_one_line(run_in_process(*command(small, copy)), 75)
    finally:
        holder.close()
    assert (file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes()) == before


def test_folder_that_is_no_run_leaves_a_file_without_figures_of_images(small: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "photo.png").write_text("mine")
    assert run_in_process(*command(small, tmp_path)).returncode == 73
    assert figures(tmp_path)["gan_batch_last_exit_code"] == 73
    assert "gan_batch_images_wanted" not in figures(tmp_path)


@pytest.mark.parametrize("old", [b"", b"no metrics {", b"\xff\xfe", b"gan_batch_last_success_timestamp_seconds soon\n"])
def test_damaged_file_is_replaced(old: bytes, small: Path, copy: Path) -> None:
    (copy / "gan-batch.prom").write_bytes(old)
    assert run_in_process(*command(small, copy, "--seed", "6")).returncode == 78
    assert figures(copy)[SUCCESS] == 0


def test_strange_folder_name_is_quoted(small: Path, night: Path, tmp_path: Path) -> None:
    out = shutil.copytree(night / "run", tmp_path / 'a "b" \\ c')
    file = str(tmp_path / "gan-batch.prom")
    succeeds(run_in_process(*batch(small, out, COUNT, "--shard-size", "2", "--metrics-file", file)))
    assert labels(tmp_path)["out"] == str(out)


@pytest.mark.parametrize("name", ["metrics.txt", "prom", ".prom", "a.prom.tmp"])
def test_name_that_nobody_reads_is_a_usage_error(name: str, small: Path, tmp_path: Path) -> None:
    result = run_in_process(*batch(small, tmp_path / "run", COUNT, "--metrics-file", str(tmp_path / name)))
    fails_in_one_line(result, 2, "--metrics-file", ".prom")
    assert os.listdir(tmp_path) == []


def test_folder_that_is_not_there_is_refused_before_the_run(small: Path, tmp_path: Path) -> None:
    result = run_in_process(*batch(small, tmp_path / "run", COUNT, "--metrics-file", str(tmp_path / "none" / "a.prom")))
    fails_in_one_line(result, 73, "--metrics-file")
    assert os.listdir(tmp_path) == []


def test_file_that_cannot_be_written_is_a_warning_and_the_run_is_good(small: Path, tmp_path: Path) -> None:
    (tmp_path / "gan-batch.prom").mkdir()
    result = run_in_process(*command(small, tmp_path))
    succeeds(result)
    of_model, of_file = (line for line in result.stderr.splitlines() if "WARNING" in line)
    assert "does not say what its images are like" in of_model
    assert "gan-batch.prom" in of_file
    assert (tmp_path / "run" / "manifest.csv").is_file()
    assert sorted(os.listdir(tmp_path)) == ["gan-batch.prom", "run"]


def test_file_is_readable_by_others(night: Path) -> None:
    assert (night / "gan-batch.prom").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
