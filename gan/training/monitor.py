"""Pictures of a run: sample grids and curves."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid, save_image

from gan.networks.generator import Generator
from gan.training.stats import KID, LOSSES, SCORES
from models.files import write_atomically
from models.picks import spread

GRID_IMAGES = 64
COLUMNS = 8
MOST_ROWS = 16
GAP = 16


def grid(images: Tensor, columns: int = 8) -> Tensor:
    """Float `[N, C, H, W]` in [-1, 1] as one picture, float `[3, H, W]` in [0, 1], all images on one scale."""
    picture: Tensor = make_grid(images.float(), nrow=columns, normalize=True, value_range=(-1, 1))
    return picture


def beside(reals: Tensor, fakes: Tensor) -> Tensor:
    """Half as many photos as fakes in 4 columns, a white gap, and the fakes in 8: float `[3, H, W]` in [0, 1]."""
    left, right = grid(reals[: len(fakes) // 2], 4), grid(fakes)
    left = torch.nn.functional.pad(left, (0, GAP, 0, max(0, right.shape[1] - left.shape[1])), value=1.0)
    return torch.cat([left[:, : right.shape[1]], right], dim=2)


def save_picture(picture: Tensor, path: Path) -> None:
    """Write a picture of `grid` or `beside` as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: save_image(picture, temporary, format="png"))


def plot_losses(rows: list[dict[str, float]], path: Path) -> None:
    """Draw the losses and the discriminator's scores over kimg; without matplotlib nothing is drawn."""
    try:
        figure = _figure_class()(figsize=(10, 6))
    except ImportError:
        return
    scored = [row for row in rows if KID in row]
    panels: Any = figure.subplots(3 if scored else 2, 1, sharex=True)
    kimg = [row["kimg"] for row in rows]
    for panel, names in zip(panels, (LOSSES, SCORES), strict=False):
        for name in names:
            panel.plot(kimg, [row[name] for row in rows], label=name, linewidth=1)
        panel.legend()
    if scored:
        panels[-1].plot([row["kimg"] for row in scored], [row[KID] for row in scored], "o-", label=KID)
        panels[-1].legend()
    panels[-1].set_xlabel("real images shown, thousands")
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))


@functools.cache
def _figure_class() -> Any:
    """Matplotlib's `Figure`.

    While it is imported, matplotlib lists the fonts and keeps the list below the home folder. A training leaves nothing
    outside its own folder, so the list goes to one that is gone at once.
    """
    with contextlib.ExitStack() as after:
        if "MPLCONFIGDIR" not in os.environ:
            os.environ["MPLCONFIGDIR"] = after.enter_context(tempfile.TemporaryDirectory())
            after.callback(os.environ.pop, "MPLCONFIGDIR")
        from matplotlib.figure import Figure
    return Figure


def rows_of(classes: int) -> list[int]:
    """The label of each row of a grid: as many rows of each class as there is room for, one at least.

    Of more than `MOST_ROWS` classes some are shown, evenly spread.
    """
    shown = spread(classes, MOST_ROWS)
    return [label for label in shown for _ in range(max(1, GRID_IMAGES // COLUMNS // len(shown)))]


def of_each_class(labels: Sequence[int], classes: int, columns: int) -> list[int]:
    """Places of photos for a grid with these rows: `columns` of its class in each, again from the first where there
    are fewer, and others in the next row of the class."""
    places: list[int] = []
    rows = rows_of(classes)
    for number, label in enumerate(rows):
        own = [place for place, other in enumerate(labels) if other == label]
        row = number - rows.index(label)
        places += [own[(row * columns + column) % len(own)] for column in range(columns)]
    return places


@torch.no_grad()
def sample(generator: Generator, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All outputs for named inputs as the exported generator would make them (eval mode), float on the CPU."""
    was_training = generator.training
    generator.eval()
    outputs = {name: output.float().cpu() for name, output in generator.named(**inputs).items()}
    generator.train(was_training)
    return outputs
