"""What a training run says of itself: statistics, curves, sample grids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid, save_image

from models.files import is_utf8, write_atomically
from models.log import log

GRID_IMAGES = 64
GAP = 16
LOSSES = ("Loss_D", "Loss_G")
SCORES = ("D(x)", "D(G(z)) before", "D(G(z)) after")
KID = "KID x 1000"
COLUMNS = ("step", "kimg", *LOSSES, *SCORES)
"""Of every row of `stats.jsonl`; rows with a sample grid have `diversity` too, and KID where photos are held out."""


def grid(images: Tensor, columns: int = 8) -> Tensor:
    """Float `[N, C, S, S]` in [-1, 1] as one picture, float `[3, H, W]` in [0, 1], all images on one scale."""
    picture: Tensor = make_grid(images.float(), nrow=columns, normalize=True, value_range=(-1, 1))
    return picture


def beside(reals: Tensor, fakes: Tensor) -> Tensor:
    """Up to 32 photos in 4 columns, a white gap, and the fakes in 8: float `[3, H, W]` in [0, 1]."""
    left, right = grid(reals[:32], 4), grid(fakes)
    left = torch.nn.functional.pad(left, (0, GAP, 0, max(0, right.shape[1] - left.shape[1])), value=1.0)
    return torch.cat([left[:, : right.shape[1]], right], dim=2)


def save_picture(picture: Tensor, path: Path) -> None:
    """Write a picture of `grid` or `beside` as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: save_image(picture, temporary, format="png"))


class StatsWriter:
    """Appends statistics to `stats.jsonl` and, where TensorBoard is installed, to its event files.

    Lines after `step` are dropped first: they come from a run that was cut off past its last snapshot.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "stats.jsonl"
        self.rows = [row for row in read_stats(self.path) if row["step"] <= step]
        write_atomically(
            self.path,
            lambda temporary: temporary.write_text(
                "".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8"
            ),
        )
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed in __exit__)
        self._tensorboard: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            if is_utf8(folder):
                self._tensorboard = SummaryWriter(str(folder), purge_step=step + 1)
            else:
                log.info("TensorBoard writes only below names in UTF-8: curves go to stats.jsonl only")
        except ImportError:
            log.info("no TensorBoard installed: curves go to stats.jsonl only")

    def __enter__(self) -> StatsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()

    def write(self, row: dict[str, float]) -> None:
        """Record one row; its `step` is the optimiser step."""
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._tensorboard is not None:
            for name, value in row.items():
                if name != "step":
                    self._tensorboard.add_scalar(name, value, int(row["step"]))

    def show(self, picture: Tensor, step: int) -> None:
        """Put a picture of samples, float `[3, H, W]` in [0, 1], into TensorBoard."""
        if self._tensorboard is not None:
            self._tensorboard.add_image("samples", picture, step)


def read_stats(path: Path) -> list[dict[str, float]]:
    """The rows of a `stats.jsonl` up to the first damaged one; the last line may have been cut off."""
    rows: list[dict[str, float]] = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not isinstance(row, dict) or not all(isinstance(row.get(name), int | float) for name in COLUMNS):
                break
            rows.append(row)
    return rows


def plot_losses(rows: list[dict[str, float]], path: Path) -> None:
    """Draw the losses and the discriminator's scores over kimg; without matplotlib nothing is drawn."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(10, 6))
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


@torch.no_grad()
def sample(generator: torch.nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Images of named inputs as the exported generator would make them (eval mode), float on the CPU."""
    was_training = generator.training
    generator.eval()
    images: Tensor = generator(**inputs).float().cpu()
    generator.train(was_training)
    return images
