"""The feature networks: the one that comes along, one's own file, and what cannot be used."""

from __future__ import annotations

import importlib
import sys
import urllib.error
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.evaluation.defaults import LITE
from gan.evaluation.features import FeatureNetwork, load_features
from models.errors import CommandError, ExitCode

RAMPS = {"efficientnet-lite0": 0.097242, "efficientnet-lite2": 0.125292}
"""Mean feature of gray values that rise from left to right: it tells these weights from others."""


class Means(nn.Module):
    """The mean of each channel, times `factor`; with `pool` off the images as they are."""

    def __init__(self, factor: float = 1.0, pool: bool = True) -> None:
        super().__init__()
        self.factor, self.pool = factor, pool

    def forward(self, images: Tensor) -> Tensor:
        scaled = images * self.factor
        return scaled.mean((2, 3)) if self.pool else scaled


def images(count: int, channels: int = 1, size: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def script(path: Path, network: nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and what many still have
        torch.jit.script(network).save(str(path))
    return path


@pytest.fixture(scope="module")
def lite() -> FeatureNetwork:
    return load_features()


def test_the_network_that_comes_along_gives_1280_finite_features(lite: FeatureNetwork) -> None:
    found = lite(images(3))
    assert (found.shape, found.dtype, found.device.type) == ((3, 1280), torch.float32, "cpu")
    assert (lite.name, found.isfinite().all(), found.requires_grad) == ("efficientnet-lite2", True, False)
    assert (found[0] - found[1]).norm() > 0.1 * found[0].norm()


@pytest.mark.parametrize(("name", "side"), LITE.items())
def test_its_weights_are_the_trained_ones(name: str, side: int) -> None:
    ramp = (torch.arange(side) % 256).to(torch.uint8).expand(1, 3, side, side)  # of the very size: nothing is resized
    assert float(load_features(name)(ramp).mean()) == pytest.approx(RAMPS[name], rel=1e-3)


def test_gray_is_seen_as_colour_with_equal_channels(lite: FeatureNetwork) -> None:
    gray = images(2)
    assert torch.equal(lite(gray), lite(gray.expand(-1, 3, -1, -1).contiguous()))


def test_a_vector_does_not_depend_on_what_else_is_looked_at(lite: FeatureNetwork) -> None:
    many = images(18)
    counts: list[int] = []
    found = lite(many, counts.append)
    assert counts == [16, 2]
    torch.testing.assert_close(found[[17]], lite(many[17:]), rtol=1e-4, atol=1e-5)


def test_large_images_are_shrunk_without_moiré() -> None:
    lite = load_features("efficientnet-lite0")
    stripes = torch.zeros(1, 1, 448, 448, dtype=torch.uint8)
    stripes[..., ::2] = 254  # finer than 224 pixels can show: an even gray
    even = torch.full((1, 1, 448, 448), 127, dtype=torch.uint8)
    assert (lite(stripes) - lite(even)).norm() < 0.2 * (lite(images(1)) - lite(even)).norm()


@pytest.mark.parametrize(
    "bad", [images(2).float(), images(2)[0], images(2, 2), torch.zeros(0, 1, 40, 40, dtype=torch.uint8)]
)
def test_images_of_another_kind_are_refused(bad: Tensor) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        FeatureNetwork("means", Means())(bad)


def test_own_torchscript_file_gets_floats_from_0_to_1(tmp_path: Path) -> None:
    network = load_features(str(script(tmp_path / "own.pt", Means())))
    given = images(51, 3)
    torch.testing.assert_close(network(given), given.float().mean((2, 3)) / 255)
    assert network.name == "own.pt"


def test_own_exported_program_is_known_by_its_content(tmp_path: Path) -> None:
    some = torch.export.Dim("some", min=1, max=4096)
    program = torch.export.export(Means(), (torch.rand(2, 3, 40, 40),), dynamic_shapes=({0: some},))
    torch.export.save(program, tmp_path / "own.pt2")
    given = images(19)
    found = load_features(str((tmp_path / "own.pt2").rename(tmp_path / "own.bin")))(given)
    torch.testing.assert_close(found, (given.float().mean((2, 3)) / 255).expand(-1, 3))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Means(float("nan")), "not finite"),
        (Means(pool=False), r"gives \[2, 3, 40, 40\].* \[N, D\]"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 5)), r"fails on float32 \[2, 3, 40, 40\]"),
    ],
)
def test_own_file_that_gives_no_features_is_refused_with_65(tmp_path: Path, network: nn.Module, words: str) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        load_features(str(script(tmp_path / "own.pt", network)))(images(2))
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there_is_told_with_66_and_the_names_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(
        CommandError, match=r"no such file.*efficientnet-lite0, efficientnet-lite2 and inception"
    ) as caught:
        load_features(str(tmp_path / "efficientnet"))
    assert caught.value.exit_code == ExitCode.NO_INPUT


@pytest.mark.parametrize("kind", ["text", "state dict", "cut off"])
def test_file_that_is_no_network_is_refused_with_65(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "own.pt"
    if kind == "text":
        path.write_text("no network")
    elif kind == "state dict":
        torch.save({"weight": torch.zeros(2)}, path)
    else:
        path.write_bytes(script(tmp_path / "whole.pt", Means()).read_bytes()[:-100])
    with pytest.raises(CommandError, match=r"own\.pt` is neither TorchScript") as caught:
        load_features(str(path))
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_damaged_torchscript_is_refused_with_65(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("own/constants.pkl", b"damaged")
    with pytest.raises(CommandError, match=r"own\.pt` cannot be loaded") as caught:
        load_features(str(path))
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_inception_without_its_package_is_told_with_66(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(CommandError, match="pip install torch-fidelity") as caught:
        load_features("inception")
    assert caught.value.exit_code == ExitCode.NO_INPUT


class TestInception:
    """Without its 95 MB of weights: they are neither here nor can a test fetch them."""

    @pytest.fixture(autouse=True)
    def _package(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pytest.importorskip("torch_fidelity", reason="in the extra inception")
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def test_weights_that_cannot_be_fetched_are_told_with_66_and_where_to_put_them(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def no_network(*arguments: Any, **options: Any) -> None:
            raise urllib.error.URLError("Network is unreachable")

        monkeypatch.setattr("torch.hub.urlopen", no_network)
        with pytest.raises(CommandError, match="cannot be fetched") as caught:
            load_features("inception")
        assert caught.value.exit_code == ExitCode.NO_INPUT
        assert str(tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth") in str(caught.value)

    def test_weights_that_are_not_theirs_are_refused_with_65(self, tmp_path: Path) -> None:
        cached = tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
        cached.parent.mkdir()
        cached.write_bytes(b"no weights")
        with pytest.raises(CommandError, match="`features=inception`: ") as caught:
            load_features("inception")
        assert caught.value.exit_code == ExitCode.BAD_DATA

    def test_network_gets_whole_numbers_and_gives_2048_features(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
        monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: {})
        monkeypatch.setattr(module, "load_state_dict_from_url", lambda *a, **k: {})
        monkeypatch.setattr(nn.Module, "load_state_dict", lambda self, state: None)
        assert load_features("inception")(images(2)).shape == (2, 2048)
