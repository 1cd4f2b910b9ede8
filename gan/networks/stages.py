"""What networks of convolutions and batch norm share: widths, the weights to begin with, and checks of loaded ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan.config import IMAGE_SIZES

MAX_FACTOR = 16
"""No stage has more than this many times the width: of the usual network up to 128×128, beyond it to bound its size."""


def stage_channels(image_size: int, width: int) -> list[int]:
    """Channels of the hidden stages from the largest side, `image_size` / 2, down to 4×4.

    Raises:
        ValueError: a size that is not one of `IMAGE_SIZES`.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size {image_size} is not one of {', '.join(map(str, IMAGE_SIZES))}")
    return [width * min(2**stage, MAX_FACTOR) for stage in range(image_size.bit_length() - 3)]


def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights as in Radford et al., section 4: convolutions N(0, 0.02), batch norm N(1, 0.02) and 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Under spectral norm `weight` is computed from an original, and from vectors that are drawn as well.
            state = module.state_dict(keep_vars=True)
            weight = state.get("parametrizations.weight.original", module.weight)
            nn.init.normal_(weight, 0.0, 0.02, generator=random)
            for name in ("_u", "_v"):
                vector = state.get(f"parametrizations.weight.0.{name}")
                if vector is not None:
                    vector.normal_(generator=random).div_(vector.norm())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=random)
            nn.init.zeros_(module.bias)


def doubts(network: nn.Module) -> list[str]:
    """Statistics of batch norm that no batch has ever moved, in a sentence; of most networks nothing."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    still = [norm for norm in norms if _is_all(norm.running_mean, 0) and _is_all(norm.running_var, 1)]
    if not still:
        return []
    return [
        f"the statistics of {len(still)} of {len(norms)} batch norms were never updated (mean 0, variance 1): the "
        "images are not those that the training showed; let some batches through in train mode before saving"
    ]


def check_shapes(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Refuse a state whose tensors are not those of `network`; batch norm's `num_batches_tracked` may be missing.

    Args:
        network: may be on the meta device.
        state: name to tensor.
        what: the network is, for the message.

    Raises:
        ValueError: a tensor is missing, one too many, of another shape, or of whole numbers in a real one's place.
    """
    expected = network.state_dict()
    for name in {**expected, **state}:
        has, needs = (str(list(part[name].shape)) if name in part else "nothing" for part in (state, expected))
        if has != needs and (name in state or not name.endswith("num_batches_tracked")):
            raise ValueError(f"not {what}: {name} is {has}, expected {needs}")
        if expected[name].is_floating_point() and not state[name].is_floating_point():
            raise ValueError(f"{name} holds {state[name].dtype}, not real numbers")


def check_values(network: nn.Module) -> None:
    """Refuse weights and statistics that give no image.

    Raises:
        ValueError: values that are not finite, or negative variances.
    """
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds non-finite values: the training diverged")
        if name.endswith("running_var") and (tensor < 0).any():
            raise ValueError(f"{name} holds negative variances")


def _is_all(tensor: Tensor | None, value: float) -> bool:
    return tensor is not None and bool((tensor == value).all())
