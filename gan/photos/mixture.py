"""A folder that holds more than one kind of picture: masks beside photos, good parts beside bad ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from PIL import Image

from gan.photos.find import printable
from gan.photos.pairing import MASKS

GOOD = {"good", "ok", "normal", "nominal", "pass", "fine", "defect-free", "defect_free", "non-defective", "undefective"}
BAD = {
    "bad",
    "ng",
    "nok",
    "nio",
    "defect",
    "defects",
    "defective",
    "anomaly",
    "anomalous",
    "abnormal",
    "fail",
    "faulty",
}
BAD |= {"reject", "rejected"}
_NOT_ALONE = {"fine"}
"""Words for good parts that say so beside those for bad ones only: a texture is fine or coarse."""
_SAID = 3
"""Folders that are named."""
TRAINED = {"train", "training"}
KEPT_BACK = {"test", "testing", "val", "valid", "validation"}
_PURE, _NEARLY = 0.9, 0.98
"""Share of a mask's pixels that are 0 or 255, and that are less than `_NEAR` from these: JPEG moves those at edges."""
_NEAR = 16


def mask_like(image: Image.Image) -> bool:
    """Whether a photo of mode L or RGB is all black and white, or all black, as masks are."""
    counts = image.convert("L").histogram()
    nearly = sum(counts[:_NEAR]) + sum(counts[-_NEAR:])
    return counts[0] > 0 and counts[0] + counts[-1] >= _PURE * sum(counts) and nearly >= _NEARLY * sum(counts)


def mixtures(names: Sequence[str], masks: Iterable[str] = (), classed: bool = False) -> list[str]:
    """What is mixed among the photos, a sentence each with the way to part it; of most folders nothing.

    Args:
        names: relative, `/`-separated.
        masks: those for which `mask_like` holds.
        classed: whether folders are classes: then good parts beside bad ones are meant.
    """
    found, named = _named_masks(names)
    count = len(names)
    drawn = sorted(set(masks) - named)
    if drawn and len(drawn) < count:
        found.append(
            f"{len(drawn)} of {count} photos are all black and white, such as {printable(drawn[0])}: where these are "
            "masks, part them with `without`, or gan-train --masks learns them as such"
        )
    elif drawn:
        found.append(f"all {count} photos are black and white alone: are these masks?")
    words = {name: _words(name) for name in names if name not in named}
    if not classed:
        found += _others(list(words)) or _opposed(words, GOOD, BAD, "photos of good parts", "of bad ones")
    found += _opposed(words, TRAINED, KEPT_BACK, "photos to train on", "photos kept back")
    if not named and not drawn:
        found += _pairs(names)
    return found


def _named_masks(names: Sequence[str]) -> tuple[list[str], set[str]]:
    """By a folder's name, or by the last word of a file's."""
    patterns: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        folder = next((part for part in path.parts[:-1] if part.lower() in MASKS), None)
        ending = re.search(r"[_.\- ]([a-z]+|ground_truth)[0-9]*$", path.stem, re.IGNORECASE)
        if folder is not None:
            patterns.setdefault(folder, []).append(name)
        elif ending and ending[1].lower() in MASKS:
            word = ending[0].rstrip("0123456789")
            patterns.setdefault(f"*{word}.*" if word == ending[0] else f"*{word}[0-9]*", []).append(name)
    said = [
        f"{len(members)} of {len(names)} photos are called masks, such as {printable(members[0])}: "
        f"`without='{pattern}'` leaves them out, gan-train --masks learns them as masks"
        for pattern, members in patterns.items()
        if len(members) < len(names)
    ]
    return said, {name for members in patterns.values() for name in members}


def _words(name: str) -> set[str]:
    """The folders above a file, and the first and the last word of its name, in small letters."""
    *folders, file = name.lower().split("/")
    words = [word for word in re.split(r"[_.\- ]+|(?<=[a-z])(?=[0-9])", PurePosixPath(file).stem) if word]
    words = [word for word in words if not word.isdigit()]
    return {*folders, *words[:1], *words[-1:]}


def _opposed(words: dict[str, set[str]], ones: set[str], others: set[str], one: str, other: str) -> list[str]:
    left, right = (
        Counter(word for found in words.values() for word in sorted(found & kind)[:1]) for kind in (ones, others)
    )
    if not left or not right:
        return []
    (first, _), (second, _) = left.most_common(1)[0], right.most_common(1)[0]
    return [
        f"{left.total()} {one} ({first}) and {right.total()} {other} ({second}) lie together: `only` and `without` "
        f"part them, such as `only='{_pattern(words, second)}'` or `only='{_pattern(words, first)}'`"
    ]


def _others(names: Sequence[str]) -> list[str]:
    """Folders beside one of good parts that are called by their defects: `scratch`, `broken_large`."""
    placed = [(PurePosixPath(name).parts[:place], folder) for name in names for place, folder in _folders(name)]
    good = Counter((above, folder) for above, folder in placed if folder.lower() in GOOD - _NOT_ALONE)
    homes = {above for above, _ in good}
    others = Counter(folder for above, folder in placed if above in homes and folder.lower() not in GOOD)
    if all(folder.lower() in BAD for folder in others):  # then these have a name of their own
        return []
    first = Counter(folder for _, folder in good.elements()).most_common(1)[0][0]
    called = ", ".join(map(printable, sorted(others)[:_SAID])) + (", …" if len(others) > _SAID else "")
    return [
        f"{good.total()} photos of good parts ({printable(first)}) and {others.total()} others ({called}) lie "
        f"together: `only` and `without` part them, such as `without='{first}'` or `only='{first}'`"
    ]


def _folders(name: str) -> Iterable[tuple[int, str]]:
    return enumerate(PurePosixPath(name).parts[:-1])


def _pattern(words: dict[str, set[str]], word: str) -> str:
    """A pattern that fits the photos with a word: the folder as it is written, or a part of the files' names."""
    for name in words:
        for part in PurePosixPath(name).parts[:-1]:
            if part.lower() == word:
                return part
    stems = [PurePosixPath(name).stem for name, found in words.items() if word in found]
    at = stems[0].lower().find(word)
    written = stems[0][at : at + len(word)]
    return f"{written}[!a-z]*" if at == 0 else f"*[!a-z]{written}*"


def _pairs(names: Sequence[str]) -> list[str]:
    """Files of one name but for the ending, such as a photo `.jpg` beside its mask `.png`."""
    suffixes: dict[PurePosixPath, list[str]] = {}
    for name in names:
        suffixes.setdefault(PurePosixPath(name).with_suffix(""), []).append(name)
    pairs = [members for members in suffixes.values() if len(members) > 1]
    if 2 * sum(map(len, pairs)) < len(names) or not pairs:
        return []
    ending = Counter(PurePosixPath(name).suffix for members in pairs for name in members).most_common()[-1][0]
    return [
        f"{len(pairs)} photos are there in pairs of one name, such as {printable(pairs[0][0])} and "
        f"{printable(pairs[0][1])}: where one of each is no photo, `without='*{ending}'` leaves it out, and "
        "gan-train --masks learns it as the mask of the other"
    ]
