"""A user's own detector is found, called with arrays, and told in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gan.usefulness.augmentation import classical
from gan.usefulness.detector import Practice
from gan.usefulness.detectors import detector
from models.errors import CommandError, ExitCode
from tests.gan.usefulness.surfaces import accuracy, surfaces

PROGRAM = '''
"""The brightest row against the median one."""
import numpy as np

CALLS = []

def brightest(images):
    rows = images.astype(float).mean(axis=(2, 3))
    return rows.max(axis=1) - np.median(rows, axis=1)

def fit(images, labels, classes, seed, steps):
    CALLS.append((images, labels, classes, seed, steps))
    found = brightest(images)
    middle = (found[labels == 0].max() + found[labels == 1].min()) / 2
    return lambda images: np.eye(classes)[(brightest(images) > middle).astype(int)]

def nothing(images, labels, classes, seed, steps):
    return None

def fails(images, labels, classes, seed, steps):
    raise KeyError("no such layer")

def short(images, labels, classes, seed, steps):
    return lambda images: np.zeros(len(images))

def words(images, labels, classes, seed, steps):
    return lambda images: [["good", "bad"]] * len(images)

def nan(images, labels, classes, seed, steps):
    return lambda images: np.full((len(images), classes), np.nan)

def leaves(images, labels, classes, seed, steps):
    raise SystemExit(0)

def talks(images, labels, classes, seed, steps):
    print("a detector may talk")
    return lambda images: np.full((len(images), classes), 0.5)

def late(images, labels, classes, seed, steps):
    return lambda images: 1 / 0

NUMBER = 3
'''


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder holds a module."""
    (tmp_path / "mine_of_a_user.py").write_text(PROGRAM)
    (tmp_path / "broken_of_a_user.py").write_text("import no_such_package_at_all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("mine_of_a_user", "broken_of_a_user"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)


def test_function_is_called_with_arrays_and_its_judge_asked() -> None:
    train = surfaces(20, 1, side=24, channels=3)
    own = detector("mine_of_a_user:fit")
    assert (own.name, own.needs_masks, own.steps) == ("mine_of_a_user:fit", False, None)
    judge = own.fit(train, 2, Practice(steps=7, seed=5))
    assert accuracy(judge, surfaces(20, 2, side=24, channels=3)) == 1
    assert judge(train.images).dtype == torch.float32
    ((images, labels, *others),) = __import__("mine_of_a_user").CALLS
    assert (images.shape, images.dtype, labels.dtype) == ((20, 24, 24, 3), np.uint8, np.int64)
    assert np.array_equal(images[3], train.images[3].permute(1, 2, 0).numpy())
    assert others == [2, 5, 7]


def test_weights_and_augmentation_reach_it_as_images() -> None:
    train, own = surfaces(20, 1), detector("mine_of_a_user:fit")
    weights = torch.tensor([1.0] * 10 + [0.0] * 10, dtype=torch.float64)
    own.fit(train, 2, Practice(steps=1, seed=5, weights=weights))
    own.fit(train, 2, Practice(steps=1, seed=5, augment=classical(1)))
    (weighted, labels, *_), (augmented, *_) = __import__("mine_of_a_user").CALLS
    drawn = {image.tobytes() for image in weighted}
    assert len(weighted) == 20
    assert drawn == {image.permute(1, 2, 0).numpy().tobytes() for image in train.images[:10]}
    assert labels.sum() == 10
    assert len(augmented) > 200
    assert np.array_equal(augmented[:20, ..., 0], train.images[:, 0].numpy())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:fit", "there is no module no_such_module in"),
        ("mine_of_a_user.deeper:fit", "there is no module mine_of_a_user.deeper in"),
        ("mine_of_a_user:missing", "mine_of_a_user has no function missing"),
        ("mine_of_a_user:NUMBER", "mine_of_a_user has no function NUMBER"),
        ("resnet", "neither one of small-cnn, logistic, fine-tuned, unet, nor your own"),
        (":fit", "nor your own as module:function"),
    ],
)
def test_detector_that_is_not_there(name: str, said: str) -> None:
    with pytest.raises(CommandError, match=f"`detector={name}`.*{said}") as caught:
        detector(name)
    assert caught.value.exit_code == ExitCode.NO_INPUT


def test_module_that_cannot_be_imported_says_why() -> None:
    with pytest.raises(CommandError, match=r"cannot be imported: ModuleNotFoundError.*no_such_package") as caught:
        detector("broken_of_a_user:fit")
    assert caught.value.exit_code == ExitCode.BAD_DATA


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nothing", "returns NoneType, not a function of images"),
        ("fails", "fails: KeyError: 'no such layer'"),
        ("short", r"'s judge gives \[4\] for 4 images and 2 classes, not \[4, 2\]"),
        ("words", r"'s judge gives list, not numbers \[4, 2\]"),
        ("nan", "'s judge gives values that are not finite"),
        ("late", "'s judge fails: ZeroDivisionError"),
        ("leaves", r"fails: ends the program \(sys.exit 0\)"),
    ],
)
def test_what_is_wrong_with_a_detector_is_told_in_a_line(function: str, said: str) -> None:
    of = surfaces(4, 1)
    with pytest.raises(CommandError, match=f"`detector=mine_of_a_user:{function}`.*{said}") as caught:
        detector(f"mine_of_a_user:{function}").fit(of, 2, Practice(steps=1, seed=0))(of.images)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_what_it_prints_is_not_taken_for_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    detector("mine_of_a_user:talks").fit(surfaces(4, 1), 2, Practice(steps=1, seed=0))
    assert tuple(capsys.readouterr()) == ("", "a detector may talk\n")
