"""The two networks: shapes, parameters, and the classic DCGAN's state dicts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan.config import IMAGE_SIZES
from gan.networks.dcgan import DCGAN
from gan.networks.discriminator import Discriminator
from gan.networks.stages import initialise
from tests.gan.conftest import same


class ClassicGenerator(nn.Module):
    """The usual PyTorch DCGAN generator with a sixth stage, written out."""

    def __init__(self, nz: int, ngf: int, nc: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 16, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 16),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 16, ngf * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.main(z)
        return images


class ClassicDiscriminator(nn.Module):
    """The usual PyTorch DCGAN discriminator with a sixth stage, written out; it gives probabilities."""

    def __init__(self, nc: int, ndf: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 8, ndf * 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 16),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 16, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.main(images)
        return probabilities.view(-1)


def unusual(network: nn.Module, seed: int = 3) -> nn.Module:
    """`network` in eval mode with weights and batch-norm statistics that no other has."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2, generator=random)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.2, generator=random)
    return network.eval()


def latents(count: int, z_dim: int) -> Tensor:
    """Standard normal `[N, z_dim]`."""
    return torch.randn((count, z_dim), generator=torch.Generator().manual_seed(4))


def photos(count: int, channels: int = 1, seed: int = 5) -> Tensor:
    """Noise in [-1, 1]."""
    return torch.rand((count, channels, 128, 128), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def stage_shapes(network: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes of one image after each convolution."""
    shapes: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network(x)
    return shapes


def parameters(network: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def test_default_generator_has_3_606_976_parameters() -> None:
    assert parameters(DCGAN()) == 3_606_976


def test_default_discriminator_has_2_795_904_parameters() -> None:
    assert parameters(Discriminator()) == 2_795_904


@pytest.mark.parametrize("channels", [1, 3])
def test_generator_doubles_the_side_at_each_stage_from_4_to_128(channels: int) -> None:
    assert stage_shapes(DCGAN(channels=channels).eval(), torch.zeros(1, 100, 1, 1)) == [
        (512, 4, 4),
        (256, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (32, 64, 64),
        (channels, 128, 128),
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_discriminator_is_the_generators_mirror_image(channels: int) -> None:
    assert stage_shapes(Discriminator(channels).eval(), torch.zeros(1, channels, 128, 128)) == [
        (32, 64, 64),
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (1, 1, 1),
    ]


@pytest.mark.parametrize("network", [DCGAN(), Discriminator()])
def test_no_convolution_under_batch_norm_has_a_bias(network: nn.Module) -> None:
    assert all(
        module.bias is None for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    )


def test_both_forms_of_a_latent_give_equal_images() -> None:
    generator, z = unusual(DCGAN(8, 1, 2)), latents(3, 8)
    assert torch.equal(generator(z), generator(z.reshape(3, 8, 1, 1)))


def test_generated_images_stay_within_minus_one_and_one() -> None:
    images = unusual(DCGAN(8, 1, 2))(100 * latents(8, 8))
    assert images.abs().max() <= 1


def test_discriminator_gives_one_logit_an_image() -> None:
    assert Discriminator(1, 2)(photos(5)).shape == (5,)


@pytest.mark.parametrize("channels", [1, 3])
def test_generator_reads_a_classic_state_dict_and_gives_its_images(channels: int) -> None:
    classic, z = unusual(ClassicGenerator(8, 2, channels)), latents(4, 8)
    ours = DCGAN.from_state_dict(classic.state_dict())
    assert torch.equal(ours(z), classic(z.reshape(4, 8, 1, 1)))


@pytest.mark.parametrize("channels", [1, 3])
def test_classic_generator_reads_our_state_dict_and_gives_our_images(channels: int) -> None:
    ours, z = unusual(DCGAN(8, channels, 2)), latents(4, 8)
    classic = ClassicGenerator(8, 2, channels).eval()
    classic.load_state_dict(ours.state_dict())
    assert torch.equal(classic(z.reshape(4, 8, 1, 1)), ours(z))


@pytest.mark.parametrize("channels", [1, 3])
def test_discriminator_reads_a_classic_state_dict_and_gives_its_probabilities(channels: int) -> None:
    classic, ours = unusual(ClassicDiscriminator(channels, 2)), Discriminator(channels, 2).eval()
    ours.load_state_dict(classic.state_dict())
    assert torch.equal(ours(photos(3, channels)).sigmoid(), classic(photos(3, channels)))


@pytest.mark.parametrize("channels", [1, 3])
def test_classic_discriminator_reads_our_state_dict_and_gives_our_probabilities(channels: int) -> None:
    ours, classic = unusual(Discriminator(channels, 2)), ClassicDiscriminator(channels, 2).eval()
    classic.load_state_dict(ours.state_dict())
    assert torch.equal(classic(photos(3, channels)), ours(photos(3, channels)).sigmoid())


def test_convolutions_begin_with_mean_0_and_deviation_002() -> None:
    generator = DCGAN()
    initialise(generator, torch.Generator().manual_seed(0))
    weights = torch.cat([m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert abs(weights.mean().item()) < 1e-4
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)


def test_batch_norm_begins_with_weights_around_1_of_deviation_002() -> None:
    generator = DCGAN()
    initialise(generator, torch.Generator().manual_seed(0))
    weights = torch.cat([m.weight for m in generator.modules() if isinstance(m, nn.BatchNorm2d)])
    assert weights.mean().item() == pytest.approx(1.0, abs=0.003)
    assert weights.std().item() == pytest.approx(0.02, rel=0.15)


def test_biases_begin_at_zero() -> None:
    discriminator = Discriminator(1, 2, batch_norm=False)
    initialise(discriminator, torch.Generator().manual_seed(0))
    assert all((m.bias == 0).all() for m in discriminator.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)


def test_the_same_seed_begins_with_the_same_weights() -> None:
    first, second = DCGAN(8, 1, 2), DCGAN(8, 1, 2)
    for network in (first, second):
        initialise(network, torch.Generator().manual_seed(6))
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_every_size_makes_images_of_it_and_is_read_from_its_state_dict(size: int, channels: int) -> None:
    read = DCGAN.from_state_dict(DCGAN(8, channels, 1, size).state_dict())
    assert (read.height, read.width, read.channels) == (size, size, channels)
    images = read(latents(2, 8))
    assert images.shape == (2, channels, size, size)
    assert Discriminator(channels, 1, image_size=size)(images).shape == (2,)


@pytest.mark.parametrize("size", [0, 16, 100, 1024])
def test_a_size_that_is_no_power_of_two_from_32_to_512_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="not one of 32, 64, 128, 256, 512"):
        DCGAN(8, 1, 1, size)


def test_stages_beyond_128_grow_no_wider() -> None:
    assert [shape[0] for shape in stage_shapes(DCGAN(8, 1, 2, 512).eval(), latents(1, 8))] == [
        32,
        32,
        32,
        16,
        8,
        4,
        2,
        1,
    ]


@pytest.mark.parametrize("shape", [(4, 7), (2, 16), (8,), (2, 8, 2, 2)])
def test_latents_of_another_shape_are_refused_and_not_rearranged(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[N, 8\]"):
        DCGAN(8, 1, 2)(torch.zeros(shape))
