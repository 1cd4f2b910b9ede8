"""What one training step does, and the state that it moves."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan.config import AUTO, TrainConfig
from gan.devices import fast_bfloat16
from gan.networks import reader
from gan.networks.architectures import new_discriminator, new_generator
from gan.networks.generator import Generator
from gan.networks.pixels import to_float
from gan.photos.directions import both_ways, lying
from gan.photos.spots import Windows
from gan.training import ema, objectives, snapshots
from gan.training.augment import flip
from gan.training.batches import Batches
from gan.training.distributed import averaged
from gan.training.losses import LOSSES
from gan.training.processes import ALONE, Processes
from gan.training.pulls import Pulls
from gan.training.resuming import refuse_other
from gan.training.sight import Sight
from gan.training.validation import Measured


class Trainer:
    """Networks, optimisers and counters of one run, and the step that moves them.

    Args:
        images: uint8 `[N, C, H, W]`; moved to `device` whole.
        config: the options; those in effect, with precision and rate that are chosen, are `Trainer.config`.
        device: where to train.
        photos: uint8 `[C, H, W]` each, to crop the images from anew every time they are shown; none: `images` it is.
        restarts: how often the run began anew; each time with other random numbers.
        processes: that train together, each with its share of every batch.
        labels: of the images, where `config` names classes.
        masks: of the images, uint8 `[N, 1, H, W]`, where `config` says so.
        whole_masks: of the photos, where there are any, uint8 `[1, H, W]` each.

    Raises:
        ValueError: a batch that cannot be shared out evenly, at least two images to each process; labels without
            classes or masks without the option, or the other way round.
        CommandError: 70 another process has ended.
    """

    def __init__(
        self,
        images: Tensor,
        config: TrainConfig,
        device: torch.device,
        photos: Sequence[Tensor] = (),
        restarts: int = 0,
        processes: Processes = ALONE,
        labels: Sequence[int] = (),
        masks: Tensor | None = None,
        whole_masks: Sequence[Tensor] = (),
    ) -> None:
        if len(labels) != (len(images) if config.class_names else 0):
            raise ValueError(f"{len(labels)} labels of {len(images)} images and {len(config.class_names)} classes")
        if (masks is not None) != config.masks or (config.masks and len(photos) != len(whole_masks)):
            raise ValueError("masks of all images and photos, and the option `masks`, belong together")
        if config.batch_size % processes.count or config.batch_size < 2 * processes.count:
            raise ValueError(f"a batch of {config.batch_size} images cannot be shared by {processes.count} processes")
        if config.precision == "auto":
            precision = "bfloat16" if fast_bfloat16(device.type) else "float32"
            config = dataclasses.replace(config, precision=precision)
        config = config.for_photos(len(images), config.transpose == AUTO and both_ways(images, labels))
        self.config, self.device, self.restarts, self.processes = config, device, restarts, processes
        self.loss = LOSSES[config.loss]
        shown, photos = with_masks(images, masks), [*map(with_masks, photos, whole_masks or itertools.repeat(None))]
        self.images_sha256 = _sha256(shown, photos, labels)
        self.labels = torch.tensor(labels, device=device) if labels else None
        shown, photos = shown.to(device), [photo.to(device) for photo in photos]
        seeds = [config.seed, restarts] if restarts else [config.seed]
        windows = [Windows(mask[0].numpy(), config.size) for mask in whole_masks]
        self.batches = Batches(shown, photos, windows, self.labels, config.batch_size, seeds, processes)
        images = images.to(device)
        self._pulls = None
        if config.feature_matching:
            self._pulls = Pulls(images, self.labels, self.batches, config, self._autocast)
        for_weights, for_steps = _seeds(seeds)
        if processes.rank:
            _, for_steps = _seeds([*seeds, processes.rank, 0])
        initial = torch.Generator().manual_seed(for_weights)
        self.random = torch.Generator(device).manual_seed(for_steps)
        self._sight = Sight(images, masks, config, self.random)
        self.g, self.d = new_generator(config), new_discriminator(config)
        for network in (self.g, self.d):
            network.initialise(initial)
            # PyTorch's stubs do not know that a module takes a memory format.
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.transpose == "on":
            self.g.lay(lying(images))
        self.g_ema = copy.deepcopy(self.g).eval() if config.uses_ema else None
        self.d_loss = averaged(objectives.DiscriminatorLoss(self.d, config), device, processes)
        self.g_shared = averaged(self.g, device, processes)
        betas = (config.beta1, config.beta2)
        self.g_optimiser = torch.optim.Adam(self.g.parameters(), config.lr, betas)
        self.d_optimiser = torch.optim.Adam(self.d.parameters(), self._d_lr, betas)
        self.step = 0
        self.best: dict[str, Any] | None = None  # of the sample grids so far: what `validated` notes
        images_in_all = config.total_kimg * 1000 or config.epochs * len(images)
        self.total_steps = math.ceil(round(images_in_all, 6) / self.images_per_step)  # 1.1 * 1000 is more than 1100
        self._phase_in()

    @property
    def _d_lr(self) -> float:
        return float(self.config.d_lr or self.config.lr)

    @property
    def images_per_step(self) -> int:
        """Real images shown in one step."""
        return self.config.batch_size * self.config.d_steps

    @property
    def _share(self) -> int:
        """Images of a batch that are this process's."""
        return self.config.batch_size // self.processes.count

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far."""
        return self.step * self.images_per_step / 1000

    @property
    def class_strength(self) -> float:
        """How much classes count at this step: from 0 it rises linearly to 1.

        On few photos a generator that is told classes from the start collapses within them (Shahbazi et al., "Collapse
        by Conditioning: Training Class-conditional GANs with Limited Data", ICLR 2022).
        """
        if self.labels is None:
            return 0.0
        begin, full = self.config.class_from, self.config.class_to
        share = self.step / self.total_steps
        if share >= full:
            return 1.0
        return max(0.0, share - begin) / (full - begin) if full > begin else 0.0

    @property
    def counts_from_kimg(self) -> float:
        """From when on a generator may be the best: the learning rate falls, where it will, and classes count in full.

        Before that one may be the nearest by features, and its scratches are pieces, or its labels mean little.
        """
        falls = 1 - self.config.lr_decay if self.config.lr_decay else 0.0
        full = self.config.class_to if self.labels is not None else 0.0
        return max(falls, full) * self.total_steps * self.images_per_step / 1000

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
            position = self.step * self.images_per_step + repeat * self.config.batch_size
            real, labels = self._real_batch(position), self.batches.labels(position)
            clear = self.batches.clear(position)
            with self._autocast():
                inputs = self.g.draw(self._share, self.random, labels, clear)
                last = repeat == self.config.d_steps - 1
                fake = as_channels((self.g_shared if last else self.g)(**inputs)).float()
            d_loss, p_real, p_fake = self._d_step(real, fake.detach(), labels)
        g_loss, p_fake_after = self._g_step(real, fake, labels, clear)
        self.step += 1
        if self.g_ema is not None:
            ema.update(self.g_ema, self.g, ema.decay(self.images_per_step, self.kimg, self.config.ema_kimg))
        self._phase_in()
        return {
            "Loss_D": d_loss,
            "Loss_G": g_loss,
            "D(x)": p_real,
            "D(G(z)) before": p_fake,
            "D(G(z)) after": p_fake_after,
        }

    def validated(self, measured: Measured | None, against: str = "") -> bool:
        """Take note of what was `measured` at this step `against` photos, and of which generator it is.

        Of several that are as good as the best, as far as so few photos can tell, it is the last one: the learning rate
        was lower by then, and what is drawn is finished.

        Returns:
            Whether it is the one to keep: its score is that of the best, or none was measured so far.
        """
        if measured is None or math.isnan(measured.score) or self.kimg < self.counts_from_kimg:
            return self.best is None
        lowest, since = math.inf, self.kimg
        if self.best is not None:
            lowest = self.best.get("lowest", self.best["score"])  # earlier versions kept none but the lowest
            since = self.best.get("lowest_kimg", self.best["kimg"])
        if not measured.score < lowest + 2 * measured.one_photo:  # either may be off by one
            return False
        self.best = {
            "kid_x1000": measured.kid_x1000,
            "score": measured.score,
            "step": self.step,
            "kimg": self.kimg,
            "lowest": min(lowest, measured.score),
            "lowest_kimg": self.kimg if measured.score < lowest else since,
            "against": against,
            "weights_sha256": reader.weights_sha256(self.generator.state_dict()),
        }
        return True

    def is_finite(self) -> bool:
        """Whether all weights and running statistics of both networks are finite."""
        tensors = [*self.g.state_dict().values(), *self.d.state_dict().values()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly: tensors and plain values. All processes have to ask for it together."""
        return {
            "snapshot_format": snapshots.SNAPSHOT_FORMAT,
            "config": self.config.to_dict(),
            "step": self.step,
            "total_steps": self.total_steps,
            "kimg": self.kimg,
            "g": self.g.state_dict(),
            "d": self.d.state_dict(),
            "g_ema": None if self.g_ema is None else self.g_ema.state_dict(),
            "g_optimiser": self.g_optimiser.state_dict(),
            "d_optimiser": self.d_optimiser.state_dict(),
            "random": self.processes.gather(self.random.get_state()),
            "restarts": self.restarts,
            "best": self.best,
            "device": self.device.type,
            "images_sha256": self.images_sha256,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`.

        Raises:
            CommandError: 78 where it comes from other options, other images or another kind of device.
        """
        refuse_other(state, self.config, self.images_sha256, self.device.type, self.processes.count)
        self.step, self.best = state["step"], state["best"]
        self.g.load_state_dict(state["g"])
        self.d.load_state_dict(state["d"])
        if self.g_ema is not None:
            self.g_ema.load_state_dict(state["g_ema"])
        self.g_optimiser.load_state_dict(state["g_optimiser"])
        self.d_optimiser.load_state_dict(state["d_optimiser"])
        self.random.set_state(state["random"][self.processes.rank])
        self._phase_in()

    def _phase_in(self) -> None:
        for network in (self.g, self.g_ema):
            if network is not None:
                network.phase_in(self.class_strength)

    def _set_learning_rates(self) -> None:
        left = 1 - self.step / self.total_steps
        factor = min(1.0, left / self.config.lr_decay) if self.config.lr_decay else 1.0
        self.g_optimiser.param_groups[0]["lr"] = self.config.lr * factor
        self.d_optimiser.param_groups[0]["lr"] = self._d_lr * factor

    def _d_step(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        config = self.config
        self.d_optimiser.zero_grad(set_to_none=True)
        penalise = config.penalised and self.step % config.penalty_interval == 0
        with self._autocast():
            loss, penalty, p_real, p_fake = self.d_loss(
                self._as_seen(real), self._as_seen(fake), penalise, labels, self.class_strength
            )
        torch.autograd.backward(loss + penalty)
        self._clip(self.d)
        self.d_optimiser.step()
        return loss.detach(), p_real, p_fake

    def _g_step(self, real: Tensor, fake: Tensor, labels: Tensor | None, clear: Tensor | None) -> tuple[Tensor, Tensor]:
        self.g_optimiser.zero_grad(set_to_none=True)
        self.d.requires_grad_(False)
        with self._autocast():
            seen = self._as_seen(real) if self.loss.relative else real  # the others do not look at it
            seen_fake = self._as_seen(fake)
            loss, p_fake = objectives.generator_loss(self.d, self.loss, seen, seen_fake, labels, self.class_strength)
        if self._pulls is not None:
            self._pulls.add(fake, labels, clear, self.class_strength)
        torch.autograd.backward(loss)
        self.d.requires_grad_(True)
        self._clip(self.g)
        self.g_optimiser.step()
        return loss.detach(), p_fake

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def _as_seen(self, images: Tensor) -> Tensor:
        """Images as the discriminator gets them at this step: its noise falls to 0."""
        return self._sight(images, self.config.instance_noise * max(0.0, 1 - self.step / self.total_steps))

    def _clip(self, network: nn.Module) -> None:
        if self.config.grad_clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.config.grad_clip)

    def _real_batch(self, position: int) -> Tensor:
        """The images at `position`, in [-1, 1]."""
        return flip(to_float(self.batches.images(position)), self.config.flip, self.random)


def with_masks(images: Tensor, masks: Tensor | None) -> Tensor:
    """Images `[…, C, H, W]` with their masks `[…, 1, H, W]` as one more channel, where there are any."""
    return images if masks is None else torch.cat([images, masks], dim=-3)


def as_channels(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """What a generator gives as channels of one tensor, `[N, C, H, W]` or, with masks, `[N, C + 1, H, W]`."""
    return torch.cat(outputs, dim=1) if isinstance(outputs, tuple) else outputs


def _sha256(shown: Tensor, photos: Sequence[Tensor], labels: Sequence[int]) -> str:
    """Of all that is trained on."""
    digest = hashlib.sha256(shown.cpu().contiguous().numpy().data)
    for photo in photos:
        digest.update(f"{list(photo.shape)}".encode() + photo.cpu().contiguous().numpy().tobytes())
    digest.update(np.array(labels, "<i8").tobytes())
    return digest.hexdigest()


def _seeds(entropy: list[int]) -> tuple[int, int]:
    """Two independent seeds that a `torch.Generator` takes."""
    first, second = np.random.SeedSequence(entropy).generate_state(2, np.uint64) >> 1
    return int(first), int(second)
