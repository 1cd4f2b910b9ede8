"""Checkpoints that other programs wrote: those of the usual DCGAN are exported as they are, all others do no harm."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from models.info import GeneratorInfo
from models.latents import latents
from tests.conftest import fails_in_one_line
from tests.export.checkpoints import State, as_old_format, classic, discriminator, under
from tests.export.conftest import run_in_process

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns its own developers


def without_counters(state: State) -> dict[str, Tensor]:
    """`state` as PyTorch 0.4.0 wrote it."""
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def gives_the_images_of(network: nn.Module, exported: Path, z_dim: int) -> None:
    """Assert that an ONNX file gives what `network` gives, and that those images have contrast."""
    z = latents(5, 0, 4, z_dim)
    with torch.no_grad():
        expected = network(torch.from_numpy(z)[:, :, None, None]).numpy()
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["images"], {"z": z})[0], expected, rtol=0, atol=2e-5)
    assert expected.std() > 0.1
    assert np.abs(expected[0] - expected[1]).mean() > 0.02


@pytest.mark.parametrize(
    ("z_dim", "width", "channels", "size", "prefix", "write"),
    [
        pytest.param(100, 64, 3, 64, "main.", torch.save, marks=pytest.mark.long),
        (7, 2, 1, 64, "module.main.", as_old_format),
        (8, 2, 3, 64, "", torch.save),
        (100, 1, 1, 128, "netG.main.", torch.save),
    ],
)
def test_classic_generator_is_exported_without_options(
    tmp_path: Path,
    z_dim: int,
    width: int,
    channels: int,
    size: int,
    prefix: str,
    write: Callable[[object, Path], None],
) -> None:
    network = classic(z_dim, width, channels, size)
    write(under(prefix, network.state_dict()), tmp_path / "netG_epoch_24.pth")
    result = run_in_process("onnx", tmp_path / "netG_epoch_24.pth")
    assert result.returncode == 0, result.stderr
    gives_the_images_of(network, tmp_path / "generator.onnx", z_dim)
    session = onnxruntime.InferenceSession(str(tmp_path / "generator.onnx"), providers=["CPUExecutionProvider"])
    info = GeneratorInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    assert (info.z_dim, info.channels, info.height, info.width) == (z_dim, channels, size, size)


@pytest.mark.parametrize(
    "form",
    [
        lambda network: nn.DataParallel(network).state_dict(),
        lambda network: without_counters(network.state_dict()),
        lambda network: under("main.", {name: tensor.double() for name, tensor in network.state_dict().items()}),
        lambda network: {"netG": network.state_dict(), "netD": discriminator(), "epoch": 24},
    ],
    ids=["DataParallel", "PyTorch 0.4.0", "doubles", "training checkpoint"],
)
def test_a_checkpoint_may_come_in_other_forms(tmp_path: Path, form: Callable[[nn.Module], object]) -> None:
    network = classic(8, 2, 1, 64)
    torch.save(form(network), tmp_path / "model.pth")
    result = run_in_process("onnx", tmp_path / "model.pth", "--batch-check", "1,2")
    assert result.returncode == 0, result.stderr
    gives_the_images_of(network, tmp_path / "generator.onnx", 8)


def with_slopes(network: nn.Sequential, slope: float) -> nn.Sequential:
    """The network with LeakyReLU, and statistics that fit it."""
    for at, module in enumerate(network):
        if isinstance(module, nn.ReLU):
            network[at] = nn.LeakyReLU(slope)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.zeros_(module.bias)  # else hardly anything is below zero
    with torch.no_grad():
        network.train()(torch.randn(128, network[0].in_channels, 1, 1, generator=torch.Generator().manual_seed(0)))
    return network.eval()


def test_what_is_assumed_of_the_weights_is_said_and_kept_and_can_be_chosen(tmp_path: Path) -> None:
    network = with_slopes(classic(8, 8, 1, 64), 0.3)
    torch.save(
        {"nets": {"G": network.state_dict(), "G_old": dict(classic(8, 8, 1, 64).state_dict())}}, tmp_path / "gan.pth"
    )
    wrong, right = tmp_path / "wrong.onnx", tmp_path / "right.onnx"
    few = ("--batch-check", "1,2", "--key", "nets.G")
    fails_in_one_line(run_in_process("onnx", tmp_path / "gan.pth", "--out", wrong), 65, "--key nets.G")
    result = run_in_process("onnx", tmp_path / "gan.pth", "--out", wrong, *few)
    assert result.returncode == 0, result.stderr
    assert "assumed: activation relu, last_activation tanh, bn_eps 1e-05" in result.stderr
    assert "fit activation leaky-relu better" in result.stderr
    chosen = ("--activation", "leaky-relu", "--slope", "0.3")
    result = run_in_process("onnx", tmp_path / "gan.pth", "--out", right, *few, *chosen)
    assert "better" not in result.stderr
    gives_the_images_of(network, right, 8)
    with pytest.raises(AssertionError):
        gives_the_images_of(network, wrong, 8)
    page = run_in_process("info", right).stdout
    assert "settings       activation leaky-relu, bn_eps 1e-05, last_activation tanh, slope 0.3" in page
    result = run_in_process("verify", right, "--model", tmp_path / "gan.pth", "--key", "nets.G")
    assert result.returncode == 0, result.stderr


def test_what_our_own_training_chose_is_not_chosen_again(trained: Path) -> None:
    result = run_in_process(
        "onnx", trained / "generator_model.pth", "--out", trained / "no.onnx", "--activation", "elu"
    )
    fails_in_one_line(result, 2, "--activation", "trained by gan-train")
    assert not (trained / "no.onnx").exists()


def test_a_snapshot_tells_itself_how_it_was_trained(trained: Path, tmp_path: Path) -> None:
    (snapshot,) = sorted(trained.glob("network-snapshot-*.pt"))[-1:]
    alone = Path(shutil.copy(snapshot, tmp_path))
    result = run_in_process("onnx", alone, "--batch-check", "1")
    assert result.returncode == 0, result.stderr
    assert "assumed" not in result.stderr
    assert "fit crop" in " ".join(run_in_process("info", tmp_path / "generator.onnx").stdout.split())


# Files that are refused
