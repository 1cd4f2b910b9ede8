"""The generator in a file of weights: our own, and those trained elsewhere, whatever lies around them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gan.networks.architectures import architecture_of, generator_of
from gan.networks.files import excerpt, holds_safetensors, load, plain
from gan.networks.generator import Generator
from gan.networks.persistent import PickledNetwork
from gan.networks.spectral import folded
from gan.networks.stylegan2 import of_snapshot
from models.errors import CommandError, ExitCode
from models.log import log

_DEEPEST = 32
"""Levels of a checkpoint that are looked into; a dot in a name begins one."""
_AVERAGE = "G_ema"
"""What a snapshot of StyleGAN calls the generator that makes its images."""
_FEW = 3
_LONGEST = 1000
"""Characters of a name; what is longer is cut."""


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """The sha256 of a state dict's names, shapes and values (and batch norm's counters), whatever file they came in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_training(model: Path, sha256: str) -> dict[str, Any]:
    """What is known of the training of these weights: nothing where they come from another program.

    Args:
        model: the file that they came in: `training_options.json` beside it may tell, and a snapshot tells itself.
        sha256: theirs.
    """
    options: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        options = json.loads(model.with_name("training_options.json").read_text(encoding="utf-8"))
    if isinstance(options, dict) and options.get("weights_sha256") == sha256:
        return options
    with contextlib.suppress(CommandError):
        content = load(model)
        if "snapshot_format" in content:
            config = content.get("config")
            names = config.get("class_names") if isinstance(config, dict) else None
            told = list(names) if isinstance(names, list | tuple) else []
            return {"options": config, "class_names": told, "weights_sha256": sha256} | {
                name: content[name] for name in ("step", "kimg", "restarts", "photos") if name in content
            }
    log.info("no training_options.json of these weights beside %s: how they were trained is not known", model)
    return {}


def load_generator(path: Path, key: str = "", **unseen: Any) -> Generator:
    """The generator in a file of weights: a state dict, a `network-snapshot-*.pt`, or any checkpoint that holds one.

    Of a snapshot it is the average, where it has one. In other checkpoints it may lie at any depth, under names that
    begin with anything. What makes its images doubtful is logged.

    Args:
        path: a PyTorch or safetensors file, or a snapshot of StyleGAN, which tells of `unseen` itself.
        key: where in the file it lies, its names joined by dots; needed where there are several.
        unseen: what weights do not show, see `Generator.unseen`; the usual values where not given.

    Raises:
        CommandError: 66 no such file, 69 too little memory, 65 not one generator of a known architecture, 2 `unseen`
            names what such a generator has not.
    """
    content = load(path)
    if "snapshot_format" in content and not key:
        average = content.get("g_ema")
        content = {"g": content.get("g") if average is None else average}
    told: dict[str, Any] = {}
    try:
        state = _generator_state(content, key) if (pickled := _pickled(content, key)) is None else pickled
        if pickled is not None:
            told = of_snapshot(pickled)
        if sum(tensor.nbytes for tensor in state.values()) > path.stat().st_size:
            raise ValueError("its tensors claim more bytes than the file has")
        generator = generator_of(state, **{**told, **unseen})
    except ValueError as error:
        kind = " is a safetensors file" if holds_safetensors(path) else ""
        raise CommandError(ExitCode.BAD_DATA, f"{path}{kind}: {excerpt(error)}") from None
    generator.told = bool(told)
    for doubt in generator.doubts:
        log.warning("%s: %s", path, doubt)
    return generator


def _pickled(content: dict[Any, Any], key: str) -> PickledNetwork | None:
    """The network of a snapshot of StyleGAN that `key` names, or the average; None where the file is another.

    Raises:
        ValueError: it is not there.
    """
    networks = {name: network for name, network in content.items() if isinstance(network, PickledNetwork)}
    if not networks:
        return None
    if (key or _AVERAGE) not in networks:
        raise ValueError(f"it holds no {key or _AVERAGE}, but {', '.join(networks)}: choose one by `key`")
    return networks[key or _AVERAGE]


def _generator_state(content: dict[Any, Any], key: str) -> dict[str, Tensor]:
    """The state dict of the one generator in `content`, or of the one that `key` names.

    Raises:
        ValueError: there is none, or more than one.
    """
    tensors = folded(dict(_tensors(content)))
    if key:
        place = tuple(key.split("."))
        tensors = {name[len(place) :]: tensor for name, tensor in tensors.items() if name[: len(place)] == place}
        if not tensors:
            raise ValueError(f"it holds nothing at {key!r}, but {', '.join(str(name)[:_LONGEST] for name in content)}")
    found = _generators(tensors)
    if len(found) > 1:
        raise ValueError(f"each of {', '.join(found)} is a generator: choose one, such as `key={next(iter(found))}`")
    if found:
        return found.popitem()[1]
    parts = {name: value for name, value in content.items() if isinstance(value, dict) and not key}
    if not parts:
        return {".".join(name): tensor for name, tensor in tensors.items()}  # who makes it says what is wrong
    reasons = [f"{str(name)[:_LONGEST]} is {_why_not(value)}" for name, value in list(parts.items())[:_FEW]]
    raise ValueError(f"holds no generator: {'; '.join(reasons)}")


def _why_not(value: dict[Any, Any]) -> str:
    try:
        architecture_of({".".join(place): tensor for place, tensor in _tensors(value)})
    except ValueError as error:
        return str(error)
    return "one"  # which cannot be: it would have been found


def _generators(tensors: dict[tuple[str, ...], Tensor]) -> dict[str, dict[str, Tensor]]:
    """The generators among tensors by their place: where each lies, at the outermost place that holds nothing else."""
    levels: list[tuple[tuple[str, ...], dict[tuple[str, ...], Tensor]]] = [((), tensors)]
    found: dict[str, dict[str, Tensor]] = {}
    while levels:
        place, here = levels.pop(0)
        state = {".".join(name): tensor for name, tensor in here.items()}
        with contextlib.suppress(ValueError):
            architecture_of(state)
            found[".".join(place)] = state
            continue
        inner: dict[str, dict[tuple[str, ...], Tensor]] = {}
        for (first, *rest), tensor in here.items():
            if rest:
                inner.setdefault(first, {})[tuple(rest)] = tensor
        levels += [((*place, first), below) for first, below in inner.items()]
    return found


def _tensors(content: object) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """The tensors in nested dictionaries, lists and tuples, each with its place: keys, cut at their dots."""
    seen: set[int] = set()  # a file may hold one thing in many places, or in itself

    def walk(value: object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        if isinstance(value, Tensor):
            yield place, value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen and len(place) < _DEEPEST:
            seen.add(id(value))
            items = plain(value).items() if isinstance(value, dict) else enumerate(value)
            for name, inner in items:
                yield from walk(inner, (*place, *str(name)[:_LONGEST].split(".", _DEEPEST)))

    return walk(content, ())
