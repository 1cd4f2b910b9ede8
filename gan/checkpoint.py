"""Files of a training run: written beside their place and renamed, read with `weights_only=True`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan.networks import Generator
from models.console import CommandError, ExitCode, log
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


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """The sha256 of a state dict's names, shapes and values, whatever file they came in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load(path: Path) -> dict[str, Any]:
    """Read a PyTorch file without executing anything in it.

    Raises:
        CommandError: 66 no such file; 65 damaged, not a PyTorch file, or one that would run code.
    """
    if not path.is_file():
        raise CommandError(ExitCode.NO_INPUT, f"no file {path.absolute()}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"{path}: {error.strerror or error}") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{path} is refused: it is no PyTorch file, or holds Python objects, and loading those could run code; "
            "give a plain state_dict (torch.save(model.state_dict(), …))",
        ) from None
    except Exception as error:  # torch.load raises many kinds on damaged files
        raise CommandError(ExitCode.BAD_DATA, f"{path} is damaged or no PyTorch file: {str(error)[:150]}") from None
    if not isinstance(content, dict):
        raise CommandError(ExitCode.BAD_DATA, f"{path} holds a {type(content).__name__}, not a state_dict")
    return content


def read_training(model: Path, sha256: str) -> dict[str, Any]:
    """What `training_options.json` beside a model says, where it is of weights with this `sha256`; else nothing."""
    options: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        options = json.loads(model.with_name("training_options.json").read_text())
    if not isinstance(options, dict) or options.get("weights_sha256") != sha256:
        log.info("no training_options.json of these weights beside %s: the file will not say how it was trained", model)
        return {}
    return options


def load_generator(path: Path) -> Generator:
    """The generator in a `generator_model.pth` or a `network-snapshot-*.pt` (its average where it has one).

    Raises:
        CommandError: 66 no such file, 65 not a generator of this architecture.
    """
    content = load(path)
    state: Any = content
    if "snapshot_format" in content:
        state = content.get("g_ema") or content.get("g")
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CommandError(ExitCode.BAD_DATA, f"{path} holds no plain state_dict of tensors")
    try:
        return Generator.from_state_dict(state)
    except ValueError as error:
        raise CommandError(ExitCode.BAD_DATA, f"{path}: {error}") from None


def snapshots(folder: Path) -> list[Path]:
    """The snapshots in `folder`, oldest step first."""
    found = [path for path in folder.glob("network-snapshot-*.pt") if _SNAPSHOT_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem.rsplit("-", 1)[1]))


def snapshot_path(folder: Path, step: int) -> Path:
    """Where the snapshot of an optimiser step lies."""
    return folder / f"network-snapshot-{step:06d}.pt"


def newest_snapshot(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The newest snapshot in `folder` that can be read, with its content.

    Raises:
        CommandError: 66 where there is none, 65 where none can be read.
    """
    found = snapshots(folder)
    if not found:
        raise CommandError(ExitCode.NO_INPUT, f"no network-snapshot-*.pt in {folder.absolute()} to resume from")
    for path in reversed(found):
        try:
            content = load(path)
        except CommandError:
            continue
        if content.get("snapshot_format") == SNAPSHOT_FORMAT:
            return path, content
    raise CommandError(ExitCode.BAD_DATA, f"none of the {len(found)} snapshots in {folder.absolute()} can be read")
