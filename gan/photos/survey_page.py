"""A survey for a person, a page of text with advice, and for a program, JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from gan.photos.find import MIN_IMAGES, printable
from gan.photos.lettering import LETTERED_SHARE
from gan.photos.masks import MaskReport, listed
from gan.photos.survey import Survey
from gan.sizes import SIDES, proportioned, told
from models.split import Leaks, Parted

LISTED = 10
"""Rows of a list on the page; `--json` has them all."""
FEW = 100
MANY = 1000
"""Photos from which on the plain recipe may hold."""
LOW_CONTRAST = 15.0
"""Standard deviation of gray: the median of NEU's scratched steel is 20, that of X-SDD's faint defects 8."""
MUCH_CLIPPED = 0.05
MUCH_WIDER = 1.25
"""Width over height, of one photo and another: under that their shapes are nearly one."""


def advice(found: Survey) -> list[str]:
    """What to do with these photos, one line each: options of gan-train and what to look at first."""
    count = len(found.photos)
    coloured = sum(photo.colour for photo in found.photos)
    lines = []
    if coloured == 0:
        lines.append("--channels 1: no photo has colour")
    elif coloured < 0.05 * count:
        lines.append(f"--channels 1: only {coloured} of {count} photos have colour; look at them")
    else:
        lines.append(f"--channels 3: {coloured} of {count} photos have colour; --channels 1 where it does not matter")
    lines.append(_size_and_fit(found))
    if count < MIN_IMAGES:
        lines.append(f"{count} photos are too few to train on: {MIN_IMAGES} are needed, a few hundred for good results")
    elif count < FEW:
        lines.append(f"{count} photos are few: expect little variety; a few hundred are better")
    elif count < MANY:
        lines.append(f"{count} photos: the default recipe, shift, is made for so many")
    else:
        lines.append(f"{count} photos: the default recipe is the safe choice, with a larger --total-kimg")
    contrast = found.spread("contrast").median
    if contrast < LOW_CONTRAST:
        lines.append(f"low contrast (median {contrast:.1f} of 255): --standardize, which the default recipe has")
    if (clipped := found.spread("clipped").median) > MUCH_CLIPPED:
        lines.append(f"{clipped:.0%} of a usual photo is pure black or white: what was there cannot be learned")
    if found.near_duplicates:
        photos = sum(map(len, found.near_duplicates))
        lines.append(
            f"{photos} photos are near-duplicates in {len(found.near_duplicates)} groups: divide with --split, which "
            "keeps them together"
        )
    letters = sum(photo.lettered for photo in found.photos)
    if letters >= LETTERED_SHARE * count:
        lines.append(
            f"letters seem to stand on {letters} of {count} photos: --flip none, as flips turn them; not --fit pad, "
            "which mirrors them"
        )
    lines += found.mixed
    if found.masks is not None:
        lines += _about_masks(found.masks)
    if see_through := sum(photo.see_through for photo in found.photos):
        lines.append(f"{see_through} photos are partly transparent, and black there: lay them over what is behind")
    if found.unreadable:
        lines.append(f"{len(found.unreadable)} files cannot be used: fix or remove them, or --skip-bad-files")
    return lines


def page(found: Survey, parted: Parted | None = None) -> str:
    """The survey as text, arguments between backticks, with the pairs that a split parts."""
    gray = f", {found.gray_in_effect} of them stored as colour and gray in effect" if found.gray_in_effect else ""
    bits = sorted({photo.bits for photo in found.photos})
    lines = [
        f"{found.files} files in {printable(found.data)}, {len(found.photos)} can be used",
        "",
        f"sizes       {_counts((f'{w}×{h}', n) for (w, h), n in found.sizes.items())}",
        *(f"  {name:9} {_spread(found, name, '.0f')}" for name in ("width", "height")),
        f"modes       {_counts(found.modes.items())}{gray}; {' and '.join(map(str, bits))} bits a channel",
        f"brightness  {_spread(found, 'brightness', '.0f')}",
        f"  darkest   {_names(found.ranked('brightness')[:3])}",
        f"  brightest {_names(found.ranked('brightness')[:-4:-1])}",
        f"contrast    {_spread(found, 'contrast', '.1f')}",
        f"  lowest    {_names(found.ranked('contrast')[:3])}",
        f"clipped     {_spread(found, 'clipped', '.1%')}",
        f"folders     {_counts(found.folders.items())}",
        f"runs        {_counts((_run(run.first, run.last), run.count) for run in found.runs)}",
        *_groups("duplicates to the last pixel", found.exact_duplicates),
        *_groups("near-duplicates", found.near_duplicates),
        *_times(found),
        *(["", *_parted(parted)] if parted is not None else []),
        *(["", *map(str, found.scales)] if found.scales else []),
    ]
    if found.masks is not None:
        lines += ["", found.masks.figures(), *(f"  {line}" for line in listed(found.masks.problems()))]
    if found.passed_over:
        lines += [
            "",
            f"passed over, as only PNG, JPEG, BMP, TIFF and WebP are read: {_counts(found.passed_over.items())}",
        ]
    if found.unreadable:
        lines += ["", f"{len(found.unreadable)} cannot be used:"]
        lines += [f"  {printable(bad.name)}: {bad.reason}" for bad in found.unreadable[:LISTED]]
        lines += _more(len(found.unreadable))
    return "\n".join([*lines, "", "Advice:", *(f"  {line}" for line in advice(found))])


def to_json(found: Survey, parted: Parted | None = None) -> str:
    """One object with everything in it, the advice too."""
    content = {
        **dataclasses.asdict(found),
        "sizes": [{"width": width, "height": height, "count": count} for (width, height), count in found.sizes.items()],
        "modes": found.modes,
        "gray_in_effect": found.gray_in_effect,
        **{name: dataclasses.asdict(found.spread(name)) for name in ("width", "height", "brightness", "contrast")},
        "clipped": dataclasses.asdict(found.spread("clipped")),
        **({} if parted is None else {"pairs": dataclasses.asdict(parted)}),
        "advice": advice(found),
    }
    if found.masks is not None:
        content["masks"]["figures"] = found.masks.figures()
    return json.dumps(content, indent=2)


def _about_masks(masks: MaskReport) -> list[str]:
    place = printable(masks.place)
    lines = [f"--masks {place}: a generator that makes a mask with each image"]
    if problems := masks.problems():
        lines = [f"masks that do not fit keep gan-train --masks from beginning: {', '.join(problems)}"]
    if masks.without_mask:
        lines.append(
            f"--masks {place} --missing-masks empty: where the {len(masks.without_mask)} photos without a mask have no "
            "defect"
        )
    return lines + masks.warnings()


def _size_and_fit(found: Survey) -> str:
    """The largest power of two from 32 to 256 that the usual photo has, and how the photos get a shape."""
    shorter = sorted(min(photo.width, photo.height) for photo in found.photos)[len(found.photos) // 2]
    size = next(size for size in (256, 128, 64, 32) if size <= shorter)
    lost = sorted(1 - min(p.width, p.height) / max(p.width, p.height) for p in found.photos)[len(found.photos) // 2]
    start = f"--image-size {size}"
    if shorter >= 4 * size:
        return f"{start} --fit tile: photos are large, and crops at their own resolution keep fine defects"
    if 3 * lost > 1:
        return (
            f"{start} --fit pad: --fit crop would cut {lost:.0%} off a usual photo, but pad invents as much by "
            f"reflection, and letters there stand mirrored: look at samples/reals.png{_own_shape(found, size)}"
        )
    if lost > 0.2:
        return f"{start} --fit pad: --fit crop would cut {lost:.0%} off a usual photo{_own_shape(found, size)}"
    return f"{start} --fit crop: the usual photo has a shorter side of {shorter} pixels and is nearly square"


def _own_shape(found: Survey, size: int) -> str:
    """The size of images in the shape of the photos, of as many pixels as that square, where they nearly share one."""
    shapes = sorted(photo.width / photo.height for photo in found.photos)
    low, usual, high = (shapes[int(share * len(shapes))] for share in (0.1, 0.5, 0.9))
    height, width = proportioned(1, usual, size, SIDES.step)
    if height == width or high > MUCH_WIDER * low:
        return ""
    return f"; --image-size {told(width, height)} has the shape of most photos"


def _spread(found: Survey, name: str, form: str) -> str:
    spread = found.spread(name)
    return (
        f"median {spread.median:{form}}, 90 % from {spread.p5:{form}} to {spread.p95:{form}}, "
        f"smallest {spread.min:{form}}, largest {spread.max:{form}}"
    )


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    listed = [f"{printable(name)} ({count})" for name, count in counts]
    return ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED} more" if len(listed) > LISTED else "")


def _run(first: str, last: str) -> str:
    return first if first == last else f"{first} … {last}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(printable(name) for name in names)


def _groups(title: str, groups: tuple[tuple[str, ...], ...]) -> list[str]:
    if not groups:
        return ["", f"{title}: none"]
    lines = ["", f"{title}: {sum(map(len, groups))} photos in {len(groups)} groups, the largest first"]
    for group in sorted(groups, key=len, reverse=True)[:LISTED]:
        rest = f" and {len(group) - 4} more" if len(group) > 4 else ""
        lines.append(f"  {len(group)}: {_names(group[:4])}{rest}")
    return lines + _more(len(groups))


def _times(found: Survey) -> list[str]:
    if not found.times:
        return []
    groups = found.same_minute
    lines = ["", f"time of day: {len(found.times)} photos tell it by name or EXIF"]
    if groups:
        lines[-1] += f"; {sum(map(len, groups))} share their minute with others, at most {max(map(len, groups))}"
    return lines


def _parted(parted: Parted) -> list[str]:
    def pairs(leaks: Leaks) -> str:
        return (
            f"{leaks.near_duplicates:.0f} of near-duplicates, {leaks.same_minute:.0f} of the same minute, "
            f"{leaks.neighbours:.0f} of neighbours"
        )

    lines = [f"pairs that belong together and would be parted with {parted.kept_back} photos kept back"]
    lines.append(f"  by chance   {pairs(parted.by_chance)}")
    if parted.made is not None:
        lines.append(f"  this split  {pairs(parted.made)}")
    return lines


def _more(count: int) -> list[str]:
    return [f"  … and {count - LISTED} more: --json has them all"] if count > LISTED else []
