"""What a training run would be and how long it would take, before anything is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from gan.config import TrainConfig
from gan.photos.read import ImageSet
from gan.training.training import new_trainer
from models.log import log
from models.progress import Progress

WARM_UP = 2
"""Steps that are slower than the rest: memory is taken and kernels are chosen."""


@dataclass(frozen=True)
class TrainingPlan:
    """A run that was not made.

    Attributes:
        options: the resolved options.
        device: where it would be trained.
        images: how many photos there are.
        steps: optimiser steps in all.
        kimg: thousands of real images that they show.
        g_parameters: trained numbers of the generator.
        d_parameters: trained numbers of the discriminator.
        step_s: measured seconds a step, on these photos with these networks.
        total_s: estimated seconds of training; sample grids, snapshots and validation come on top.
        compares: whether KID will be measured.
    """

    options: dict[str, Any]
    device: str
    images: int
    steps: int
    kimg: float
    g_parameters: int
    d_parameters: int
    step_s: float
    total_s: float
    compares: bool


def timed(data: ImageSet, config: TrainConfig, device: torch.device, compares: bool = False) -> TrainingPlan:
    """Make a few steps and measure them; one of them has the gradient penalty as often as in the run itself.

    Raises:
        CommandError: 2, 69 networks of this size cannot be made here.
    """
    trainer = new_trainer(data, config, device)
    timed = max(4, config.penalty_interval if config.penalised else 0)
    log.info("measuring %d steps", WARM_UP + timed)
    with Progress("measuring", WARM_UP + timed, "steps") as progress:
        for step in range(WARM_UP + timed):
            if step == WARM_UP:
                start = time.perf_counter()
            scalars = trainer.train_step()
            progress.update(1)
        scalars["Loss_G"].item()  # wait for a GPU
    step_s = (time.perf_counter() - start) / timed
    return TrainingPlan(
        options=trainer.config.to_dict(),
        device=str(device),
        images=len(data.names),
        steps=trainer.total_steps,
        kimg=trainer.total_steps * trainer.images_per_step / 1000,
        g_parameters=sum(parameter.numel() for parameter in trainer.g.parameters()),
        d_parameters=sum(parameter.numel() for parameter in trainer.d.parameters()),
        step_s=step_s,
        total_s=step_s * trainer.total_steps,
        compares=compares,
    )
