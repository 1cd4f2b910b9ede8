"""On which device a session runs, and what it says of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from jobs.workers.session import GeneratorSession
from models import providers
from models.errors import ExitCode
from tests.conftest import fails_in_one_line, run
from tests.jobs.conftest import stamps
from tests.jobs.workers.conftest import refused


@pytest.mark.usefixtures("without_cuda")
def test_auto_without_gpu_is_the_cpu_and_says_why(model: Path) -> None:
    session = GeneratorSession(model, "auto")
    assert session.provider == "CPUExecutionProvider"
    assert not session.on_gpu
    assert re.match("auto: .*(NVIDIA|GPU|CUDA)", session.reason)


def test_auto_without_a_driver_does_not_try_cuda(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "DRIVER_FILES", (str(tmp_path / "none"),))
    session = GeneratorSession(model, "auto")
    assert (session.provider, session.reason) == ("CPUExecutionProvider", "auto: no NVIDIA driver is there")


@pytest.mark.usefixtures("without_cuda")
def test_auto_with_a_driver_but_no_gpu_is_the_cpu_and_says_why(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(providers, "DRIVER_FILES", (str(tmp_path / "nvidiactl"),))
    session = GeneratorSession(model, "auto")
    assert session.provider == "CPUExecutionProvider"
    assert re.match("auto: .*(GPU|CUDA)", session.reason)
    assert "no NVIDIA driver" not in session.reason
    assert capfd.readouterr() == ("", "")  # ONNX Runtime would print about libraries that it does not find


def test_cpu_that_was_asked_for_says_so(model: Path) -> None:
    assert GeneratorSession(model, "cpu").reason == "as asked"


@pytest.mark.usefixtures("without_cuda")
def test_cuda_without_gpu_is_refused(model: Path) -> None:
    assert "`device=cpu`" in refused(model, ExitCode.NO_DEVICE, "cuda")


@pytest.mark.usefixtures("without_cuda")
def test_run_that_asks_for_cuda_without_gpu_writes_nothing(model: Path, tmp_path: Path) -> None:
    command = ["gan-batch", "--model", model, "--count", "5", "--device", "cuda"]
    fails_in_one_line(run(*command, "--out", tmp_path / "there" / "run"), 69, "--device cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_cuda")
def test_run_in_a_folder_that_asks_for_cuda_without_gpu_touches_nothing(
    model: Path, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    before = stamps(out)
    command = ["gan-batch", "--model", model, "--count", "500", "--device", "cuda"]
    fails_in_one_line(run(*command, "--out", out), 69, "--device cpu")
    assert stamps(out) == before


@pytest.mark.usefixtures("without_cuda")
def test_run_says_on_which_device_it_runs_and_why(model: Path, tmp_path: Path) -> None:
    command = ["gan-batch", "--model", model, "--count", "2", "--out", tmp_path / "run"]
    assert re.search(r"INFO device: CPU \(auto: .*(NVIDIA|GPU|CUDA).*\)\n", run(*command).stderr)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (log[0]["provider"], log[0]["reason"][:5]) == ("CPUExecutionProvider", "auto:")
