"""The contact sheet: one picture of a whole run."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from models.console import CommandError, ExitCode

COLUMNS = 8
_GAP = 2


def contact_sheet(run: Path, names: list[str]) -> bytes:
    """A PNG of the images `names` (relative to `run`) in 8 columns, at their own size and brightness."""
    images: list[Image.Image] = []
    for name in names:
        try:
            with Image.open(run / name) as file:
                images.append(file.copy())
        except OSError:
            shard = name.split("/")[0]
            raise CommandError(
                ExitCode.CHECK_FAILED,
                f"{run / name} is missing or damaged: delete {run}/_manifests/{shard}.csv and run again",
            ) from None
    width, height = images[0].size
    rows = -(-len(images) // COLUMNS)
    size = (COLUMNS * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    sheet = Image.new(images[0].mode, size, "white")
    for place, image in enumerate(images):
        sheet.paste(image, (place % COLUMNS * (width + _GAP), place // COLUMNS * (height + _GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
