"""A user's own detector: a function of NumPy arrays in a module of theirs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.usefulness.detector import Judge, Practice
from gan.usefulness.frozen import views
from gan.usefulness.labelled import Labelled
from gan.usefulness.learning import Chance, draws
from gan.users_program import imported, what_it_did
from models.errors import CommandError, ExitCode, memory_error


class OwnDetector:
    """`module:function`, found as `import` finds it or in the current folder.

    The function is called as `fit(images, labels, classes, seed, steps)`: images uint8 `[N, H, W, C]`, C 1 or 3, labels
    int64 `[N]`, and three ints. It returns a function of images, uint8 `[N, H, W, C]`, that gives numbers
    `[N, classes]`, the probability of each class. Unequal weights reach it as images that come more than once or not
    at all, augmentation as augmented images beside the others.

    Args:
        name: `module:function`. A module is a program, and importing it runs it.

    Raises:
        CommandError: 66 no such module or function; 65 the module cannot be imported.
    """

    needs_masks, steps = False, None

    def __init__(self, name: str) -> None:
        self.name = name
        found = imported(name)
        if not callable(found):
            module, _, function = name.partition(":")
            raise CommandError(ExitCode.NO_INPUT, f"`detector={name}`: {module} has no function {function}")
        self._function: Callable[..., Any] = found

    def fit(self, train: Labelled, classes: int, practice: Practice) -> Judge:
        """As of `gan.usefulness.detector.Detector`.

        Raises:
            CommandError: 65 the user's function fails, or what it returns, when it is asked.
        """
        if practice.weights is not None:
            (places,) = draws(len(train), practice.weights, len(train), 1, Chance.of(practice.seed).order)
            train = train.take(places)
        images = views(train.images, practice.augment) if practice.augment else train.images
        labels = train.labels.repeat(len(images) // len(train))
        model = self._called(
            self._function, "", _arrays(images), labels.numpy().copy(), classes, practice.seed, practice.steps
        )
        if not callable(model):
            raise self._bad(f"returns {type(model).__name__}, not a function of images")
        return lambda images: self._numbers(self._called(model, "'s judge", _arrays(images)), len(images), classes)

    def _called(self, function: Callable[..., Any], whose: str, *arguments: object) -> Any:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return function(*arguments)
        except (Exception, SystemExit) as error:  # whatever a user's program raises
            if memory_error(error):
                raise
            raise self._bad(f"fails: {what_it_did(error)}", whose) from error

    def _numbers(self, found: object, count: int, classes: int) -> Tensor:
        """What the user's judge said, checked: float32 `[count, classes]`."""
        try:
            numbers = np.asarray(found, dtype=np.float32)
        except (TypeError, ValueError, RuntimeError):
            raise self._bad(f"gives {type(found).__name__}, not numbers [{count}, {classes}]", "'s judge") from None
        if numbers.shape != (count, classes):
            raise self._bad(
                f"gives {list(numbers.shape)} for {count} images and {classes} classes, not [{count}, {classes}]",
                "'s judge",
            )
        if not np.isfinite(numbers).all():
            raise self._bad("gives values that are not finite", "'s judge")
        return torch.from_numpy(numbers.copy())

    def _bad(self, what: str, whose: str = "") -> CommandError:
        return CommandError(ExitCode.BAD_DATA, f"`detector={self.name}`{whose} {what}")


def _arrays(images: Tensor) -> NDArray[np.uint8]:
    """A copy that the user's function may change: uint8 `[N, H, W, C]`."""
    return images.permute(0, 2, 3, 1).contiguous().numpy().copy()
