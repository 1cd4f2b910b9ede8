"""`gan-batch report` and `--report`: a page that tells of every kind of run what is so, and changes none."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import jobs
from jobs.checks.run_facts import RunReport, read_report
from jobs.dataset.sheet import run_sheet
from jobs.stores.store import Store
from tests.browser import running
from tests.conftest import clean_environment, fails_in_one_line, run, run_in_process
from tests.jobs.conftest import VOLATILE, batch, stamps, succeeds
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

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


# A run at work


def content(folder: Path) -> dict[str, bytes]:
    """What of a run must be equal where runs are."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in (*VOLATILE, "report.html"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_page_of_a_run_in_progress_is_whole_and_the_run_ends_as_ever(small: Path, tmp_path: Path) -> None:
    """Asked for again and again while a process makes images."""
    out, count = tmp_path / "run", 8_000
    command = [*map(str, batch(small, out, count, "--shard-size", "100"))]
    told: list[str] = []
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=clean_environment(), stdout=quiet, stderr=quiet) as process:
        while process.poll() is None:
            if (out / "run.json").exists():
                told.append(said(Path(jobs.report(out, small)).read_text()))
            time.sleep(0.1)
        assert process.returncode == 0
    assert [text for text in told if "This run is running, and" in text], "no page was made in time"
    for text in told:
        head = re.search(r"(?:Complete : |run )([\d,]+) (?:of 8,000 )?images of 32×32", text)
        check = re.search(r"\d+ of 80 are committed, ([\d,]+) images", text)
        assert head, text[:200]
        assert check
        assert head[1] == check[1], "of two moments"
        assert "missing or damaged" not in text
    page = out / "report.html"
    assert not page.exists() or "Complete : 8,000" in said(page.read_text())
    succeeds(run_in_process("gan-batch", "verify", out))


def test_run_that_ends_between_reading_and_writing_is_told_of_as_it_ended(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert run_in_process(*batch(small, out, 50, *FEW, "--max-seconds", "0")).returncode == 3
    ended: list[bool] = []

    def reads_and_the_run_ends(store: Store, model: Path | str | None) -> RunReport:
        found = read_report(store, model)
        if not ended:
            ended.append(True)
            succeeds(run_in_process(*batch(small, out, 50, *FEW)))
        return found

    monkeypatch.setattr("jobs.checks.report.read_report", reads_and_the_run_ends)
    assert "Complete : 50 images" in said(report_of(out))


@pytest.mark.parametrize("options", [[], ["--report"]])
def test_page_that_comes_in_while_a_run_ends_does_not_stay(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    out = tmp_path / "run"

    def draws_while_somebody_asks(*arguments: Any) -> bytes:
        jobs.report(out)
        assert "This run is running" in said((out / "report.html").read_text())
        return run_sheet(*arguments)

    monkeypatch.setattr("jobs.ending.run_sheet", draws_while_somebody_asks)
    succeeds(run_in_process(*batch(small, out, 50, *FEW, *options)))
    assert (out / "report.html").exists() is bool(options)
    if options:
        assert "Complete : 50 images" in said((out / "report.html").read_text())


def test_two_who_write_a_page_at_once_do_not_disturb_each_other(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writes from beginning to end between the first's writing and renaming."""
    out = shutil.copytree(whole, tmp_path / "run")
    replace, began = os.replace, []

    def replaces_after_another(source: Any, target: Any) -> None:
        began.append(source)
        if len(began) == 1:
            jobs.report(out)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replaces_after_another)
    jobs.report(out)
    assert "Complete : 50 images" in said((out / "report.html").read_text())
    assert [path.name for path in out.iterdir() if path.name.endswith(".tmp")] == []


def test_page_fits_a_telephone_and_asks_for_nothing(tmp_path: Path) -> None:
    model = write_model(tmp_path / "lines.onnx", gain=0.05, line=0.3, faults=[])
    succeeds(run_in_process(*batch(model, tmp_path / "run", 50)))
    where = jobs.report(tmp_path / "run", to=tmp_path / "page.html")
    with running(tmp_path / "browser") as browser:
        browser.look(390, 844)
        browser.open(Path(where).as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        bars = browser.evaluate(
            "[...document.querySelectorAll('svg.bars')].map((one) => one.getBoundingClientRect().toJSON())"
        )
        assert len(bars) > 3
        assert max(bar["right"] for bar in bars) <= 390 - 16, "cut off at the side"
        assert min(bar["width"] for bar in bars) >= 40
        assert browser.evaluate("[...document.images].every((each) => each.naturalWidth > 0 && each.alt)")
        assert [each for each in browser.requests if not each.startswith("data:")] == [Path(where).as_uri()]
        assert browser.complaints == []
