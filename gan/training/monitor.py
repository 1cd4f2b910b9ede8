"""Pictures of a run: sample grids and curves."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gan.networks.generator import Generator
from gan.tiles import tiled
from gan.training.sheets import COLUMNS, EDGE, GAP
from gan.training.stats import KID, LOSSES, SCORES
from models.files import write_atomically


def grid(images: Tensor, columns: int = COLUMNS) -> Tensor:
    """Float `[N, C, H, W]` in [-1, 1] as one picture, float `[3, H, W]` in [0, 1], all images on one scale."""
    return tiled((images.float().clamp(-1, 1) + 1) / 2, columns, EDGE, 0.0)


def beside(reals: Tensor, fakes: Tensor) -> Tensor:
    """Half as many photos as fakes in 4 columns, a white gap, and the fakes in 8: float `[3, H, W]` in [0, 1]."""
    left, right = grid(reals[: len(fakes) // 2], COLUMNS // 2), grid(fakes)
    left = torch.nn.functional.pad(left, (0, GAP, 0, max(0, right.shape[1] - left.shape[1])), value=1.0)
    return torch.cat([left[:, : right.shape[1]], right], dim=2)


def save_picture(picture: Tensor, path: Path) -> None:
    """Write a picture of `grid` or `beside` as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (picture * 255 + 0.5).clamp(0, 255).permute(1, 2, 0).to("cpu", torch.uint8).numpy()
    write_atomically(path, lambda temporary: Image.fromarray(pixels).save(temporary, format="png"))


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


@torch.no_grad()
def sample(generator: Generator, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All outputs for named inputs as the exported generator would make them (eval mode), float on the CPU."""
    was_training = generator.training
    generator.eval()
    outputs = {name: output.float().cpu() for name, output in generator.named(**inputs).items()}
    generator.train(was_training)
    return outputs
