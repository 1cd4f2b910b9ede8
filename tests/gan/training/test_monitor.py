"""What a training run says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gan.networks.dcgan import DCGAN
from gan.networks.pixels import to_float
from gan.training import monitor, sheets
from gan.training.monitor import plot_losses
from gan.training.stats import KID
from tests.gan.training.made import row


def gray(path: Path) -> NDArray[np.uint8]:
    """The gray values of a picture."""
    return np.asarray(Image.open(path).convert("L"))


# Sample grids


@pytest.mark.parametrize(("classes", "rows"), [(2, [0] * 4 + [1] * 4), (3, [0, 0, 1, 1, 2, 2]), (7, [*range(7)])])
def test_a_grid_has_as_many_rows_of_each_class_as_there_is_room_for(classes: int, rows: list[int]) -> None:
    assert sheets.rows_of(classes) == rows


def test_of_many_classes_some_are_shown() -> None:
    assert sheets.rows_of(32) == [*range(0, 32, 2)]


def test_photos_of_a_row_are_of_its_class_and_begin_again_where_there_are_few() -> None:
    assert sheets.of_each_class([1, 0, 1, 1, 0], 2, 2) == [1, 4, 1, 4, 1, 4, 1, 4, 0, 2, 3, 0, 2, 3, 0, 2]


def test_grid_has_rows_of_eight_images(tmp_path: Path) -> None:
    monitor.save_picture(monitor.grid(torch.zeros(64, 1, 16, 16)), tmp_path / "grid.png")
    assert gray(tmp_path / "grid.png").shape == (8 * 18 + 2, 8 * 18 + 2)


def test_grid_shows_the_pixels_as_they_are(tmp_path: Path) -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    monitor.save_picture(monitor.grid(to_float(pixels).expand(2, -1, -1, -1)), tmp_path / "grid.png")
    np.testing.assert_array_equal(gray(tmp_path / "grid.png")[2:18, 2:18], pixels[0, 0].numpy())


def test_grid_does_not_stretch_the_contrast_of_dull_images(tmp_path: Path) -> None:
    monitor.save_picture(monitor.grid(torch.linspace(-0.1, 0.1, 256).reshape(1, 1, 16, 16)), tmp_path / "grid.png")
    picture = gray(tmp_path / "grid.png")
    assert picture.max() - picture.min() <= 26


def test_photos_lie_beside_the_fakes_with_a_gap_between() -> None:
    picture = monitor.beside(-torch.ones(40, 1, 16, 16), torch.ones(64, 1, 16, 16))
    assert picture.shape == (3, 8 * 18 + 2, 4 * 18 + 2 + 16 + 8 * 18 + 2)
    assert picture[:, :, : 4 * 18].max() == 0
    assert picture[:, 2:18, 4 * 18 + 4 : 4 * 18 + 16].min() == 1


def test_a_few_photos_stand_beside_as_many_fakes_as_ever() -> None:
    assert monitor.beside(torch.zeros(3, 1, 16, 16), torch.zeros(64, 1, 16, 16)).shape[1] == 8 * 18 + 2


def test_grid_makes_the_folder_that_it_lies_in(tmp_path: Path) -> None:
    monitor.save_picture(monitor.grid(torch.zeros(2, 3, 16, 16)), tmp_path / "samples" / "grid.png")
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["grid.png"]


# Curves


@pytest.mark.parametrize("measured", [{}, {KID: 3.0}], ids=["losses", "with KID"])
def test_curves_are_drawn_as_a_picture(tmp_path: Path, measured: dict[str, float]) -> None:
    pytest.importorskip("matplotlib", reason="in the extra monitor")
    rows = [row(step, Loss_D=1 / step, **(measured if step % 5 == 0 else {})) for step in range(1, 20)]
    plot_losses(rows, tmp_path / "losses.png")
    assert np.ptp(gray(tmp_path / "losses.png")) > 200


def test_curves_without_a_row_are_no_error(tmp_path: Path) -> None:
    plot_losses([], tmp_path / "losses.png")


# Samples


def generator() -> DCGAN:
    """A generator that is training."""
    network = DCGAN(8, 1, 2)
    torch.nn.init.normal_(network.main[1].running_mean, generator=torch.Generator().manual_seed(1))
    return network.train()


def test_a_sample_is_what_the_exported_generator_would_make() -> None:
    network, z = generator(), torch.randn((4, 8), generator=torch.Generator().manual_seed(2))
    samples = monitor.sample(network, {"z": z})
    with torch.no_grad():
        assert torch.equal(samples["images"], network.eval()(z))


def test_sampling_leaves_the_generator_training() -> None:
    network = generator()
    monitor.sample(network, {"z": torch.zeros(4, 8)})
    assert all(module.training for module in network.modules())


def test_sampling_does_not_move_batch_norm_statistics() -> None:
    network = generator()
    before = network.state_dict()["main.1.running_mean"].clone()
    monitor.sample(network, {"z": torch.zeros(4, 8)})
    assert torch.equal(network.state_dict()["main.1.running_mean"], before)
