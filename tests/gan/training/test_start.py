"""What is said and refused before PyTorch is loaded, and that a signal ends it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gan.training import folder
from jobs.dataset.state import RunState
from jobs.stores.local_store import LocalStore
from tests.conftest import ONE_THREAD, ROOT, clean_environment, fails_in_one_line, run_in_process

Train = Callable[..., subprocess.CompletedProcess[str]]
REFUSED = [
    (["{nowhere}"], 66),
    (["{photos}", "--out", "{file}/models"], 73),
    (["{photos}", "--out", "{photos}/models"], 2),
    (["{photos}", "--validation", "{nowhere}"], 66),
    (["{photos}", "--lr", "0"], 2),
    (["{photos}", "--out", "{trained}"], 73),
    (["{photos}", "--out", "{nowhere}", "--resume"], 66),
    (["{photos}", "--patience-kimg", "5"], 2),
    (["{nowhere}", "--dry-run"], 66),
    (["status", "{trained}"], 0),
    (["status", "{nowhere}"], 66),
    (["report", "{trained}", "--to", "{file}.html"], 0),
    (["report", "{nowhere}"], 66),
]


def test_what_needs_no_pytorch_does_not_wait_for_it(photos: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = {"nowhere": tmp_path / "nowhere", "photos": photos, "trained": trained, "file": tmp_path / "file"}
    commands = [[word.format(**places) for word in words] for words, _ in REFUSED]
    program = f"""
import sys
sys.modules.update(torch=None, torchvision=None, numpy=None)  # importing one raises ImportError
from gan.cli import cli
from models import console
for words in {commands!r}:
    try:
        console.run(cli, "gan-train", words)
    except SystemExit as end:
        print("ended with", end.code or 0)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    codes = [int(line.split()[-1]) for line in result.stdout.splitlines() if line.startswith("ended with")]
    assert codes == [code for _, code in REFUSED], result.stderr


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_run_of_gan_batch_is_no_place_to_train_in(more: list[str], photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    RunState("complete", 1, {"shard_size": 1}).write(LocalStore(out))
    for command in (["gan-train", photos], ["gan-train", "masks", "model.pth", photos, "--masks", photos]):
        fails_in_one_line(run_in_process(*command, "--out", out, *more), 73, f"{out} holds a run of gan-batch")
    assert [path.name for path in out.iterdir()] == ["run.json"]


@pytest.mark.parametrize("content", ["mine", '{"mine": 1}', "[]"])
def test_another_run_json_is_in_nobodys_way(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    folder.refuse(tmp_path, resume=False, overwrite=False)


@pytest.mark.parametrize(
    ("moment", "number"), [("loading PyTorch", signal.SIGTERM), ("loading PyTorch", 40), ("measuring", signal.SIGTERM)]
)
def test_planning_says_something_at_once_and_a_signal_ends_it_quietly(photos: Path, moment: str, number: int) -> None:
    command = ["gan-train", str(photos), "--dry-run", "--device", "cpu", "--feature-matching", "0", "--epochs", "99"]
    with subprocess.Popen(
        command, env=clean_environment(**ONE_THREAD), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        while moment not in said[-1] and said[-1]:
            said.append(process.stderr.readline())
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)  # a shell says 128 and the number in either case
    assert "loading PyTorch" in said[0]
    assert (out, errors) == ("", "")


def test_help_shows_the_recipes_defaults(gan_train: Train) -> None:
    words = " ".join(gan_train("--help").stdout.split())
    assert "Show so many images a step. [default: 16, 64 with --recipe dcgan]" in words
    assert "Show the discriminator how alike a batch is. [default: on, off with --recipe dcgan]" in words
