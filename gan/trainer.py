"""What one training step does, and the state that it moves."""

from __future__ import annotations

import copy
import hashlib
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan import checkpoint, ema, losses
from gan.augment import augment, flip
from gan.config import TrainConfig
from gan.networks import Discriminator, Generator, initialise
from gan.pixels import to_float
from models.console import CommandError, ExitCode

FREE_TO_CHANGE = {"epochs", "total_kimg"}
"""Options that a resumed run may change: how long it goes on."""


class Trainer:
    """Networks, optimisers and counters of one run, and the step that moves them.

    Args:
        images: uint8 `[N, C, 128, 128]`; moved to `device` whole.
        config: the options.
        device: where to train.
    """

    def __init__(self, images: Tensor, config: TrainConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.images = images.to(device)
        self.images_sha256 = hashlib.sha256(images.cpu().contiguous().numpy().data).hexdigest()
        self.mean, self.std = (0.0, 1.0)
        if config.standardize:
            as_float = to_float(self.images)
            self.mean, self.std = as_float.mean().item(), max(as_float.std().item(), 1 / 255)
        for_weights, for_steps = (int(s) for s in np.random.SeedSequence(config.seed).generate_state(2, np.uint64) >> 1)
        initial = torch.Generator().manual_seed(for_weights)
        self.random = torch.Generator(device).manual_seed(for_steps)
        self.g = Generator(config.z_dim, config.channels, config.g_width)
        self.d = Discriminator(config.channels, config.d_width, config.d_batch_norm, config.minibatch_stddev)
        for network in (self.g, self.d):
            initialise(network, initial)
            # PyTorch's stubs do not know that a module takes a memory format.
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.g_ema = copy.deepcopy(self.g).eval() if config.uses_ema else None
        betas = (config.beta1, config.beta2)
        self.g_optimiser = torch.optim.Adam(self.g.parameters(), config.lr, betas)
        self.d_optimiser = torch.optim.Adam(self.d.parameters(), config.d_lr or config.lr, betas)
        self.step = 0
        images_in_all = config.total_kimg * 1000 or config.epochs * len(images)
        self.total_steps = math.ceil(images_in_all / self.images_per_step)

    @property
    def images_per_step(self) -> int:
        """Real images shown in one step."""
        return self.config.batch_size * self.config.d_steps

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far."""
        return self.step * self.images_per_step / 1000

    @property
    def generator(self) -> Generator:
        """The generator to use: the average where the recipe has one."""
        return self.g_ema if self.g_ema is not None else self.g

    def train_step(self) -> dict[str, Tensor]:
        """One generator step after `d_steps` discriminator steps; returns scalars, still on the device.

        `D(x)` and `D(G(z))` are mean probabilities. The relativistic loss fixes no zero for the logits, so there
        they are relative to the mean logit of the other kind (Jolicoeur-Martineau 2018, section 4.3).
        """
        self._set_learning_rates()
        for repeat in range(self.config.d_steps):
            real = self._real_batch(self.step * self.images_per_step + repeat * self.config.batch_size)
            with self._autocast():
                z = torch.randn(self.config.batch_size, self.config.z_dim, generator=self.random, device=self.device)
                fake = self.g(z).float()
            d_loss, p_real, p_fake = self._d_step(real, fake.detach())
        g_loss, p_fake_after = self._g_step(real, fake)
        self.step += 1
        if self.g_ema is not None:
            ema.update(self.g_ema, self.g, ema.decay(self.images_per_step, self.kimg, self.config.ema_kimg))
        return {
            "Loss_D": d_loss,
            "Loss_G": g_loss,
            "D(x)": p_real,
            "D(G(z)) before": p_fake,
            "D(G(z)) after": p_fake_after,
        }

    def is_finite(self) -> bool:
        """Whether all weights and running statistics of both networks are finite."""
        tensors = [*self.g.state_dict().values(), *self.d.state_dict().values()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly: tensors and plain values."""
        return {
            "snapshot_format": checkpoint.SNAPSHOT_FORMAT,
            "config": self.config.to_dict(),
            "step": self.step,
            "total_steps": self.total_steps,
            "kimg": self.kimg,
            "g": self.g.state_dict(),
            "d": self.d.state_dict(),
            "g_ema": None if self.g_ema is None else self.g_ema.state_dict(),
            "g_optimiser": self.g_optimiser.state_dict(),
            "d_optimiser": self.d_optimiser.state_dict(),
            "random": self.random.get_state(),
            "device": self.device.type,
            "images_sha256": self.images_sha256,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`.

        Raises:
            CommandError: 78 where it comes from other options, other images or another kind of device.
        """
        theirs, ours = state["config"], self.config.to_dict()
        changed = sorted(name for name in ours if name not in FREE_TO_CHANGE and theirs.get(name) != ours[name])
        if changed:
            differences = ", ".join(f"{name} was {theirs.get(name)} and is {ours[name]}" for name in changed)
            raise CommandError(ExitCode.OTHER_RUN, f"the run to resume had other options: {differences}")
        if state["images_sha256"] != self.images_sha256:
            raise CommandError(ExitCode.OTHER_RUN, "the run to resume had other images: they changed, or DATA differs")
        if state.get("device") != self.device.type:
            raise CommandError(
                ExitCode.OTHER_RUN,
                f"the run to resume was on {state.get('device')}, and {self.device.type} has other random numbers: "
                f"add --device {state.get('device')}",
            )
        self.step = state["step"]
        self.g.load_state_dict(state["g"])
        self.d.load_state_dict(state["d"])
        if self.g_ema is not None:
            self.g_ema.load_state_dict(state["g_ema"])
        self.g_optimiser.load_state_dict(state["g_optimiser"])
        self.d_optimiser.load_state_dict(state["d_optimiser"])
        self.random.set_state(state["random"])

    def _set_learning_rates(self) -> None:
        left = 1 - self.step / self.total_steps
        factor = min(1.0, left / self.config.lr_decay) if self.config.lr_decay else 1.0
        self.g_optimiser.param_groups[0]["lr"] = self.config.lr * factor
        self.d_optimiser.param_groups[0]["lr"] = (self.config.d_lr or self.config.lr) * factor

    def _d_step(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        config = self.config
        self.d_optimiser.zero_grad(set_to_none=True)
        with self._autocast():
            d_real = self.d(self._as_seen(real)).float()
            d_fake = self.d(self._as_seen(fake)).float()
        if config.loss == "relativistic":
            loss = losses.relativistic_loss(d_real, d_fake)
        else:
            loss = losses.bce_d_loss(d_real, d_fake, config.label_smoothing)
        torch.autograd.backward(loss)
        if config.r1_gamma and self.step % config.r1_interval == 0:
            seen = self._as_seen(real).requires_grad_()
            penalty = losses.r1_penalty(self.d(seen), seen)
            torch.autograd.backward(penalty * (config.r1_gamma / 2 * config.r1_interval))
        self._clip(self.d)
        self.d_optimiser.step()
        return loss.detach(), self._probability(d_real, d_fake), self._probability(d_fake, d_real)

    def _g_step(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        self.g_optimiser.zero_grad(set_to_none=True)
        self.d.requires_grad_(False)
        with self._autocast():
            d_fake = self.d(self._as_seen(fake)).float()
        if self.config.loss == "relativistic":
            with torch.no_grad(), self._autocast():
                d_real = self.d(self._as_seen(real)).float()
            loss = losses.relativistic_loss(d_fake, d_real)
        else:
            d_real = torch.zeros_like(d_fake)  # this loss does not look at the photos
            loss = losses.bce_g_loss(d_fake)
        torch.autograd.backward(loss)
        self.d.requires_grad_(True)
        self._clip(self.g)
        self.g_optimiser.step()
        return loss.detach(), self._probability(d_fake, d_real)

    @torch.no_grad()
    def _probability(self, logits: Tensor, others: Tensor) -> Tensor:
        zero = others.mean() if self.config.loss == "relativistic" else 0.0
        return (logits - zero).sigmoid().mean()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def _as_seen(self, images: Tensor) -> Tensor:
        """Images as the discriminator gets them: augmented, and with instance noise (Sønderby et al. 2017)."""
        if self.config.augment:
            images = augment(images, self.random)
        std = self.config.instance_noise * max(0.0, 1 - self.step / self.total_steps)
        if std:
            noise = torch.randn(images.shape, generator=self.random, device=self.device)
            images = images + std * noise
        images = (images - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)

    def _clip(self, network: nn.Module) -> None:
        if self.config.grad_clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.config.grad_clip)

    def _real_batch(self, position: int) -> Tensor:
        """The batch that starts at `position` of the endless row of shuffled epochs, in [-1, 1]."""
        chosen: list[int] = []
        while len(chosen) < self.config.batch_size:
            epoch, offset = divmod(position + len(chosen), len(self.images))
            order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.images))
            chosen += order[offset : offset + self.config.batch_size - len(chosen)].tolist()
        batch = to_float(self.images[torch.tensor(chosen, device=self.device)])
        return flip(batch, self.config.flip, self.random)
