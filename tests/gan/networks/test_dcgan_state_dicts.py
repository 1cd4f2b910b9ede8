"""The generator of a DCGAN in a state dict: found whatever its names and numbers are, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from tests.gan.conftest import same
from tests.gan.networks.made import unusual


@pytest.mark.parametrize("sizes", [(7, 1, 3), (100, 3, 2)])
def test_sizes_are_read_from_the_state_dict(sizes: tuple[int, int, int]) -> None:
    read = DCGAN.from_state_dict(DCGAN(*sizes).state_dict())
    assert (read.z_dim, read.channels, read.widths[-1]) == sizes


def test_a_generator_that_was_read_is_in_eval_mode() -> None:
    assert not DCGAN.from_state_dict(DCGAN(8, 1, 2).state_dict()).training


def other_architectures() -> dict[str, dict[str, Tensor]]:
    """State dicts that are no DCGAN generator."""
    good = DCGAN(8, 1, 2).state_dict()
    return {
        "last stage missing": {name: tensor for name, tensor in good.items() if not name.startswith("main.15")},
        "one layer more": {**good, "main.18.weight": torch.zeros(1)},
        "one tensor less": {name: tensor for name, tensor in good.items() if name != "main.4.running_var"},
        "other kernel": {**good, "main.3.weight": torch.zeros(32, 16, 3, 3)},
        "discriminator": dict(Discriminator(1, 2).state_dict()),
        "one name of its own": {**good, "embedding.0.weight": torch.zeros(10, 8)},
        "names without a number": {name.replace(".", ""): tensor for name, tensor in good.items()},
        "values that are no tensors": dict.fromkeys(good, 1.0),
        "integers": {name: tensor.to(torch.int32) for name, tensor in good.items()},
        "complex numbers": {name: tensor.to(torch.complex64) for name, tensor in good.items()},
        "more elements than can be counted": {**good, "main.15.weight": torch.zeros(1).expand(2**40, 1, 4, 4)},
        "an empty counter": {**good, "main.1.num_batches_tracked": torch.zeros(0)},
        "numbers for names": {number: torch.zeros(1) for number in range(3)},
        "nothing": {},
    }


@pytest.mark.parametrize("kind", other_architectures())
def test_another_architecture_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"not a (\d+×\d+ DCGAN|DCGAN|generator of gray)|not real numbers"):
        DCGAN.from_state_dict(other_architectures()[kind])


@pytest.mark.parametrize("prefix", ["", "net.", "netG.", "module.main.", "generator.7.main."])
def test_names_may_begin_with_anything_that_all_share(prefix: str) -> None:
    state = unusual(DCGAN(8, 1, 2)).state_dict()
    read = DCGAN.from_state_dict({prefix + name.removeprefix("main."): tensor for name, tensor in state.items()})
    assert same(dict(read.state_dict()), dict(state))


def test_counters_are_kept_and_those_that_are_missing_are_zero() -> None:
    state = unusual(DCGAN(8, 1, 2)).state_dict()
    counters = {name: torch.tensor(7) for name in state if name.endswith("num_batches_tracked")}
    assert same(dict(DCGAN.from_state_dict({**state, **counters}).state_dict()), {**state, **counters})
    old = {name: tensor for name, tensor in state.items() if name not in counters}
    for _ in range(10):  # memory that is not written may be zero by chance
        zeros = {name: torch.tensor(0) for name in counters}
        assert same(dict(DCGAN.from_state_dict(old).state_dict()), {**state, **zeros})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_become_float32(dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in unusual(DCGAN(8, 1, 2)).state_dict().items()}
    read = DCGAN.from_state_dict(state).state_dict()
    assert all(torch.equal(read[name], tensor.to(read[name].dtype)) for name, tensor in state.items())
    assert {tensor.dtype for tensor in read.values()} == {torch.float32, torch.int64}


def test_strides_do_not_matter() -> None:
    state = unusual(DCGAN(8, 1, 2)).state_dict()
    strided = {
        name: tensor.repeat_interleave(2, -1)[..., ::2] if tensor.ndim else tensor for name, tensor in state.items()
    }
    assert not strided["main.0.weight"].is_contiguous()
    read = DCGAN.from_state_dict(strided).state_dict()
    assert same(dict(read), dict(state))
    assert all(tensor.is_contiguous() for tensor in read.values())


def test_a_generator_that_was_read_has_its_own_copy_of_the_weights() -> None:
    state = unusual(DCGAN(8, 1, 2)).state_dict()
    read = DCGAN.from_state_dict(state)
    before = read.main[0].weight.clone()
    state["main.0.weight"].zero_()
    assert torch.equal(read.main[0].weight, before)


def test_the_shapes_of_a_huge_generator_are_read_without_memory() -> None:
    huge = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in DCGAN(1, 1, 1).state_dict().items()}
    huge["main.0.weight"] = torch.zeros(()).expand(2**40, 16, 4, 4)
    read = DCGAN.shaped_like(huge)
    assert (read.z_dim, read.main[0].weight.device.type) == (2**40, "meta")


def test_reading_a_generator_draws_no_random_numbers() -> None:
    state, before = DCGAN(8, 1, 2).state_dict(), torch.get_rng_state()
    DCGAN.from_state_dict(state)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5])
def test_variances_that_would_give_no_image_are_refused_by_name(value: float) -> None:
    state = DCGAN(8, 1, 2).state_dict()
    state["main.4.running_var"][1] = value
    with pytest.raises(ValueError, match=r"main\.4\.running_var holds (non-finite|negative)"):
        DCGAN.from_state_dict(state)


def test_a_double_beyond_float32_is_not_finite() -> None:
    state = {name: tensor.double() for name, tensor in DCGAN(8, 1, 2).state_dict().items()}
    state["main.3.weight"][0, 0, 0, 0] = 1e300
    with pytest.raises(ValueError, match=r"main\.3\.weight holds non-finite"):
        DCGAN.from_state_dict(state)


@pytest.mark.parametrize("name", ["main.0.weight", "main.15.weight", "main.4.running_mean"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(name: str, value: float) -> None:
    state = DCGAN(8, 1, 2).state_dict()
    state[name].flatten()[1] = value
    with pytest.raises(ValueError, match=f"{name} holds non-finite"):
        DCGAN.from_state_dict(state)
