"""docs/cron.md and systemd's units: they run as cron and systemd run them, and the tables are whole."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import models
from jobs.dataset.state import COMPLETE, RunState
from jobs.stores.local_store import LocalStore
from models.errors import ExitCode
from tests.conftest import ROOT, SCRIPTS
from tests.system.conftest import lint

PAGE = (ROOT / "docs" / "cron.md").read_text()
UNITS = ROOT / "deploy/systemd/gan-batch"
COUNT = 60


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def smaller(command: str) -> str:
    """A command of the page as it can run here, with few images."""
    command = command.replace("--count 100000", f"--count {COUNT}").replace("--append 1000", f"--append {COUNT}")
    command = command.replace("cd /srv/defects", "cd .").replace("/var/lib/node_exporter/", "")
    return re.sub(r"(/srv/defects/)?\.venv/bin/gan-batch", f"{SCRIPTS}/gan-batch", command)


def exported(folder: Path) -> None:
    """Put a model where `gan-export` leaves it."""
    (folder / "models").mkdir(exist_ok=True)
    shutil.copy(models.path(), folder / "models" / "generator.onnx")


def cron(line: str, folder: Path, timezone: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line's command as cron does: by sh, with next to no environment, without a terminal."""
    schedule, command = re.split(r"\s{2,}", line.strip(), maxsplit=1)
    exported(folder)
    assert len(schedule.split()) == 5
    assert "%" not in command  # cron would end the command there
    environment = {
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "LOGNAME": "defects",
        "TZ": timezone,
    }
    return subprocess.run(
        ["/bin/sh", "-c", smaller(command)], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        start_new_session=True, timeout=120,
    )  # fmt: skip


def test_nightly_line_runs_twice_on_one_date_and_once_on_the_next(tmp_path: Path) -> None:
    line = blocks("cron")[0]
    for timezone in ("UTC0", "UTC0", "LATER-24"):  # POSIX: 24 hours ahead, so the next date
        result = cron(line, tmp_path, timezone)
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b""), (
            tmp_path / "gan-batch.log"
        ).read_text()
    first, second = sorted(path for path in (tmp_path / "synthetic").iterdir() if not path.is_symlink())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", first.name)
    states = [RunState.of(LocalStore(run)) for run in (first, second)]
    assert [(state.state, state.count) for state in states] == [(COMPLETE, COUNT)] * 2
    assert [state.fingerprint["seed"] for state in states] == [
        int(run.name.replace("-", "")) for run in (first, second)
    ]
    assert (first / "images/00000/00000000.png").read_bytes() != (second / "images/00000/00000000.png").read_bytes()
    assert (tmp_path / "synthetic/latest").resolve() == second.resolve()
    log = (tmp_path / "gan-batch.log").read_text()
    assert log.count(f"{COUNT} of them made now") == 2
    assert log.count(f"is complete: {COUNT} images\n") == 1
    metrics = (tmp_path / "gan-batch.prom").read_text()
    assert "gan_batch_last_exit_code 0.0" in metrics
    assert [name for name in re.findall(r"gan_batch_[a-z_]+", PAGE) if f"\n{name}" not in metrics] == []


def test_hourly_line_adds_to_one_folder(tmp_path: Path) -> None:
    (tmp_path / "synthetic").mkdir()
    for _ in range(2):
        assert cron(blocks("cron")[1], tmp_path, "UTC0").returncode == 0
    assert RunState.of(LocalStore(tmp_path / "growing")).count == 2 * COUNT


@pytest.fixture
def units(tmp_path: Path) -> tuple[Path, Path]:
    """The service and the timer as files, with a folder and a user that are here."""
    service, timer = (UNITS.with_suffix(kind).read_text() for kind in (".service", ".timer"))
    service = smaller(service).replace("/srv/defects", str(tmp_path)).replace("User=defects\n", "")
    paths = tmp_path / "gan-batch.service", tmp_path / "gan-batch.timer"
    for path, text in zip(paths, (service, timer), strict=True):
        path.write_text(text)
    return paths


def test_service_runs(units: tuple[Path, Path], tmp_path: Path) -> None:
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(units[0])
    service = parser["Service"]
    environment = dict(part.split("=", 1) for part in service["Environment"].split())
    (tmp_path / "synthetic").mkdir()
    exported(tmp_path)
    result = subprocess.run(
        shlex.split(service["ExecStart"]), cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert all(line.startswith("{") for line in result.stderr.splitlines())
    assert (tmp_path / "synthetic/latest/manifest.csv").exists()
    known = {str(int(code)) for code in ExitCode}
    assert set(service["RestartPreventExitStatus"].split()) <= known
    assert set(service["SuccessExitStatus"].split()) <= known


def test_service_may_write_where_its_command_writes_and_needs_that_place(units: tuple[Path, Path]) -> None:
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_string(UNITS.with_suffix(".service").read_text())
    service = parser["Service"]
    folder = service["WorkingDirectory"]
    written = [f"{folder}/synthetic", str(Path(service["ExecStart"].split("--metrics-file ")[1]).parent)]
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"].split() == written
    assert parser["Unit"]["RequiresMountsFor"] == f"{folder}/synthetic"
    timer = configparser.ConfigParser()
    timer.read(units[1])
    assert timer["Timer"]["Persistent"] == "true"


def test_systemd_understands_the_units(units: tuple[Path, Path]) -> None:
    result = lint("systemd-analyze", "verify", *units)
    assert (result.returncode, [line for line in result.stderr.splitlines() if "gan-batch" in line]) == (0, [])


def test_systemd_finds_the_service_shut_in() -> None:
    result = lint("systemd-analyze", "security", "--offline=true", "--threshold=15", UNITS.with_suffix(".service"))
    if "unrecognized option" in result.stderr:
        pytest.skip("systemd is older than 250")
    assert result.returncode == 0, result.stdout  # an exposure of at most 1.5, of 10


def test_exit_code_table_names_every_exit_code() -> None:
    named = re.findall(r"^\| (\d+) \| ", (ROOT / "docs/exit-codes.md").read_text(), re.MULTILINE)
    assert [int(code) for code in named] == [0, *sorted(ExitCode)]
