"""`--latest`: what others see is a verified run at every moment."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.checks.verify import verify
from tests.conftest import fails_in_one_line, run, run_in_process
from tests.jobs.conftest import batch, stamps, succeeds, temporaries
from tests.jobs.small_models import write_model

pytestmark = pytest.mark.usefixtures("workers_here")

COUNT = 5


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator whose runs take no time."""
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def night(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run; tests must not change it."""
    out = tmp_path_factory.mktemp("night") / "run"
    succeeds(run_in_process(*command(small, out)))
    return out


def command(model: Path, out: Path, *options: str | Path) -> list[str]:
    return batch(model, out, COUNT, "--shard-size", "2", *map(str, options))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def set_state(out: Path, state: str) -> None:
    content = json.loads((out / "run.json").read_text())
    stat = (out / "run.json").stat()
    (out / "run.json").write_text(json.dumps({**content, "state": state}))
    os.utime(out / "run.json", ns=(stat.st_atime_ns, stat.st_mtime_ns))


# The link


def test_link_is_made_and_leads_to_the_run(small: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(small, tmp_path / "run", "--latest", tmp_path / "latest"))
    succeeds(result)
    assert os.readlink(tmp_path / "latest") == "run"
    assert list(verify(tmp_path / "latest")) == []
    assert temporaries(tmp_path) == []


def test_link_in_another_folder_still_leads_there_when_both_are_moved(night: Path, small: Path, tmp_path: Path) -> None:
    (tmp_path / "all" / "links").mkdir(parents=True)
    out = shutil.copytree(night, tmp_path / "all" / "runs" / "night")
    succeeds(run_in_process(*command(small, out, "--latest", tmp_path / "all" / "links" / "latest")))
    assert os.readlink(tmp_path / "all" / "links" / "latest") == "../runs/night"
    (tmp_path / "all").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "links" / "latest" / "run.json").is_file()


def test_relative_link_and_folder_are_those_of_the_working_folder(small: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(small, Path("a/run"), "--latest", "latest"), cwd=tmp_path)
    succeeds(result)
    assert os.readlink(tmp_path / "latest") == "a/run"


def test_folder_of_the_link_is_made(night: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(night, tmp_path / "run")
    succeeds(run_in_process(*command(small, out, "--latest", tmp_path / "a" / "b" / "latest")))
    assert os.readlink(tmp_path / "a" / "b" / "latest") == "../../run"


@contextmanager
def watched(link: Path) -> Iterator[set[str]]:
    """Look at `link` all the time; gives what was seen: where it led to, and what was wrong."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                seen.add(os.readlink(link))
                state = json.loads((link / "run.json").read_bytes())["state"]
                if state != "complete":
                    seen.add(f"state {state}")
            except (OSError, ValueError) as error:
                seen.add(repr(error))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_link_is_there_at_every_moment_and_leads_to_a_complete_run(night: Path, small: Path, tmp_path: Path) -> None:
    shutil.copytree(night, tmp_path / "night-0")
    (tmp_path / "latest").symlink_to("night-0")
    with watched(tmp_path / "latest") as seen:
        for number in range(1, 4):
            succeeds(run(*command(small, tmp_path / f"night-{number}", "--latest", tmp_path / "latest")))
    assert seen == {f"night-{number}" for number in range(4)}


def test_link_that_leads_nowhere_is_replaced(night: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(night, tmp_path / "run")
    (tmp_path / "latest").symlink_to("removed")
    succeeds(run_in_process(*command(small, out, "--latest", tmp_path / "latest")))
    assert os.readlink(tmp_path / "latest") == "run"
    assert names(tmp_path) == ["latest", "run"]


def test_link_that_leads_to_itself_is_replaced(night: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(night, tmp_path / "run")
    (tmp_path / "latest").symlink_to("latest")
    succeeds(run_in_process(*command(small, out, "--latest", tmp_path / "latest")))
    assert os.readlink(tmp_path / "latest") == "run"


@pytest.mark.parametrize("what", ["file", "folder", "run", "file/latest", "/"])
def test_name_that_cannot_be_a_link_is_refused_before_the_first_image(what: str, small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    result = run_in_process(*command(small, tmp_path / "run", "--latest", tmp_path / what))
    fails_in_one_line(result, 73, what)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


def test_own_folder_by_another_name_is_refused_before_the_first_image(small: Path, tmp_path: Path) -> None:
    result = run_in_process(*command(small, Path("run"), "--latest", "../here/run"), cwd=made(tmp_path / "here"))
    fails_in_one_line(result, 73, "run")
    assert names(tmp_path / "here") == []


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_broken_run_is_not_published_until_it_is_repaired(night: Path, small: Path, tmp_path: Path) -> None:
    shutil.copytree(night, tmp_path / "old")
    (tmp_path / "latest").symlink_to("old")
    out = shutil.copytree(night, tmp_path / "run")
    (out / "images" / "00001" / "00000003.png").write_bytes(b"")
    publishing = command(small, out, "--latest", tmp_path / "latest")
    fails_in_one_line(run_in_process(*publishing), 76, "images/00001/00000003.png", "--repair")
    assert os.readlink(tmp_path / "latest") == "old"
    assert names(tmp_path) == ["latest", "old", "run"]
    succeeds(run_in_process("gan-batch", "verify", out, "--repair", "--model", small))
    succeeds(run_in_process(*publishing))
    assert os.readlink(tmp_path / "latest") == "run"


def test_run_that_breaks_before_its_end_is_not_published(night: Path, small: Path, tmp_path: Path) -> None:
    shutil.copytree(night, tmp_path / "old")
    (tmp_path / "latest").symlink_to("old")
    publishing = command(small, tmp_path / "run", "--latest", tmp_path / "latest")
    assert run(*publishing, "--max-seconds", "0").returncode == 3
    image = tmp_path / "run" / "images" / "00000" / "00000001.png"
    image.write_bytes(image.read_bytes() + b"more")  # it still can be read, and is not what its row says
    fails_in_one_line(run_in_process(*publishing), 76, "images/00000/00000001.png")
    assert os.readlink(tmp_path / "latest") == "old"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] != "complete"


def test_rejected_run_is_not_published(night: Path, tmp_path: Path) -> None:
    shutil.copytree(night, tmp_path / "old")
    (tmp_path / "latest").symlink_to("old")
    gray = write_model(tmp_path / "gray.onnx", gain=0.0)
    publishing = command(gray, tmp_path / "run", "--latest", tmp_path / "latest")
    fails_in_one_line(run_in_process(*publishing), 76, "constant")
    assert os.readlink(tmp_path / "latest") == "old"
    assert (tmp_path / "old").is_dir()
    succeeds(run_in_process(*publishing, "--quality-gate", "warn"))
    assert os.readlink(tmp_path / "latest") == "run"


def test_complete_run_is_published_later(night: Path, small: Path, tmp_path: Path) -> None:
    out = shutil.copytree(night, tmp_path / "run")
    before = stamps(out)
    for _ in range(2):
        succeeds(run_in_process(*command(small, out, "--latest", tmp_path / "latest")))
        assert os.readlink(tmp_path / "latest") == "run"
    assert stamps(out) == before
