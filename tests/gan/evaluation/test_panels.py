"""The panels show what the numbers say: a bar that is missing among the images is missing in the picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gan.evaluation.comparison import Quality, Sets
from gan.evaluation.copying import Pair
from gan.evaluation.histograms import Histogram, Samples, of_kinds, of_values
from gan.evaluation.panels import FAINT, IMAGES, PHOTOS, SCALE, bars, curves, panels, positions
from tests.gan.evaluation.conftest import of, plates

KINDS = "lie", "rise", "stand", "fall"


def modes(images: list[int]) -> Histogram:
    photos = torch.tensor([0] * 30 + [1] * 10 + [2] * 40 + [3] * 20)
    return of_kinds(Samples(photos, torch.tensor(images), photos[::2], photos[1::2]), KINDS, "")


def heights(histogram: Histogram, colour: tuple[int, int, int]) -> list[int]:
    """How many rows of a colour there are in each slot of the drawn bars."""
    pixels: NDArray[np.uint8] = np.asarray(bars(histogram))
    plot = (pixels == colour).all(axis=2)[:, 42 * SCALE : -8 * SCALE]
    return [int(slot.any(axis=1).sum()) for slot in np.array_split(plot, len(histogram.bars), axis=1)]


def test_a_mode_that_the_images_lack_has_no_bar_and_the_photos_one_stands() -> None:
    drawn = modes([0] * 50 + [2] * 50)
    images, photos = heights(drawn, IMAGES), heights(drawn, PHOTOS)
    assert images[1] == images[3] == 0
    assert min(photos) > 0
    assert min(images[0], images[2]) > 0


def test_bars_are_as_high_as_their_shares() -> None:
    images = heights(modes([0] * 10 + [1] * 20 + [2] * 40 + [3] * 30), IMAGES)
    assert np.allclose(np.array(images) / images[2], [0.25, 0.5, 1, 0.75], atol=0.03)


def test_spread_of_photos_is_drawn_faintly_where_they_differ() -> None:
    photos = torch.tensor([0] * 50 + [1] * 50)
    histogram = of_kinds(Samples(photos, photos, photos[:60], photos[40:]), ("0", "1"), "")
    assert max(heights(histogram, FAINT)) > 20


def test_values_fall_into_round_bars_and_what_is_beyond_into_the_last() -> None:
    photos, images = torch.linspace(0, 39.9, 400), torch.linspace(10, 24.9, 400)
    found = of_values(Samples(photos, images, photos[::2], photos[1::2]), "pixels")
    assert found.bars[:3] == ("0", "5", "10")
    assert sum(found.images) == sum(found.photos) == 1
    assert found.images[:2] == (0, 0)
    assert found.images[5:] == (0,) * len(found.images[5:])


def test_the_last_bar_says_that_it_holds_what_is_beyond() -> None:
    values = torch.arange(100.0)
    found = of_values(Samples(values, values, values, values), "degrees", 0.5)
    assert (found.bars[0], found.bars[-1], len(found.bars)) == ("0.5", "7+", 14)
    assert found.photos[-1] > 0.9


def test_values_that_are_all_the_same_have_a_bar() -> None:
    same = torch.full((20,), 3.0)
    assert max(of_values(Samples(same, same, same, same), "").photos) == 1


def test_a_grid_of_places_shows_as_spikes_with_gaps() -> None:
    fakes = torch.full((40, 1, 64, 96), 100, dtype=torch.uint8)
    photos = fakes.clone()
    for number in range(40):
        fakes[number, :, :, 16 * (1 + number % 5)] = 200
        photos[number, :, :, 2 + 2 * number] = 200
    found = positions(Sets(of(photos, "real"), of(fakes)))["columns"]
    assert len(found.bars) == 24
    filled = [bar for bar, height in zip(found.bars, heights(found, IMAGES), strict=True) if height]
    assert filled == ["16", "32", "48", "64", "80"]
    assert sum(height > 0 for height in heights(found, PHOTOS)) >= 18


def test_curves_are_drawn_in_both_colours() -> None:
    pixels = np.asarray(curves([0, 0, 1, 0, 0], [0, 0.3, 1, 0.3, 0], ["-2", "", "0", "", "2"]))
    for colour in (PHOTOS, IMAGES):
        assert (pixels == colour).all(axis=2).sum() > 100


def test_there_is_a_panel_for_each_attribute(fresh: tuple[Quality, list[Pair]]) -> None:
    drawn = panels(fresh[0], Sets(plates(60, 1), plates(80, 3)))
    titles = [panel.title for panel in drawn]
    asked = ["Direction", "Tone", "Contrast", "Length", "Width", "Number", "Position, columns", "Position, rows"]
    assert set(asked) <= set(titles)
    assert all(panel.unit for panel in drawn)
