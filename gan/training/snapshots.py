"""Files that a training run leaves: written beside their place and renamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan.networks.reader import load
from models.errors import CommandError, ExitCode
from models.files import write_atomically

SNAPSHOT_FORMAT = 1

_SNAPSHOT_NAME = re.compile(r"network-snapshot-(\d{6,})\.pt")


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically as a PyTorch file."""

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # given a path, PyTorch turns a full disk into a RuntimeError
            torch.save(content, file)

    write_atomically(path, write)


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's plain state dict: contiguous tensors on the CPU."""
    save(path, {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()})


def found(folder: Path) -> list[Path]:
    """The snapshots in `folder`, oldest step first."""
    there = [path for path in folder.glob("network-snapshot-*.pt") if _SNAPSHOT_NAME.fullmatch(path.name)]
    return sorted(there, key=lambda path: int(path.stem.rsplit("-", 1)[1]))


def snapshot_path(folder: Path, step: int) -> Path:
    """Where the snapshot of an optimiser step lies."""
    return folder / f"network-snapshot-{step:06d}.pt"


def newest_snapshot(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The newest snapshot in `folder` that can be read, with its content.

    Raises:
        CommandError: 66 where there is none, 65 where none can be read.
    """
    there = found(folder)
    if not there:
        raise CommandError(ExitCode.NO_INPUT, f"no network-snapshot-*.pt in {folder.absolute()} to resume from")
    for path in reversed(there):
        try:
            content = load(path)
        except CommandError:
            continue
        if content.get("snapshot_format") == SNAPSHOT_FORMAT:
            return path, content
    raise CommandError(ExitCode.BAD_DATA, f"none of the {len(there)} snapshots in {folder.absolute()} can be read")
