"""Snapshots that are pickles: what they hold is read, nothing in them is run, and little is enough to refuse one."""

from __future__ import annotations

import os
import pickle
import struct
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan.networks.files import load
from gan.networks.persistent import PickledNetwork
from models.errors import CommandError, ExitCode
from tests.export.checkpoints import Call
from tests.gan.networks.snapshots import (
    SOURCE,
    EasyDict,
    Stub,
    generator,
    named_as_there,
    pickled,
    state_of,
    stored,
    write_snapshot,
)

NAME = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
"""The instruction that begins a network."""
BEGIN = b"\x80\x04" + NAME + b"0"


def module(**state: Any) -> Stub:
    return Stub(
        "Generator", {"_parameters": OrderedDict(), "_buffers": OrderedDict(), "_modules": OrderedDict(), **state}
    )


def test_tensors_and_settings_are_read_by_name_and_source_code_is_not_run(tmp_path: Path) -> None:
    found = load(write_snapshot(tmp_path / "s.pkl", state_of()))
    assert list(found) == ["G", "D", "G_ema"]
    network = found["G_ema"]
    assert isinstance(network, PickledNetwork)
    assert network.kind == "Generator"
    state = state_of()
    assert network.keys() == state.keys()
    assert all(torch.equal(network[name], state[name]) for name in state)
    told = network.settings
    assert (told["mapping.fc0.weight_gain"], told["mapping.fc0.activation"], told["training"]) == (
        0.0125,
        "lrelu",
        False,
    )
    assert SOURCE.encode() in (tmp_path / "s.pkl").read_bytes()


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_tensors_of_every_kind_and_any_strides_keep_their_values(tmp_path: Path, kind: torch.dtype) -> None:
    values = torch.arange(24).reshape(2, 3, 4).to(kind)
    stub = module(
        _buffers={"whole": values, "turned": values.permute(2, 0, 1), "part": values[1:, ::2], "none": values[:0]}
    )
    (tmp_path / "s.pkl").write_bytes(pickled({"G_ema": stub}))
    found = load(tmp_path / "s.pkl")["G_ema"]
    for name, tensor in stub.state["_buffers"].items():
        assert found[name].dtype is kind
        assert torch.equal(found[name], tensor)


def test_numbers_of_numpy_are_read(tmp_path: Path) -> None:
    stub = module(a=np.float64(0.5), b=np.float32(0.25), c=np.int64(-3), d=np.bool_(True), e=np.ones(3))
    (tmp_path / "s.pkl").write_bytes(pickled({"G_ema": stub}))
    assert load(tmp_path / "s.pkl")["G_ema"].settings == {"a": 0.5, "b": 0.25, "c": -3, "d": True}


def test_a_network_alone_is_the_average(tmp_path: Path) -> None:
    (tmp_path / "s.pkl").write_bytes(pickled(generator(state_of())))
    assert list(load(tmp_path / "s.pkl")) == ["G_ema"]


def nested(depth: int) -> bytes:
    """A tuple within a tuple, …, as a dictionary's key: hashing it would overflow the stack."""
    return BEGIN + b"}" + b")" + b"\x85" * depth + b"Ns."


def shared_modules() -> Stub:
    """Each of 10 levels holds the next one ten times: 10 billion modules."""
    inner = module()
    for _ in range(10):
        inner = module(_modules={str(number): inner for number in range(10)})
    return inner


def laughs(empty: bytes, end: bytes) -> bytes:
    """Instructions for a list or tuple of two of the same, which are of two of the same, …, 40 times."""
    put = b"q\x00"
    doubled = (empty if end == b"e" else b"") + b"(h\x00h\x00" + end + put
    return b"0".join([empty + put, *[doubled] * 40])


def within_itself() -> Stub:
    outer = module()
    outer.state["_modules"]["a"] = outer
    return outer


def changed_storage(change: Callable[[bytes], bytes]) -> bytes:
    """A snapshot whose one tensor's storage is another one; of the same length, or its own length would not fit."""
    raw = stored(torch.ones(251))
    content = pickled({"G_ema": module(_buffers={"x": torch.ones(251)})})
    begin = content.index(raw[:20])
    size = struct.unpack("<I", content[begin - 4 : begin])[0]
    new = change(content[begin : begin + size])
    assert len(new) == size
    return content[:begin] + new + content[begin + size :]


HOSTILE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a call in a network": (
        lambda mark: pickled({"G_ema": module(x=Call(os.mkdir, str(mark)))}),
        "posix.mkdir, and loading Python objects could run code",
    ),
    "a call of a later protocol": (
        lambda mark: pickled({"G_ema": module(x=Call(os.mkdir, str(mark)))}, 5),
        "posix.mkdir",
    ),
    "a call in a storage": (
        lambda mark: pickled(
            {"G_ema": module(x=Call(torch.storage._load_from_bytes, pickle.dumps(Call(os.mkdir, str(mark)), 2)))}
        ),
        "posix.mkdir",
    ),
    "a module's function": (lambda mark: pickled({"G_ema": module(x=torch.load)}), "torch.serialization.load"),
    "bytearray": (lambda mark: pickled({"G_ema": module(x=Call(bytearray, 2**33))}), "builtins.bytearray"),
    "getattr": (lambda mark: pickled({"G_ema": module(x=Call(getattr, "a", "upper"))}), "builtins.getattr"),
    "a class with a state": (lambda mark: BEGIN + b"K\x01}b.", "an object with a state of its own"),
    "a call of no function": (lambda mark: BEGIN + b"K\x01)R.", "a call"),
    "an instance": (lambda mark: BEGIN + b"(ios\nsystem\n.", "a pickle's INST"),
    "an extension": (lambda mark: BEGIN + b"\x82\x01.", "a pickle's EXT1"),
    "a persistent object": (lambda mark: BEGIN + b"K\x01Q.", "a pickle's BINPERSID"),
    "TensorFlow": (
        lambda mark: b"\x80\x03cdnnlib.tflib.network\nNetwork\n)\x81.",
        "a snapshot of StyleGAN for TensorFlow",
    ),
    "deep key": (lambda mark: nested(100_000), "keys that are no names"),
    "too many instructions": (lambda mark: BEGIN + b"}" * 400_000 + b".", "too many instructions"),
    "a name of a billion lists": (
        lambda mark: BEGIN + laughs(b"]", b"e") + b"\x8c\x01x\x93.",
        "a name that is no text",
    ),
    "a kind of a billion tuples": (
        lambda mark: (
            BEGIN + b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(" + laughs(b")", b"t") + b"\x89\x88tRC\x01xtR."
        ),
        "not read",
    ),
    "a size of a billion tuples": (
        lambda mark: (
            BEGIN
            + b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nB"
            + struct.pack("<I", len(stored(torch.ones(2))))
            + stored(torch.ones(2))
            + b"\x85RK\x00"
            + laughs(b")", b"t")
            + b"K\x01\x85tR."
        ),
        "a tensor in it is damaged",
    ),
    "far memo": (lambda mark: BEGIN + b"Nr\xff\xff\xff\x7f.", "it holds no networks"),
    "text of 8 EB": (lambda mark: BEGIN + b"\x8d" + b"\xff" * 7 + b"\x7f", "not read"),
    "bytes of 1 TB": (lambda mark: BEGIN + b"\x8e" + (2**40).to_bytes(8, "little") + b"x.", "not read"),
    "number of 2 GB": (lambda mark: BEGIN + b"\x8b\xff\xff\xff\x7f.", "not read"),
    "frame of 1 TB": (lambda mark: BEGIN + b"\x95" + (2**40).to_bytes(8, "little") + b"N.", "not read"),
    "nothing on the stack": (lambda mark: BEGIN + b"\x86.", "lacks its values"),
    "no mark": (lambda mark: BEGIN + b"t.", "not read"),
    "cut off": (lambda mark: pickled({"G_ema": module()})[:-40], "not read"),
    "another protocol": (lambda mark: b"\x80\x04" + NAME + b"\x85R.", "not read"),
    "billions of modules": (lambda mark: pickled({"G_ema": shared_modules()}), "too large"),
    "a module in itself": (lambda mark: pickled({"G_ema": within_itself()}), "not read"),
    "long names": (
        lambda mark: pickled({"G_ema": module(_modules={"k" * 10**6: module(_modules={"k" * 10**6: module()})})}),
        "too long",
    ),
    "one of 10 GB": (
        lambda mark: changed_storage(lambda raw: raw[:-1012] + (10 * 2**30).to_bytes(8, "little") + raw[-1004:]),
        "another length",
    ),
    "a storage of half": (
        lambda mark: changed_storage(lambda raw: raw.replace(b"FloatStorage", b"HalfStorage\n")),
        "not read",
    ),
    "a tensor beyond its storage": (
        lambda mark: pickled({"G_ema": module(_buffers={"x": torch.ones(251)})}).replace(b"K\xfb\x85", b"K\xfc\x85"),
        "not read",
    ),
    "nothing": (lambda mark: pickled({"torch_utils.persistence": 1}), "it holds no networks"),
}
"""What makes a file, given a folder that it would make if it were run; and words of the refusal."""


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_snapshot_runs_nothing_and_is_refused_soon_in_one_line_and_little_memory(
    tmp_path: Path, case: str
) -> None:
    make, words = HOSTILE[case]
    mark, path = tmp_path / "it ran", tmp_path / "s.pkl"
    path.write_bytes(make(mark))
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(CommandError) as error:
            load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.value.exit_code is ExitCode.BAD_DATA
    assert words in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)
    assert peak < 64 * 2**20
    assert time.process_time() - begin < 20
    assert not mark.exists()


def test_pickle_itself_would_have_run_it(tmp_path: Path) -> None:
    make, _ = HOSTILE["a call in a storage"]
    content = make(tmp_path / "it ran")
    with named_as_there(), pytest.raises(Exception):  # noqa: B017, PT011  # of any kind: it ran before
        pickle.loads(content)
    assert (tmp_path / "it ran").exists()


def test_dictionaries_of_arguments_are_read(tmp_path: Path) -> None:
    stub = module(_init_kwargs=EasyDict(z_dim=8, mapping_kwargs=EasyDict()))
    (tmp_path / "s.pkl").write_bytes(pickled({"G_ema": stub, "G": None}))
    assert list(load(tmp_path / "s.pkl")) == ["G_ema"]
