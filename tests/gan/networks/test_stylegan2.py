"""StyleGAN2's generator: the numbers that the program of its authors gives, the formulas of the paper, and refusals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan.config import TrainConfig
from gan.networks.architectures import architecture_of, generator_of, new_generator
from gan.networks.reader import load_generator
from gan.networks.stylegan2 import StyleGAN2
from models.errors import ExitCode
from tests.gan.networks.conftest import refusal
from tests.gan.networks.snapshots import state_of, write_snapshot

FORMS: dict[str, dict[str, Any]] = {
    "skip": {},
    "resnet": {"form": "resnet", "channels": 3, "classes": 3, "seed": 1},
    "orig": {"form": "orig", "side": 16, "channels": 4, "seed": 2},
}
LABELS = torch.tensor([0, 2, 1])
NUMBERS = {
    ("skip", 1, "const"): (0.3775363, [-0.17197, -6e-05, -0.22763, 0.11129]),
    ("skip", 1, "none"): (0.4013514, [-0.12983, -0.10851, -0.20388, 0.04514]),
    ("skip", 0.7, "const"): (0.3197809, [-0.16814, -0.01925, -0.17862, -0.02456]),
    ("resnet", 1, "const"): (0.4218408, [0.29268, 0.09401, -0.13806, -0.39177, 0.29722, -0.01037]),
    ("resnet", 1, "none"): (0.3760385, [0.10284, 0.20974, -0.11618, -0.39951, 0.15895, -0.03275]),
    ("resnet", 0.7, "const"): (0.4547723, [0.28293, 0.12002, -0.15048, -0.42921, 0.37606, 0.0054]),
    ("orig", 1, "const"): (0.2286696, [0.03479, -0.44212, -0.08763, -0.23227]),
    ("orig", 1, "none"): (0.2308904, [0.01742, -0.38183, -0.06568, -0.3928]),
    ("orig", 0.7, "const"): (0.2498834, [0.00088, -0.47874, -0.09704, -0.29539]),
}
"""Of `state_of` and `latents`, by stylegan2-ada-pytorch in float32, clamp 256: the deviation of all values, before they
are clipped, and the first of every 997th from the sixth."""


def latents() -> Tensor:
    return torch.from_numpy(np.random.RandomState(9).standard_normal((3, 8))).float()


def images(generator: StyleGAN2, **more: Any) -> Tensor:
    label = {"label": LABELS} if generator.classes else {}
    with torch.no_grad():
        return generator(latents(), **label, **more)


def of(form: str, **unseen: Any) -> StyleGAN2:
    made = generator_of(state_of(**FORMS[form]), **unseen)
    assert isinstance(made, StyleGAN2)
    return made


@pytest.mark.parametrize(("form", "psi", "noise"), NUMBERS)
def test_images_are_those_of_its_authors_program(form: str, psi: float, noise: str) -> None:
    given = images(of(form, truncation_psi=psi, noise=noise))
    _, numbers = NUMBERS[form, psi, noise]
    np.testing.assert_allclose(given.flatten()[5::997][: len(numbers)], numbers, rtol=0, atol=1e-5)
    whole = paper(state_of(**FORMS[form]), noise, psi)
    assert float(whole.std()) == pytest.approx(NUMBERS[form, psi, noise][0], abs=1e-5)
    np.testing.assert_allclose(given, whole.clamp(-1, 1), rtol=0, atol=1e-5)


def paper(state: dict[str, Tensor], noise: str, psi: float) -> Tensor:
    """The images of `latents` by the formulas, an image at a time with kernels of its own (equations 1 and 3)."""
    style = state["mapping.fc0.weight"].shape[0]

    def normal(x: Tensor) -> Tensor:
        return x / (x.square().mean() + 1e-8).sqrt()

    def lrelu(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)

    def matrix(name: str, x: Tensor, rate: float = 1.0) -> Tensor:
        weight = state[f"{name}.weight"]
        return weight @ x * (rate / math.sqrt(weight.shape[1])) + state[f"{name}.bias"] * rate

    def filtered(x: Tensor) -> Tensor:
        taps = 4 * state["synthesis.b4.resample_filter"]
        return F.conv2d(x[:, None], taps[None, None])[:, 0]

    def doubled(x: Tensor) -> Tensor:
        zeros = torch.zeros(x.shape[0], 2 * x.shape[1], 2 * x.shape[2])
        zeros[:, ::2, ::2] = x
        return zeros

    def convolved(name: str, x: Tensor, w: Tensor, up: bool, gain: float) -> Tensor:
        weight = state[f"{name}.weight"] * matrix(f"{name}.affine", w)[None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:  # the kernel is turned round there
            x = filtered(F.conv2d(F.pad(doubled(x), (3, 2, 3, 2))[None], weight.flip(2, 3))[0])
        else:
            x = F.conv2d(x[None], weight, padding=1)[0]
        if noise == "const":
            x = x + state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]
        return lrelu(x + state[f"{name}.bias"][:, None, None]) * gain

    def one(z: Tensor, label: int) -> Tensor:
        w = normal(z)
        if "mapping.embed.weight" in state:
            embed = state["mapping.embed.weight"]
            told = embed[:, label] / math.sqrt(embed.shape[1]) + state["mapping.embed.bias"]
            w = torch.cat([w, normal(told)])
        for layer in ("mapping.fc0", "mapping.fc1"):
            w = lrelu(matrix(layer, w, 0.01))
        w = state["mapping.w_avg"] + psi * (w - state["mapping.w_avg"])
        assert len(w) == style
        x, image = state["synthesis.b4.const"], None
        for side in (4, 8, 16, 32):
            block = f"synthesis.b{side}"
            if f"{block}.conv1.weight" not in state:
                break
            past, gain = None, 1.0
            if f"{block}.skip.weight" in state:
                shortcut = F.conv2d(x[None], state[f"{block}.skip.weight"] / math.sqrt(x.shape[0]))[0]
                past, gain = filtered(F.pad(doubled(shortcut), (2, 1, 2, 1))) * math.sqrt(0.5), math.sqrt(0.5)
            if side > 4:
                x = convolved(f"{block}.conv0", x, w, True, 1.0)
            x = convolved(f"{block}.conv1", x, w, False, gain)
            x = x if past is None else x + past
            image = None if image is None else filtered(F.pad(doubled(image), (2, 1, 2, 1)))
            if f"{block}.torgb.weight" in state:
                scales = matrix(f"{block}.torgb.affine", w) / math.sqrt(x.shape[0])
                weight = state[f"{block}.torgb.weight"] * scales[None, :, None, None]
                own = F.conv2d(x[None], weight, state[f"{block}.torgb.bias"])[0]
                image = own if image is None else image + own
        assert image is not None
        return image

    return torch.stack([one(z, label) for z, label in zip(latents(), LABELS.tolist(), strict=True)])


@pytest.mark.parametrize("form", FORMS)
def test_what_is_exported_is_the_same_in_float64_and_changes_nothing(form: str) -> None:
    generator = of(form, truncation_psi=0.7)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    label = {"label": LABELS} if generator.classes else {}
    with torch.no_grad():
        folded = generator.for_export()(latents().double(), **label)
    np.testing.assert_allclose(folded, images(generator), rtol=0, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_clamp_and_activation_and_rate_count() -> None:
    usual = images(of("resnet"))
    for name, value in (
        ("clamp", 0.5),
        ("layer_activation", "relu"),
        ("mapping_activation", "relu"),
        ("mapping_rate", 0.02),
    ):
        assert (images(of("resnet", **{name: value})) - usual).abs().max() > 0.02, name
    torch.testing.assert_close(images(of("resnet", clamp=None)), usual)
    hyperbolic = of("skip", layer_activation="tanh", clamp=0.3)
    maps: list[Tensor] = []
    hyperbolic.synthesis["b32"].conv1.register_forward_hook(lambda module, given, value: maps.append(value))
    images(hyperbolic)
    assert float(maps[0].abs().max()) == pytest.approx(0.3)


def test_noise_of_its_own_for_each_image_takes_the_place_of_what_is_stored() -> None:
    generator = of("skip")
    noise = generator.fresh_noise(3, torch.Generator().manual_seed(0))
    assert {name: list(values.shape) for name, values in noise.items()} == {
        "b4.conv1": [3, 1, 4, 4], "b8.conv0": [3, 1, 8, 8], "b8.conv1": [3, 1, 8, 8], "b16.conv0": [3, 1, 16, 16],
        "b16.conv1": [3, 1, 16, 16], "b32.conv0": [3, 1, 32, 32], "b32.conv1": [3, 1, 32, 32],
    }  # fmt: skip
    assert (images(generator, noise=noise) - images(generator)).abs().max() > 0.1
    state = generator.state_dict()
    stored = {name: state[f"synthesis.{name}.noise_const"].expand(3, 1, -1, -1) for name in noise}
    torch.testing.assert_close(images(of("skip", noise="none"), noise=stored), images(generator))


def test_a_network_without_noise_has_none() -> None:
    state = state_of(noisy=False)
    torch.testing.assert_close(images(generator_of(state)), images(generator_of(state, noise="none")))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_average_of_a_snapshot_is_read_with_what_it_tells(tmp_path: Path, protocol: int) -> None:
    state = state_of(classes=3)
    path = write_snapshot(tmp_path / "s.pkl", state, protocol, clamp=7, activation="relu", rate=0.02)
    found = load_generator(path, truncation_psi=0.5)
    assert isinstance(found, StyleGAN2)
    assert found.unseen == {
        "mapping_activation": "lrelu", "mapping_rate": 0.02, "layer_activation": "relu", "clamp": 7, "noise": "const",
        "truncation_psi": 0.5,
    }  # fmt: skip
    assert found.told
    assert (found.z_dim, found.channels, found.height, found.classes) == (8, 1, 32, 3)
    assert found.class_names == ["0", "1", "2"]
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict().items())
    other = load_generator(path, "G")
    assert torch.equal(other.state_dict()["mapping.w_avg"], 2 * state["mapping.w_avg"])


def test_a_plain_state_dict_is_read_with_what_is_usual(tmp_path: Path) -> None:
    torch.save({"g_ema": state_of(), "step": 3}, tmp_path / "model.pth")
    found = load_generator(tmp_path / "model.pth")
    assert isinstance(found, StyleGAN2)
    assert (found.told, found.unseen["clamp"], found.unseen["mapping_rate"]) == (False, 256.0, 0.01)


def test_what_is_not_there_or_not_of_it_is_refused(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path / "s.pkl", state_of())
    assert "holds no G2, but G, D, G_ema" in refusal(path, "G2")
    assert "Discriminator with 0 values for mapping_activation" in refusal(path, "D")
    assert "`activation`: a stylegan2 generator has no activation" in refusal(
        path, code=ExitCode.USAGE, activation="elu"
    )
    assert "noise is 'loud', not one of const, none" in refusal(path, noise="loud")
    assert "truncation_psi is nan" in refusal(path, truncation_psi=math.nan)
    assert "clamp is -1, not a number" in refusal(write_snapshot(tmp_path / "c.pkl", state_of(), clamp=-1))
    unknown = write_snapshot(tmp_path / "a.pkl", state_of(), activation="mish")
    assert "layer_activation is 'mish', not one of linear, relu" in refusal(unknown)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mapping.fc1.weight": None}, "mapping.fc1.bias"),
        ({"synthesis.b8.conv0.weight": torch.zeros(8, 8, 5, 5)}, "synthesis.b8.conv0.weight is [8, 8, 5, 5]"),
        ({"synthesis.b4.const": torch.zeros(8, 4, 6)}, "synthesis.b4.const is [8, 4, 6], expected [8, 4, 4]"),
        ({"synthesis.b32.torgb.weight": torch.zeros(5, 8, 1, 1)}, "5 channels and 32×32"),
        ({"synthesis.b8.resample_filter": torch.zeros(12)}, "synthesis.b8.resample_filter is [12]"),
        ({"synthesis.b4.resample_filter": torch.zeros(3, 3)}, "a filter of 3 taps"),
        ({"synthesis.b8.more": torch.zeros(1)}, "synthesis.b8.more is [1], expected nothing"),
        ({"mapping.fc0.bias": torch.full((6,), torch.inf)}, "mapping.fc0.bias holds non-finite"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(
    tmp_path: Path, change: dict[str, Tensor | None], words: str
) -> None:
    state = {name: tensor for name, tensor in {**state_of(), **change}.items() if tensor is not None}
    assert words in refusal(write_snapshot(tmp_path / "s.pkl", state))


def test_without_an_average_only_psi_1_is_possible(tmp_path: Path) -> None:
    state = state_of()
    del state["mapping.w_avg"]
    path = write_snapshot(tmp_path / "s.pkl", state)
    assert load_generator(path).unseen["truncation_psi"] == 1
    assert "no average style vector" in refusal(path, truncation_psi=0.7)


def test_it_is_not_offered_for_training() -> None:
    config = TrainConfig(architecture="stylegan2")
    with pytest.raises(ValueError, match="'stylegan2' is not one of dcgan, shift"):
        new_generator(config)
    with pytest.raises(ValueError, match="not trained here"):
        StyleGAN2.of(config)
    assert architecture_of(state_of()) is StyleGAN2
