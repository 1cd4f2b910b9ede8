"""From options or weights to a network: the one table of what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gan.config import TrainConfig
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.networks.generator import Generator
from gan.networks.pairs import PairDiscriminator
from gan.networks.shift import ShiftGenerator
from gan.networks.standardizer import SIGMAS
from gan.networks.stylegan2 import StyleGAN2
from gan.networks.two_part import TwoPartDiscriminator
from models.errors import CommandError, ExitCode

AnyDiscriminator = Discriminator | TwoPartDiscriminator | PairDiscriminator
ARCHITECTURES: dict[str, type[Generator]] = {kind.architecture: kind for kind in (DCGAN, ShiftGenerator)}
"""The generators, by the name that `TrainConfig.architecture` and a file's metadata give them."""
_READ: tuple[type[Generator], ...] = (StyleGAN2,)
"""Those that are only read, and not trained here."""


def new_generator(config: TrainConfig) -> Generator:
    """The generator that `config` asks for, its weights not yet drawn.

    Raises:
        ValueError: sizes that it cannot have, or an architecture that is not there.
    """
    kind = ARCHITECTURES.get(config.architecture)
    if kind is None:
        raise ValueError(f"architecture {config.architecture!r} is not one of {', '.join(ARCHITECTURES)}")
    return kind.of(config)


def new_discriminator(config: TrainConfig) -> AnyDiscriminator:
    """The discriminator that `config` asks for, its weights not yet drawn."""
    channels = config.channels * (len(SIGMAS) + 1 if config.bands else 1)
    if config.d_two_part:
        fine, classes = config.channels * config.bands, len(config.class_names)
        kind = PairDiscriminator if config.masks else TwoPartDiscriminator
        return kind(channels, config.d_width, config.image_size, fine, classes)
    return Discriminator(
        channels, config.d_width, config.d_batch_norm,
        config.minibatch_stddev, config.size[0], config.d_spectral_norm, config.d_patches, config.d_decoder,
    )  # fmt: skip


def architecture_of(state: Mapping[Any, Any]) -> type[Generator]:
    """The architecture whose generator `state` is, by names and shapes alone.

    Raises:
        ValueError: none of them; it says why.
    """
    reasons: list[str] = []
    for kind in (*ARCHITECTURES.values(), *_READ):
        try:
            kind.shaped_like(state)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return kind
    raise ValueError("; ".join(reasons))


def generator_of(state: Mapping[str, Tensor], **unseen: Any) -> Generator:
    """The generator that a state dict holds, in eval mode on the CPU, with its own float32 copy of the weights.

    Args:
        state: tensors of any floating dtype and strides.
        unseen: see `Generator.unseen`.

    Raises:
        ValueError: it is that of no architecture, or holds values that give no image.
        CommandError: 2 `unseen` names what such a generator has not.
    """
    kind = architecture_of(state)
    unknown = sorted(unseen.keys() - kind.UNSEEN)
    if unknown:
        raise CommandError(
            ExitCode.USAGE, f"`{unknown[0]}`: a {kind.architecture} generator has no {', '.join(unknown)} to choose"
        )
    return kind.from_state_dict(state, **unseen)
