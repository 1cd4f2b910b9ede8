"""A sheet of small pictures of a folder's photos, near-duplicates side by side."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from gan.photos.decode import read_plain
from gan.photos.find import photos_in
from gan.photos.survey import Survey
from models.files import write_atomically
from models.picks import spread

SHEET_PHOTOS = 200
SHEET_GROUPED = 150
"""Of them at most from groups of near-duplicates, so that others are seen, too."""
SHEET_OF_A_GROUP = 8
_CELL, _FRAME, _COLUMNS = 96, 4, 20
_FRAMES = ("#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#00a6a6", "#f781bf")


def write_sheet(found: Survey, data: Path, path: Path) -> None:
    """Write a PNG of up to 200 photos: groups of near-duplicates first, the members of one side by side in frames of
    one colour, then others, evenly spread over the names.

    Raises:
        CommandError: 73 or 74 `path` cannot be written; 66 `data` is no longer there.
    """
    shown: list[tuple[str, str | None]] = []
    for number, group in enumerate(found.near_duplicates):
        if len(shown) + min(len(group), SHEET_OF_A_GROUP) > SHEET_GROUPED:
            break
        shown += [(name, _FRAMES[number % len(_FRAMES)]) for name in group[:SHEET_OF_A_GROUP]]
    grouped = {name for group in found.near_duplicates for name in group}
    others = [photo.name for photo in found.photos if photo.name not in grouped]
    shown += [(others[index], None) for index in spread(len(others), SHEET_PHOTOS - len(shown))]
    step = _CELL + 2 * _FRAME
    sheet = Image.new("RGB", (step * min(_COLUMNS, len(shown)), step * -(-len(shown) // _COLUMNS)), "white")
    draw = ImageDraw.Draw(sheet)
    scales = {scale.kind: scale for scale in found.scales}
    with photos_in(data) as photos:
        by_name = {photo.name: photo for photo in photos if not photo.problem}
        for index, (name, frame) in enumerate(shown):
            left, top = index % _COLUMNS * step, index // _COLUMNS * step
            if frame:
                draw.rectangle((left, top, left + step - 1, top + step - 1), fill=frame)
            try:
                small = read_plain(by_name[name], 3, scales).resize((_CELL, _CELL), Image.Resampling.LANCZOS)
            except (KeyError, ValueError):  # gone since it was looked at
                continue
            sheet.paste(small, (left + _FRAME, top + _FRAME))
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: sheet.save(temporary, "PNG"))
