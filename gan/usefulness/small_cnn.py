"""A small convolutional network that learns from nothing but the images it is given."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan.usefulness.detector import Judge, Practice
from gan.usefulness.labelled import Labelled
from gan.usefulness.learning import AT_ONCE, Chance, draws, initialise, learn

_WIDTHS = (16, 32, 64, 128)
"""Channels of the convolutions, at 1/2, 1/4, 1/8 and 1/16 of the image's sides."""
_RATE = 4e-3


class SmallCNN:
    """Learns in seconds on one core, from images of 64 to 128 pixels or more."""

    name, needs_masks, steps = "small-cnn", False, 200

    def fit(self, train: Labelled, classes: int, practice: Practice) -> Judge:
        """As of `gan.usefulness.detector.Detector`."""
        chance = Chance.of(practice.seed)
        network = _Network(train.images, classes, chance.weights)

        def loss_of(places: Tensor) -> Tensor:
            seen = train.images[places]
            logits = network(practice.augment(seen, chance.changes) if practice.augment else seen)
            return cross_entropy(logits, train.labels[places])

        order = draws(len(train), practice.weights, practice.batch_size, practice.steps, chance.order)
        learn(network.parameters(), _RATE, practice.steps, order, loss_of)
        network.eval()

        @torch.no_grad()
        def judge(images: Tensor) -> Tensor:
            return torch.cat([network(part).softmax(dim=1) for part in torch.split(images, AT_ONCE)])

        return judge


class _Network(nn.Module):
    """Images uint8 `[N, C, H, W]` to logits `[N, classes]`: the strongest answer counts as well as the mean one.

    A defect that covers one place in a thousand is nothing to the mean.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, images: Tensor, classes: int, random: torch.Generator) -> None:
        super().__init__()
        pixels = images.float()
        deviation, mean = torch.std_mean(pixels, dim=(0, 2, 3), keepdim=True)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation.clamp_min(1))
        first, *others = _WIDTHS
        layers: list[nn.Module] = [nn.Conv2d(images.shape[1], first, 5, 2, 2, bias=False), *_pooled(first)]
        for shallow, deep in zip(_WIDTHS, others, strict=False):
            layers += [nn.Conv2d(shallow, deep, 3, padding=1, bias=False), *_pooled(deep)]
        self.body = nn.Sequential(*layers)
        self.last = nn.Linear(2 * _WIDTHS[-1], classes)
        initialise(self, random)
        nn.init.zeros_(self.last.weight)
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def forward(self, images: Tensor) -> Tensor:
        seen = (images.float() - self.mean) / self.deviation
        seen = self.body(seen.contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.last(torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1))
        return logits


def _pooled(width: int) -> list[nn.Module]:
    """What follows a convolution; pooled first, the rest is a quarter of the work."""
    return [nn.MaxPool2d(2, ceil_mode=True), nn.BatchNorm2d(width), nn.ReLU()]
