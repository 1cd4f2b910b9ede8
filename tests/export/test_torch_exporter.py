"""`gan-export torch`: a .pt2 with the same evidence, and none that could run code."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from export import torch_exporter
from export.exporting import without_notes
from export.torch_exporter import export_torch
from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.networks.pixels import to_pixels
from gan.training import snapshots
from models.latents import latents
from tests.conftest import ROOT, fails_in_one_line
from tests.export.conftest import run_in_process, small

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.export warns its own developers


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, colour: DCGAN) -> Path:
    """The .pt2 of a colour generator; tests must not change it."""
    folder = tmp_path_factory.mktemp("program")
    snapshots.save_weights(folder / "generator_model.pth", colour)
    result = run_in_process("torch", folder / "generator_model.pth")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert sum(line.startswith("torch.export") for line in result.stderr.splitlines()) == 8
    return folder / "generator.pt2"


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_program_gives_the_images_of_the_network(program: Path, colour: DCGAN, batch: int) -> None:
    z = torch.from_numpy(latents(3, 0, batch, 5))
    with torch.no_grad():
        images, pixels = torch.export.load(program).module()(z)
        expected = colour(z)
    np.testing.assert_allclose(images.numpy(), expected.numpy(), rtol=0, atol=1e-6)
    assert (pixels.int() - to_pixels(expected).int()).abs().max() <= 1
    assert pixels.shape == (batch, 32, 32, 3)


def test_info_of_a_program_is_that_of_its_network(program: Path, colour: DCGAN) -> None:
    values = json.loads(run_in_process("info", "--json", program).stdout)
    assert values["file"]["form"] == "torch.export"
    assert values["weights_sha256"] == reader.weights_sha256(colour.state_dict())
    assert {row["runtime"] for row in values["parity"]["rows"]} >= {"PyTorch float32", "torch.export"}
    assert "batch 129" in run_in_process("info", program).stdout


def test_program_is_verified_with_and_without_its_network(program: Path) -> None:
    assert run_in_process("verify", program).returncode == 0
    assert run_in_process("verify", program, "--model", program.with_name("generator_model.pth")).returncode == 0


def test_same_weights_give_the_same_bytes_without_traces_of_the_machine(
    program: Path, colour: DCGAN, tmp_path: Path
) -> None:
    export_torch(colour, tmp_path / "another name.pt2")
    content = (tmp_path / "another name.pt2").read_bytes()
    assert content == program.read_bytes()
    traces = [str(ROOT), sys.prefix, str(tmp_path), "site-packages", "networks.py", "stack_trace", "another name"]
    assert not [trace for trace in traces if trace.encode() in content]


def test_program_that_differs_is_76_and_leaves_no_file(
    colour: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = torch_exporter.program_bytes(small(z_dim=5, channels=3, width=3, seed=2), None)
    monkeypatch.setattr(torch_exporter, "program_bytes", lambda *_: content)
    snapshots.save_weights(tmp_path / "generator_model.pth", colour)
    fails_in_one_line(run_in_process("torch", tmp_path / "generator_model.pth"), 76, "generator.pt2")
    assert os.listdir(tmp_path) == ["generator_model.pth"]


def rewritten(program: Path, path: Path, new: Callable[[str, bytes], bytes]) -> Path:
    """A copy of a program with other content in its parts."""
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(path, "w") as archive:
        for name in old.namelist():
            archive.writestr(name, new(name, old.read(name)))
    return path


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.mark,)


def test_program_that_would_run_code_when_loaded_is_65_and_does_nothing(program: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    buffer = io.BytesIO()
    torch.save((Hostile(mark),), buffer)

    def new(name: str, content: bytes) -> bytes:
        return buffer.getvalue() if name.endswith("sample_inputs/model.pt") else content

    hostile = rewritten(program, tmp_path / "hostile.pt2", new)
    for command in (("info",), ("verify",)):
        result = run_in_process(*command, hostile)
        assert not mark.exists()
        if command == ("verify",):
            fails_in_one_line(result, 65, "hostile.pt2", "could run code")
    with without_notes():  # PyTorch warns of it with a text that logging cannot format
        torch.export.load(hostile)
    assert mark.exists(), "the file was harmless"


@pytest.mark.parametrize("part", ["weights/weight_0", "models/model.json", "extra/generator.json"])
def test_program_changed_after_its_export_is_65(program: Path, tmp_path: Path, part: str) -> None:
    def new(name: str, content: bytes) -> bytes:
        return content[:-1] + bytes([content[-1] ^ 1]) if name.endswith(part) else content

    fails_in_one_line(run_in_process("verify", rewritten(program, tmp_path / "p.pt2", new)), 65, "p.pt2")


def test_truncated_program_is_65(program: Path, tmp_path: Path) -> None:
    cut = Path(shutil.copy(program, tmp_path / "cut.pt2"))
    cut.write_bytes(cut.read_bytes()[:-100])
    fails_in_one_line(run_in_process("verify", cut), 65, "cut.pt2")
    fails_in_one_line(run_in_process("info", cut), 65, "cut.pt2")
