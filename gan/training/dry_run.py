"""What a training run would be and how long it would take, before anything is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from gan.config import TrainConfig
from gan.photos.read import ImageSet
from gan.training.trainer import Trainer

WARM_UP = 2
"""Steps that are slower than the rest: memory is taken and kernels are chosen."""


@dataclass(frozen=True)
class Plan:
    """A run that was not made.

    Attributes:
        options: the resolved options.
        images: how many photos there are.
        steps: optimiser steps in all.
        kimg: thousands of real images that they show.
        g_parameters: trained numbers of the generator.
        d_parameters: trained numbers of the discriminator.
        step_s: measured seconds a step, on these photos with these networks.
        total_s: estimated seconds of training; sample grids, snapshots and validation come on top.
    """

    options: dict[str, Any]
    images: int
    steps: int
    kimg: float
    g_parameters: int
    d_parameters: int
    step_s: float
    total_s: float


def plan(data: ImageSet, config: TrainConfig, device: str) -> Plan:
    """Make a few steps and measure them; one of them has the gradient penalty as often as in the run itself.

    Raises:
        ValueError, RuntimeError, MemoryError: networks of this size cannot be made here.
    """
    trainer = Trainer(data.images, config, torch.device(device), data.photos)
    for _ in range(WARM_UP):
        trainer.train_step()
    timed = max(4, config.penalty_interval if config.penalised else 0)
    start = time.perf_counter()
    for _ in range(timed):
        scalars = trainer.train_step()
    scalars["Loss_G"].item()  # wait for a GPU
    step_s = (time.perf_counter() - start) / timed
    return Plan(
        options=config.to_dict(),
        images=len(data.names),
        steps=trainer.total_steps,
        kimg=trainer.total_steps * trainer.images_per_step / 1000,
        g_parameters=sum(parameter.numel() for parameter in trainer.g.parameters()),
        d_parameters=sum(parameter.numel() for parameter in trainer.d.parameters()),
        step_s=step_s,
        total_s=step_s * trainer.total_steps,
    )
