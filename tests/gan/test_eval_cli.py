"""`gan-eval quality` as a user runs it: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import fails_in_one_line, run, run_in_process, write_photos


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `real`, `fake` and `train` of photos; tests must not change them."""
    root = tmp_path_factory.mktemp("folders")
    for seed, (name, count) in enumerate((("real", 20), ("fake", 15), ("train", 12))):
        write_photos(root / name, count, seed)
    return root


@pytest.fixture
def quality(pools: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`gan-eval quality` in this process, with a small feature network, in an empty folder."""
    environment = {"GAN_EVAL_QUALITY_FEATURES": str(pools)}
    return partial(run_in_process, "gan-eval", "quality", cwd=tmp_path, **environment)


def test_table_goes_to_stdout_and_the_page_to_the_default_folder(
    quality: Callable[..., subprocess.CompletedProcess[str]], folders: Path, tmp_path: Path
) -> None:
    result = quality(folders / "real", folders / "fake", "--train", folders / "train", "--image-size", "64")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1].startswith(
        "15 fakes, 20 real photos, 12 training images; 64 pixels, gray, features of pools"
    )
    assert re.search(r"\nKID × 1000 +-?\d+\.\d \(.* to .*\) +-?\d+\.\d \(", result.stdout)
    assert re.search(r"\ncopying +none found", result.stdout)
    assert "pictures: evaluation/quality/report.html" in result.stderr
    assert [path.name for path in (tmp_path / "evaluation" / "quality").iterdir()] == ["report.html"]


def test_json_is_one_object_and_all_there_is_on_stdout(
    quality: Callable[..., subprocess.CompletedProcess[str]], folders: Path, tmp_path: Path
) -> None:
    options = ["--json", "--seed", "3", "--count", "10", "--channels", "3", "--image-size", "64", "--out", "here"]
    result = quality(folders / "real", folders / "fake", *options)
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert (values["n_fake"], values["seed"], values["channels"], values["image_size"]) == (10, 3, 3, 64)
    assert values["copying"] is None
    assert values["floor_of"] == "two random halves of the real photos"
    assert np.isfinite(values["kid_x1000"])
    assert values["fit_reason"].endswith("(--model or --fit can)")
    page = (tmp_path / "here" / "report.html").read_text()
    assert "with --fit crop: the usual one" in page
    assert "trained on (--train)." in page
    assert "<code>fit" not in page


def test_page_has_the_same_bytes_when_made_again(
    quality: Callable[..., subprocess.CompletedProcess[str]], folders: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        result = quality(folders / "real", folders / "fake", "--image-size", "32")
        assert result.returncode == 0, result.stderr
        (tmp_path / "evaluation" / "quality" / "report.html").rename(tmp_path / f"{len(list(tmp_path.iterdir()))}.html")
    one, other = tmp_path.glob("*.html")
    assert one.read_bytes() == other.read_bytes()


def test_generator_is_sampled(
    quality: Callable[..., subprocess.CompletedProcess[str]], folders: Path, trained: Path
) -> None:
    result = quality(folders / "real", trained / "generator_model.pth", "--count", "10", "--json")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert (values["n_fake"], values["image_size"]) == (10, 128)
    assert values["kid_x1000"] > values["kid_x1000_floor"]


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (66, ["nowhere", "{fake}"], ["nowhere", "name a folder of images"]),
        (66, ["{real}", "nowhere"], ["nowhere"]),
        (66, ["{real}", "{fake}", "--train", "nowhere"], ["nowhere"]),
        (
            66,
            ["{real}", "{fake}", "--features", "resnet"],
            ["resnet", "efficientnet-lite0, efficientnet-lite2 and inception are known"],
        ),
        (2, ["{real}", "{real}"], ["REAL", "FAKE"]),
        (2, ["{real}", "{fake}", "--train", "{real}"], ["REAL", "--train"]),
        (2, ["{real}", "{fake}", "--fit", "zoom"], ["--fit"]),
        (2, ["{real}", "{fake}", "--count", "9"], ["--count"]),
        (2, ["{real}", "{fake}", "--channels", "2"], ["--channels"]),
        (66, ["{real}", "model.onnx"], ["model.onnx"]),
        (66, ["{real}", "s3://bucket/run"], ["copy a run from an object store to this machine"]),
        (65, ["{real}", "{fake}", "--image-size", "256"], ["--image-size 128"]),
        (73, ["{real}", "{fake}", "--out", "{fake}/scratch_000.png"], ["scratch_000.png"]),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(
    quality: Callable[..., subprocess.CompletedProcess[str]],
    folders: Path,
    code: int,
    arguments: list[str],
    words: list[str],
) -> None:
    places = {name: folders / name for name in ("real", "fake", "train")}
    fails_in_one_line(quality(*(argument.format(**places) for argument in arguments)), code, *words)


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (66, ["quality", "nowhere", "{fake}"], ["nowhere"]),
        (2, ["quality", "{real}", "{fake}", "--classes"], ["--train"]),
        (66, ["quality", "{real}", "{fake}", "--features", "resnet"], ["--features resnet"]),
        (66, ["data", "nowhere"], ["nowhere"]),
    ],
)
def test_it_is_refused_before_pytorch_is_loaded(
    folders: Path, tmp_path: Path, code: int, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    told = [argument.format(real=folders / "real", fake=folders / "fake") for argument in arguments]
    fails_in_one_line(run("gan-eval", *told, cwd=tmp_path, PYTHONPATH=str(tmp_path)), code, *words)


def test_photos_that_cannot_be_used_stop_it_unless_they_are_to_be_skipped(
    quality: Callable[..., subprocess.CompletedProcess[str]], folders: Path, tmp_path: Path
) -> None:
    real, train = write_photos(tmp_path / "real", 10, 1), write_photos(tmp_path / "train", 10, 2)
    for folder in (real, train):
        (folder / "empty.png").touch()
    command = (real, folders / "fake", "--train", train, "--image-size", "32")
    fails_in_one_line(quality(*command), 65, "empty.png", "--skip-bad-files")
    result = quality(*command, "--skip-bad-files")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1].startswith("15 fakes, 10 real photos, 10 training images")


def test_gpu_that_is_not_there_is_told_with_69(
    quality: Callable[..., subprocess.CompletedProcess[str]], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    fails_in_one_line(quality(folders / "real", folders / "fake", "--device", "cuda"), 69, "--device")
