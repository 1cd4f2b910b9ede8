"""A row of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportRow:
    """One number for a person: what it is, of the fakes, of real photos, and what it means."""

    name: str
    fakes: str
    photos: str
    meaning: str


def percent(share: float) -> str:
    """A share, 0 to 1, as it is written."""
    return f"{100 * share:.1f} %"
