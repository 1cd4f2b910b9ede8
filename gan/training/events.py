"""Curves and sample grids for TensorBoard, where that is installed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from models.files import is_utf8
from models.log import log


class Events:
    """Writes TensorBoard's event files while it is entered.

    TensorBoard writes in a thread of its own. What fails there is raised by the next call here, so that the thread
    needs to print no traceback.

    Args:
        folder: where to write.
        step: of the run as it begins; what an earlier run said of later steps is no longer shown.

    Raises:
        OSError: of every method, with the folder as its file name.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        self._writer: Any = None
        self._usual_hook: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("no TensorBoard installed: curves go to stats.jsonl only")
            return
        if not is_utf8(folder):
            log.info("TensorBoard writes only below names in UTF-8: curves go to stats.jsonl only")
            return
        self._usual_hook, threading.excepthook = threading.excepthook, self._thread_failed
        with self._named():
            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        try:
            with self._named():
                self._writer.close()
        except OSError:
            if value is None:  # else the disk is full for what the run ends with already
                raise
        finally:
            threading.excepthook = self._usual_hook

    def row(self, values: Mapping[str, float]) -> None:
        """Record a row of statistics; its `step` is the optimiser step."""
        if self._writer is not None:
            with self._named():
                for name, value in values.items():
                    if name != "step":
                        self._writer.add_scalar(name, value, int(values["step"]))

    def picture(self, picture: Tensor, step: int) -> None:
        """Show a picture of samples, float `[3, H, W]` in [0, 1]."""
        if self._writer is not None:
            with self._named():
                self._writer.add_image("samples", picture, step)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno, error.strerror or str(error), str(self._folder / "events.out.tfevents")
            ) from None

    def _thread_failed(self, failure: threading.ExceptHookArgs) -> None:
        if not (failure.exc_type and issubclass(failure.exc_type, OSError)):
            self._usual_hook(failure)
