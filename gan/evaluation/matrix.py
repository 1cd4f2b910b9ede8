"""A confusion matrix as a picture: what was named what, darker where more of the images of a label were."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from gan.evaluation.fidelity import Confusion

SCALE = 2
"""Pixels drawn for one shown, so that a fine screen has fine letters."""
PAPER, INK, LIGHT, DARK = (255, 255, 255), (60, 60, 60), (240, 240, 240), (232, 89, 12)
_CELL, _GAP, _LETTERS = 34 * SCALE, 4 * SCALE, 12 * SCALE
_LONGEST = 40


def matrix(confusion: Confusion, names: Sequence[str]) -> Image.Image:
    """Rows are labels, with their numbers and names; columns are what was named, by number. Cells hold percentages.

    Args:
        confusion: what was counted.
        names: of the labels.
    """
    font = ImageFont.load_default(_LETTERS)
    titles = [f"{name[:_LONGEST]}  {number}" for number, name in enumerate(names, 1)]
    left = round(max(font.getlength(title) for title in titles)) + 3 * _GAP
    side = len(names) * _CELL
    picture = Image.new("RGB", (left + side + _GAP, _CELL + side + _GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for row, (title, counts) in enumerate(zip(titles, confusion.counts, strict=True)):
        top, total = _CELL + row * _CELL, sum(counts)
        draw.text((left - 2 * _GAP, top + _CELL / 2), title, INK, font, "rm")
        draw.text((left + row * _CELL + _CELL / 2, _CELL / 2), f"{row + 1}", INK, font, "mm")
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            start = left + column * _CELL
            shade = tuple(round(light + share * (dark - light)) for light, dark in zip(LIGHT, DARK, strict=True))
            draw.rectangle([start + 1, top + 1, start + _CELL - 2, top + _CELL - 2], shade)
            if count:
                draw.text((start + _CELL / 2, top + _CELL / 2), f"{100 * share:.0f}", INK, font, "mm")
    return picture
