"""The page of a training: what it tells of runs that ended, go on or broke off, and that no run fails by it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import gan
from gan.config import TrainConfig
from gan.photos.read import ImageSet
from gan.training import monitor
from gan.training.report_facts import TrainingReport, read_report
from gan.training.run import train
from gan.training.sheets import sides
from models.errors import CommandError, ExitCode
from models.files import lock_folder
from tests.browser import running
from tests.conftest import TINY, fails_in_one_line
from tests.gan.conftest import tiny
from tests.gan.training.made import OFTEN, Scripted

Train = Callable[..., subprocess.CompletedProcess[str]]
FEW = ("--device", "cpu", "--image-size", "32", *TINY)


def said(page: str) -> str:
    """The words of a page, without its pictures."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


def page_of(out: Path) -> str:
    return (out / "report.html").read_text()


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A finished run that a test may change."""
    return shutil.copytree(trained, tmp_path / "models")


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


# What a run leaves


def test_the_command_writes_the_page_that_a_run_left_to_the_last_byte(
    gan_train: Train, plates: ImageSet, tmp_path: Path
) -> None:
    out = tmp_path / "models"
    train(plates, out, tiny())
    page = (out / "report.html").read_bytes()
    for name in ("a.html", "b.html"):
        result = gan_train("report", out, "--to", tmp_path / name)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        assert (tmp_path / name).read_bytes() == page


def test_the_page_tells_of_a_finished_run(trained: Path) -> None:
    page = page_of(trained)
    text = said(page)
    options = json.loads((trained / "training_options.json").read_text())
    for word in (
        "Finished : step 6 of 6", "generator of step 6: the newest, as no photos were held out", "Photos",
        "Images of step 6, which is kept", "the plain recipe is known to collapse",
        "Those of the recipe dcgan, but for", "24 photos", options["data"]["sha256"], options["weights_sha256"],
        options["torch"], "cores", "steps/s",
    ):  # fmt: skip
        assert word in text, word
    assert page.count("<img ") == 2
    assert page.count("<polyline ") == 2, "both losses"
    assert "http" not in page.replace("data:image", "")


def test_options_that_differ_from_the_recipe_come_first(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny("small-data", epochs=1, lr=0.0003))
    first, others = said(page_of(tmp_path)).split("All others, as the recipe has them")
    assert "Those of the recipe small-data, but for these: here recipe" in first
    assert "lr 0.0003 0.0002" in first
    assert "loss relativistic" in others
    assert "loss relativistic" not in first


def test_the_best_is_told_with_its_score_and_both_curves(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=3), course=OFTEN, validation=Scripted(5, 3, 4))
    page = page_of(tmp_path)
    text = said(page)
    assert "generator of step 6: of those that count none came nearer to the photos held out, as far as these" in text
    assert "KID × 1000 is 3.0" in text
    assert "its score 3.0" in text
    assert "Images of step 6, which is kept" in text
    assert "Images of step 9, the newest" in text
    assert page.count("<img ") == 3
    assert page.count('class="dot"') == page.count('class="ring"') == 3, "KID and score at each comparison"
    assert page.count('class="mark"') == 2, "the step that is kept, in both charts"


def test_faults_and_a_collapse_are_no_verdict_of_good(copy: Path) -> None:
    figures = {"images": 500, "faults": ["grain: <shared>"]}
    change(copy / "training_options.json", figures=figures)
    change(copy / "status.json", collapsed_at=0.01)
    gan.report(copy)
    text = said(page_of(copy))
    for word in ("Make nothing with it", "Training had collapsed after 0.0 thousand", "Grain: &lt;shared&gt;"):
        assert word in text, word
    change(copy / "training_options.json", figures={**figures, "faults": []})
    change(copy / "status.json", collapsed_at=None)
    gan.report(copy)
    assert "500 of its images were measured: no faults were found" in said(page_of(copy))


def test_a_generator_from_before_the_run_began_anew_is_shown_with_no_images_of_later_ones(copy: Path) -> None:
    change(copy / "status.json", restarts=1)
    gan.report(copy)
    text = said(page_of(copy))
    assert "generator of step 6, from before the run began anew after a collapse" in text
    assert "Images of step 6, the newest" in text


# Runs that go on, or did not come to their end


def test_a_run_that_goes_on_and_one_that_was_killed_have_their_page(gan_train: Train, copy: Path) -> None:
    change(copy / "status.json", state="running", total_steps=12)
    fd = lock_folder(copy, "gan-train")
    try:
        assert gan_train("report", copy).returncode == 0
        assert "This run goes on: step 6 of 12" in said(page_of(copy))
    finally:
        os.close(fd)
    assert gan_train("report", copy).returncode == 0
    assert "killed at step 6 of 12" in said(page_of(copy))
    assert "it can be resumed from network-snapshot-000006.pt" in said(page_of(copy))


def test_a_page_of_a_run_at_work_disturbs_nothing(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are written from each step on, in the midst of a run: it ends as ever, and each page is whole."""
    seen: list[str] = []
    keep = monitor.plot_losses

    def draw(rows: list[dict[str, float]], path: Path) -> None:
        keep(rows, path)
        gan.report(path.parent)
        seen.append(said(page_of(path.parent)))

    train(plates, tmp_path / "alone", tiny(), course=OFTEN)
    monkeypatch.setattr(monitor, "plot_losses", draw)
    train(plates, tmp_path / "seen", tiny(), course=OFTEN)
    assert [f"This run goes on: step {step} of 6" in text for step, text in zip((3, 6), seen, strict=True)] == [
        True
    ] * 2
    assert "No generator is there yet" in seen[0]
    assert "Finished" in said(page_of(tmp_path / "seen"))
    alone, watched = ((tmp_path / name / "generator_model.pth").read_bytes() for name in ("alone", "seen"))
    assert alone == watched


def test_a_run_that_ends_between_reading_and_writing_is_told_of_as_it_ended(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(copy / "status.json", state="running")
    fd = [lock_folder(copy, "gan-train")]

    def reads_and_the_run_ends(out: Path) -> TrainingReport:
        found = read_report(out)
        if fd:
            change(copy / "status.json", state="finished")
            os.close(fd.pop())
        return found

    monkeypatch.setattr("gan.training.report.read_report", reads_and_the_run_ends)
    gan.report(copy)
    assert "Finished" in said(page_of(copy))


def test_a_run_that_ended_with_an_error_has_a_page_that_says_so_as_its_log_does(
    gan_train: Train, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = gan_train(photos, "--out", out, "--recipe", "dcgan", *FEW, "--lr", "1e30")
    fails_in_one_line(result, 70, "diverged")
    text = said(page_of(out))
    assert "This run stopped at step" in text
    assert "ended with exit code 70: training diverged" in text
    assert "--grad-clip" in text, "in the words of the command"


def test_no_run_is_66_and_a_place_that_cannot_be_written_73(gan_train: Train, trained: Path, tmp_path: Path) -> None:
    fails_in_one_line(gan_train("report", tmp_path / "typo"), 66, str(tmp_path / "typo"))
    fails_in_one_line(gan_train("report", trained, "--to", tmp_path / "a" / "b.html"), 73, "b.html")


def test_what_is_damaged_is_left_out(copy: Path) -> None:
    whole = page_of(copy)
    grid = copy / "samples" / "fakes000006.png"
    grid.write_bytes(grid.read_bytes()[:5000])
    (copy / "stats.jsonl").write_text('{"step": 2, "kim')
    (copy / "log.txt").write_bytes(b"\xff\nno line of ours\n")
    gan.report(copy)
    text = said(page_of(copy))
    assert "None can be shown" in text
    assert "Finished" in text
    (copy / "training_options.json").write_text("[")
    gan.report(copy)
    assert "No generator is there yet" in said(page_of(copy))
    assert "Finished" in said(whole)


# No run fails by its page


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), ZeroDivisionError("a bug")])
def test_a_page_that_cannot_be_written_is_one_warning_of_a_run_that_ends_well(
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr("gan.training.report.write_atomically", fails)
    out = tmp_path / "out"
    result = gan_train(photos, "--out", out, "--recipe", "dcgan", *FEW, "--epochs", "1")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("no page of the run") == 1
    assert "Traceback" not in result.stderr
    assert json.loads((out / "status.json").read_text())["state"] == "finished"
    assert not (out / "report.html").exists()


def test_a_run_that_fails_ends_with_its_own_error_where_the_page_fails_too(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan.training.report.training_page", lambda run: 1 / 0)
    with pytest.raises(CommandError) as ended:
        train(plates, tmp_path, tiny(lr=1e30))
    assert ended.value.exit_code is ExitCode.DIVERGED


def test_a_refused_run_leaves_the_page_that_is_there(plates: ImageSet, tmp_path: Path) -> None:
    train(plates, tmp_path, tiny(epochs=1))
    before = page_of(tmp_path), (tmp_path / "report.html").stat().st_mtime_ns
    for options in ({}, {"resume": True, "config": tiny(seed=2)}):
        with pytest.raises(CommandError):
            train(plates, tmp_path, **{"config": tiny(epochs=1), **options})
    assert (page_of(tmp_path), (tmp_path / "report.html").stat().st_mtime_ns) == before


def test_resuming_writes_it_anew_and_takes_the_old_one_away_meanwhile(
    plates: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(plates, tmp_path, tiny(epochs=1), course=OFTEN)
    there: list[bool] = []
    draw = monitor.plot_losses
    monkeypatch.setattr(
        monitor,
        "plot_losses",
        lambda rows, path: (there.append((path.parent / "report.html").exists()), draw(rows, path)),
    )
    train(plates, tmp_path, tiny(epochs=2), course=OFTEN, resume=True)
    assert there == [False]
    assert "step 6 of 6" in said(page_of(tmp_path))


# Its pictures


def grid_in(folder: Path, width: int, height: int, channels: int = 1) -> Path:
    """A sample grid of dark photos and bright images."""
    dark, bright = -torch.ones(40, channels, height, width), torch.ones(64, channels, height, width)
    monitor.save_picture(monitor.beside(dark, bright), folder / "fakes000001.png")
    return folder / "fakes000001.png"


@pytest.mark.parametrize(
    ("size", "by_class", "width", "rows"),
    [((32, 32), False, 138, 8), ((128, 128), False, 522, 8), ((256, 256), False, 530, 8), ((64, 256), False, 266, 4),
     ((64, 256), True, 266, 8), ((320, 128), False, 530, 8)],
)  # fmt: skip
def test_a_grid_is_cut_into_photos_and_images_of_a_size_for_a_page(
    tmp_path: Path, size: tuple[int, int], by_class: bool, width: int, rows: int
) -> None:
    photos, images = sides(grid_in(tmp_path, *size), size, by_class)
    for side in (photos, images):
        assert (side.width, side.rows) == (width, rows)
    (tmp_path / "photos.png").write_bytes(photos.png)
    (tmp_path / "images.png").write_bytes(images.png)
    first, second = (Image.open(tmp_path / name) for name in ("photos.png", "images.png"))
    assert first.mode == second.mode == "L"
    assert first.size == second.size
    middle = first.width // 8, first.width // 8 * size[1] // size[0]
    assert (first.getpixel(middle), second.getpixel(middle)) == (0, 255)


def test_what_is_no_grid_of_such_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no grid of images of 64×64"):
        sides(grid_in(tmp_path, 32, 32), (64, 64), False)


def test_masks_and_rows_of_classes_are_shown(copy: Path) -> None:
    options = json.loads((copy / "training_options.json").read_text())
    names = ["pit", "scr<tch"]
    change(
        copy / "training_options.json", options={**options["options"], "class_names": names},
        data={**options["data"], "photos_a_class": [10, 14]},
    )  # fmt: skip
    shutil.copy(copy / "samples" / "fakes000006.png", copy / "samples" / "fakes000006_masks.png")
    gan.report(copy)
    page = page_of(copy)
    for word in ("Rows from the top: 4 × pit, 4 × scr&lt;tch", "Masks of the photos", "Masks of step 6",
                 "pit 10, scr&lt;tch 14"):  # fmt: skip
        assert word in said(page), word
    assert page.count("<img ") == 4


def test_the_page_fits_a_telephone_and_asks_for_nothing(trained: Path, tmp_path: Path) -> None:
    page = gan.report(trained, to=tmp_path / "page.html")
    with running(tmp_path / "browser") as browser:
        browser.look(390, 844)
        browser.open(page.as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert browser.evaluate("[...document.images].every((each) => each.naturalWidth > 0 && each.alt)")
        assert browser.evaluate("[...document.querySelectorAll('svg')].every((each) => each.clientWidth <= 358)")
        assert [each for each in browser.requests if not each.startswith("data:")] == [page.as_uri()]
        assert browser.complaints == []


def test_options_of_each_recipe_are_taken_for_those_of_that_one(copy: Path) -> None:
    for recipe in ("dcgan", "small-data", "shift"):
        options = {**TrainConfig.of(recipe).for_photos(24).to_dict(), "precision": "float32"}
        change(copy / "training_options.json", options=options)
        gan.report(copy)
        assert f"Those of the recipe {recipe}." in said(page_of(copy))
