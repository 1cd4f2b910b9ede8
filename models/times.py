"""When a photo was taken: by its name, or by its EXIF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

_DAY = r"(?P<year>(?:19|20)\d\d)(?P<gap>[-_.:/]?)(?P<month>0[1-9]|1[0-2])(?P=gap)(?P<day>0[1-9]|[12]\d|3[01])"
_SHORT_DAY = r"(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])"
_DAY_FIRST = r"(?P<day>0[1-9]|[12]\d|3[01])(?P<gap>[-_.])(?P<month>0[1-9]|1[0-2])(?P=gap)(?P<year>(?:19|20)\d\d)"
_CLOCK = (
    r"(?P<hour>[01]\d|2[0-3])(?P<between>[-_.:h]?)(?P<minute>[0-5]\d)"
    r"(?:(?P=between)(?P<second>[0-5]\d|60)(?:[.,_-]?(?P<part>\d{1,9}))?|m(?P<second_m>[0-5]\d)s?)(?!\d)"
    r"(?: ?(?P<half>[AP]M))?"
)
_SHORT_CLOCK = r"(?P<hour>[01]\d|2[0-3])[-_.:h]?(?P<minute>[0-5]\d)(?!\d)(?: ?(?P<half>[AP]M))?"
_LINK = r"(?:T|[-_ .]| at |/(?:[^/]+/)*)"
_FORMS = [
    re.compile(rf"(?<!\d){day}{link}{clock}", re.IGNORECASE)
    for day in (_DAY, _DAY_FIRST, _SHORT_DAY)
    for link, clock in ((_LINK, _CLOCK), ("", _CLOCK), (_LINK, _SHORT_CLOCK))
    if not (day is _SHORT_DAY and clock is _SHORT_CLOCK)
]
_EPOCH = re.compile(r"(?<!\d)(1[1-9]\d{8}|[23]\d{9})(?:\.(\d{1,9})|(\d{3})|(\d{6})|(\d{9}))?(?!\d)")
"""Seconds since 1970 from 2004 on, with a part of a second or as milli-, micro- or nanoseconds."""
_ORIGINAL, _DIGITIZED, _EXIF = 0x9003, 0x9004, 0x8769
TOO_MANY = 20
"""Photos a moment, on average, above which a time is that of a recording, not of a photo: then numbers count."""


def time_of(name: str) -> float | None:
    """Seconds, on a clock that all names share, at which a photo was taken by its name and folders; None where these
    hold no time of day.

    `IMG_20240131_235959.jpg`, `2024-01-31 23-59-59_cam2.png`, `2024-01-31/cam1/235959_001.png`, `240131-235959.bmp`,
    `31.01.2024 23.59.59.tif`, `Screenshot 2024-01-31 at 11.59.59 PM.png`, `1706745599123.jpg` and such. Of several the
    last.
    """
    text = str(PurePosixPath(name).with_suffix(""))
    for form in _FORMS:
        if (found := list(form.finditer(text))) and (moment := _moment(found[-1])) is not None:
            return moment
    if found := list(_EPOCH.finditer(PurePosixPath(text).name)):
        seconds, *parts = found[-1].groups()
        return float(f"{seconds}.{next((part for part in parts if part), '0')}")
    return None


def taken_at(image: Any) -> float | None:
    """Seconds, as of `time_of`, at which a photo was taken by its EXIF: the original's time, else the digitisation's.

    Not the time of the last change, which a program that converts many files gives to all of them.

    Args:
        image: of Pillow, which is not imported here.
    """
    try:
        details = image.getexif().get_ifd(_EXIF)
        stamp = next(str(details[tag]) for tag in (_ORIGINAL, _DIGITIZED) if details.get(tag))
        return datetime.strptime(stamp.strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except Exception:  # damaged EXIF raises many kinds, and most photos have none
        return None


def minutes_of(names: list[str], taken: Mapping[str, float]) -> dict[str, float]:
    """The seconds of those names that hold a time, or whose photos do; empty where that is the time of recordings.

    Args:
        names: relative, `/`-separated.
        taken: from `taken_at`, of the photos that say it; a time in the name comes first.
    """
    forms: dict[str, list[str]] = {}
    for name in names:
        forms.setdefault(re.sub(r"\d", "0", name), []).append(name)
    by_name: dict[str, float] = {}
    for alike in forms.values():
        moments = [time_of(name) for name in alike]
        if None not in moments:  # else what looks like a time is a number, which has grown beyond 59
            by_name.update({name: moment for name, moment in zip(alike, moments, strict=True) if moment is not None})
    by_exif = {name: taken[name] for name in names if name in taken and name not in by_name}
    return {**_of_photos(by_name), **_of_photos(by_exif)}


def _of_photos(times: dict[str, float]) -> dict[str, float]:
    return times if len(times) <= TOO_MANY * len(set(times.values())) else {}


def _moment(found: re.Match[str]) -> float | None:
    parts = found.groupdict()
    year = int(parts["year"]) + (2000 if len(parts["year"]) == 2 else 0)
    hour = int(parts["hour"])
    if parts.get("half"):
        hour = hour % 12 + (12 if parts["half"].upper() == "PM" else 0)
    second = min(59, int(parts.get("second") or parts.get("second_m") or 0))
    try:
        moment = datetime(year, int(parts["month"]), int(parts["day"]), hour, int(parts["minute"]), second, tzinfo=UTC)
    except ValueError:  # the 31st of June
        return None
    return moment.timestamp() + float(f"0.{parts.get('part') or 0}")
