"""`gan-batch report` and `--report`: a page that tells of every kind of run what is so, and changes none."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import jobs
from tests.browser import running
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import VOLATILE, batch, stamps, succeeds
from tests.jobs.small_models import write_model

FEW = ("--shard-size", "20")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("small") / "small.onnx", faults=[])


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run without a report; tests must not change it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    succeeds(run_in_process(*batch(small, out, 50, *FEW)))
    return out


def report_of(out: Path, *options: str | Path) -> str:
    """The page of a run, made now."""
    result = run_in_process("gan-batch", "report", out, *options)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    return (out / "report.html").read_text()


def said(page: str) -> str:
    """The words of a page, without its pictures."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


def test_page_tells_of_a_complete_run_and_leaves_it_complete(whole: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    before = stamps(out)
    page = report_of(out, "--model", small)
    assert {name: stamp for name, stamp in stamps(out).items() if name != "report.html"} == before
    text = said(page)
    known = json.loads((out / "run.json").read_text())["fingerprint"]
    words = ["Complete : 50 images of 32×32", "32 of 50 images", "3 of 3 are committed", "near duplicates ✓"]
    words += [known["model_sha256"], known["onnxruntime"], "gives its golden images", "images/s", "cores"]
    assert [word for word in words if word not in text] == []
    assert page.count("<img ") == 1
    assert "http" not in page.replace("data:image", "")
    succeeds(run_in_process("gan-batch", "verify", out))
    succeeds(run_in_process("gan-batch", "convert", out, "--to", "imagefolder", "--out", tmp_path / "set"))
    succeeds(run_in_process(*batch(small, out, 50, *FEW)))
    assert run_in_process("gan-batch", "status", out).stdout.startswith("state: complete")


def test_kept_runs_with_reports_are_removed_like_others(small: Path, tmp_path: Path) -> None:
    for day in ("2026-11-21", "2026-11-22"):
        options = ("--report", "--keep", "1", "--line", "nightly")
        succeeds(run_in_process(*batch(small, tmp_path / day, 20, *options)))
        assert (tmp_path / day / "report.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-22"]


def test_report_of_a_run_with_that_option_is_of_its_end_and_all_else_is_equal(small: Path, tmp_path: Path) -> None:
    plain, told = tmp_path / "plain", tmp_path / "told"
    succeeds(run_in_process(*batch(small, plain, 30, *FEW)))
    succeeds(run_in_process(*batch(small, told, 20, *FEW, "--report")))
    assert "20 images" in (told / "report.html").read_text()
    succeeds(run_in_process(*batch(small, told, 30, *FEW)))
    assert not (told / "report.html").exists(), "it told of the run as it was"
    succeeds(run_in_process(*batch(small, told, 30, *FEW, "--report")))
    assert "30 images" in (told / "report.html").read_text()

    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name not in (*VOLATILE, "report.html"))
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    assert content(plain) == content(told)


def test_run_that_was_cut_off_says_so_and_shows_what_is_there(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(*batch(small, out, 50, *FEW, "--max-seconds", "0")).returncode == 3
    text = said(report_of(out))
    for word in ("This run is cut off, and 30 images are missing", "20 of 20 images", "the time is over", "✗ 1 of 3",
                 "has not judged this run yet", "its hash alone is known"):  # fmt: skip
        assert word in text, word
    (out / "_manifests" / "00000.csv").unlink()
    assert "None can be shown" in said(report_of(out))


def test_rejected_run_has_its_report_and_ends_with_76(tmp_path: Path) -> None:
    model = write_model(tmp_path / "bad.onnx", gain=0.0, faults=[])
    result = run_in_process(*batch(model, tmp_path / "run", 20, "--report"))
    assert result.returncode == 76
    text = said((tmp_path / "run" / "report.html").read_text())
    assert "The quality gate rejected this run" in text
    assert "exact duplicates ✗ 19 of 20 1%" in text


def test_classes_masks_and_a_wish_in_tars(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", classes=["inclusion", "scr<tch"], masks=1.0, gain=0.3, faults=[])
    out = tmp_path / "run"
    options = ("--format", "tar", "--mix", "inclusion=3,scr<tch=1", "--want", "area<60")
    succeeds(run_in_process(*batch(model, out, 40, *FEW, *options)))
    page = report_of(out, "--model", model)
    text = said(page)
    assert page.count("<img ") == 2
    for word in ("inclusion 75.0% 30 30", "scr&lt;tch 25.0% 10 10", "area&lt;60", "40 of 40 are: area&lt;60",
                 "with its mask outlined", "by their masks"):  # fmt: skip
        assert word in text, word
    assert "scr<tch" not in page


def test_parquet_and_a_file_of_ones_own(small: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra `parquet`)")
    out = tmp_path / "run"
    succeeds(run_in_process(*batch(small, out, 20, "--manifest", "parquet")))
    before = stamps(out)
    succeeds(run_in_process("gan-batch", "report", out, "--to", tmp_path / "page.html"))
    assert "manifest ✓" in said((tmp_path / "page.html").read_text())
    assert stamps(out) == before


def test_damage_is_told_and_not_fatal(whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "images" / "00000" / "00000000.png").write_bytes(b"no image")
    (out / "manifest.csv").write_text("index\n")
    (out / "quality.json").write_text("[")
    (out / "log.jsonl").write_text("{\n[]\n")
    (out / "stats.json").unlink()
    text = said(report_of(out))
    for word in ("00000000.png is missing or damaged", "manifest ✗", "There is no log"):
        assert word in text, word


def test_what_is_no_run_or_made_by_another_model(whole: Path, small: Path, tmp_path: Path) -> None:
    fails_in_one_line(run_in_process("gan-batch", "report", tmp_path / "none"), 66, "no run of gan-batch")
    (tmp_path / "run.json").write_text("{")
    fails_in_one_line(run_in_process("gan-batch", "report", tmp_path), 65, "run.json")
    other = write_model(tmp_path / "other.onnx", seed=1)
    fails_in_one_line(run_in_process("gan-batch", "report", whole, "--model", other), 78, "--model")
    fails_in_one_line(run_in_process("gan-batch", "report", whole, "--model", tmp_path / "no.onnx"), 66, "no.onnx")
    fails_in_one_line(run_in_process("gan-batch", "report", whole, "--to", tmp_path / "a" / "b.html"), 73, "b.html")
    result = run_in_process(*batch(small, tmp_path / "part", 40, *FEW, "--part", "1/2", "--report"))
    fails_in_one_line(result, 2, "--report", "--part")
    assert not (whole / "report.html").exists()


def test_without_scikit_image_and_pytorch_all_else_is_told(whole: Path, small: Path, tmp_path: Path) -> None:
    program = "import sys\nfor name in ('torch', 'skimage', 'onnx', 'gan'):\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(program)
    page = tmp_path / "page.html"
    result = run("gan-batch", "report", whole, "--to", page, "--model", small, PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "Not measured: that needs scikit-image" in said(page.read_text())


def test_page_fits_a_telephone_and_asks_for_nothing(whole: Path, tmp_path: Path) -> None:
    where = jobs.report(whole, to=tmp_path / "page.html")
    with running(tmp_path / "browser") as browser:
        browser.look(390, 844)
        browser.open(Path(where).as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert browser.evaluate("[...document.images].every((each) => each.naturalWidth > 0 && each.alt)")
        assert [each for each in browser.requests if not each.startswith("data:")] == [Path(where).as_uri()]
        assert browser.complaints == []
