"""A run on one page for people."""

from __future__ import annotations

from pathlib import Path

from jobs.checks.report_page import report_page
from jobs.checks.run_facts import read_report
from jobs.dataset.layout import REPORT, STATE
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from models.errors import writing_error
from models.files import write_atomically, write_file

_TRIES = 3
"""At a page of a run that changes between being read and being told of: it ends once, and may be begun anew."""


def report(out: Path | str, model: Path | str | None = None, to: Path | None = None) -> str:
    """Write the report of a run, complete or not; no image is changed, and no lock is taken.

    Args:
        out: the run's folder, or the URL of an object store.
        model: the ONNX file that the run was made with, or `bundled`, for what it says of its training and its proof;
            None for the exported or the bundled one, if it was one of these, else the report tells of its hash alone.
        to: file to write; None for report.html in the run.

    Returns:
        Where it is.

    Raises:
        CommandError: 65 run.json is damaged, or `model` no generator; 66 there is no run, or no `model`; 73, 74
            writing; 78 the run was made with another `model`.
    """
    store = open_store(out)
    try:
        return write_report(store, model, to)
    except OSError as error:
        raise writing_error(error) from None
    finally:
        store.close()


def write_report(store: Store, model: Path | str | None = None, to: Path | None = None) -> str:
    """What `report` does, of a run that is held or only looked at.

    It needs no lock. What is committed stays as it is while a run is at work, so all that is read is whole; and the
    page is renamed into its place under a name of its own, so that a run which writes one, too, is not disturbed. What
    could be wrong is a page of a run that came to its end meanwhile: then it is written once more. A run takes away a
    page of before when it has said that it is complete, so that none is left which tells of it as it was.
    """
    for _ in range(_TRIES):
        before = store.read(STATE)
        content = report_page(read_report(store, model)).encode(errors="backslashreplace")
        try:
            _write(store, to, content)
        except FileNotFoundError:  # a run that ends removes what kills left, and took this for such
            if not store.exists(STATE) or to is not None:
                raise
            continue
        if store.read(STATE) == before:
            break
    return f"{store}/{REPORT}" if to is None else str(to)


def _write(store: Store, to: Path | None, content: bytes) -> None:
    if to is None:
        store.replace_shared(REPORT, content)
    else:
        write_atomically(to, lambda temporary: write_file(temporary, [content]), shared=True)
