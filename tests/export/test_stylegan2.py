"""Snapshots of StyleGAN2 in, ONNX out: proven as our own generators are, and run by gan-batch as theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from export import gate, verify_file
from export.evidence import class_names
from export.exporting import export_file
from export.facts import read_facts
from export.verify import _batches
from gan.networks.reader import load_generator
from models.errors import CommandError, ExitCode
from tests.conftest import fails_in_one_line, run
from tests.export.conftest import run_in_process
from tests.gan.networks.snapshots import generator, pickled, state_of, write_snapshot
from tests.jobs.conftest import decoded, rows_of

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers

FEW = ("--batch-check", "1,3")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a generator with three classes and transparency, and residual blocks."""
    state = state_of(side=16, channels=4, classes=3, form="resnet")
    return write_snapshot(tmp_path_factory.mktemp("style") / "network-snapshot-001000.pkl", state)


@pytest.fixture(scope="module")
def file(snapshot: Path) -> Path:
    result = run_in_process("onnx", snapshot, *FEW, "--truncation-psi", "0.7", "--class-names", "crack,dent,洞")
    assert result.returncode == 0, result.stderr
    assert "assumed" not in result.stderr, "the snapshot tells all of it"
    return snapshot.with_name("generator.onnx")


def test_file_says_what_it_is_and_how_it_was_made(file: Path) -> None:
    info, facts = read_facts(file)
    assert (info.architecture, info.classes) == ("stylegan2, resnet, widths 8 8 8", ("crack", "dent", "洞"))
    assert (info.assumed["truncation_psi"], info.assumed["noise"], info.assumed["clamp"]) == (0.7, "const", 256)
    assert info.training == {"class_names": ["crack", "dent", "洞"]}
    assert "opset 18" in facts["form"]
    page = run_in_process("info", file).stdout
    for words in ("4-channel images of 16×16 from latents of 8", "truncation_psi 0.7", "trained on     not known"):
        assert words in page
    told = json.loads(run_in_process("info", "--json", file).stdout)
    assert told["inputs"] == {"z": {"dtype": "float32", "shape": [8]}, "label": {"dtype": "int64", "shape": []}}


def test_file_is_verified_alone_and_with_its_snapshot(file: Path, snapshot: Path) -> None:
    for more in ((), ("--model", snapshot)):
        result = run_in_process("verify", file, *more)
        assert result.returncode == 0, result.stderr
    other = run_in_process("verify", file, "--model", snapshot, "--key", "G")
    fails_in_one_line(other, 76, "was made from weights")


def test_gan_batch_makes_its_images_with_a_mix_and_transparency(file: Path, snapshot: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(
        "gan-batch", "--model", file, "--count", "4", "--seed", "7", "--mix", "洞=0.5,crack=0.5", "--workers", "1",
        "--device", "cpu", "--quality-gate", "off", "--out", out,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = rows_of(out)
    assert sorted(row.label for row in rows) == ["crack", "crack", "洞", "洞"]
    assert {row.mode for row in rows} == {"RGBA"}
    network = load_generator(snapshot, truncation_psi=0.7)
    with torch.no_grad():
        images = network(**network.inputs_at(7, 0, 4, [int(row.label_id) for row in rows]))
    made = np.stack([decoded((out / row.file_name).read_bytes()) for row in rows])
    steps = made - (images.permute(0, 2, 3, 1).numpy() + 1) * 127.5
    assert np.abs(steps).max() < 0.51
    checked = run("gan-batch", "verify", out)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.long
def test_a_program_of_torch_export_passes_the_same_gate(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path / "s.pkl", state_of(side=16, channels=2))
    export_file(path, tmp_path / "s.pt2", "torch", noise="none", batch_check=(1, 3))
    assert verify_file(tmp_path / "s.pt2").passed
    info, _ = read_facts(tmp_path / "s.pt2")
    assert (info.assumed["noise"], info.channels) == ("none", 2)


def test_names_of_classes_must_fit(snapshot: Path, tmp_path: Path) -> None:
    for wrong, words in (
        ("crack,dent", "2 for 3 classes"),
        ("a,a,b", "two classes are named 'a'"),
        ("a,,b", "no name"),
    ):
        with pytest.raises(CommandError, match=words) as error:
            export_file(snapshot, tmp_path / "none.onnx", class_names=wrong)
        assert error.value.exit_code is ExitCode.USAGE
    plain = write_snapshot(tmp_path / "plain.pkl", state_of(side=16))
    with pytest.raises(CommandError, match="no classes without names"):
        export_file(plain, tmp_path / "none.onnx", class_names="a,b,c")
    assert not (tmp_path / "none.onnx").exists()


def test_classes_without_names_have_numbers(snapshot: Path) -> None:
    assert class_names(load_generator(snapshot), {}) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--activation", "relu"), "--activation: a stylegan2 generator has no activation"),
        (("--bn-eps", "0.1"), "--bn-eps: a stylegan2 generator has no bn_eps"),
        (("--truncation-psi", "3"), "--truncation-psi"),
        (("--truncation-psi", "nan"), "--truncation-psi is nan"),
        (("--noise", "random"), "--noise"),
    ],
)
def test_options_that_are_not_of_it_are_refused(
    snapshot: Path, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    result = run_in_process("onnx", snapshot, "--out", tmp_path / "none.onnx", *options)
    assert result.returncode == 2
    assert words in result.stderr
    assert not (tmp_path / "none.onnx").exists()


@pytest.mark.parametrize("option", [("--truncation-psi", "0.7"), ("--noise", "none"), ("--class-names", "a,b")])
def test_its_options_are_refused_for_our_own_generators(trained: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    result = run_in_process("onnx", trained / "generator_model.pth", "--out", tmp_path / "none.onnx", *option)
    assert result.returncode == 2
    assert f"{option[0]}: " in result.stderr


def test_a_file_that_is_there_is_kept(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_text("mine")
    fails_in_one_line(run_in_process("onnx", snapshot, "--out", tmp_path / "g.onnx"), 73, "--overwrite")
    assert (tmp_path / "g.onnx").read_text() == "mine"


@pytest.mark.parametrize(("letter", "kernel"), [("t", 3), ("r", 1)])
def test_the_networks_of_stylegan3_are_named_and_refused(tmp_path: Path, letter: str, kernel: int) -> None:
    state = {
        "synthesis.input.weight": torch.zeros(4, 4),
        "synthesis.L0_36_512.weight": torch.zeros(4, 4, kernel, kernel),
    }
    (tmp_path / "s.pkl").write_bytes(pickled({"G_ema": generator(state)}))
    result = run_in_process("onnx", tmp_path / "s.pkl")
    fails_in_one_line(result, 65, f"stylegan3-{letter} generator", "its config stylegan2")


def test_a_missing_snapshot_is_not_said_to_be_made_here(tmp_path: Path) -> None:
    result = run_in_process("onnx", tmp_path / "none.pkl")
    fails_in_one_line(result, 66, "none.pkl: name another")


def test_networks_with_large_maps_are_compared_in_small_batches(
    snapshot: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_generator(snapshot)
    largest = 8 * 16 * 16 * 4  # bytes of 8 maps
    assert gate.fitting_batches(network) == (1, 2, 3, 64, 129)
    monkeypatch.setattr(gate, "_MOST_BYTES", 128 * largest)
    assert gate.fitting_batches(network) == (1, 2, 3, 64)
    monkeypatch.setattr(gate, "_MOST_BYTES", 1)
    assert gate.fitting_batches(network) == (1, 2, 3)
    info, _ = read_facts(file)
    assert _batches(info) == [1, 2, 3]
