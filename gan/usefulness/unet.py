"""A small U-Net that learns where the defect is, and judges an image by how much of it it sees."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.evaluation.segmenter import segmentation_loss
from gan.networks.pixels import to_float
from gan.networks.unet import UNet
from gan.usefulness.detector import Judge, Practice
from gan.usefulness.labelled import Labelled
from gan.usefulness.learning import AT_ONCE, Chance, draws, learn
from models.errors import CommandError, ExitCode

_RATE = 3e-3
_PART = 1 / 256
"""Of an image's pixels: those that look most like a defect are its score."""


class UNetDetector:
    """Of two classes the second is the defect: its probability is the mean over the most suspicious pixels."""

    name, needs_masks, steps = "unet", True, 200

    def fit(self, train: Labelled, classes: int, practice: Practice) -> Judge:
        """As of `gan.usefulness.detector.Detector`; of the labels only the masks are looked at."""
        if train.masks is None:
            raise CommandError(ExitCode.BAD_DATA, "`detector=unet` learns from masks, and not all images have one")
        if classes != 2:
            raise CommandError(
                ExitCode.BAD_DATA, f"`detector=unet` tells two classes, good and defect, and there are {classes}"
            )
        chance = Chance.of(practice.seed)
        network = UNet(train.images.shape[1], chance.weights)
        pairs = torch.cat([train.images, train.masks[:, None]], dim=1)

        def loss_of(places: Tensor) -> Tensor:
            seen = practice.augment(pairs[places], chance.changes) if practice.augment else pairs[places]
            return segmentation_loss(network(to_float(seen[:, :-1])), (seen[:, -1:] > 127).float())

        order = draws(len(train), practice.weights, practice.batch_size, practice.steps, chance.order)
        learn(network.parameters(), _RATE, practice.steps, order, loss_of)
        network.eval()

        @torch.no_grad()
        def judge(images: Tensor) -> Tensor:
            return torch.cat([_score(network(to_float(part))) for part in torch.split(images, AT_ONCE)])

        return judge


def _score(logits: Tensor) -> Tensor:
    """Logits of pixels `[N, 1, H, W]` to probabilities `[N, 2]`."""
    likely = logits.sigmoid().flatten(1)
    defect = likely.topk(max(1, round(_PART * likely.shape[1])), dim=1).values.mean(dim=1)
    return torch.stack([1 - defect, defect], dim=1)
