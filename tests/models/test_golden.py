"""Golden images: what a file must give for a few latents."""

from __future__ import annotations

import base64
import json
import tracemalloc
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from models.golden import Golden, InfoError, mask_differences, sure_masks
from models.latents import Input
from tests.models.made import floats, outputs


def through_json(golden: Golden) -> Golden:
    """`golden` as a file gives it back."""
    return Golden.from_dict(json.loads(json.dumps(golden.to_dict())))


def test_golden_outputs_come_back_without_a_difference() -> None:
    images, pixels = outputs()
    assert through_json(Golden.of(7, 1e-4, images, pixels)).differences(images, pixels) == (0.0, 0)


def test_golden_seed_and_tolerance_come_back() -> None:
    golden = through_json(Golden.of(2**64 - 1, 1.5e-4, *outputs()))
    assert (golden.seed, golden.atol) == (2**64 - 1, 1.5e-4)


def test_differences_gives_the_largest_in_images() -> None:
    images, pixels = outputs()
    golden = through_json(Golden.of(0, 1e-4, images, pixels))
    changed = images.copy()
    changed[3, 1, 8, 16] += 0.25
    changed[4, 1, 8, 16] -= 0.125
    by_value, _ = golden.differences(changed, pixels)
    assert by_value == pytest.approx(0.25, abs=1e-6)


def test_differences_gives_the_largest_step_of_pixels_in_both_directions() -> None:
    images, pixels = outputs()
    pixels[0, 0, 0, 0], pixels[1, 1, 1, 1] = 10, 250
    golden = through_json(Golden.of(0, 1e-4, images, pixels))
    changed = pixels.copy()
    changed[0, 0, 0, 0], changed[1, 1, 1, 1] = 13, 5
    assert golden.differences(images, changed)[1] == 245


def test_a_difference_from_nan_is_within_no_tolerance() -> None:
    images, pixels = outputs()
    golden = through_json(Golden.of(0, 1e-4, images, pixels))
    by_value, _ = golden.differences(np.full_like(images, np.nan), pixels)
    assert not by_value <= golden.atol


def test_outputs_of_another_shape_are_refused() -> None:
    images, pixels = outputs()
    golden = Golden.of(0, 1e-4, images, pixels)
    with pytest.raises(InfoError, match="shape"):
        golden.differences(images[:, :1], pixels[..., :1])


@pytest.mark.parametrize("part", ["seed", "atol", "images", "images_shape", "pixels", "pixels_shape"])
def test_golden_images_that_lack_a_part_are_told_to_be_exported_again(part: str) -> None:
    values = Golden.of(0, 1e-4, *outputs()).to_dict()
    del values[part]
    with pytest.raises(InfoError, match="export"):
        Golden.from_dict(values)


@pytest.mark.parametrize("part", ["images", "pixels"])
def test_golden_images_cut_short_are_told_to_be_exported_again(part: str) -> None:
    values = Golden.of(0, 1e-4, *outputs()).to_dict()
    values[part] = values[part][: len(values[part]) // 2 // 4 * 4]
    with pytest.raises(InfoError, match="export"):
        Golden.from_dict(values)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("seed", float("inf")), ("atol", float("inf"))])
def test_golden_values_that_would_check_nothing_are_refused(name: str, value: float) -> None:
    with pytest.raises(InfoError, match="golden"):
        Golden.from_dict({**Golden.of(3, 1e-5, *outputs()).to_dict(), name: value})


@pytest.mark.parametrize("shape", [[16, 32, 32, 3], [1, 1, 1, -1]])
def test_golden_pixels_that_unpack_to_more_than_their_shape_are_not_unpacked(shape: list[int]) -> None:
    golden = Golden.of(3, 1e-5, *outputs()).to_dict()
    bomb = base64.b64encode(zlib.compress(bytes(200_000_000))).decode()
    tracemalloc.start()
    with pytest.raises(InfoError, match="golden"):
        Golden.from_dict({**golden, "pixels": bomb, "pixels_shape": shape})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


# Masks

ATOL = 1e-3


def with_masks() -> tuple[Golden, NDArray[np.uint8]]:
    """Golden images of which the first mask begins with a pixel on either side of each limit, and the right masks."""
    masks = floats()
    masks[0, 0, 0, :6] = 0.0, ATOL / 2, -ATOL / 2, ATOL * 1.01, -ATOL * 1.01, np.nextafter(0, 1)
    golden = through_json(Golden.of(3, ATOL, *outputs(), masks))
    return golden, np.where(masks[:, 0] > 0, 255, 0).astype(np.uint8)


def fault_of(golden: Golden, masks: NDArray[np.uint8]) -> str:
    """What it says of a runtime that gives the right images and pixels, and these masks."""
    return golden.fault({"z": Input("float32", (8,))}, lambda _: [*outputs(), masks])


def test_golden_masks_come_back_as_they_went_in() -> None:
    golden, _ = with_masks()
    assert golden.masks is not None
    assert golden.masks[0, 0, :6].tolist() == [128, 128, 128, 255, 0, 128]
    assert (golden.masks == sure_masks(floats(), ATOL))[1:].all()
    assert through_json(golden).to_dict() == golden.to_dict()


def test_golden_images_without_masks_say_nothing_of_them() -> None:
    assert "masks" not in Golden.of(3, ATOL, *outputs()).to_dict()


@pytest.mark.parametrize("column", range(6))
def test_a_pixel_of_a_mask_may_differ_where_rounding_decides_and_nowhere_else(column: int) -> None:
    golden, masks = with_masks()
    assert fault_of(golden, masks) == ""
    masks[0, 0, column] = 255 - masks[0, 0, column]
    assert fault_of(golden, masks) == (
        "" if column in (0, 1, 2, 5) else "1 pixels of their masks differ (allowed none)"
    )


@pytest.mark.parametrize("column", [1, 3, 4])
@pytest.mark.parametrize("value", [1, 127, 128, 254])
def test_a_value_that_no_mask_has_is_a_fault_even_where_rounding_decides(column: int, value: int) -> None:
    golden, masks = with_masks()
    masks[0, 0, column] = value
    assert "1 pixels of their masks" in fault_of(golden, masks)


def test_wrong_images_are_told_of_before_masks() -> None:
    golden, masks = with_masks()
    images, pixels = outputs()
    assert "pixel steps" in golden.fault({"z": Input("float32", (8,))}, lambda _: [images, pixels // 2, masks])


def test_masks_of_another_shape_are_refused() -> None:
    _, masks = with_masks()
    with pytest.raises(InfoError, match="shape"):
        mask_differences(masks[..., :-1], masks)


@pytest.mark.parametrize("text", ["", "no text of ours", "AAAA", 7, None, [1]])
def test_damaged_golden_masks_are_told_to_be_exported_again(text: object) -> None:
    golden, _ = with_masks()
    with pytest.raises(InfoError, match=r"damaged.*export"):
        Golden.from_dict({**golden.to_dict(), "masks": text})


def test_golden_masks_cut_short_or_of_another_size_are_told_to_be_exported_again() -> None:
    golden, _ = with_masks()
    text = golden.to_dict()["masks"]
    other = base64.b64encode(zlib.compress(bytes(16 * 32 * 31))).decode()
    for damaged in (text[: len(text) // 2 // 4 * 4], other):
        with pytest.raises(InfoError, match=r"damaged.*export"):
            Golden.from_dict({**golden.to_dict(), "masks": damaged})
