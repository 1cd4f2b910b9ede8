"""Images turned over by the signs of latents."""

from __future__ import annotations

import pytest
import torch

from gan.networks.architectures import generator_of, new_generator
from gan.networks.turn import WAYS, Turn
from tests.gan.conftest import tiny
from tests.gan.networks.shift_made import blind, latents, lively


@pytest.mark.parametrize(("way", "dims"), [(0, (3, 2)), (1, (2,)), (2, (3,))])
def test_each_latent_turns_its_own_images(way: int, dims: tuple[int, ...]) -> None:
    x = torch.arange(32.0).reshape(2, 1, 4, 4)
    z = torch.full((2, 3), -0.1)
    z[1, way] = 0.1
    first, second = Turn(WAYS)(x, z)
    assert torch.equal(first, x[0])
    assert torch.equal(second, (x.transpose(2, 3) if way == 0 else x.flip(dims))[1])


@pytest.mark.parametrize(("share", "lie"), [(0.0, 0.001), (0.3, 0.3), (1.0, 0.999)])
def test_so_many_lie_as_it_was_told(share: float, lie: float) -> None:
    turn = Turn(WAYS)
    turn.lay(share)
    x = torch.arange(4.0).reshape(1, 1, 2, 2).expand(20_000, -1, -1, -1)
    z = torch.full((20_000, 3), -1.0)
    z[:, 0] = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    lies = (turn(x, z) == x.transpose(2, 3)).all(dim=(1, 2, 3)).double().mean()
    assert float(lies) == pytest.approx(lie, abs=0.01)
    Turn(WAYS[1:]).lay(share)  # has nothing to lay


@torch.no_grad()
def test_what_is_drawn_does_not_depend_on_whether_it_lies() -> None:
    """A network that saw it would draw level scratches into one and upright ones into the other, and at last both."""
    drawn = lively(turns=WAYS[:1])
    for name, weights in drawn.named_parameters():
        if "amounts" in name:
            weights.zero_()  # bends are along the image's own rows and columns
    drawn.grain_gain.zero_()
    z = latents(1).repeat(2, 1)
    z[:, 0] = torch.tensor([-1.0, 1.0])
    z[:, drawn.content + 6 : drawn.content + 10] = -1.0  # the first pixels of the whole, which has four more
    plain, laid = drawn(z)
    assert plain.std() > 0.01
    torch.testing.assert_close(laid.transpose(1, 2), plain)


@torch.no_grad()
def test_a_generator_that_does_not_look_at_them_draws_one_image_turned_over() -> None:
    drawn = blind(lively(turns=WAYS))
    drawn.mixed.weight[:, :2] = 0
    for stage in drawn.stages:
        if stage.gate is not None:
            stage.gate[0].weight[:, :2] = 0
    z = latents(1).repeat(2, 1)
    z[0, :3], z[1, :3] = -1.0, torch.tensor([1.0, 1.0, -1.0])
    z[:, drawn.content + 6 : drawn.content + 10] = -1.0  # the first pixels of the whole, which has four more
    plain, turned = drawn(z)
    assert plain.std() > 0.01
    assert torch.equal(turned[:, 4:].flip(1).transpose(1, 2), plain[..., 4:])


@pytest.mark.parametrize(
    ("flip", "transpose", "ways"),
    [
        ("both", "on", list(WAYS)),
        ("both", "off", ["upside_down", "mirrored"]),
        ("horizontal", "off", ["mirrored"]),
        ("vertical", "on", ["lying", "upside_down"]),
        ("none", "off", []),
    ],
)
def test_images_are_turned_as_photos_are_flipped_and_a_state_tells_how(
    flip: str, transpose: str, ways: list[str]
) -> None:
    made = new_generator(tiny("shift", flip=flip, transpose=transpose))
    made.initialise(torch.Generator().manual_seed(0))
    state = made.state_dict()
    assert [name.removeprefix("turn.") for name in state if name.startswith("turn.")] == ways
    again = generator_of(state)
    z = torch.randn(3, made.z_dim)
    assert torch.equal(again(z=z), made.eval()(z=z))
