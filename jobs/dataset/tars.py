"""A shard as one tar file, as WebDataset reads it: the same images give the same bytes."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterable

from jobs.dataset.layout import manifest_name, tar_name
from jobs.stores.store import Store

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


def read_shard(store: Store, shard: int) -> tuple[bytes, dict[str, bytes]]:
    """The tar file of a shard, and its files by their names in the manifest; nothing where it is not there."""
    name = tar_name(shard)
    content = store.read(name) or b""
    return content, {f"{name}/{member}": file for member, file in unpack(content).items()}


def read_file(store: Store, name: str) -> bytes | None:
    """The file that a manifest names, alone or in a tar file; None where it is not there.

    Of a tar file only this part is read: where it lies is the sum of the sizes in the manifest before it.
    """
    tar, is_in_tar, member = name.partition(".tar/")
    if not is_in_tar:
        return store.read(name)
    before = 0
    for line in (store.read(manifest_name(int(tar))) or b"").splitlines()[1:]:
        _, file_name, *_, size = line.decode(errors="replace").split(",")
        if not size.isdigit():
            return None
        if file_name == name:
            return _read_member(store, f"{tar}.tar", before, member, int(size))
        before += _BLOCK + _blocks(int(size))
    return None


def _read_member(store: Store, tar: str, start: int, member: str, size: int) -> bytes | None:
    try:
        with store.open(tar) as file:
            file.seek(start)
            header = tarfile.TarInfo.frombuf(file.read(_BLOCK), "ascii", "strict")
            content = file.read(size)
    except (FileNotFoundError, tarfile.HeaderError, ValueError):
        return None
    return content if (header.name, header.size, len(content)) == (member, size, size) else None


def _blocks(size: int) -> int:
    """The room that a file of `size` bytes takes in a tar file, in bytes."""
    return -(-size // _BLOCK) * _BLOCK
