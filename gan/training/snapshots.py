"""Files that a training run leaves: written beside their place and renamed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan.networks.files import load
from gan.training.folder import found, no_snapshot
from models.errors import CommandError, ExitCode
from models.files import write_atomically, write_file

SNAPSHOT_FORMAT = 1


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically as a PyTorch file."""

    packed = io.BytesIO()  # PyTorch writing to a full disk itself dies of a RuntimeError, or of its own C++
    torch.save(content, packed)
    write_atomically(path, lambda temporary: write_file(temporary, [packed.getbuffer()]))


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's plain state dict: contiguous tensors on the CPU."""
    save(path, {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()})


def newest_snapshot(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The newest snapshot in `folder` that can be read, with its content.

    Raises:
        CommandError: 66 where there is none, 65 where none can be read.
    """
    there = found(folder)
    if not there:
        raise no_snapshot(folder)
    for path in reversed(there):
        try:
            content = load(path)
        except CommandError:
            continue
        if content.get("snapshot_format") == SNAPSHOT_FORMAT:
            return path, content
    raise CommandError(ExitCode.BAD_DATA, f"none of the {len(there)} snapshots in {folder.absolute()} can be read")
