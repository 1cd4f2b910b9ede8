"""A run on one page for people."""

from __future__ import annotations

from pathlib import Path

from jobs.checks.report_page import report_page
from jobs.checks.run_facts import read_report
from jobs.dataset.layout import REPORT
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from models.errors import writing_error
from models.files import write_atomically


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
    """What `report` does, of a run that is held or only looked at."""
    content = report_page(read_report(store, model)).encode(errors="backslashreplace")
    if to is None:
        store.replace(REPORT, content)
        return f"{store}/{REPORT}"
    write_atomically(to, lambda temporary: temporary.write_bytes(content))
    return str(to)
