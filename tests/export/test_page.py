"""`gan-export page` as a user has it: the folder that it writes, and its server."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import fails_in_one_line
from tests.export.conftest import run_in_process
from tests.export.pages import PACKAGE, runtime, served


def test_page_is_the_same_each_time_and_replaces_only_a_page(
    page_model: Path, page_folder: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(page_folder, tmp_path / "page")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    fails_in_one_line(run_in_process("page", page_model, "--out", out, "--runtime", PACKAGE), 73, "--overwrite")
    (out / "style.css").write_text("damaged")
    assert run_in_process("page", page_model, "--out", out, "--runtime", PACKAGE, "--overwrite").returncode == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_text("mine")
    result = run_in_process("page", page_model, "--out", tmp_path / "mine", "--runtime", PACKAGE, "--overwrite")
    fails_in_one_line(result, 73, "no page of gan-export")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["photo.png"]


def test_runtime_is_found_above_and_asked_for_where_there_is_none(page_model: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "onnxruntime-web").symlink_to(runtime())
    (tmp_path / "deep" / "down").mkdir(parents=True)
    result = run_in_process("page", page_model, "--out", tmp_path / "page", cwd=tmp_path / "deep" / "down")
    assert result.returncode == 0, result.stderr
    (tmp_path / "node_modules").rename(tmp_path / "elsewhere")
    out = tmp_path / "none"
    result = run_in_process("page", page_model, "--out", out, cwd=tmp_path / "deep")
    fails_in_one_line(result, 66, "--runtime", "npm install onnxruntime-web", "npm pack")
    result = run_in_process("page", page_model, "--out", out, "--runtime", tmp_path / "deep")
    fails_in_one_line(result, 66, "ort.wasm.min.js")
    assert not out.exists()


def test_what_no_browser_runs_is_refused(tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("page", tmp_path / "none.onnx"), 66, "none.onnx")
    (tmp_path / "text.onnx").write_text("text")
    fails_in_one_line(run_in_process("page", tmp_path / "text.onnx"), 65, "not an ONNX file")
    (tmp_path / "other.pt2").write_text("program")
    fails_in_one_line(run_in_process("page", tmp_path / "other.pt2"), 65, "no browser runs it")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_server_ends_by_itself_on_a_signal(page_model: Path, page_folder: Path, number: int, code: int) -> None:
    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in page_folder.iterdir()}

    before = written()
    with served(page_model, page_folder) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(30) == code
    assert written() == before, "a page that is there is served"
