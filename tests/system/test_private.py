"""What a command keeps to itself: nothing below the home folder, no telemetry, no lines of other programs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment, run

SWITCH = "ORT_DISABLE_TELEMETRY"


def fresh(folder: Path, **extra: str) -> dict[str, str]:
    """The environment of somebody who has set nothing, at home in `folder`."""
    kept = {"PATH": clean_environment()["PATH"], "OMP_NUM_THREADS": "1"}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), **extra}


@pytest.mark.parametrize("command", ["gan-batch", "gan-export"])
def test_command_that_loads_onnx_runtime_leaves_nothing_at_home_and_prints_its_own_lines_alone(
    command: str, exported: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    arguments = {
        "gan-batch": ["--count", "2", "--model", exported, "--out", tmp_path / "run", "--quality-gate", "off"],
        "gan-export": ["info", exported],
    }[command]
    environment = [f"{name}={value}" for name, value in fresh(home).items()]
    result = run("env", "-i", *environment, command, *arguments)
    assert result.returncode == 0, result.stderr
    assert [
        line for line in result.stderr.splitlines() if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO ", line)
    ] == []
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("module", "asked", "then"),
    [
        ("gan.cli", None, "1"),
        ("gan.eval_cli", None, "1"),
        ("export.cli", None, "1"),
        ("jobs.workers.ray_worker", None, "1"),
        ("jobs.cli", "0", "0"),
    ],
)
def test_telemetry_of_onnx_runtime_is_off_unless_it_is_asked_for(
    module: str, asked: str | None, then: str, tmp_path: Path
) -> None:
    program = f"import os, {module}; print(os.environ.get({SWITCH!r}))"
    environment = fresh(tmp_path, **({} if asked is None else {SWITCH: asked}))
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.stdout == f"{then}\n", result.stderr
