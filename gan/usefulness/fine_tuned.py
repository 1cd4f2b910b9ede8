"""A network that knows everyday photos, its upper half trained on: what most people take first."""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from gan.evaluation.features import lite_network
from gan.sizes import proportioned
from gan.usefulness.detector import Judge, Practice
from gan.usefulness.frozen import Frozen, views
from gan.usefulness.labelled import Labelled
from gan.usefulness.learning import AT_ONCE, Chance, draws, initialise, learn

_NETWORK, _FEATURES = "efficientnet-lite0", 1280
_SIDE = 128
"""Images are seen with as many pixels as a square of this side has: at 224 they would cost three times as much."""
_FROZEN = 11
"""Blocks that stay as they are, up to 1/16 of the image's sides: lines and textures are the same everywhere."""
_RATE, _HEAD_RATE = 5e-4, 5e-3


class FineTuned:
    """EfficientNet-Lite0, of which the last five blocks and a new last layer learn.

    Its normalisation stays that of its first training, as batches are small. What the frozen blocks make of an image is
    calculated once; therefore augmented images are a few fixed views of each.
    """

    name, needs_masks, steps = "fine-tuned", False, 60

    def fit(self, train: Labelled, classes: int, practice: Practice) -> Judge:
        """As of `gan.usefulness.detector.Detector`."""
        chance = Chance.of(practice.seed)
        frozen = _frozen()
        seen = frozen(views(train.images, practice.augment) if practice.augment else train.images)
        copies = len(seen) // len(train)
        labels = train.labels.repeat(copies)
        weights = None if practice.weights is None else practice.weights.repeat(copies)
        network = _Upper(classes, chance.weights)
        groups: list[dict[str, object]] = [
            {"params": [*network.body.parameters()], "lr": _RATE},
            {"params": [*network.last.parameters()]},
        ]
        order = draws(len(seen), weights, practice.batch_size, practice.steps, chance.order)
        learn(groups, _HEAD_RATE, practice.steps, order, lambda at: cross_entropy(network(seen[at]), labels[at]))

        @torch.no_grad()
        def judge(images: Tensor) -> Tensor:
            parts = torch.split(images, AT_ONCE)
            return torch.cat([network(frozen(part)).softmax(dim=1) for part in parts])

        return judge


@functools.cache
def _network() -> Any:
    return lite_network(_NETWORK, "cpu")


@functools.cache
def _frozen() -> Frozen:
    network = _network()

    @torch.no_grad()
    def lower(images: Tensor) -> Tensor:
        sides = proportioned(images.shape[2], images.shape[3], _SIDE)
        resized = interpolate(images.float().expand(-1, 3, -1, -1), size=sides, mode="bilinear", antialias=True)
        resized = ((resized - 127) / 128).contiguous(memory_format=torch.channels_last)
        seen: Tensor = network._swish(network._bn0(network._conv_stem(resized)))
        for block in network._blocks[:_FROZEN]:
            seen = block(seen)
        return seen

    return Frozen(lower)


class _Upper(nn.Module):
    """What the frozen blocks leave, float `[N, C, H, W]`, to logits `[N, classes]`."""

    def __init__(self, classes: int, random: torch.Generator) -> None:
        super().__init__()
        known = copy.deepcopy(_network())
        self.body = nn.Sequential(*known._blocks[_FROZEN:], known._conv_head, known._bn1, known._swish)
        self.body.requires_grad_(True)
        self.last = nn.Linear(_FEATURES, classes)
        initialise(self.last, random)
        nn.init.zeros_(self.last.weight)

    def forward(self, seen: Tensor) -> Tensor:
        seen = self.body(seen.contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.last(seen.mean(dim=(2, 3)))
        return logits
