"""Files that are no checkpoint of a generator, or would do harm: refused in one line, in little memory."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import ONE_THREAD, ROOT, clean_environment, fails_in_one_line
from tests.export.checkpoints import Call, State, as_old_format, classic, discriminator, under
from tests.export.conftest import run_in_process

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

FIRST, VARIANCE = "main.0.weight", "main.4.running_var"
BOUND = 64
"""MB that refusing a file may take; each of `BOMBS` takes more when PyTorch loads it."""
BOMBS = ("bytearray", "deflated bomb", "entries over one another", "two directories")


class Branded(Tensor):
    """A tensor of another class."""


def with_value(state: State, name: str, value: float) -> dict[str, Tensor]:
    """`state` with one value of one tensor replaced."""
    changed = {**state, name: state[name].clone()}
    changed[name].view(-1)[1] = value
    return changed


CONTENTS: dict[str, tuple[Callable[[State], object], str]] = {
    "whole module": (lambda good: classic(8, 2, 1, 64), "torch.save(model.state_dict()"),
    "bytearray": (lambda good: {**good, FIRST: Call(bytearray, 2**27)}, "builtin"),
    "10 GB of one number": (lambda good: {**good, FIRST: torch.zeros(1).expand(10 * 2**20, 16, 4, 4)}, "more bytes"),
    "z_dim of 2**28": (lambda good: {**good, FIRST: torch.zeros(1).expand(2**28, 16, 4, 4)}, "more bytes"),
    "z_dim of 2**40 in a checkpoint": (
        lambda good: {"netG": {**good, FIRST: torch.zeros(1).expand(2**40, 16, 4, 4)}, "netD": {}},
        "more bytes",
    ),
    "more than can be counted": (
        lambda good: {**good, "main.12.weight": torch.zeros(1).expand(2**40, 1, 4, 4)},
        "more bytes",
    ),
    "meta": (lambda good: {name: tensor.to("meta") for name, tensor in good.items()}, "meta_tensor"),
    "sparse": (lambda good: {**good, FIRST: good[FIRST].to_sparse()}, "sparse_tensor"),
    "quantised": (lambda good: {**good, FIRST: torch.quantize_per_tensor(good[FIRST], 0.1, 0, torch.qint8)}, "qtensor"),
    "complex": (lambda good: {**good, FIRST: good[FIRST].to(torch.complex64)}, "complex64"),
    "integers": (lambda good: {**good, FIRST: good[FIRST].int()}, "int32"),
    "nested": (lambda good: {**good, FIRST: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}, "nested"),
    "subclass": (lambda good: {**good, FIRST: good[FIRST].as_subclass(Branded)}, "rebuild_from_type"),
    "8-bit floats": (lambda good: {**good, FIRST: good[FIRST].to(torch.float8_e4m3fn)}, "rebuild_tensor_v3"),
    "NaN": (lambda good: with_value(good, "main.3.weight", float("nan")), "main.3.weight holds non-finite"),
    "infinity": (lambda good: with_value(good, VARIANCE, float("inf")), f"{VARIANCE} holds non-finite"),
    "negative variance": (lambda good: with_value(good, VARIANCE, -0.1), f"{VARIANCE} holds negative"),
    "double beyond float32": (
        lambda good: with_value({name: tensor.double() for name, tensor in good.items()}, FIRST, 1e300),
        f"{FIRST} holds non-finite",
    ),
    "discriminator": (lambda good: discriminator(), "not a"),
    "ResNet": (
        lambda good: {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)},
        "conv1.weight",
    ),
    "StyleGAN": (
        lambda good: {"mapping.fc0.weight": torch.zeros(8, 8), "synthesis.b4.const": torch.zeros(8, 4, 4)},
        "mapping.fc0.weight",
    ),
    "two generators": (lambda good: {"netG": good, "average": dict(good)}, "netG, average"),
    "no generator": (lambda good: {"netD": discriminator(), "ema": {}}, "ema is not a DCGAN"),
    "nothing": (lambda good: {}, "no tensors"),
    "integer keys": (lambda good: dict(enumerate(good.values())), "found 0, 1, 2"),
    "huge key": (lambda good: {"k" * 10**7: torch.zeros(1)}, "not a DCGAN"),
    "huge key of a checkpoint": (lambda good: {"k" * 10**7: discriminator()}, "no generator"),
    "key that names the terminal": (lambda good: {"\x1b]0;model\x07": torch.zeros(1)}, "not a DCGAN"),
    "list": (lambda good: list(good.values()), "found 0, 1, 2"),
}
"""What `torch.save` writes of a good state dict (8 latents, width 2, 64×64), and a word of the error."""


def thirty_two(megabytes: int) -> bytes:
    """A PyTorch file with 32 tensors of zeros."""
    buffer = io.BytesIO()
    torch.save({f"w{number}": torch.zeros(megabytes * 2**18) for number in range(32)}, buffer)
    return buffer.getvalue()


def write_deflated_bomb(path: Path, good: State) -> None:
    with zipfile.ZipFile(io.BytesIO(thirty_two(4))) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in source.namelist():
            bomb.writestr(name, source.read(name))


def write_overlapping_entries(path: Path, good: State) -> None:
    with zipfile.ZipFile(io.BytesIO(thirty_two(4))) as source, zipfile.ZipFile(path, "w") as bomb:
        for name in source.namelist():
            if "/data/" not in name or name.endswith("/data/0"):
                bomb.writestr(name, source.read(name))
        for name in set(source.namelist()) - set(bomb.namelist()):
            entry = copy.copy(bomb.getinfo("archive/data/0"))
            entry.filename = name
            bomb.filelist.append(entry)


def write_compressed(path: Path, good: State) -> None:
    torch.save(good, path)
    with (
        zipfile.ZipFile(io.BytesIO(path.read_bytes())) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as small,
    ):
        for name in source.namelist():
            small.writestr(name, source.read(name))


def write_two_directories(path: Path, good: State) -> None:
    """One zip before another: PyTorch follows the pointer at the end to the first directory, Python reads the last."""
    hostile, harmless = io.BytesIO(), io.BytesIO()
    torch.save({FIRST: Call(bytearray, 2**27)}, hostile)
    torch.save(good, harmless)
    content, pointer_and_end = hostile.getvalue()[:-42], hostile.getvalue()[-42:]
    path.write_bytes(content + harmless.getvalue()[:-42] + pointer_and_end)


def write_packed_anew(path: Path, good: State) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2**16)
        torch.save(good, path)
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as source, zipfile.ZipFile(path, "w") as other:
            for name in source.namelist():
                other.writestr(name, source.read(name))


def write_claim_of_10_gb(path: Path, good: State) -> None:
    """In the old format, where a storage is allocated before it is read."""
    as_old_format({"main.0.weight": torch.ones(251)}, path)  # K and one byte: 251 in the pickle
    elements = (10 * 2**30 // 4).to_bytes(5, "little")
    content = path.read_bytes()
    assert content.count(b"K\xfb") == 2
    content = content.replace(b"K\xfb", b"\x8a\x05" + elements).replace(
        (251).to_bytes(8, "little"), elements + bytes(3)
    )
    path.write_bytes(content)


def write_module_of_newer_pickle(path: Path, good: State) -> None:
    torch.save(classic(8, 2, 1, 64), path, pickle_protocol=4)


def write_truncated_old_format(path: Path, good: State) -> None:
    as_old_format(good, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_torchscript(path: Path, good: State) -> None:
    torch.jit.save(torch.jit.trace(classic(8, 2, 1, 64), torch.zeros(1, 8, 1, 1)), str(path))


WRITERS: dict[str, tuple[Callable[[Path, State], None], str]] = {
    "deflated bomb": (write_deflated_bomb, "compressed"),
    "entries over one another": (write_overlapping_entries, "compressed"),
    "compressed": (write_compressed, "compressed"),
    "two directories": (write_two_directories, "another program"),
    "packed anew": (write_packed_anew, "another program"),
    "10 GB in the old format": (write_claim_of_10_gb, "damaged"),
    "truncated old format": (write_truncated_old_format, "damaged"),
    "module of newer pickle": (write_module_of_newer_pickle, "torch.save(model.state_dict()"),
    "TorchScript": (write_torchscript, "torch.save(model.state_dict()"),
}
"""What writes a file, and a word of the error."""

MEASURE = """
import contextlib, gc, io, json, sys
from pathlib import Path
import export.onnx_exporter, torch
from export.cli import cli
from models import console

def memory(field):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024

gc.freeze()  # what is loaded is not looked through again before each file
for reader, path in zip(sys.argv[1::2], sys.argv[2::2]):
    gc.collect()  # an error may hold what the last file took
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now
    before, code, err = memory("VmRSS"), None, io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            if reader == "export":
                console.run(cli, "gan-export", ["onnx", path])
            torch.load(path, weights_only=True)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, err.getvalue(), memory("VmHWM") - before]))
"""
"""Reads files one after the other and prints exit code, stderr and by how many MB the memory grew at its peak.

Each comes behind its reader: "export", or "load" for PyTorch alone."""
Refusal = tuple[subprocess.CompletedProcess[str], float]
"""How reading a file ended, and the MB that it took."""


@pytest.fixture(scope="module")
def good() -> dict[str, Tensor]:
    """The state dict that the hostile ones are made of; alone it is exported."""
    return under("main.", classic(8, 2, 1, 64).state_dict())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, good: dict[str, Tensor]) -> dict[str, Path]:
    """A file of every kind, each alone in its folder."""
    files = {case: tmp_path_factory.mktemp("hostile") / "generator_model.pth" for case in (*CONTENTS, *WRITERS)}
    for case, (content, _) in CONTENTS.items():
        torch.save(content(good), files[case])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)  # Python then ends a zip as torch.save does
        for case, (write, _) in WRITERS.items():
            write(files[case], good)
    return files


@pytest.fixture(scope="module")
def refusals(hostile: dict[str, Path]) -> dict[tuple[str, str], Refusal]:
    """What became of each in `gan-export`, and then of `BOMBS` in PyTorch alone, by reader and case in one process."""
    asked = [*(("export", case) for case in hostile), *(("load", case) for case in BOMBS)]
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, *(word for reader, case in asked for word in (reader, str(hostile[case])))],
        cwd=ROOT,
        env=clean_environment(**ONE_THREAD),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {
        key: (subprocess.CompletedProcess([], code, "", err), grown)
        for key, (code, err, grown) in zip(asked, rows, strict=True)
    }


@pytest.mark.parametrize("case", [*CONTENTS, *WRITERS])
def test_another_file_is_refused_in_one_line_little_memory_and_leaves_nothing(
    hostile: dict[str, Path], refusals: dict[tuple[str, str], Refusal], case: str
) -> None:
    result, megabytes = refusals["export", case]
    fails_in_one_line(result, 65, "generator_model.pth", {**CONTENTS, **WRITERS}[case][1])
    assert len(result.stderr) < 1000
    assert "\x1b" not in result.stderr
    assert megabytes < BOUND
    assert os.listdir(hostile[case].parent) == ["generator_model.pth"]


def test_pytorch_alone_would_have_taken_that_memory(refusals: dict[tuple[str, str], Refusal]) -> None:
    loaded = {case: refusals["load", case] for case in BOMBS}
    assert all(megabytes > BOUND for _, megabytes in loaded.values()), loaded


def test_the_state_dict_that_hostile_ones_are_made_of_is_exported(tmp_path: Path, good: dict[str, Tensor]) -> None:
    torch.save(good, tmp_path / "generator_model.pth")
    assert run_in_process("onnx", tmp_path / "generator_model.pth", "--batch-check", "1").returncode == 0


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_would_run_code_runs_none(tmp_path: Path, protocol: int, zipped: bool) -> None:
    path, mark = tmp_path / "netG.pth", tmp_path / "it ran"
    content = {"netG": {FIRST: Call(os.mkdir, str(mark))}, "epoch": 3}
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    fails_in_one_line(run_in_process("onnx", path), 65, "netG.pth", "could run code", "torch.save(model.state_dict()")
    assert os.listdir(tmp_path) == ["netG.pth"]
    torch.load(path, weights_only=False)
    assert mark.exists(), "the file was harmless"
