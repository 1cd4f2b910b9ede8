"""Which files are photos: those of a folder or a zip, with the same names and the same way to open them."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from models.errors import CommandError, ExitCode

SUFFIXES = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".webp",
}  # fmt: skip
"""What the formats that are read are usually called, in small letters."""
MAX_MEMBER_BYTES = 1 << 30
"""A file in a zip that claims more is not unpacked; the largest photo that is read has 600 MB (100 MP, 16-bit RGB)."""

OTHERS = {
    ".heic", ".heif", ".avif", ".gif", ".jp2", ".j2k", ".jxl", ".jxr", ".psd", ".tga", ".pgm", ".ppm", ".pnm", ".exr",
    ".pcx", ".dcm", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".raw", ".npy", ".svg", ".eps",
    ".pdf",
}  # fmt: skip
"""What other pictures are called; a folder that holds only these gets told so."""
MIN_IMAGES = 10
"""Photos that can be trained on, or compared with, at least."""
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
        self._check()
        if self.archive is not None and self.member is not None:
            return io.BytesIO(_unpack(self.archive, self.member))
        return self.path

    def read(self) -> bytes:
        """The file's bytes; raises as `source` does."""
        source = self.source()
        return source.read_bytes() if isinstance(source, Path) else source.getvalue()

    def opened(self) -> BinaryIO:
        """The file to look into, without a check of what a zip claims; raises as `source` does, and as zipfile does."""
        if self.archive is not None and self.member is not None:
            self._check()
            return cast(BinaryIO, self.archive.open(self.member))
        source = self.source()
        return source.open("rb") if isinstance(source, Path) else source

    def head(self, count: int) -> bytes:
        """The first bytes, fewer where there are fewer; raises as `opened` does."""
        with self.opened() as file:
            return file.read(count)

    def _check(self) -> None:
        if self.problem:
            raise ValueError(self.problem)
        if self.member is not None:
            if self.member.flag_bits & 1:
                raise ValueError("encrypted: unpack the zip with its password and name the folder")
            if self.member.file_size > MAX_MEMBER_BYTES:
                raise ValueError(f"claims {self.member.file_size:,} bytes, more than {MAX_MEMBER_BYTES:,} in a zip")
        if (self.path.stat().st_size if self.member is None else self.member.file_size) == 0:
            raise ValueError("empty file")


@contextlib.contextmanager
def photos_in(
    data: Path, only: Sequence[str] = (), without: Sequence[str] = (), masks: Collection[str] = ()
) -> Iterator[list[Photo]]:
    """The photos below a folder or in a `.zip`, sorted by name; those of a zip can be read until the block ends.

    Hidden files and folders are left out, and so is what our own commands leave among pictures (`SHEETS`,
    `LEFT_BESIDE`). Links to folders are not followed, so no link can form a loop. A zip is
    read in place: nothing is unpacked to disk. Zips within a folder or within a zip are not looked into.

    Args:
        data: the folder or zip.
        only: where there are any, photos that fit none of these patterns are left out; see `fits`. `ExactNames` are
            names, of which there may be many.
        without: photos that fit one of these are left out.
        masks: names of files that are masks of photos here, and no photos.

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
                ExitCode.NO_INPUT, f"no folder {place_of(data)}: name a folder of images, or a .zip of them"
            )
        if not found:
            kinds = " ".join(sorted(SUFFIXES))
            others = ", ".join(f"{count} {suffix}" for suffix, count in passed_over(data).items())
            instead = f"; there are others ({others}): save them as PNG" if others else ""
            raise CommandError(ExitCode.NO_INPUT, f"no images ({kinds}) in {place_of(data)} or below it{instead}")
        found = [photo for photo in found if photo.name not in masks]
        kept = [photo for photo in found if _wanted(photo.name, only, without)]
        if not found:
            raise CommandError(ExitCode.NO_INPUT, f"all {len(masks)} images in {place_of(data)} are masks")
        if not kept:
            raise CommandError(
                ExitCode.NO_INPUT,
                f"not one of {len(found)} images in {place_of(data)} is left by the patterns: only "
                f"{', '.join(map(repr, only)) or 'anything'}, not {', '.join(map(repr, without)) or 'anything'}",
            )
        yield sorted(kept, key=lambda photo: photo.name.split("/"))


def passed_over(data: Path) -> dict[str, int]:
    """Pictures of kinds that are not read, by the suffix of their names in small letters, the most frequent first."""
    if data.is_dir():
        names = [name for _, _, files in os.walk(data) for name in files]
    else:
        with _open_zip(data) as archive:
            names = archive.namelist()
    suffixes = [PurePosixPath(name).suffix.lower() for name in names]
    return dict(Counter(suffix for suffix in suffixes if suffix in OTHERS).most_common())


class ExactNames(tuple[str, ...]):
    """Names of photos in the place of patterns: each fits the photo of this very name alone."""

    def __new__(cls, names: Iterable[str]) -> ExactNames:
        made = super().__new__(cls, names)
        made.known = frozenset(made)
        return made

    known: frozenset[str]


NOBODY = ExactNames(())


def fits(name: str, pattern: str) -> bool:
    """Whether a pattern as of the shell (`*_mask.*`, `bad`, `bad/*`, `cam?/*.png`) fits a photo.

    Without a slash it fits the name of a file or of any folder above it, with one the path or a folder's path. `*`
    stands for any letters, a slash among them.
    """
    parts = name.split("/")
    if "/" not in pattern.strip("/"):
        return any(fnmatch.fnmatchcase(part, pattern.strip("/")) for part in parts)
    above = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(fnmatch.fnmatchcase(path, pattern.strip("/")) for path in above)


def printable(name: str) -> str:
    """A file's name that keeps a report's lines whole, and can be printed whatever its bytes are."""
    return name if name.isprintable() else repr(name)


def place_of(data: Path) -> str:
    """A folder's or file's absolute path, for a message."""
    return printable(str(data.absolute()))


def _wanted(name: str, only: Sequence[str], without: Sequence[str]) -> bool:
    if isinstance(only, ExactNames):
        asked = name in only.known
    else:
        asked = not only or any(fits(name, pattern) for pattern in only)
    return asked and not any(fits(name, pattern) for pattern in without)


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise CommandError(ExitCode.NO_INPUT, f"cannot look into {printable(str(error.filename))}: {error.strerror}")

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
        raise CommandError(ExitCode.NO_INPUT, f"cannot open {place_of(path)}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CommandError(
            ExitCode.BAD_DATA, f"{place_of(path)} says that its names are UTF-8, and they are not: pack it again"
        ) from None
    except Exception:  # a damaged directory raises many kinds
        raise CommandError(ExitCode.BAD_DATA, f"{place_of(path)} is no zip file, or damaged: copy it again") from None


def _in_zip(path: Path, archive: zipfile.ZipFile) -> list[Photo]:
    by_name: dict[str, Photo] = {}
    replaced: list[Photo] = []
    members = [(member, _parts(member.filename)) for member in archive.infolist() if not member.is_dir()]
    ours: dict[tuple[str, ...], set[str]] = {}
    for _, parts in members:
        if parts and parts[-1] in LEFT_BESIDE:
            ours.setdefault(parts[:-1], set()).update(LEFT_BESIDE[parts[-1]])
    for member, parts in members:
        if not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if any(part in SHEETS or part in ours.get(parts[:place], ()) for place, part in enumerate(parts)):
            continue
        if PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES:
            name = "/".join(parts)
            if name in by_name:  # unpacking the zip leaves the last one
                problem = "the zip has a later file of the same name"
                replaced.append(Photo(name, path / name, archive, by_name[name].member, problem))
            by_name[name] = Photo(name, path / name, archive, member)
    return [*by_name.values(), *replaced]


def _parts(name: str) -> tuple[str, ...]:
    """The folders of a member of a zip and its own name, without `..`."""
    return tuple(part for part in PurePosixPath(name).parts if part not in {"/", "//", ".."})


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(member)  # never more than it claims, and its checksum is compared
    except NotImplementedError:
        raise ValueError("compressed in a way that cannot be read here: unpack the zip and name the folder") from None
    except Exception:  # decoders raise many kinds; one damaged file must not hide the others
        raise ValueError("damaged in the zip") from None
