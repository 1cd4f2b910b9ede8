"""What a folder of generated images holds: a run of gan-batch, in any of its layouts, or just image files.

The layout is the documented one: `manifest.csv`, or for a manifest in Parquet `_manifests/NNNNN.csv`, has a column
`file_name`, relative to the folder; a name such as `images/00000.tar/00000007.png` is a file in a tar.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gan.photos.find import SUFFIXES, Photo, photos_in
from models.errors import CommandError, ExitCode, first_line

_STATE, _MANIFEST, _PARQUET, _SHARDS = "run.json", "manifest.csv", "manifest.parquet", "_manifests"
_IN_TAR = ".tar/"


@dataclass(frozen=True)
class TarredPhoto(Photo):
    """A photo in a tar file.

    Attributes:
        tar: the file.
        offset, size: where in it the photo lies, in bytes.
    """

    tar: Path = Path()
    offset: int = 0
    size: int = 0

    def source(self) -> io.BytesIO:
        """The photo's bytes; raises as for other photos."""
        if self.problem:
            raise ValueError(self.problem)
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            return io.BytesIO(file.read(self.size))


def holds_images(place: Path) -> bool:
    """Whether this is a folder or a tar file, such as a shard of a run."""
    return place.is_dir() or (place.suffix.lower() == ".tar" and place.is_file())


def is_run(folder: Path) -> bool:
    """Whether gan-batch made what is in this folder."""
    return any((folder / name).exists() for name in (_STATE, _MANIFEST, _PARQUET, _SHARDS))


def model_sha256(folder: Path) -> str:
    """The sha256 of the ONNX file that made a run; empty where the folder does not say it."""
    try:
        return str(json.loads((folder / _STATE).read_text(encoding="utf-8"))["fingerprint"]["model_sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def file_sha256(path: Path) -> str:
    """The sha256 of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def image_names(folder: Path) -> list[str]:
    """The images in `folder`, relative to it: those that a run's manifest lists, in its order, else all, sorted.

    In the place of a folder may stand one tar file.

    Raises:
        CommandError: 65 a manifest that cannot be read or names files elsewhere, 66 no images, or an unfinished run.
    """
    shards = sorted((folder / _SHARDS).glob("*.csv"), key=lambda path: (len(path.name), path.name))
    if (folder / _MANIFEST).exists():
        names = _listed([folder / _MANIFEST])
    elif (folder / _PARQUET).exists() and shards:
        names = _listed(shards)
    elif (folder / _SHARDS).exists():
        raise CommandError(
            ExitCode.NO_INPUT, f"{folder} is an unfinished run of gan-batch: run the same command again first"
        )
    else:
        names = list(_members(folder)) if folder.is_file() else _found(folder)
    if not names:
        raise CommandError(ExitCode.NO_INPUT, f"no images in {folder.absolute()} or below it")
    return names


def labels_of(folder: Path, names: Sequence[str]) -> list[str]:
    """The classes of images by these names, which `image_names` gave: by a run's manifest, or by sub-folders.

    Raises:
        CommandError: 65 a manifest without labels, or images in no sub-folder.
    """
    if is_run(folder):
        told = {row["file_name"]: row.get("label") or "" for row in _rows(_manifests(folder))}
    else:
        told = {name: name.partition("/")[0] for name in names if "/" in name}
    if untold := [name for name in names if not told.get(name)]:
        raise CommandError(
            ExitCode.BAD_DATA,
            f"nothing tells which class {folder / untold[0]} shows: neither a manifest with a column `label` nor a "
            "sub-folder",
        )
    return [told[name] for name in names]


def masks_of(folder: Path, names: Sequence[str]) -> list[Photo] | None:
    """The masks of images by these names, which `image_names` gave, in a run; None where its manifest tells of none.

    Raises:
        CommandError: 65 an image has no mask and others have, or it is not there.
    """
    if not is_run(folder):
        return None
    told = {row["file_name"]: row.get("mask_file_name") or "" for row in _rows(_manifests(folder))}
    masks = [told.get(name, "") for name in names]
    if not any(masks):
        return None
    if "" in masks:
        raise CommandError(ExitCode.BAD_DATA, f"{folder / names[masks.index('')]} has no mask, and other images have")
    return photos_of(folder, masks)


def photos_of(folder: Path, names: Sequence[str]) -> list[Photo]:
    """The photos of these names, which `image_names` gave, ready to be read.

    Raises:
        CommandError: 65 one of them is not there, or its tar file is damaged.
    """
    if folder.is_file():
        places = _members(folder)
        return [_tarred(folder, name, places[name]) for name in names]
    tars = {tar: _members(folder / tar) for tar in sorted({_tar_of(name) for name in names if _IN_TAR in name})}
    photos: list[Photo] = []
    for name in names:
        path = folder / name
        if _IN_TAR in name:
            tar = _tar_of(name)
            place = tars[tar].get(name.partition(_IN_TAR)[2])
            if place is not None:
                photos.append(_tarred(folder / tar, name, place))
                continue
        elif path.exists():
            photos.append(Photo(name, path))
            continue
        raise CommandError(
            ExitCode.BAD_DATA, f"{path} is in the manifest and not there: gan-batch verify {folder} says more"
        )
    return photos


def _manifests(run: Path) -> list[Path]:
    single = run / _MANIFEST
    return [single] if single.exists() else sorted((run / _SHARDS).glob("*.csv"))


def _listed(manifests: Iterable[Path]) -> list[str]:
    return [row["file_name"] for row in _rows(manifests)]


def _rows(manifests: Iterable[Path]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for manifest in manifests:
        try:
            with manifest.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
                names = [row["file_name"] for row in rows]
        except (OSError, ValueError, KeyError, csv.Error):
            raise CommandError(ExitCode.BAD_DATA, f"{manifest} cannot be read, or has no column file_name") from None
        for name in names + [mask for row in rows if (mask := row.get("mask_file_name"))]:
            if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise CommandError(ExitCode.BAD_DATA, f"{manifest} names {name!r}, which is not a file in its folder")
        found += rows
    return found


def _found(folder: Path) -> list[str]:
    """Image files and those in tar files, of a folder that is no run: shards that were copied, or anybody's images."""
    try:
        with photos_in(folder) as photos:
            return [photo.name for photo in photos]
    except CommandError:
        tars = sorted(path.relative_to(folder) for path in folder.rglob("*.tar"))
        tars = [tar for tar in tars if "masks" not in tar.parts]
        names = [f"{tar.as_posix()}/{member}" for tar in tars for member in _members(folder / tar)]
        if not names:
            raise
        return names


def _tar_of(name: str) -> str:
    return name.partition(_IN_TAR)[0] + _IN_TAR[:-1]


def _tarred(tar: Path, name: str, place: tuple[int, int]) -> Photo:
    return TarredPhoto(name, tar / PurePosixPath(name).name, tar=tar, offset=place[0], size=place[1])


def _members(tar: Path) -> dict[str, tuple[int, int]]:
    """The images in a tar file: where each begins and how long it is, in bytes."""
    try:
        with tarfile.open(tar, "r:") as opened:
            images = [member for member in opened if PurePosixPath(member.name).suffix.lower() in SUFFIXES]
            return {member.name: (member.offset_data, member.size) for member in images if member.isreg()}
    except (OSError, tarfile.TarError) as error:
        raise CommandError(ExitCode.BAD_DATA, f"{tar} cannot be read: {first_line(error)}") from None
