"""Weights that spectral norm has divided into parts, as both of PyTorch's ways store them, put together again.

A network in eval mode multiplies with w / σ, σ = u · (W v), and neither u nor v change any more (Miyato et al.,
"Spectral Normalization for Generative Adversarial Networks", ICLR 2018, section 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Place = tuple[str, ...]
_PARTS: tuple[tuple[Place, Place, Place], ...] = (
    (("weight_orig",), ("weight_u",), ("weight_v",)),
    (
        ("parametrizations", "weight", "original"),
        ("parametrizations", "weight", "0", "_u"),
        ("parametrizations", "weight", "0", "_v"),
    ),
)
"""What a layer's weight, u and v are called by `torch.nn.utils.spectral_norm`, and by that of `parametrizations`."""


def folded(tensors: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
    """The tensors of a file with each weight of spectral norm as the layer uses it; all others as they are.

    Args:
        tensors: by their place, a name cut at its dots.
    """
    found = dict(tensors)
    for names in _PARTS:
        original = names[0]
        for layer in [place[: -len(original)] for place in tensors if place[-len(original) :] == original]:
            parts = [tensors.get(layer + name) for name in names]
            if (weight := _normalised(*parts)) is not None:
                for name in names:
                    del found[layer + name]
                found[(*layer, "weight")] = weight
    return found


def _normalised(weight: Tensor | None, u: Tensor | None, v: Tensor | None) -> Tensor | None:
    """w / σ; None where the parts do not fit each other.

    The rows of W are the outputs of a layer: the first dimension, of a transposed convolution the second. Where both
    fit, u and v belong to the one that they make the larger σ of.
    """
    if weight is None or u is None or v is None or weight.ndim < 2 or u.ndim != 1 or v.ndim != 1:
        return None
    matrices = [weight.movedim(rows, 0).flatten(1) for rows in (0, 1)]
    sigmas = [u @ matrix @ v for matrix in matrices if list(matrix.shape) == [len(u), len(v)]]
    return weight / max(sigmas) if sigmas and max(sigmas) > 0 else None
