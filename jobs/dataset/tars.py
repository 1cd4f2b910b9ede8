"""Tar files as WebDataset reads them: the same files give the same bytes."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

_BLOCK = tarfile.BLOCKSIZE


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar file (POSIX ustar) of files by name, which tells of no time, owner or machine."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, file in files:
            member = tarfile.TarInfo(name)  # of time 0, owner 0, mode 644
            member.size = len(file)
            tar.addfile(member, io.BytesIO(file))
    return content.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """The files of a tar file by name; of a damaged one, those before the damage."""
    found: dict[str, bytes] = {}
    start = 0
    with contextlib.suppress(tarfile.HeaderError, ValueError):  # the end, or the damage
        while True:
            header = tarfile.TarInfo.frombuf(content[start : start + _BLOCK], "ascii", "strict")
            start += _BLOCK
            if not 0 <= header.size <= len(content) - start:
                break
            if header.type == tarfile.REGTYPE:
                found[header.name] = content[start : start + header.size]
            start += _blocks(header.size)
    return found


def room(size: int) -> int:
    """What a file of `size` bytes takes in a tar file, its header with it, in bytes."""
    return _BLOCK + _blocks(size)


def read_member(file: BinaryIO, start: int, name: str, size: int) -> bytes | None:
    """A file in a tar file whose header is at byte `start`; None where that is not there."""
    try:
        file.seek(start)
        header = tarfile.TarInfo.frombuf(file.read(_BLOCK), "ascii", "strict")
        content = file.read(size)
    except (tarfile.HeaderError, ValueError):
        return None
    return content if (header.name, header.size, len(content)) == (name, size, size) else None


def find_member(file: BinaryIO, name: str) -> bytes | None:
    """A file in a tar file, found by the headers of those before it; None where it is not there."""
    for found, size in sizes(file):
        if found == name:
            content = file.read(size)
            return content if len(content) == size else None
    return None


def sizes(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """The name and size of each file in a tar file, up to its end or damage; `file` stands at its content then."""
    start = 0
    while True:
        try:
            file.seek(start)
            header = tarfile.TarInfo.frombuf(file.read(_BLOCK), "ascii", "strict")
        except (tarfile.HeaderError, ValueError):  # the end, or damage
            return
        yield header.name, header.size
        start += room(header.size)


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
