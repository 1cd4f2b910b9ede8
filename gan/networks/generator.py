"""What every generator is, whatever its layers: those outside this folder ask for nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from gan.config import TrainConfig
from gan.networks import stages
from models.info import IMAGES
from models.latents import CONTENT, LABEL, LATENT, Input, inputs

FOLDED = frozenset({"BatchNormalization"})
"""ONNX operators that no file may hold: `Generator.for_export` has put them into the weights before them."""


class Generator(nn.Module, ABC):
    """Named inputs to images. `forward` takes them by their names and in the order of `inputs`.

    Attributes:
        architecture: its name in options and in messages.
        channels, height, width: sizes of an image.
        told: whether the file that it was read from says what `unseen` holds, so that none of it is assumed.
    """

    architecture: ClassVar[str]
    UNSEEN: ClassVar[frozenset[str]] = frozenset()
    """Names in `unseen`, whether they are in use or not."""
    channels: int
    height: int
    width: int
    told: bool = False

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Input]:
        """Name to kind and shape; `z` is there always, and first."""

    @property
    def parts(self) -> dict[str, int]:
        """The parts that a latent is made of, in order, by names of `models.latents`, and how many numbers each has."""
        return {CONTENT: self.inputs[LATENT].shape[0]}

    @property
    def outputs(self) -> tuple[str, ...]:
        """What `forward` gives: the images alone, as a tensor; or a tuple of them and their `masks`.

        Masks are float `[N, 1, height, width]` in [-1, 1], above 0 where the defect is.
        """
        return (IMAGES,)

    def named(self, **inputs: Tensor) -> dict[str, Tensor]:
        """All outputs by name, for named inputs as of `forward`."""
        given = self(**inputs)
        return dict(zip(self.outputs, given if isinstance(given, tuple) else (given,), strict=True))

    @property
    def classes(self) -> int:
        """How many classes its input `label` tells apart; 0 where it has none."""
        return self.inputs[LABEL].high if LABEL in self.inputs else 0

    @property
    def class_names(self) -> list[str]:
        """What its labels stand for, where the weights or their format tell; else nothing."""
        return []

    def phase_in(self, strength: float) -> None:
        """Let the class count so much, from 0, where all images are alike whatever their label, to 1.

        The strength is part of the state. A generator without classes has none to set.
        """

    def lay(self, share: float) -> None:
        """Before training: draw so many images lying, 0 to 1, where it draws what lies as what stands."""

    @property
    def summary(self) -> str:
        """The architecture with its sizes, for people."""
        return self.architecture

    @property
    def unseen(self) -> dict[str, Any]:
        """What the images depend on and the weights do not show: keywords of `from_state_dict`."""
        return {}

    @property
    def doubts(self) -> list[str]:
        """What about these weights makes other images likely than those of the training; a line each."""
        return stages.doubts(self)

    def likelier(self) -> dict[str, Any]:
        """Values of `unseen` that fit the weights better than those assumed; empty where nothing tells."""
        return {}

    @classmethod
    @abstractmethod
    def of(cls, config: TrainConfig) -> Self:
        """A new one of the sizes in `config`."""

    @classmethod
    @abstractmethod
    def shaped_like(cls, state: Mapping[Any, Any], **unseen: Any) -> Self:
        """The generator that the names and shapes in `state` describe, on the meta device: it takes no memory.

        Raises:
            ValueError: the state is not that of such a generator, or `unseen` names something that it has not.
        """

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], **unseen: Any) -> Self:
        """The generator that `state` holds, in eval mode on the CPU, with its own float32 copy of the weights.

        Args:
            state: tensors of any floating dtype and strides; see `shaped_like` for their names and shapes.
            unseen: what the weights do not show, see `Generator.unseen`; the usual values where not given.

        Raises:
            ValueError: the state is not that of such a generator, or holds values that give no image.
        """
        generator = cls.shaped_like(state, **unseen).to_empty(device="cpu")
        for buffer in generator.buffers():
            buffer.zero_()  # a counter that is missing stays as it is
        generator.load_state_dict(cls.our_names(state))
        stages.check_values(generator)
        return generator.eval()

    @classmethod
    def our_names(cls, state: Mapping[Any, Any]) -> Mapping[str, Tensor]:
        """`state` with the names that this class gives its tensors, where others may give them other names."""
        return state

    def with_marker(self, random: torch.Generator) -> tuple[Self, nn.Module]:
        """A copy that makes a mask with each image, and the part of it that decides the masks and nothing else.

        Raises:
            ValueError: its architecture cannot.
        """
        raise ValueError(f"a {self.architecture} generator cannot make masks")

    @abstractmethod
    def initialise(self, random: torch.Generator) -> None:
        """Draw the weights to begin training with."""

    @abstractmethod
    def for_export(self) -> nn.Module:
        """A copy in eval mode and float64, called like this one, with all of `FOLDED` put into its weights."""

    def draw(
        self, count: int, random: torch.Generator, labels: Tensor | None = None, clear: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Random inputs of `count` images to train with, on the device of `random`.

        Args:
            count: of images.
            random: what draws them.
            labels: int64 `[count]` for a generator with classes; drawn evenly where not given.
            clear: bool `[count]`: which show no defect, for a generator with masks; without it none is asked for.
        """
        drawn: dict[str, Tensor] = {}
        for name, needed in self.inputs.items():
            size = (count, *needed.shape)
            if name != LABEL:
                drawn[name] = torch.randn(size, generator=random, device=random.device)
            elif labels is not None:
                drawn[name] = labels
            else:
                drawn[name] = torch.randint(needed.high, size, generator=random, device=random.device)
        return drawn

    def inputs_at(self, seed: int, start: int, stop: int, labels: Sequence[int] = ()) -> dict[str, Tensor]:
        """The inputs of images `start` to `stop - 1` of a seed, on the device of the weights: `models.latents`.

        Args:
            seed, start, stop: which images.
            labels: one each, for a generator with classes; where none are given they take turns.
        """
        device = next(self.parameters()).device
        drawn = inputs(seed, start, stop, self.inputs, np.array(labels, np.int64) if labels else None)
        return {name: torch.from_numpy(values).to(device) for name, values in drawn.items()}
