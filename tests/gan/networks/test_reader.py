"""The generator in a file of weights: the only one, in whatever form, and the digest of its weights."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.networks import reader
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.networks.files import load
from gan.training import snapshots
from tests.gan.conftest import same
from tests.gan.networks.conftest import refusal


@pytest.mark.parametrize("content", [[1, 2], [], torch.zeros(3), 5, None])
def test_a_file_without_names_is_65(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "model.pth")
    refusal(tmp_path / "model.pth")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"main.0.weight": "text"},
        {"epoch": 3, "model": {}},
        {0: torch.zeros(1)},
        {"snapshot_format": 1},
        {"snapshot_format": 1, "g": None, "g_ema": None},
        {"snapshot_format": 1, "g": torch.zeros(2), "g_ema": None},
    ],
    ids=str,
)
def test_a_dictionary_that_is_no_generator_is_65(tmp_path: Path, content: dict[Any, Any]) -> None:
    torch.save(content, tmp_path / "model.pth")
    refusal(tmp_path / "model.pth")


def test_weights_that_are_not_finite_are_65(tmp_path: Path) -> None:
    generator = DCGAN(8, 1, 2)
    generator.state_dict()["main.0.weight"].fill_(float("nan"))
    snapshots.save_weights(tmp_path / "model.pth", generator)
    refusal(tmp_path / "model.pth")


class Shadowed:
    """Unpickled it is an OrderedDict of `items` whose methods cannot be called."""

    def __init__(self, items: dict[str, Any]) -> None:
        self.items = items

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), dict.fromkeys(("items", "keys", "values", "get"), 5), None, iter(self.items.items())


def test_attributes_in_place_of_methods_change_nothing(tmp_path: Path) -> None:
    state = dict(DCGAN(8, 1, 2).state_dict())
    for content in (Shadowed(state), Shadowed({"netG": Shadowed(state)})):
        torch.save(content, tmp_path / "model.pth")
        assert torch.load(tmp_path / "model.pth", weights_only=True).items == 5
        assert same(dict(reader.load_generator(tmp_path / "model.pth").state_dict()), state)


# Training checkpoints of other programs


def small_networks() -> dict[str, dict[str, Tensor]]:
    """The state dicts of a generator and a discriminator under the names of the usual DCGAN script."""
    return {"netG": dict(DCGAN(8, 1, 2).state_dict()), "netD": dict(Discriminator(1, 2).state_dict())}


@pytest.mark.parametrize("key", ["netG", "state_dict"])
def test_the_one_generator_in_a_training_checkpoint_is_read(tmp_path: Path, key: str) -> None:
    networks = small_networks()
    adam = torch.optim.Adam(DCGAN(8, 1, 2).parameters()).state_dict()
    torch.save({"epoch": 3, "netD": networks["netD"], key: networks["netG"], "adam": adam}, tmp_path / "model.pth")
    read = reader.load_generator(tmp_path / "model.pth")
    assert same(dict(read.state_dict()), networks["netG"])


def test_a_checkpoint_with_two_generators_is_refused_with_their_keys(tmp_path: Path) -> None:
    networks = small_networks()
    torch.save({**networks, "average": dict(networks["netG"])}, tmp_path / "model.pth")
    message = refusal(tmp_path / "model.pth")
    assert "netG, average" in message
    assert "netD" not in message


def test_a_checkpoint_without_a_generator_is_refused_with_its_keys(tmp_path: Path) -> None:
    torch.save({"netD": small_networks()["netD"], "other": {}, "epoch": 3}, tmp_path / "model.pth")
    message = refusal(tmp_path / "model.pth")
    assert "netD is not a DCGAN generator" in message
    assert "other is not a DCGAN generator" in message


def test_a_snapshot_without_an_average_but_a_tensor_in_its_place_is_65(tmp_path: Path) -> None:
    torch.save({"snapshot_format": 1, "g_ema": torch.zeros(2), "g": {}}, tmp_path / "model.pth")
    refusal(tmp_path / "model.pth")


# Digests


def test_digest_of_weights_does_not_depend_on_the_file_they_came_in(tmp_path: Path) -> None:
    generator = DCGAN(8, 1, 2)
    snapshots.save_weights(tmp_path / "a.pth", generator)
    strided = generator.to(memory_format=torch.channels_last).state_dict()
    torch.save(strided, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    digests = {reader.weights_sha256(load(tmp_path / name)) for name in ("a.pth", "b.pth")}
    assert len(digests) == 1


def test_digest_of_a_generator_does_not_depend_on_the_form_its_weights_came_in(tmp_path: Path) -> None:
    state = dict(DCGAN(8, 1, 2).state_dict())
    forms: dict[str, dict[str, Any]] = {
        "plain": state,
        "bare names": {name.removeprefix("main."): tensor for name, tensor in state.items()},
        "parallel": {f"module.{name}": tensor for name, tensor in state.items()},
        "doubles": {name: tensor.double() for name, tensor in state.items()},
        "parameters": {name: nn.Parameter(tensor, requires_grad=False) for name, tensor in state.items()},
        "another order": dict(reversed(state.items())),
        "no counters": {name: tensor for name, tensor in state.items() if not name.endswith("tracked")},
        "a checkpoint": {"epoch": 3, "netG": state},
    }
    for name, form in forms.items():
        torch.save(form, tmp_path / f"{name}.pth")
    read = [reader.load_generator(tmp_path / f"{name}.pth") for name in forms]
    assert {reader.weights_sha256(generator.state_dict()) for generator in read} == {reader.weights_sha256(state)}


@pytest.mark.parametrize("name", ["main.0.weight", "main.1.running_mean"])
def test_digest_of_weights_changes_with_any_of_them(name: str) -> None:
    generator = DCGAN(8, 1, 2)
    before = reader.weights_sha256(generator.state_dict())
    generator.state_dict()[name].flatten()[0] += 1e-3
    assert reader.weights_sha256(generator.state_dict()) != before
