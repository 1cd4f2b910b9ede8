"""A split on disk: `train/` and `validation/` with the photos, and `split.json`, which says what went where."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from gan.photos.find import Photo, photos_in, printable
from models.errors import CommandError, ExitCode, writing_error
from models.files import sync_filesystem, sync_folder, temporary_name

SPLIT = "split.json"
_NO_NAME = {errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR}
"""What a disk says of a zip's `a.png` and `a.png/b.png`, or of a name of 300 letters."""


def check_place(data: Path, out: Path) -> None:
    """Refuse a place for a split before the work.

    Raises:
        CommandError: 2 `out` lies in `data`, 73 it is there and not an empty folder.
    """
    if out.resolve().is_relative_to(data.resolve()):
        raise CommandError(
            ExitCode.USAGE, f"{printable(str(out))} lies in {printable(str(data))}: its photos would be counted twice"
        )
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise CommandError(
            ExitCode.CANNOT_WRITE,
            f"{printable(str(out))} is there and not an empty folder: remove it or name another",
        )


def write_split(
    data: Path,
    out: Path,
    train: Collection[str],
    validation: Collection[str],
    units: Iterable[Sequence[str]] = (),
) -> None:
    """Put the photos of a folder or zip into `out/train` and `out/validation`, under their names.

    Beside them `split.json` has of every photo its part, the sha256 of its file and its group, which is the first name
    of what was kept together, its own where it was alone.

    Files are hard links where the disk allows it, else copies: nothing is copied on one disk, and a change of a file in
    place changes both. `out` appears whole or not at all; what a kill leaves behind has another, hidden name.

    Raises:
        CommandError: 2 `out` lies in `data`, 65 names in a zip that cannot all be files, 73 `out` is not empty or
            cannot be written, 74 disk full.
    """
    check_place(data, out)
    side_of = {**dict.fromkeys(train, "train"), **dict.fromkeys(validation, "validation")}
    group_of = {name: unit[0] for unit in units for name in unit}
    rows: dict[str, dict[str, str]] = {}
    temporary = temporary_name(out.absolute())
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # what a killed run left
        temporary.mkdir(parents=True)
        with photos_in(data) as photos:
            for photo in photos:
                if photo.name in side_of and not photo.problem:
                    side = side_of.pop(photo.name)
                    _place(photo, temporary / side / photo.name)
                    rows[photo.name] = {"part": side, "sha256": _digest(temporary / side / photo.name)}
                    rows[photo.name]["group"] = group_of.get(photo.name, photo.name)
        if side_of:
            raise CommandError(
                ExitCode.NO_INPUT,
                f"{printable(next(iter(side_of)))} is no longer in {printable(str(data))}: run it again",
            )
        (temporary / SPLIT).write_text(json.dumps({"photos": rows}, indent=1) + "\n")
        sync_filesystem(temporary)
        os.rename(temporary, out)  # onto nothing, or onto an empty folder
        sync_folder(temporary.parent)
    except OSError as error:
        raise writing_error(error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _place(photo: Photo, target: Path) -> None:
    if photo.archive is not None:
        return _unpack(photo, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = photo.path.resolve()  # of a link the photo itself: a hard link to a relative link would lead nowhere
    try:
        os.link(source, target)
    except OSError:  # another disk, a file system without links, a photo of another user
        shutil.copyfile(source, target)


def _unpack(photo: Photo, target: Path) -> None:
    content = photo.read()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{printable(str(photo.path))} cannot be a file beside the others: {error.strerror}: rename it in the zip",
        ) from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
