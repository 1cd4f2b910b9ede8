"""When a photo was taken: by its name, or by its EXIF."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from models.log import log

_DAY = r"(?P<year>(?:19|20)\d\d)(?P<gap>[-_.:/]?)(?P<month>0[1-9]|1[0-2])(?P=gap)(?P<day>0[1-9]|[12]\d|3[01])"
_SHORT_DAY = r"(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])"
_DAY_FIRST = r"(?P<day>0[1-9]|[12]\d|3[01])(?P<gap>[-_.])(?P<month>0[1-9]|1[0-2])(?P=gap)(?P<year>(?:19|20)\d\d)"
_CLOCK = (
    r"(?P<hour>[01]\d|2[0-3])(?P<between>[-_.:h]?)(?P<minute>[0-5]\d)"
    r"(?:(?P=between)(?P<second>[0-5]\d|60)(?:[.,_-]?(?P<part>\d{1,9}))?|m(?P<second_m>[0-5]\d)s?)(?!\d)"
    r"(?: ?(?P<half>[AP]M))?"
)
_SHORT_CLOCK = r"(?P<hour>[01]\d|2[0-3])[-_.:h]?(?P<minute>[0-5]\d)(?!\d)(?: ?(?P<half>[AP]M))?"
_APART_CLOCK = (
    r"(?P<hour>[01]\d|2[0-3])(?P<between>[-.:h])(?P<minute>[0-5]\d)"
    r"(?:(?P=between)(?P<second>[0-5]\d|60)(?:[.,](?P<part>\d{1,9}))?|m(?P<second_m>[0-5]\d)s?)(?!\d)"
    r"(?: ?(?P<half>[AP]M))?"
)
_APART_SHORT_CLOCK = r"(?P<hour>[01]\d|2[0-3])[-.:h](?P<minute>[0-5]\d)(?!\d)(?: ?(?P<half>[AP]M))?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_LINK = r"(?:T|[-_ .]| at |/(?:[^/]+/)*)"
_MONTH_FIRST = r"(?P<month>0[1-9]|1[0-2])(?P<gap>[-_.])(?P<day>0[1-9]|[12]\d|3[01])(?P=gap)(?P<year>(?:19|20)\d\d)"
_CLEARLY_MONTH_FIRST = _MONTH_FIRST.replace(r"0[1-9]|[12]\d|3[01]", r"1[3-9]|2\d|3[01]")
_NAMED = [
    rf"(?P<day>0?[1-9]|[12]\d|3[01])(?P<gap>[-_. ]?){_MONTH}(?P=gap)(?P<year>(?:19|20)\d\d)",
    rf"(?<![a-z]){_MONTH}(?P<gap>[-_. ]?)(?P<day>0[1-9]|[12]\d|3[01])(?:(?P=gap)|, ?)(?P<year>(?:19|20)\d\d)",
    rf"(?P<year>(?:19|20)\d\d)(?P<gap>[-_. ]?){_MONTH}(?P=gap)(?P<day>0[1-9]|[12]\d|3[01])",
]
_FORMS = [
    re.compile(rf"(?<!\d){day}{link}{clock}", re.IGNORECASE)
    for day in (_DAY, _DAY_FIRST, _SHORT_DAY)
    for link, clock in ((_LINK, _CLOCK), ("", _CLOCK), (_LINK, _SHORT_CLOCK))
    if not (day is _SHORT_DAY and clock is _SHORT_CLOCK)
]
_MONTH_FIRST_DAY = re.compile(rf"(?<!\d){_CLEARLY_MONTH_FIRST}(?!\d)")
_FORMS_MONTH_FIRST, _RARE_FORMS = (
    [
        re.compile(rf"(?<!\d){day}{_LINK}{clock}", re.IGNORECASE)
        for day in days
        for clock in (_CLOCK, _APART_SHORT_CLOCK)
    ]
    for days in ([_MONTH_FIRST], [_CLEARLY_MONTH_FIRST, *_NAMED])
)
# A clock before its day must be written with signs between, and so must the day: `100234_20240131` and `01_02_20240131`
# are a part and its day.
_RARE_FORMS += [
    re.compile(
        rf"(?<!\d)(?<!\d[-.:h]){_APART_CLOCK}(?:[_ T]| on )(?=\d{{1,4}}[-_. a-z]|[a-z]{{3}}){day}(?!\d)", re.IGNORECASE
    )
    for day in (_DAY, _DAY_FIRST, _CLEARLY_MONTH_FIRST, *_NAMED)
]
_EPOCH = re.compile(r"(?<!\d)(1[1-9]\d{8}|[23]\d{9})(?:\.(\d{1,9})|(\d{3})|(\d{6})|(\d{9}))?(?!\d)")
"""Seconds since 1970 from 2004 on, with a part of a second or as milli-, micro- or nanoseconds."""
_ORIGINAL, _DIGITIZED, _EXIF = 0x9003, 0x9004, 0x8769
TOO_MANY = 20
"""Photos a moment, on average, above which the time that they share may be that of a recording's start."""
_NEARLY_ALL = 0.95
"""Share of the photos in one minute above which it is that; and of the names of a form that must hold times."""
_DAY_LONG = 24 * 60 * 60
_STEPS = 10
"""Numbers that follow each other differ by no more."""


def time_of(name: str, month_first: bool = False) -> float | None:
    """Seconds, on a clock that all names share, at which a photo was taken by its name and folders; None where these
    hold no time of day.

    `IMG_20240131_235959.jpg`, `2024-01-31 23-59-59_cam2.png`, `2024-01-31/cam1/235959_001.png`, `240131-235959.bmp`,
    `31.01.2024 23.59.59.tif`, `31-Jan-2024 235959.png`, `23-59-59_2024-01-31.png`, `1706745599123.jpg`,
    `Screenshot 2024-01-31 at 11.59.59 PM.png` and such. Of several the last.

    Args:
        name: relative, `/`-separated.
        month_first: what `01-02-2024` is: the 2nd of January, else the 1st of February. `01-31-2024` is clear.
    """
    text = str(PurePosixPath(name).with_suffix(""))
    for form in [*(_FORMS_MONTH_FIRST if month_first else []), *_FORMS, *_RARE_FORMS]:
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
    """The seconds of those names that hold a time, or whose photos do; empty where nearly all share a recording's.

    The log says where times are left out.

    Args:
        names: relative, `/`-separated.
        taken: from `taken_at`, of the photos that say it; a time in the name comes first.
    """
    forms: dict[str, list[str]] = {}
    for name in names:
        forms.setdefault(re.sub(r"\d", "0", name), []).append(name)
    month_first = any(_MONTH_FIRST_DAY.search(name) for name in names)
    by_name: dict[str, float] = {}
    numbers: list[str] = []
    for alike in forms.values():
        moments = {name: moment for name in alike if (moment := time_of(name, month_first)) is not None}
        odd = [name for name in alike if name not in moments]
        if _are_numbers(moments, odd):
            numbers += moments if len(moments) >= len(odd) else ()  # a few of many numbers look like times by chance
        else:
            by_name.update(moments)
    if numbers:
        log.info(
            "%d photos seem to tell a time by name, such as %r, but such names count on: taken as numbers",
            len(numbers), numbers[0],
        )  # fmt: skip
    by_exif = {name: taken[name] for name in names if name in taken and name not in by_name}
    return {**_of_photos(by_name), **_of_photos(by_exif)}


def _are_numbers(moments: Mapping[str, float], odd: list[str]) -> bool:
    """Whether what looks like times are numbers: begun with 000001, or grown beyond 59.

    Then many names of the form hold no time, or one of them counts on where others seemed to hold one.

    Args:
        moments: the names of a form that seem to hold a time, and that time.
        odd: the others of that form.
    """
    told = set(moments.values())
    for name, moment in moments.items():
        if moment % _DAY_LONG == 1 and "000001" in name and {moment + 1, moment + 2} <= told and moment - 2 not in told:
            return True
    return len(moments) < _NEARLY_ALL * (len(moments) + len(odd)) or any(_before(name, moments) for name in odd)


def _before(name: str, others: Collection[str]) -> bool:
    """Whether among others is one with a number that is lower by a few."""
    return any(
        f"{name[: found.start()]}{int(found[0]) - step:0{len(found[0])}}{name[found.end() :]}" in others
        for found in re.finditer(r"[0-9]+", name)
        for step in range(1, min(_STEPS, int(found[0])) + 1)
    )


def _of_photos(times: dict[str, float]) -> dict[str, float]:
    """All times, or none where they are that of a recording: nearly all one moment."""
    if not times:
        return {}
    ((minute, count),) = Counter(moment // 60 for moment in times.values()).most_common(1)
    moments = {moment for moment in times.values() if moment // 60 == minute}
    if count < _NEARLY_ALL * len(times) or count <= TOO_MANY * len(moments):
        return times
    log.info("%d of %d photos tell one time, as those of a recording do: their numbers count", count, len(times))
    return {}


def _moment(found: re.Match[str]) -> float | None:
    parts = found.groupdict()
    year = int(parts["year"]) + (2000 if len(parts["year"]) == 2 else 0)
    month = int(parts["month"]) if parts["month"].isdigit() else 1 + _MONTHS.index(parts["month"][:3].lower())
    hour = int(parts["hour"])
    if parts.get("half"):
        hour = hour % 12 + (12 if parts["half"].upper() == "PM" else 0)
    second = min(59, int(parts.get("second") or parts.get("second_m") or 0))
    try:
        moment = datetime(year, month, int(parts["day"]), hour, int(parts["minute"]), second, tzinfo=UTC)
    except ValueError:  # the 31st of June
        return None
    return moment.timestamp() + float(f"0.{parts.get('part') or 0}")
