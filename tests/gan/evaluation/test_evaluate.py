"""One call does what `gan-eval quality` does: what it reads, with which fit, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gan import CommonShape, Quality, evaluate, train
from gan.config import TrainConfig
from gan.evaluation.runs import file_sha256
from gan.networks.dcgan import DCGAN
from gan.networks.reader import weights_sha256
from gan.photos.read import ImageSet
from gan.training.snapshots import save
from models.errors import CommandError, ExitCode
from tests.conftest import surface, write_photos
from tests.gan.evaluation.conftest import SMALL
from tests.gan.evaluation.made import write_plates, write_run


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of 20 photos and of 10 fakes."""
    return write_photos(tmp_path / "real", 20, 1), write_photos(tmp_path / "fake", 10, 2)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.evaluation.features.load_features", lambda name, device: SMALL)


def refused(code: ExitCode, words: str, real: Path, fake: Path, train: Path | None = None) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        evaluate(real, fake, train=train, shape=CommonShape(image_size=32))
    assert caught.value.exit_code == code


def test_overlapping_folders_are_refused_with_2(folders: tuple[Path, Path], tmp_path: Path) -> None:
    real, fake = folders
    inside = write_photos(real / "inside", 10, 3)
    refused(ExitCode.USAGE, "`real` .* and `fake`", real, inside)
    refused(ExitCode.USAGE, "`real` .* and `fake`", inside, real)
    refused(ExitCode.USAGE, "`real` .* and `train`", real, fake, real / ".." / "real")
    refused(ExitCode.USAGE, "`train` .* and `fake`", real, fake, fake)


def test_photos_that_were_trained_on_are_left_out_with_a_note(folders: tuple[Path, Path], tmp_path: Path) -> None:
    real, fake = folders
    train = write_photos(tmp_path / "train", 12, 4)
    for path in sorted(real.iterdir())[:5]:
        (train / f"again_{path.name}").write_bytes(path.read_bytes())
    found = evaluate(real, fake, train=train, shape=CommonShape(image_size=32))
    assert (found.n_real, found.n_train) == (15, 17)
    assert "5 real photos were trained on, too, and were left out" in found.notes
    for path in sorted(real.iterdir())[5:11]:
        (train / f"again_{path.name}").write_bytes(path.read_bytes())
    refused(ExitCode.BAD_DATA, "9 photos .* 10 are needed that are not in `train`", real, fake, train)


def test_photos_that_look_like_training_photos_are_told_of(folders: tuple[Path, Path], tmp_path: Path) -> None:
    real, fake = folders
    train = write_photos(tmp_path / "train", 12, 4)
    for seed in range(12):
        surface(seed).save(train / f"scratch_{seed:03d}.png")
    for seed in range(100, 120):
        surface(seed).save(real / f"scratch_{seed - 100:03d}.png")
    assert len(evaluate(real, fake, train=train, shape=CommonShape(image_size=32)).notes) == 1  # of the fakes' size
    surface(7).save(real / "saved_again.jpg", quality=50)
    _, note = evaluate(real, fake, train=train, shape=CommonShape(image_size=32)).notes
    assert note.startswith("1 of 21 held-out photos look like ones trained on")
    assert "such as saved_again.jpg and scratch_007.png" in note


def test_photos_in_the_place_of_fakes_are_told_of(folders: tuple[Path, Path]) -> None:
    real, fake = folders
    for path in sorted(real.iterdir())[:4]:
        (fake / f"again_{path.name}").write_bytes(path.read_bytes())
    assert (
        "4 of 14 fakes are real photos, pixel by pixel" in evaluate(real, fake, shape=CommonShape(image_size=32)).notes
    )


def test_halves_need_twice_as_many_photos(folders: tuple[Path, Path]) -> None:
    real, fake = folders
    assert evaluate(real, fake, shape=CommonShape(image_size=32)).floor_of == "two random halves of the real photos"
    next(real.iterdir()).unlink()
    refused(ExitCode.BAD_DATA, "19 photos .* 20 are needed without `train`", real, fake)


@pytest.fixture
def oblong(tmp_path: Path) -> Path:
    """Photos of which each fit shows something else."""
    for number, path in enumerate(sorted(write_photos(tmp_path / "oblong", 20).iterdir())):
        surface(number).resize((160, 96)).save(path)
    return tmp_path / "oblong"


def same_numbers(one: Quality, other: Quality) -> bool:
    plain = [dataclasses.replace(found, fit_reason="", notes=()) for found in (one, other)]
    return plain[0] == plain[1]


def test_fit_is_that_of_the_training_and_the_report_says_so(oblong: Path, tmp_path: Path) -> None:
    path = tmp_path / "generator_model.pth"
    torch.manual_seed(1)
    state = DCGAN(8, 1, 2, image_size=32).state_dict()
    save(path, state)
    options = {"options": {"fit": "pad"}, "weights_sha256": weights_sha256(state)}
    (tmp_path / "training_options.json").write_text(json.dumps(options))
    found = evaluate(oblong, path, count=10, out=tmp_path / "out")
    assert (found.fit, found.fit_reason, found.notes) == ("pad", f"as the generator was trained ({path})", ())
    assert (
        f"<code>fit=pad</code>: as the generator was trained ({path})" in (tmp_path / "out" / "report.html").read_text()
    )
    assert same_numbers(found, evaluate(oblong, path, count=10, shape=CommonShape(fit="pad")))
    asked = evaluate(oblong, path, count=10, shape=CommonShape(fit="crop"))
    assert not same_numbers(found, asked)
    assert asked.fit_reason == "as asked"
    assert asked.notes == ("the generator was trained with `fit=pad`, so it saw other photos than those compared here",)


def test_fit_of_a_run_is_that_of_the_model_file_that_made_it(
    oblong: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", 12, "images/", model=file_sha256(exported))
    unknown = evaluate(oblong, run, shape=CommonShape(image_size=32))
    assert unknown.fit == "crop"
    assert "nothing tells how the generator's training photos were fitted" in unknown.fit_reason
    told = evaluate(oblong, run, shape=CommonShape(image_size=32), model=exported)
    assert told.fit_reason == f"as the generator was trained ({exported})"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "generator.onnx").write_bytes(exported.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert (
        evaluate(oblong, run, shape=CommonShape(image_size=32)).fit_reason
        == "as the generator was trained (models/generator.onnx)"
    )
    other = write_run(tmp_path / "other", 12, model="0" * 64)
    assert evaluate(oblong, other, shape=CommonShape(image_size=32)).fit_reason == unknown.fit_reason
    with pytest.raises(CommandError, match=r"`model=.*` did not make .*other, .* sha256 000000000000…") as caught:
        evaluate(oblong, other, shape=CommonShape(image_size=32), model=exported)
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(CommandError, match="is a generator itself"):
        evaluate(oblong, exported, model=exported)


def test_fit_of_a_run_of_the_bundled_generator_is_the_one_that_it_holds(
    oblong: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundled.onnx").write_bytes(exported.read_bytes())
    monkeypatch.setattr("models.path", lambda: tmp_path / "bundled.onnx")
    run = write_run(tmp_path / "run", 12, "images/", model=file_sha256(exported))
    judged = evaluate(oblong, run, shape=CommonShape(image_size=32))
    assert judged.fit_reason == f"as the generator was trained ({tmp_path / 'bundled.onnx'})"


def test_photos_and_fakes_of_several_sizes_are_compared(folders: tuple[Path, Path]) -> None:
    real, fake = folders
    Image.new("L", (200, 150), 60).save(fake / "large.png")
    Image.new("L", (150, 200), 90).save(real / "upright.png")
    found = evaluate(real, fake, shape=CommonShape(image_size=64))
    assert (found.n_real, found.n_fake, found.image_size) == (21, 11, 64)
    assert found.notes == ("the fakes are of 2 sizes, 128×128 to 200×150 and were brought to 64×64",)


def test_runs_are_compared_without_their_sheets(tmp_path: Path) -> None:
    real = write_run(tmp_path / "real", 24, tarred=True)
    fake = write_run(tmp_path / "fake", 14)
    found = evaluate(real, fake, shape=CommonShape(image_size=32))
    assert (found.n_real, found.n_fake) == (24, 14)
    assert evaluate(write_plates(tmp_path / "plain", 20), fake, shape=CommonShape(image_size=32)).n_real == 20


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 9}, "`count=9` is not between 10 and 20000"),
        ({"seed": -1}, "`seed=-1`"),
        ({"shape": CommonShape(image_size=16)}, "`image_size=16` is not between 32 and 1024"),
        ({"shape": CommonShape(channels=2)}, "`channels=2` is neither 1"),
        ({"shape": CommonShape(fit="zoom")}, "`fit=zoom` is none of crop, pad, stretch, tile"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_with_2(
    folders: tuple[Path, Path], values: dict[str, Any], words: str
) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        evaluate(*folders, **values)
    assert caught.value.exit_code == ExitCode.USAGE


def test_shape_that_a_generator_does_not_make_is_refused_with_2(folders: tuple[Path, Path], trained: Path) -> None:
    for shape in (CommonShape(channels=3), CommonShape(image_size=64)):
        with pytest.raises(CommandError, match=r"makes images of (1|128)") as caught:
            evaluate(folders[0], trained / "generator_model.pth", shape=shape)
        assert caught.value.exit_code == ExitCode.USAGE


def test_the_network_that_taught_a_generator_does_not_judge_it(
    folders: tuple[Path, Path], plates: ImageSet, tmp_path: Path
) -> None:
    config = TrainConfig.of("shift", image_size=32, g_width=2, d_width=2, batch_size=4, total_kimg=0.004)
    model = train(plates, tmp_path / "models", config, device="cpu")
    with pytest.raises(CommandError, match="has taught this generator") as caught:
        evaluate(folders[0], model, features="efficientnet-lite0")
    assert caught.value.exit_code == ExitCode.USAGE
