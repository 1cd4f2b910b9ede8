"""Where the photos lie: a folder or a zip, with the same names and the same way to open them."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.errors import CommandError, ExitCode

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MAX_MEMBER_BYTES = 1 << 30
"""A file in a zip that claims more is not unpacked; the largest photo that is read has 600 MB (100 MP, 16-bit RGB)."""

SHEETS = {"contact_sheet.png", "quality_offenders.png"}
"""Pictures of many pictures that `gan-batch` leaves: never photos, wherever they are copied to."""
LEFT_BESIDE = {"run.json": {"masks"}, "stats.jsonl": {"samples", "losses.png"}}
"""What else is no photo, by the file beside it that tells of a run of `gan-batch` or `gan-train`."""


@dataclass(frozen=True)
class Photo:
    """One photo of a folder or a zip.

    Attributes:
        name: relative to the folder or inside the zip, `/`-separated, without `.` and `..`: safe to write below a
            folder.
        path: the file; of a photo in a zip the zip's own path with `name` behind it.
        archive: the zip, open, or None.
        member: what the zip knows of it, or None.
        problem: why it cannot be used although it is there, or empty.
    """

    name: str
    path: Path
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None
    problem: str = ""

    def source(self) -> Path | io.BytesIO:
        """What Pillow opens: the path of a file, since Pillow maps some files into memory, else the bytes.

        Raises:
            ValueError: what is wrong with the file, in a few words.
            OSError: it cannot be looked at.
        """
        if self.problem:
            raise ValueError(self.problem)
        if self.archive is not None and self.member is not None:
            return io.BytesIO(_unpack(self.archive, self.member))
        if self.path.stat().st_size == 0:
            raise ValueError("empty file")
        return self.path

    def read(self) -> bytes:
        """The file's bytes; raises as `source` does."""
        source = self.source()
        return source.read_bytes() if isinstance(source, Path) else source.getvalue()


@contextlib.contextmanager
def photos_in(data: Path) -> Iterator[list[Photo]]:
    """The photos below a folder or in a `.zip`, sorted by name; those of a zip can be read until the block ends.

    Hidden files and folders are left out, and so is what our own commands leave among pictures (`SHEETS`,
    `LEFT_BESIDE`). Links to folders are not followed, so no link can form a loop. A zip is
    read in place: nothing is unpacked to disk. Zips within a folder or within a zip are not looked into.

    Raises:
        CommandError: 66 where there is nothing by that name or no photo in it, 65 where a `.zip` is none.
    """
    with contextlib.ExitStack() as stack:
        if data.suffix.lower() == ".zip" and data.is_file():
            found = _in_zip(data, stack.enter_context(_open_zip(data)))
        elif data.is_dir():
            found = [Photo(path.relative_to(data).as_posix(), path) for path in _below(data)]
        else:
            raise CommandError(
                ExitCode.NO_INPUT, f"no folder {data.absolute()}: name a folder of images, or a .zip of them"
            )
        if not found:
            kinds = " ".join(sorted(SUFFIXES))
            raise CommandError(ExitCode.NO_INPUT, f"no images ({kinds}) in {data.absolute()} or below it")
        yield sorted(found, key=lambda photo: photo.name.split("/"))


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise CommandError(ExitCode.NO_INPUT, f"cannot look into {error.filename}: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        ours = SHEETS.union(*(names for mark, names in LEFT_BESIDE.items() if mark in files))
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ours]
        for name in files:
            if not name.startswith(".") and name not in ours and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot open {path.absolute()}: {error.strerror or error}") from None
    except Exception:  # a damaged directory raises many kinds
        raise CommandError(ExitCode.BAD_DATA, f"{path.absolute()} is no zip file, or damaged: copy it again") from None


def _in_zip(path: Path, archive: zipfile.ZipFile) -> list[Photo]:
    by_name: dict[str, Photo] = {}
    replaced: list[Photo] = []
    for member in archive.infolist():
        parts = [part for part in PurePosixPath(member.filename).parts if part not in {"/", "//", ".."}]
        if member.is_dir() or not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if parts[-1] not in SHEETS and PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES:
            name = "/".join(parts)
            if name in by_name:  # who unpacks the zip is left with the last one
                problem = "the zip has a later file of the same name"
                replaced.append(Photo(name, path / name, archive, by_name[name].member, problem))
            by_name[name] = Photo(name, path / name, archive, member)
    return [*by_name.values(), *replaced]


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 1:
        raise ValueError("encrypted: unpack the zip with its password and name the folder")
    if member.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"claims {member.file_size:,} bytes, more than {MAX_MEMBER_BYTES:,} in a zip")
    if member.file_size == 0:
        raise ValueError("empty file")
    try:
        return archive.read(member)  # never more than it claims, and its checksum is compared
    except NotImplementedError:
        raise ValueError("compressed in a way that cannot be read here: unpack the zip and name the folder") from None
    except Exception:  # decoders raise many kinds; one damaged file must not hide the others
        raise ValueError("damaged in the zip") from None
