"""Masks of photos: codings, what does not fit, and what is said of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gan.photos.find import Photo
from gan.photos.mask_coding import read_mask
from gan.photos.masks import masks_for
from gan.photos.read import ImageSet, load_images
from models.errors import CommandError, ExitCode
from tests.conftest import surface, write_photos

SIDE = 64


def blob(height: int = SIDE, width: int = SIDE, top: int = 8, left: int = 20, side: int = 12) -> NDArray[np.bool_]:
    """A square spot."""
    mask = np.zeros((height, width), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def white(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def of(path: Path) -> NDArray[np.uint8]:
    return read_mask(Photo(path.name, path))


def palette(mask: NDArray[np.bool_], *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(mask.astype(np.uint8), "L").convert("P")
    image.putdata(mask.astype(np.uint8).ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def transparent(mask: NDArray[np.bool_]) -> Image.Image:
    """White where the defect is, and nothing elsewhere."""
    image = Image.new("RGBA", mask.shape[::-1], (255, 255, 255, 255))
    image.putalpha(white(mask))
    return image


def coloured(mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray((mask[..., None] * np.array(colour)).astype(np.uint8))


def deep(mask: NDArray[np.bool_], white: int) -> Image.Image:
    return Image.fromarray((mask * white).astype(np.uint16))


CODINGS: dict[str, Callable[[NDArray[np.bool_]], Image.Image]] = {
    "0 and 255": white,
    "0 and 1": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "0 and 7": lambda mask: Image.fromarray(mask.astype(np.uint8) * 7),
    "one bit": lambda mask: white(mask).convert("1"),
    "palette": lambda mask: palette(mask, (0, 0, 0), (128, 0, 0)),
    "palette, black second": lambda mask: palette(~mask, (255, 255, 255), (0, 0, 0)),
    "palette without black": lambda mask: palette(mask, (68, 1, 84), (253, 231, 37)),
    "RGB": lambda mask: white(mask).convert("RGB"),
    "blue": lambda mask: coloured(mask, (0, 0, 90)),
    "RGBA": lambda mask: white(mask).convert("RGBA"),
    "transparent": transparent,
    "16-bit, 0 and 1": lambda mask: deep(mask, 1),
    "16-bit, 0 and 65535": lambda mask: deep(mask, 65535),
    "16-bit, 0 and 255": lambda mask: deep(mask, 255),
}


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("coding", CODINGS)
def test_every_usual_coding_is_read(tmp_path: Path, coding: str, suffix: str) -> None:
    CODINGS[coding](blob()).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(of(tmp_path / f"a.{suffix}"), blob() * 255)


@pytest.mark.parametrize("coding", ["0 and 255", "0 and 1", "16-bit, 0 and 1", "palette", "RGBA"])
def test_an_empty_mask_is_empty_in_every_coding(tmp_path: Path, coding: str) -> None:
    CODINGS[coding](np.zeros((SIDE, SIDE), bool)).save(tmp_path / "a.png")
    assert not of(tmp_path / "a.png").any()


def classes() -> NDArray[np.uint8]:
    """Twelve spots of classes of their own, beside black and beside white ones among them."""
    levels = np.zeros((SIDE, SIDE), np.uint8)
    for number in range(12):
        top, left = 4 + 20 * (number // 4), 2 + 15 * (number % 4)
        levels[top : top + 8, left : left + 8] = 20 * number + 10
    return levels


@pytest.mark.parametrize(
    "levels", [np.uint8([0, 1, 2, 3]), np.uint8([0, 38, 75, 255]), np.uint8([0, 1, 2, 255])], ids=str
)
def test_classes_of_defects_are_all_defect(tmp_path: Path, levels: NDArray[np.uint8]) -> None:
    drawn = levels[np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 4 % 4]
    Image.fromarray(drawn).save(tmp_path / "a.png")
    assert np.array_equal(of(tmp_path / "a.png") > 0, drawn > 0)


def test_many_classes_are_told_from_smoothed_edges_by_their_areas(tmp_path: Path) -> None:
    Image.fromarray(classes()).save(tmp_path / "a.png")
    assert np.array_equal(of(tmp_path / "a.png") > 0, classes() > 0)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_what_jpeg_made_of_a_mask_is_divided_at_half(tmp_path: Path, name: str) -> None:
    """Under whatever ending it is stored then."""
    mask = blob(top=9, left=21, side=13)
    white(mask).save(tmp_path / "first.jpg", quality=60)
    noisy = Image.open(tmp_path / "first.jpg")
    assert len(np.unique(np.asarray(noisy))) > 10
    noisy.save(tmp_path / name, **({"quality": 80} if name != "a.png" else {}))
    assert (of(tmp_path / name) != mask * 255).mean() < 0.002


def test_smoothed_edges_are_divided_at_half(tmp_path: Path) -> None:
    white(blob(256, 256, 64, 100, 90)).resize((100, 100), Image.Resampling.LANCZOS).save(tmp_path / "a.png")
    mask = of(tmp_path / "a.png")
    assert mask[40, 50] == 255
    assert (mask > 0).sum() == pytest.approx(90 * 90 * (100 / 256) ** 2, rel=0.03)


NO_MASKS: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "a photo": (lambda: surface(1), "gray levels, so no mask"),
    "a dark photo": (lambda: surface(1).point(lambda value: value // 4), "gray levels, so no mask"),
    "no black": (lambda: Image.fromarray(blob().astype(np.uint8) + 1), "no pixel of it is 0"),
    "transparency alone": (
        lambda: Image.merge("RGBA", [*[Image.new("L", (SIDE, SIDE))] * 3, white(blob())]),
        "in its transparency alone",
    ),
    "too small": (lambda: white(blob(20, 20, 2, 2)), "needs at least 32"),
}


@pytest.mark.parametrize(("image", "said"), NO_MASKS.values(), ids=NO_MASKS)
def test_what_is_no_mask_is_refused(tmp_path: Path, image: Callable[[], Image.Image], said: str) -> None:
    image().save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=said):
        of(tmp_path / "a.png")


def data(folder: Path, count: int = 12) -> tuple[Path, Path]:
    """Photos of 128×128, and a mask of each with a spot."""
    photos, masks = write_photos(folder / "photos", count), folder / "masks"
    masks.mkdir()
    for number, path in enumerate(sorted(photos.iterdir())):
        white(blob(128, 128, 20 + number, 30, 20)).save(masks / path.name)
    return photos, masks


def load(photos: Path, masks: Path, **options: object) -> ImageSet:
    return load_images(photos, 1, 32, masks=masks, **options)  # type: ignore[arg-type]  # each has its type


def refused(photos: Path, masks: Path, **options: object) -> str:
    with pytest.raises(CommandError) as error:
        load(photos, masks, **options)
    assert error.value.exit_code is ExitCode.BAD_DATA
    return str(error.value)


def test_masks_are_loaded_with_their_photos_and_figures_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos, masks = data(tmp_path)
    Image.new("L", (128, 128)).save(masks / "scratch_003.png")
    two = blob(128, 128, 20, 30, 20) | blob(128, 128, 100, 100, 20)
    white(two).save(masks / "scratch_004.png")
    with caplog.at_level(logging.INFO, "gan"):
        loaded = load(photos, masks)
    assert (
        "12 photos with masks, 1 without a defect; a usual defect covers 2.4 % of a photo, in 1 spot (at most 2)"
        in (caplog.text)
    )
    assert loaded.masks is not None
    assert (loaded.masks.shape, loaded.masks.unique().tolist()) == ((12, 1, 32, 32), [0, 255])
    has_defect = loaded.masks.flatten(1).any(dim=1).tolist()
    assert has_defect == [number != 3 for number in range(12)]
    assert loaded.whole_masks == ()
    assert load_images(photos, 1, 32).masks is None


def test_all_that_does_not_fit_is_told_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos, masks = data(tmp_path, 30)
    for number in range(14):
        (masks / f"scratch_{number:03d}.png").unlink()
    white(blob()).save(masks / "scratch_020.png")
    (masks / "scratch_021.png").write_bytes(b"%!PS")
    surface(3).save(masks / "scratch_022.png")
    white(blob(128, 128)).save(masks / "other.png")
    white(blob(128, 128)).save(masks / "scratch_023.bmp")
    white(blob(128, 128)).save(masks / "scratch_023.tif")
    (masks / "scratch_023.png").unlink()
    said = refused(photos, masks)
    for words in (
        "14 photos without a mask, such as scratch_000.png",
        "1 mask of no photo, such as other.png",
        "1 mask not clear, such as scratch_023.png has 2",
        "1 mask of another size, such as scratch_020.png is 64×64, its photo 128×128",
        "2 masks that cannot be read, such as scratch_021.png: PostScript",
        "`missing_masks=empty`",
        "`skip_bad_files`",
    ):
        assert words in said
    assert "scratch_009.png; and 4 more" in caplog.text
    assert "scratch_022.png: " in caplog.text


def test_photos_without_masks_may_be_without_defects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos, masks = data(tmp_path)
    for number in range(5):
        (masks / f"scratch_{number:03d}.png").unlink()
    assert "`missing_masks=empty` takes photos without a mask as free of defects" in refused(photos, masks)
    with caplog.at_level(logging.INFO, "gan"):
        loaded = load(photos, masks, missing_masks="empty")
    assert loaded.masks is not None
    assert loaded.masks.flatten(1).any(dim=1).tolist() == [number >= 5 for number in range(12)]
    assert "7 photos with masks, 0 without a defect; 5 without a mask; a usual" in caplog.text
    with pytest.raises(ValueError, match="`missing_masks` is one of refuse, empty, not 'maybe'"):
        load(photos, masks, missing_masks="maybe")


def test_unusable_masks_and_those_of_no_photo_may_be_skipped_and_missing_ones_not(tmp_path: Path) -> None:
    photos, masks = data(tmp_path, 13)
    white(blob()).save(masks / "scratch_000.png")
    (masks / "scratch_001.png").write_bytes(b"")
    white(blob(128, 128)).save(masks / "other.png")
    loaded = load(photos, masks, skip_bad_files=True)
    assert loaded.names == [f"scratch_{number:03d}.png" for number in range(2, 13)]
    assert loaded.masks is not None
    assert len(loaded.masks) == 11
    (masks / "scratch_002.png").unlink()
    assert "1 photo without a mask" in refused(photos, masks, skip_bad_files=True)


def test_the_mask_of_a_photo_that_cannot_be_used_is_not_too_many(tmp_path: Path) -> None:
    photos, masks = data(tmp_path)
    (photos / "scratch_000.png").write_bytes(b"GIF89a")
    assert len(load(photos, masks, skip_bad_files=True).names) == 11
    assert "1 of 12 files" in refused(photos, masks)


def turned(path: Path, orientation: int, height: int, width: int) -> None:
    """A JPEG that its EXIF turns; what it shows is `width` × `height` before."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8)).save(path, exif=exif)


def test_a_mask_fits_the_photo_that_exif_has_turned_upright(tmp_path: Path) -> None:
    photos, masks = data(tmp_path)
    turned(photos / "turned.jpg", 6, 64, 128)
    upright = blob(128, 64, top=100, left=4, side=20)
    white(upright).save(masks / "turned.png")
    loaded = load(photos, masks, fit="stretch")
    assert loaded.masks is not None
    mask = loaded.masks[loaded.names.index("turned.jpg"), 0] > 0
    assert mask[26:29, 3:11].all()
    assert mask.sum() <= 70


def test_a_mask_of_the_photo_before_it_was_turned_is_refused(tmp_path: Path) -> None:
    photos, masks = data(tmp_path)
    turned(photos / "turned.jpg", 6, 64, 128)
    white(blob(64, 128)).save(masks / "turned.png")
    said = refused(photos, masks)
    assert "turned.png is 128×64, and the photo, which its EXIF turns upright, 64×128: turn the mask, or remove" in said


def test_turned_photos_whose_masks_do_not_tell_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos, masks = data(tmp_path)
    for orientation in (1, 3, 6):
        turned(photos / f"turned{orientation}.jpg", orientation, 128, 128)
        white(blob(128, 128)).save(masks / f"turned{orientation}.png")
    load(photos, masks)
    assert "2 photos are turned by their EXIF, such as turned3.jpg" in caplog.text


@pytest.mark.parametrize(("inverted", "told"), [(6, False), (7, True), (12, True)])
def test_masks_that_are_mostly_defect_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, inverted: int, told: bool
) -> None:
    photos, masks = data(tmp_path)
    for number in range(inverted):
        white(~blob(128, 128)).save(masks / f"scratch_{number:03d}.png")
    load(photos, masks)
    assert (f"{inverted} of 12 masks in" in caplog.text and "are they inverted" in caplog.text) is told


@pytest.mark.parametrize(
    ("height", "width", "said"), [(60, 1, True), (60, 4, True), (60, 6, False), (7, 7, True), (9, 9, False)]
)
def test_defects_that_vanish_at_the_size_of_the_images_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, height: int, width: int, said: bool
) -> None:
    photos, masks = data(tmp_path)
    for path in masks.iterdir():
        mask = np.zeros((128, 128), bool)
        mask[30 : 30 + height, 40 : 40 + width] = True
        white(mask).save(path)
    for fit in ("crop", "pad", "stretch"):
        caplog.clear()
        load(photos, masks, fit=fit)
        assert ("the defects of 12 of 12 photos, such as scratch_000.png, are under 4 pixels" in caplog.text) is said
    caplog.clear()
    load(photos, masks, fit="tile")
    assert caplog.text == ""


def test_masks_among_the_photos_are_not_loaded_as_photos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos, masks = data(tmp_path)
    for path in masks.iterdir():
        path.rename(photos / f"{path.stem}_mask.png")
    loaded = load(photos, photos)
    assert len(loaded.names) == 12
    assert "masks" not in caplog.text
    load_images(photos, 1, 32)
    assert "called masks" in caplog.text


def test_one_call_holds_the_masks_of_two_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos, masks = data(tmp_path, 26)
    kept_back = tmp_path / "kept_back"
    kept_back.mkdir()
    for path in sorted(photos.iterdir())[::2]:
        path.rename(kept_back / path.name)
    assert "13 masks of no photo" in refused(photos, masks)
    with caplog.at_level(logging.INFO, "gan"):
        both = masks_for([photos, kept_back], masks)
    assert "13 photos with masks" in caplog.text
    sets = [load_images(folder, 1, 128, masks=both) for folder in (photos, kept_back)]
    for loaded in sets:
        assert loaded.masks is not None
        tops = [int(mask[0].any(dim=1).nonzero()[0, 0]) - 20 for mask in loaded.masks]
        assert [f"scratch_{top:03d}.png" for top in tops] == loaded.names
