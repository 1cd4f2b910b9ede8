"""Will it fit? Asked before the first image is written."""

from __future__ import annotations

import os
from pathlib import Path

from models.errors import CommandError, ExitCode
from models.log import log

_ROW_BYTES = 300
"""Of an image, or of a mask, in the manifests and the measures, rounded up."""
_TABLES_A_SHARD = 2
"""Its manifest and its measures, beside a folder for its images and one for their masks."""
_MUCH = 0.5
"""Of the free room; a run that takes more is warned of, as others may write there too."""


def check_room(folder: Path, images: int, shards: int, image_bytes: int, mask_bytes: int | None = None) -> None:
    """Compare what a run needs with what the file system has.

    Args:
        folder: where the run goes; it exists.
        images: to be written.
        shards: that they belong to.
        image_bytes: of one, as measured.
        mask_bytes: of its mask, where there are any.

    Raises:
        CommandError: 74 where it cannot fit.
    """
    system = os.statvfs(folder)
    block = system.f_frsize
    sizes = [size for size in (image_bytes, mask_bytes) if size is not None]
    room = sum(-(-size // block) * block for size in sizes) + _ROW_BYTES * len(sizes)
    a_shard = _TABLES_A_SHARD + len(sizes)
    files = images * len(sizes) + a_shard * shards
    needed = images * room + a_shard * shards * block
    free = system.f_bavail * block
    if needed > free:
        raise _too_small(folder, images, f"about {_size(needed)}", f"{_size(free)} free")
    if system.f_files and files > system.f_favail:  # some file systems make inodes as they need them and report 0
        raise _too_small(folder, images, f"{files} inodes", f"{system.f_favail} left")
    if needed > _MUCH * free:
        log.warning("%s: the run takes about %s of %s free", folder, _size(needed), _size(free))


def _too_small(folder: Path, images: int, needs: str, has: str) -> CommandError:
    return CommandError(
        ExitCode.IO_ERROR,
        f"{folder}: {images} images need {needs}, and the file system has {has}; free some space or make fewer",
    )


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
