"""The lean install: a machine that only runs gan-batch has no PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment


@pytest.mark.long
def test_lean_install_runs_the_job_without_torch_and_without_a_word_on_stdout(tmp_path: Path) -> None:
    def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
        )

    checkout, python = tmp_path / "checkout", tmp_path / "venv" / "bin" / "python"
    assert call("git", "clone", "--quiet", ROOT, checkout).returncode == 0
    assert call(sys.executable, "-m", "venv", "venv").returncode == 0
    for arguments in (("-r", checkout / "requirements-batch.txt"), ("--no-deps", checkout)):
        installed = call(python, "-m", "pip", "install", "--quiet", *arguments)
        assert installed.returncode == 0, installed.stderr
    assert call(python, "-c", "import torch").returncode == 1
    command = python.with_name("gan-batch")
    made = call(
        command,
        "--model",
        "bundled",
        "--count",
        "20",
        "--out",
        "run",
        "--latest",
        "latest",
        "--metrics-file",
        "run.prom",
    )
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    assert len(list((tmp_path / "latest" / "images" / "00000").glob("*.png"))) == 20
    assert "gan_batch_last_exit_code 0.0" in (tmp_path / "run.prom").read_text()
    (tmp_path / "run" / "images" / "00000" / "00000007.png").unlink()
    assert call(command, "verify", "run").returncode == 76
    assert call(command, "verify", "run", "--repair").returncode == 0
    assert "committed: 20\n" in call(command, "status", "run").stdout
