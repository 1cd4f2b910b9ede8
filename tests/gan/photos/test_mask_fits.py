"""Photos and their masks become images together, in all four ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gan.photos.fit import CENTRE, FITS, fit_image, fullest, window_sums
from gan.photos.read import ImageSet, load_images


def spot(height: int, width: int, top: int, left: int, side: int) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def loaded(folder: Path, masks: Sequence[NDArray[np.uint8]], size: int | str, fit: str, margin: int = 40) -> ImageSet:
    """Photos that are bright where the defect is, so that they show where it went."""
    (folder / "photos").mkdir()
    (folder / "masks").mkdir()
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / "masks" / f"{number:02d}.png")
        photo = np.where(mask > 0, 255 - margin, margin) + np.arange(mask.shape[1]) % 2
        Image.fromarray(photo.astype(np.uint8)).save(folder / "photos" / f"{number:02d}.png")
    return load_images(folder / "photos", 1, size, fit=fit, masks=folder / "masks")


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [64, "96x64"])
def test_the_mask_lies_where_the_photo_shows_the_defect(tmp_path: Path, fit: str, size: int | str) -> None:
    shapes = [(100, 200), (200, 100), (130, 130), (50, 300), (300, 64), (40, 40)] * 2
    masks = [spot(*shape, shape[0] // 4, shape[1] * (number % 3) // 4, 14) for number, shape in enumerate(shapes)]
    found = loaded(tmp_path, masks, size, fit)
    assert found.masks is not None
    shown, drawn = found.images > 127, found.masks > 0
    assert drawn.flatten(1).any(dim=1).all()
    for seen, mask in zip(shown, drawn, strict=True):
        both, either = (seen & mask).sum(), (seen | mask).sum()
        assert both / either > 0.55  # a defect of 3 pixels has an edge that is half as large
        rows, columns = (seen.any(dim=axis).nonzero() for axis in (2, 1))
        of_mask = [mask.any(dim=axis).nonzero() for axis in (2, 1)]
        for one, other in zip((rows, columns), of_mask, strict=True):
            assert abs(one[0, -1] - other[0, -1]) <= 1
            assert abs(one[-1, -1] - other[-1, -1]) <= 1


@pytest.mark.parametrize(("wide", "survives"), [(1, False), (2, True), (3, True)])
def test_a_line_that_covers_a_quarter_of_a_pixel_survives(wide: int, survives: bool) -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[:, 100 : 100 + wide] = 255
    small = np.asarray(fit_image(Image.fromarray(mask), (32, 32), "crop", mask=True))
    assert set(np.unique(small)) <= {0, 255}
    assert small.any() == survives
    assert not (np.asarray(Image.fromarray(mask).resize((32, 32), Image.Resampling.BOX)) > 127).any()


def test_padding_reflects_the_mask_as_it_does_the_photo(tmp_path: Path) -> None:
    found = loaded(tmp_path, [spot(64, 128, 2, 20, 16)] * 10, 128, "pad")
    assert found.masks is not None
    mask = found.masks[0, 0] > 0
    assert mask.any(dim=1).nonzero().flatten().tolist() == [*range(15, 31), *range(34, 50)]
    assert ((found.images[0, 0] > 127) == mask).all()


def kept(mask: NDArray[np.uint8], size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    return np.asarray(fit_image(Image.fromarray(mask), size, fit, fullest(mask, size, fit), mask=True))


@pytest.mark.parametrize("left", [0, 30, 150, 236])
def test_crop_keeps_the_defect_wherever_it_lies_along_the_free_axis(left: int) -> None:
    mask = spot(64, 256, 20, left, 20)
    for whole, size in ((mask, (64, 64)), (mask.T, (64, 64))):
        assert (kept(np.ascontiguousarray(whole), size, "crop") > 0).sum() == 400


@pytest.mark.parametrize("fit", FITS)
def test_without_a_defect_or_with_one_in_the_middle_the_centre_is_kept(fit: str) -> None:
    for mask in (np.zeros((63, 256), np.uint8), spot(63, 256, 24, 120, 16)):
        assert fullest(mask, (48, 48), fit) == CENTRE
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (63, 256), dtype=np.uint8))
    assert fit_image(photo, (48, 48), fit).tobytes() == fit_image(photo, (48, 48), fit, CENTRE).tobytes()


def test_the_window_with_most_of_the_defect_is_kept_and_of_equal_ones_that_near_the_centre() -> None:
    mask = spot(64, 256, 10, 4, 20) | spot(64, 256, 10, 220, 24)
    assert (kept(mask, (64, 64), "crop") > 0).sum() == 24 * 24
    share, _ = fullest(spot(64, 256, 10, 200, 20), (64, 64), "crop")
    left = share * (256 - 64)
    assert left == pytest.approx(200 + 20 - 64 + 64 // 16)  # as near to the centre as keeps it off the rim
    tied = spot(64, 256, 10, 4, 20) | spot(64, 256, 10, 180, 20)
    assert fullest(tied, (64, 64), "crop")[0] > 0.5


def test_window_sums_are_those_of_each_window() -> None:
    mask = (np.random.default_rng(0).random((9, 12)) < 0.3).astype(np.uint8) * 255
    sums = window_sums(mask, (5, 4))
    assert sums.shape == (6, 8)
    assert all(
        sums[top, left] == (mask[top : top + 4, left : left + 5] > 0).sum() for top in range(6) for left in range(8)
    )


def test_tile_has_a_window_with_the_defect_and_the_whole_masks(tmp_path: Path) -> None:
    masks = [spot(200, 300, 10 * number, 22 * number, 12) for number in range(12)] + [spot(40, 40, 3, 20, 8)]
    found = loaded(tmp_path, masks, 64, "tile")
    assert found.masks is not None
    assert (found.masks[:12] > 0).flatten(1).sum(dim=1).tolist() == [144] * 12
    assert [mask.shape for mask in found.whole_masks] == [photo.shape for photo in found.photos]
    own = list(zip(found.photos, found.whole_masks, strict=True))[:12]
    assert all(((photo > 127) == (mask > 0)).all() for photo, mask in own)
    assert found.whole_masks[12].shape == (1, 64, 64)  # enlarged with its photo
    assert set(found.whole_masks[12].unique().tolist()) == {0, 255}
