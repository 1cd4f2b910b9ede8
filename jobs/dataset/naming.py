"""Names of runs: the date and time in them, the seed that goes with these, and which names differ in nothing else."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path

from jobs.stores.place import place

DATE, TIME = "{date}", "{time}"
_FIELDS = {DATE: r"\d{4}-\d\d-\d\d", TIME: r"\d\dB?\d{4}"}
_COMPACT = r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_SPELT_OUT = re.compile(rf"(?<!\d)(?:({_FIELDS[DATE]})|{_COMPACT})(?:([T_-]?){_FIELDS[TIME]})?(?!\d)")
"""A date, with a time after it or without, where a name has no field for it: 2026-11-22, 20261122T023000."""


def dated(out: Path | str, now: float | None = None) -> tuple[Path | str, int]:
    """Put the local date and time into the fields `{date}` and `{time}` of a place.

    The time is such as 023000. Where the clock goes back, the hour that comes twice is named 02B3000 the second time,
    as official German time has it: so no two moments share a name, and names sort as they came.

    Args:
        out: where the run shall be.
        now: seconds since 1970; by default the present.

    Returns:
        The folder, or the URL of an object store; and a seed: the date as a number, such as 20261122, and where `out`
        has the time, with that behind it.

    Raises:
        CommandError: 2 for a URL that no run can be written to.
    """
    moment = datetime.fromtimestamp(time.time() if now is None else now)
    fields = {DATE: f"{moment:%Y-%m-%d}", TIME: f"{moment:%H}{'B' * moment.fold}{moment:%M%S}"}
    seed = f"{moment:%Y%m%d%H%M%S}{'1' * moment.fold}" if TIME in str(out) else f"{moment:%Y%m%d}"
    text = str(out)
    for field, value in fields.items():
        text = text.replace(field, value)
    return place(Path(text) if isinstance(out, Path) else text), int(seed)


def siblings(out: Path | str) -> re.Pattern[str] | None:
    """Matches the names of runs beside `out` that have another date or time in the same place.

    The date is where the last part of `out` has the field for it, else where it is spelt out; None where it has none.
    """
    name = str(out).rstrip("/").rpartition("/")[2]
    parts = re.split("({date}|{time})", name)
    if len(parts) > 1:
        return re.compile("".join(_FIELDS.get(part) or re.escape(part) for part in parts))
    found = _SPELT_OUT.search(name)
    if found is None:
        return None
    dashed, separator = found.groups()
    form = _FIELDS[DATE] if dashed else _COMPACT
    form += "" if separator is None else separator + _FIELDS[TIME]
    return re.compile(re.escape(name[: found.start()]) + form + re.escape(name[found.end() :]))
