"""uint8 to [-1, 1] and back."""

from __future__ import annotations

import torch

from gan.networks.pixels import to_float, to_pixels


def test_all_256_values_come_back_as_they_were() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_pixels(to_float(values).reshape(1, 1, 16, 16)).flatten(), values)


def test_black_is_minus_one_and_white_is_one() -> None:
    assert to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1.0, 1.0]


def test_floats_are_float32() -> None:
    assert to_float(torch.zeros(1, dtype=torch.uint8)).dtype == torch.float32


def test_halves_are_rounded_to_the_even_step() -> None:
    steps = torch.tensor([64.5, 65.5, 66.5, 67.5, 127.5])
    images = (steps / 127.5 - 1).reshape(1, 1, 1, 5)
    assert torch.equal((images + 1).flatten() * 127.5, steps), "not halves after all"
    assert to_pixels(images).flatten().tolist() == [64, 66, 66, 68, 128]


def test_what_lies_beyond_is_clipped_and_does_not_wrap_around() -> None:
    images = torch.tensor([-1.1, -50.0, 1.1, 50.0]).reshape(1, 1, 1, 4)
    assert to_pixels(images).flatten().tolist() == [0, 0, 255, 255]


def test_channels_go_last() -> None:
    images = torch.full((2, 3, 4, 5), -1.0)
    images[1, 2, 3, 4] = 1
    assert to_pixels(images).nonzero().tolist() == [[1, 3, 4, 2]]
