"""Checkpoints from elsewhere: any widths, any wrapping, wrong guesses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.networks import reader
from gan.networks.architectures import generator_of
from gan.networks.dcgan import ACTIVATIONS, DCGAN
from models.errors import CommandError, ExitCode
from tests.gan.conftest import same
from tests.gan.networks.conftest import refusal
from tests.gan.networks.made import State, prefixed, settled


def read(path: Path, content: object, key: str = "", **unseen: Any) -> DCGAN:
    """What `load_generator` makes of a PyTorch file with this content."""
    torch.save(content, path / "model.pth")
    generator = reader.load_generator(path / "model.pth", key, **unseen)
    assert isinstance(generator, DCGAN)
    return generator


# Widths and biases are what the shapes say


@pytest.mark.parametrize(
    "widths", [[256, 128, 64, 32, 16, 8], [7, 31, 5], [4] * 7, [12], [3, 3, 3, 3, 3, 3, 3, 3]], ids=str
)
def test_widths_are_what_the_shapes_say(tmp_path: Path, widths: list[int]) -> None:
    generator = DCGAN(8, 3, widths=widths)
    found = read(tmp_path, generator.state_dict())
    assert (found.widths, found.height, found.width) == (widths, 4 * 2 ** len(widths), 4 * 2 ** len(widths))
    assert same(dict(found.state_dict()), dict(generator.state_dict()))


@pytest.mark.parametrize("biased", [{0, 1, 2, 3}, {3}, {0}])
def test_convolutions_with_a_bias_are_read_and_folded(tmp_path: Path, biased: set[int]) -> None:
    generator = settled(biased=biased)
    for name, tensor in generator.state_dict().items():
        if name in {f"main.{3 * stage}.bias" for stage in biased}:
            tensor.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(1))
    found, z = read(tmp_path, generator.state_dict()), torch.randn(4, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(found(z), generator(z), rtol=0, atol=0)
        torch.testing.assert_close(found.for_export()(z.double()).float(), generator(z), rtol=0, atol=1e-5)


# Any wrapping


ITSELF: list[Any] = [3, "text"]
ITSELF.append(ITSELF)
WRAPPINGS: dict[str, Callable[[State], object]] = {
    "AveragedModel": lambda state: torch.optim.swa_utils.AveragedModel(generator_of(state)).state_dict(),
    "AveragedModel of DataParallel": lambda state: {"n_averaged": torch.tensor(9), **prefixed("module.module.", state)},
    "torch.compile": lambda state: prefixed("_orig_mod.", state),
    "three levels": lambda state: {"epoch": 3, "nets": {"gan": {"netG": state, "loss": 0.5}}, "done": True},
    "one state dict of both networks": lambda state: {
        "state_dict": {
            **prefixed("generator.", state),
            **prefixed("critic.main.", {"0.weight": torch.ones(4, 1, 4, 4)}),
        },
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}],
    },
    "a tuple": lambda state: (7, state, {"0.weight": torch.ones(4, 1, 4, 4)}),
    "a list in a dictionary": lambda state: {"networks": [{"weight": torch.ones(2)}, state]},
    "plain values beside": lambda state: {**state, "epoch": 3, "lr": 0.1},
    "a tensor beside": lambda state: {**state, "step": torch.tensor(5)},
    "a list that holds itself": lambda state: {"log": ITSELF, "netG": state},
    "one in two places": lambda state: {"netG": state, "best": state},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_one_generator_is_found_in(tmp_path: Path, state: State, wrapping: str) -> None:
    assert same(dict(read(tmp_path, WRAPPINGS[wrapping](state)).state_dict()), state)


def test_of_several_one_is_chosen_by_its_key(tmp_path: Path, state: State) -> None:
    other = dict(settled(1).state_dict())
    content = {"nets": {"G": state, "G_ema": other}, "D": {"0.weight": torch.ones(4, 1, 4, 4)}}
    torch.save(content, tmp_path / "both.pth")
    message = refusal(tmp_path / "both.pth")
    assert "nets.G, nets.G_ema" in message
    assert "`key=nets.G`" in message
    for key, wanted in (("nets.G", state), ("nets.G_ema", other)):
        assert same(dict(read(tmp_path, content, key).state_dict()), wanted)
    assert "nothing at 'nets.H', but nets, D" in refusal(tmp_path / "both.pth", key="nets.H")
    assert "not a DCGAN generator" in refusal(tmp_path / "both.pth", key="D")


def test_names_within_names_are_looked_into_without_end(tmp_path: Path, state: State) -> None:
    deep: dict[str, Any] = {"netG": state}
    for _ in range(200):
        deep = {"a": deep}
    torch.save({"x." * 100_000 + "y": torch.ones(1), "deep": deep}, tmp_path / "deep.pth")
    assert "holds no generator" in refusal(tmp_path / "deep.pth")


# What the weights do not show


@pytest.mark.parametrize("counter", [True, False])
def test_statistics_that_were_never_updated_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, counter: bool
) -> None:
    fresh = DCGAN(8, 1, widths=[16, 8, 4]).state_dict()
    read(tmp_path, {name: tensor for name, tensor in fresh.items() if counter or not name.endswith("tracked")})
    assert "3 of 3 batch norms were never updated" in caplog.text


def test_statistics_that_were_updated_are_not_warned_of(
    tmp_path: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    read(tmp_path, {name: tensor for name, tensor in state.items() if not name.endswith("tracked")})
    assert caplog.text == ""


def test_what_is_chosen_is_what_is_computed(tmp_path: Path) -> None:
    chosen = {"activation": "leaky-relu", "slope": 0.3, "last_activation": "sigmoid", "bn_eps": 0.1}
    generator = settled(**chosen)
    found = read(tmp_path, generator.state_dict(), **chosen)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(3))
    assert found.unseen == chosen
    with torch.no_grad():
        x: Tensor = z.reshape(4, 8, 1, 1)
        for at in (0, 3, 6):
            norm = generator.main[at + 1]
            x = generator.main[at](x)
            x = nn.functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=0.1)
            x = nn.functional.leaky_relu(x, 0.3)
        expected = 2 * torch.sigmoid(generator.main[9](x)) - 1
        torch.testing.assert_close(found(z), expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.for_export()(z.double()).float(), expected, rtol=0, atol=1e-5)


def test_what_is_not_known_is_refused_by_name(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "model.pth")
    assert "activation is 'swish', not one of relu" in refusal(tmp_path / "model.pth", activation="swish")
    assert "last_activation is 'none'" in refusal(tmp_path / "model.pth", last_activation="none")
    with pytest.raises(CommandError, match="`noise`: a dcgan generator has no noise to choose") as error:
        reader.load_generator(tmp_path / "model.pth", noise=1)
    assert error.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_wrong_guess_of_the_activation_shows_in_the_statistics_of_batch_norm(activation: str) -> None:
    state = settled(activation=activation, widths=[32, 32, 16, 16]).state_dict()
    expected = {} if activation == "relu" else {"activation": activation}
    assert generator_of(state).likelier() == expected
    assert generator_of(state, activation=activation).likelier() == {}


def test_statistics_that_lag_behind_the_weights_tell_nothing() -> None:
    state = settled().state_dict()
    for name in state:
        if "running_mean" in name:
            state[name] += 0.5
    assert generator_of(state).likelier() == {}


# Spectral norm


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm], ids=["old", "new"])
@pytest.mark.parametrize("widths", [[16, 8, 4], [8, 8, 4]], ids=str)
def test_spectral_norm_is_folded_into_the_weights(norm: Callable[..., Any], widths: list[int], tmp_path: Path) -> None:
    trained = settled(widths=widths)
    layers = [module for module in trained.modules() if isinstance(module, nn.ConvTranspose2d)]
    for layer in layers:
        norm(layer)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for _ in range(3):
            trained.train()(z)  # each moves u and v
        found = read(tmp_path, {"netG": trained.eval().state_dict()})
        difference = (found(z) - trained(z)).abs().max()
    assert difference < 1e-5


def test_parts_of_a_weight_that_do_not_fit_each_other_are_refused(state: State, tmp_path: Path) -> None:
    (first, *_) = (name for name in state if name.endswith("0.weight"))
    broken = {name: tensor for name, tensor in state.items() if name != first}
    broken |= {f"{first}_orig": state[first], f"{first}_u": torch.ones(5), f"{first}_v": torch.ones(3)}
    torch.save(broken, tmp_path / "model.pth")
    assert "model.pth" in refusal(tmp_path / "model.pth")
