"""Where networks run, and in which precision that place calculates fast."""

from __future__ import annotations

import torch

from models.errors import CommandError, ExitCode


def find_device(wanted: str = "auto") -> str:
    """The device to use: `auto` is the GPU where PyTorch finds one, else the processor; any other stays as it is.

    A command may be asked for `models.providers.DEVICES`; a Python caller may name any device of PyTorch, such as
    `cuda:1`.

    Raises:
        CommandError: 69 a GPU was asked for, and PyTorch finds none.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise CommandError(
            ExitCode.NO_DEVICE, f"`device={wanted}`: PyTorch finds no usable GPU; take `device=auto` or `device=cpu`"
        )
    return wanted


def fast_bfloat16(device: str) -> bool:
    """Whether the GPU or the processor multiplies in bfloat16 itself; where it does not, float32 is faster."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
