"""The command `gan-train`: what it is told, and what it says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ImageOps

from gan.config import RECIPES
from models.errors import CommandError, ExitCode
from tests.conftest import TINY, fails_in_one_line, run, run_in_process, surface, write_photos
from tests.gan.conftest import draw_nothing

pytestmark = pytest.mark.usefixtures("nothing_drawn")

Train = Callable[..., subprocess.CompletedProcess[str]]
Plain = tuple[Path, subprocess.CompletedProcess[str]]
FEW = ("--epochs", "1", "--device", "cpu", "--image-size", "32", *TINY)


def options(out: Path) -> dict[str, Any]:
    """The options of a run, as it wrote them down."""
    read: dict[str, Any] = json.loads((out / "training_options.json").read_text())["options"]
    return read


# Options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], ["--epochs"]),
        (["--batch-size", "1"], ["--batch-size"]),
        (["--batch-size", "many"], ["--batch-size", "many"]),
        (["--lr", "0"], ["--lr"]),
        (["--lr", "-1"], ["--lr"]),
        (["--lr", "nan"], ["--lr"]),
        (["--total-kimg", "inf"], ["--total-kimg"]),
        (["--channels", "2"], ["--channels"]),
        (["--channels", "4"], ["--channels"]),
        (["--beta1", "1"], ["--beta1"]),
        (["--label-smoothing", "1.5"], ["--label-smoothing"]),
        (["--recipe", "stylegan"], ["--recipe", "small-data"]),
        (["--flip", "sideways"], ["--flip", "horizontal"]),
        (["--device", "tpu"], ["--device"]),
        (["--seed", "-1"], ["--seed"]),
        (["--epochs", "3", "--total-kimg", "5"], ["--epochs", "--total-kimg"]),
        (["--resume", "--overwrite"], ["--resume", "--overwrite"]),
        (["--image-size", "100"], ["--image-size", "64, 128"]),
        (["--recipe", "dcgan", "--image-size", "1024"], ["--image-size", "512"]),
        (["--class-from", "0.6", "--class-to", "0.5"], ["--class-from", "--class-to"]),
        (["--classes", "--labels", "rows.csv"], ["--classes", "--labels"]),
        (["--classes", "--recipe", "small-data"], ["--classes", "--recipe shift"]),
        (["--fit", "squeeze"], ["--fit", "tile"]),
        (["--loss", "wgan"], ["--loss", "hinge"]),
        (["--recipe", "dcgan", "--bands"], ["--standardize"]),
        (["--recipe", "dcgan", "--r2-gamma", "1"], ["--no-d-batch-norm"]),
        (["--penalty-interval", "0"], ["--penalty-interval"]),
        (["--on-collapse", "pray"], ["--on-collapse", "restart"]),
        (["--keep-snapshots", "0"], ["--keep-snapshots"]),
        (["--validation-kimg", "0"], ["--validation-kimg"]),
        (["--patience-kimg", "5"], ["--patience-kimg", "--validation"]),
        (["--recipe", "dcgan", "--r1-gamma", "1"], ["--no-d-batch-norm"]),
        (["--label-smoothing", "0.1"], ["--loss bce"]),
        (["--bacth-size", "3"], ["--bacth-size", "--batch-size"]),
        (["more", "than-one"], ["than-one"]),
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_2_and_named(
    gan_train: Train,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # where an option that is taken after all would train
    fails_in_one_line(gan_train(photos, *arguments), 2, *words, "gan-train --help")


def test_an_option_goes_before_the_recipes_own_value(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    assert gan_train(photos, "--out", tmp_path, "--recipe", "small-data", *FEW, "--beta2", "0.5").returncode == 0
    assert options(tmp_path)["beta2"] == 0.5


@pytest.fixture(scope="module")
def plain(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """A run with no wish but to be short, and what it said; a generator as small as this has faults by chance."""
    out = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        patch.setattr("gan.training.figures.LOOKED_AT", 50)
        patch.setattr("gan.training.figures.faults", lambda images, photos: [])
        patch.setattr("gan.training.figures.ALIKE", 0)
        return out, run_in_process("gan-train", photos, "--out", out, *FEW)


def test_what_is_not_given_comes_from_the_recipe_for_few_photos(
    plain: Plain,
) -> None:
    given = {"total_kimg", "batch_size", "z_dim", "d_width", "feature_matching"}
    unset = RECIPES["shift"].keys() - given - {"precision", "d_lr", "transpose"}  # by machine and photos
    assert {name: options(plain[0])[name] for name in unset} == {name: RECIPES["shift"][name] for name in unset}


def test_epochs_replace_the_length_that_a_recipe_gives_in_kimg(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path, "--recipe", "small-data", *FEW)
    assert "3 steps of 8 images" in result.stderr


def test_a_wish_of_the_recipe_can_be_turned_off(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    gan_train(photos, "--out", tmp_path, "--recipe", "small-data", *FEW, "--no-augment", "--ema-kimg", "0")
    assert (options(tmp_path)["augment"], options(tmp_path)["ema_kimg"]) == (False, 0.0)


# The environment


def test_options_are_read_from_the_environment(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    variables = {
        "GAN_TRAIN_SEED": ("77", 77),
        "GAN_TRAIN_LR": ("0.001", 0.001),
        "GAN_TRAIN_LOSS": ("relativistic", "relativistic"),
        "GAN_TRAIN_MINIBATCH_STDDEV": ("1", True),
        "GAN_TRAIN_IMAGE_SIZE": ("32", 32),
        "GAN_TRAIN_FIT": ("tile", "tile"),
        "GAN_TRAIN_D_TWO_PART": ("0", False),
    }
    given = (*FEW[:4], *TINY)  # without --image-size
    result = gan_train(photos, "--out", tmp_path, *given, **{name: value for name, (value, _) in variables.items()})
    assert result.returncode == 0, result.stderr
    taken = options(tmp_path)
    assert {name: taken[name.removeprefix("GAN_TRAIN_").lower()] for name in variables} == {
        name: expected for name, (_, expected) in variables.items()
    }


def test_folders_are_read_from_the_environment(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    gan_train(*FEW, GAN_TRAIN_DATA=str(photos), GAN_TRAIN_OUT=str(tmp_path / "out"))
    assert (tmp_path / "out" / "generator_model.pth").is_file()


def test_a_wrong_value_in_the_environment_is_2_and_named(gan_train: Train, photos: Path) -> None:
    fails_in_one_line(gan_train(photos, GAN_TRAIN_BATCH_SIZE="many"), 2, "--batch-size", "many")


# Held-out photos


def test_no_folder_of_held_out_photos_is_66_and_named(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", "--validation", tmp_path / "typo", *FEW)
    fails_in_one_line(result, 66, str(tmp_path / "typo"))
    assert not (tmp_path / "out").exists()


def test_features_that_nobody_knows_are_66_before_a_step_is_made(
    gan_train: Train, photos: Path, tmp_path: Path
) -> None:
    held_out = write_photos(tmp_path / "held_out", 10, seed=9)
    result = gan_train(photos, "--out", tmp_path / "out", "--validation", held_out, "--features", "vgg", *FEW)
    fails_in_one_line(result, 66, "--features vgg", "efficientnet-lite2")
    assert not (tmp_path / "out").exists()


def test_near_copies_of_photos_to_train_on_are_warned_of(gan_train: Train, tmp_path: Path) -> None:
    for side, seed in (("train", 0), ("held_out", 100)):
        (tmp_path / side).mkdir()
        for number in range(10):
            surface(seed + number).save(tmp_path / side / f"{side}{number}.png")
    dry = ("--dry-run", "--penalty-interval", "1")  # few steps are measured
    command = (tmp_path / "train", "--out", tmp_path / "out", "--validation", tmp_path / "held_out", *dry, *FEW)
    assert "WARNING" not in gan_train(*command).stderr
    surface(3).save(tmp_path / "held_out" / "saved_again.jpg", quality=50)
    ImageOps.mirror(surface(4)).save(tmp_path / "held_out" / "turned.png")
    (line,) = (line for line in gan_train(*command).stderr.splitlines() if "WARNING" in line)
    assert "2 of 12 held-out photos look like ones trained on, such as saved_again.jpg and train3.png" in line


def test_features_are_calculated_where_the_networks_are(
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, device: str) -> None:
        raise CommandError(ExitCode.NO_INPUT, f"{name} on {device}")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("gan.evaluation.features.load_features", load)
    held_out = write_photos(tmp_path / "held_out", 10, seed=9)
    command = (photos, "--out", tmp_path / "out", "--validation", held_out, "--precision", "float32", *TINY)
    fails_in_one_line(gan_train(*command, "--device", "cuda"), 66, "efficientnet-lite2 on cuda")


# Places


def test_a_folder_that_cannot_be_written_is_73_and_named(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "models"
    fails_in_one_line(gan_train(photos, "--out", out, *FEW), 73, str(tmp_path / "file"))


def test_a_file_in_the_place_of_the_folder_is_73_and_named(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fails_in_one_line(gan_train(photos, "--out", tmp_path / "file", *FEW), 73, str(tmp_path / "file"))


def test_an_earlier_run_is_73_with_the_two_ways_to_go_on(gan_train: Train, photos: Path, trained: Path) -> None:
    fails_in_one_line(gan_train(photos, "--out", trained, *FEW), 73, str(trained), "--resume", "--overwrite")


def test_resuming_with_other_options_is_78_and_names_them(gan_train: Train, photos: Path, trained: Path) -> None:
    result = gan_train(photos, "--out", trained, *FEW, "--seed", "5", "--flip", "both", "--resume")
    fails_in_one_line(result, 78, "seed was 0 and is 5", "flip was none and is both")


def test_resuming_with_other_photos_is_78(gan_train: Train, trained: Path, tmp_path: Path) -> None:
    others = write_photos(tmp_path / "others", 24, seed=7)
    same = ("--recipe", "dcgan", *FEW, "--image-size", "128", "--z-dim", "8", "--resume")
    fails_in_one_line(gan_train(others, "--out", trained, *same), 78, "other images")


def test_resuming_where_nothing_is_is_66_and_names_the_folder(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    fails_in_one_line(gan_train(photos, "--out", tmp_path / "typo", *FEW, "--resume"), 66, str(tmp_path / "typo"))


def test_a_run_that_diverges_is_70(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    fails_in_one_line(gan_train(photos, "--out", tmp_path, *FEW, "--lr", "1e30"), 70, "diverged", "--lr")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without one, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("without_gpu")
def test_a_gpu_that_is_not_there_is_69_and_says_what_else(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path / "out", *TINY, "--device", "cuda")
    fails_in_one_line(result, 69, "--device cuda", "cpu")


@pytest.mark.usefixtures("without_gpu")
def test_without_a_gpu_the_processor_is_taken_by_itself(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    assert "on cpu" in gan_train(photos, "--out", tmp_path, *FEW[:2], *FEW[4:]).stderr


# What it says


def test_few_images_with_the_plain_recipe_are_warned_of(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path, "--recipe", "dcgan", *FEW)
    assert "WARNING the plain recipe is known to collapse on few images and there are 24" in result.stderr


def test_few_images_with_the_recipe_for_them_are_no_reason_to_warn(
    plain: Plain,
) -> None:
    assert "WARNING" not in plain[1].stderr


def test_the_end_says_what_to_do_next(plain: Plain) -> None:
    out, said = plain
    assert said.stderr.splitlines()[-1].endswith(f"gan-export onnx {out / 'generator_model.pth'}")


def test_a_run_says_nothing_on_stdout(plain: Plain) -> None:
    assert (plain[1].returncode, plain[1].stdout) == (0, "")


def test_debug_shows_where_an_error_came_from(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    result = gan_train(photos, "--out", tmp_path, *FEW, "--lr", "1e30", "--debug")
    assert (result.returncode, "Traceback" in result.stderr) == (70, True)


# The installed command


def test_help_names_every_option_with_its_variable_and_ends_with_0() -> None:
    result = run("gan-train", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert all(word in result.stdout for word in ("--recipe", "--resume", "--ema-kimg", "GAN_TRAIN_BATCH_SIZE"))


def test_the_installed_command_fails_in_one_line(tmp_path: Path) -> None:
    fails_in_one_line(run("gan-train", cwd=tmp_path), 66, str(tmp_path / "datasets"))


def test_the_installed_command_names_a_wrong_option() -> None:
    fails_in_one_line(run("gan-train", "--no-such-option"), 2, "--no-such-option", "gan-train --help")


def test_out_below_the_photos_is_2_since_samples_would_be_taken_for_photos(gan_train: Train, photos: Path) -> None:
    fails_in_one_line(gan_train(photos, "--out", photos / "models", *FEW), 2, "--out", "folder of photos")
    assert not (photos / "models").exists()


def test_out_below_the_held_out_photos_is_2(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    held_out = write_photos(tmp_path / "held_out", 10, seed=9)
    result = gan_train(photos, "--validation", held_out, "--out", held_out / "models", *FEW)
    fails_in_one_line(result, 2, "--out", "folder of photos")
    assert not (held_out / "models").exists()


@pytest.mark.parametrize(("able", "given", "precision"), [
    (True, [], "bfloat16"), (False, [], "float32"), (False, ["--precision", "bfloat16"], "bfloat16"),
])  # fmt: skip
def test_bfloat16_is_taken_where_the_machine_calculates_in_it_or_on_demand(
    able: bool, given: list[str], precision: str,
    gan_train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": able})
    result = gan_train(photos, "--device", "cpu", "--out", tmp_path, *FEW, *given)
    assert result.returncode == 0, result.stderr
    assert options(tmp_path)["precision"] == precision


def test_the_network_that_trains_cannot_judge(gan_train: Train, photos: Path, tmp_path: Path) -> None:
    command = (photos, "--recipe", "shift", "--features", "efficientnet-lite0", "--out", tmp_path / "models")
    fails_in_one_line(gan_train(*command), 2, "--features efficientnet-lite0", "feature matching", "efficientnet-lite2")
    assert not (tmp_path / "models").exists()
