"""A training on one page for people: report.html. Nothing here waits for PyTorch."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

from gan.training import folder
from gan.training.report_facts import read_report
from gan.training.report_page import training_page
from gan.training.status import status
from models.errors import first_line, writing_error
from models.files import is_locked, write_atomically, write_file
from models.log import log

_TRIES = 3
"""At a page of a run whose state changes meanwhile."""


def report(out: Path | str, to: Path | None = None) -> Path:
    """Write the page of the training in `out`, which may go on meanwhile; takes no lock and needs no PyTorch.

    A run that is at work is not disturbed: its files are small and renamed into their places, or lines are added to
    them, of which the last may be missing here. Where the run ends meanwhile, the page is written once more, so that
    none is left which tells of the run as it was.

    Args:
        out: the run's folder.
        to: file to write; None for report.html in `out`.

    Returns:
        Where it is.

    Raises:
        CommandError: 66 there is no run; 73, 74 it cannot be written.
    """
    out = Path(out)
    to = out / folder.REPORT if to is None else to
    for _ in range(_TRIES):
        found = read_report(out)
        _write(to, training_page(found).encode(errors="backslashreplace"))
        if status(out).state == found.status.state:
            break
    return to


def _write(to: Path, content: bytes) -> None:
    try:
        write_atomically(to, lambda temporary: write_file(temporary, [content]), shared=True)
    except OSError as error:
        raise writing_error(error) from None


class EndsWithPage:
    """Writes the page of a run when the block ends, well or not; what goes wrong with it is a warning and no more.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path) -> None:
        self._out, self._begun = out, False

    def begin(self) -> None:
        """From now on there is a run to tell of, which this process makes; an old page tells of how it was."""
        self._begun = True
        with contextlib.suppress(OSError):
            (self._out / folder.REPORT).unlink(missing_ok=True)

    def __enter__(self) -> EndsWithPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._begun or is_locked(self._out):  # another run has begun there, and will leave its own
            return
        try:
            report(self._out)
        except Exception as error:  # whatever it is, hours of work are not to end with it
            log.warning("no page of the run: %s", first_line(error))
