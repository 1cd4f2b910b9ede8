"""What a training run says of itself: statistics, curves, sample grids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import save_image

from models.console import log
from models.files import write_atomically

GRID_IMAGES = 64
LOSSES = ("Loss_D", "Loss_G")
SCORES = ("D(x)", "D(G(z)) before", "D(G(z)) after")
COLUMNS = ("step", "kimg", *LOSSES, *SCORES)
"""Of `stats.jsonl`."""


def save_grid(images: Tensor, path: Path) -> None:
    """Write a grid of 8 columns: float `[N, C, H, W]` in [-1, 1] as a PNG, all on one scale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path,
        lambda temporary: save_image(
            images.float(), temporary, nrow=8, normalize=True, value_range=(-1, 1), format="png"
        ),
    )


class StatsWriter:
    """Appends statistics to `stats.jsonl` and, where TensorBoard is installed, to its event files.

    Lines after `step` are dropped first: they come from a run that was cut off past its last snapshot.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "stats.jsonl"
        self.rows = [row for row in read_stats(self.path) if row["step"] <= step]
        write_atomically(
            self.path, lambda temporary: temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        )
        self._file = open(self.path, "a")  # noqa: SIM115 (closed in __exit__)
        self._tensorboard: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._tensorboard = SummaryWriter(str(folder), purge_step=step + 1)
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
    panels: Any = figure.subplots(2, 1, sharex=True)
    kimg = [row["kimg"] for row in rows]
    for panel, names in zip(panels, (LOSSES, SCORES), strict=True):
        for name in names:
            panel.plot(kimg, [row[name] for row in rows], label=name, linewidth=1)
        panel.legend()
    panels[-1].set_xlabel("real images shown, thousands")
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))


@torch.no_grad()
def sample(generator: torch.nn.Module, z: Tensor) -> Tensor:
    """Images of `z` as the exported generator would make them (eval mode), float on the CPU."""
    was_training = generator.training
    generator.eval()
    images: Tensor = generator(z).float().cpu()
    generator.train(was_training)
    return images


class CollapseWatch:
    """Warns once when the discriminator has won: then the generator learns nothing more.

    Args:
        warn: called with the warning.
        rows_in_a_row: how many rows of statistics with Loss_D under 0.02 it takes.
    """

    def __init__(self, warn: Callable[[str], None], rows_in_a_row: int = 4) -> None:
        self._warn, self._needed, self._seen = warn, rows_in_a_row, 0

    def look(self, row: dict[str, float]) -> None:
        """Take one row of statistics."""
        self._seen = self._seen + 1 if row["Loss_D"] < 0.02 else 0
        if self._seen == self._needed:
            self._warn(
                f"the discriminator has won (Loss_D {row['Loss_D']:.3f}, Loss_G {row['Loss_G']:.1f}): the generator "
                "learns nothing more; stop, and try --recipe small-data or the remedies in README.md"
            )
