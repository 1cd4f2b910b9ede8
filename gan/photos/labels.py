"""What each photo shows: by the sub-folder that it lies in, or by a table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gan.photos.find import LEFT_BESIDE, SHEETS, fits, photos_in, place_of, printable
from models.errors import CommandError, ExitCode

FEW = 50
"""Photos of a class below which a generator repeats them, or gives images of other classes under its name."""
_FILES = ("file_name", "file", "filename", "image", "name", "path")
_CLASSES = ("label", "class", "class_name", "category", "defect")
"""What the columns of a table may be called; the first of each is what `gan-batch` writes."""
_SAID = 3


@dataclass(frozen=True)
class Classes:
    """What the photos of a training show.

    Attributes:
        names: of the classes, sorted: a label is a place in them.
        class_of: name of a photo, relative to its folder, to that of its class.
    """

    names: tuple[str, ...]
    class_of: Mapping[str, str]

    def labels(self, photos: Iterable[str]) -> tuple[int, ...]:
        """Those of photos by their names."""
        place = {name: label for label, name in enumerate(self.names)}
        return tuple(place[self.class_of[photo]] for photo in photos)


def classes_in(
    data: Path,
    validation: Path | None = None,
    table: Path | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    masks: Mapping[Path, Collection[str]] | None = None,
) -> Classes:
    """The classes of photos to train on, and of those kept back, which have none of their own.

    Args:
        data: folder or zip of photos; without a table its sub-folders are the classes.
        validation: another such, or None.
        table: a CSV file with a photo's name and its class in each row, and their own names in the first; or two
            columns alone. The name is relative to the folder, or the file's name alone where no two photos share it.
        only, without: patterns of photos; see `gan.photos.find.fits`.
        masks: by folder or zip, names of files there that are masks and no photos.

    Raises:
        CommandError: 65 photos without a class, rows without a photo, an empty class, or one class alone; 66 no photos,
            or no table.
    """
    folders = {folder: (masks or {}).get(folder, ()) for folder in (data, validation) if folder is not None}
    if table is None:
        found = [_by_folder(folder, only, without, inside) for folder, inside in folders.items()]
    else:
        found = _by_table(folders, read_table(table), table, only, without)
    trained = sorted(set(found[0].values()))
    if len(trained) < 2:
        raise _bad(f"all photos in {place_of(data)} are of the class {printable(trained[0])}: train without classes")
    if strange := sorted({name for others in found[1:] for name in others.values()} - set(trained)):
        raise _bad(
            f"the class {printable(strange[0])} has photos to measure on and none to train on: {place_of(data)} has "
            f"{_some(trained)}"
        )
    from models.mix import names_fault  # here, as it needs NumPy, and a wrong option is told of without

    if fault := names_fault(trained):
        raise _bad(fault)
    return Classes(tuple(trained), {photo: name for each in found for photo, name in each.items()})


def read_table(path: Path) -> dict[str, str]:
    """The rows of a CSV file, a photo's name to that of its class; what separates them is `,`, `;` or a tab.

    Raises:
        CommandError: 65 no such table, 66 no such file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read {place_of(path)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _bad(f"{place_of(path)} is no text in UTF-8: save it as a CSV file in UTF-8") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        read = list(csv.reader(text.splitlines(), delimiter=separator, strict=True))
    except csv.Error as error:  # such as a quote that is never closed
        raise _bad(f"{place_of(path)} is no CSV file: {error}") from None
    rows = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(read, 1)
        if any(cell.strip() for cell in row)
    ]
    file, name, has_head = _columns(rows[0][1] if rows else [], path)
    found: dict[str, str] = {}
    for number, row in rows[has_head:]:
        if len(row) <= max(file, name) or not row[file] or not row[name]:
            raise _bad(f"{place_of(path)}: row {number} lacks a photo or its class")
        photo = PurePosixPath(row[file].replace("\\", "/")).as_posix()
        if found.setdefault(photo, row[name]) != row[name]:
            raise _bad(f"{place_of(path)}: {printable(photo)} is {found[photo]} and {row[name]} (row {number})")
    if not found:
        raise _bad(f"{place_of(path)} has no rows: give a photo's name and its class in each")
    return found


def few(labels: Sequence[int], names: Sequence[str]) -> str:
    """Which classes have fewer than `FEW` photos and what that means, or nothing."""
    counts = [(labels.count(label), name) for label, name in enumerate(names)]
    small = [f"{name} has {count}" for count, name in counts if count < FEW]
    if not small:
        return ""
    return (
        f"too few photos for a class of its own: {', '.join(small)}, under {FEW}. Its images may repeat these photos, "
        "or look like those of a larger class: look at its row in samples/, and add photos, or leave the class out "
        "with `without`"
    )


def _by_folder(data: Path, only: Sequence[str], without: Sequence[str], masks: Collection[str]) -> dict[str, str]:
    with photos_in(data) as photos:  # a folder of masks is no empty class
        there = [photo.name for photo in photos]
    if data.is_dir():
        for folder in sorted(path for path in data.iterdir() if path.is_dir() and _may_be_class(path)):
            if not any(name.startswith(f"{folder.name}/") for name in there) and not _is_left_out(folder.name, without):
                raise _bad(
                    f"the class {printable(folder.name)} is empty: no photos in {place_of(folder)} or below it (links "
                    "to folders are not followed): remove it"
                )
    with photos_in(data, only, without, masks) as photos:
        kept = [photo.name for photo in photos]
    if loose := [name for name in kept if "/" not in name]:
        raise _bad(
            f"{len(loose)} of {len(kept)} photos lie in no sub-folder of {place_of(data)} and have no class, such as "
            f"{printable(loose[0])}: sub-folders are the classes"
        )
    return {name: name.partition("/")[0] for name in kept}


def _by_table(
    folders: Mapping[Path, Collection[str]],
    table: Mapping[str, str],
    path: Path,
    only: Sequence[str],
    without: Sequence[str],
) -> list[dict[str, str]]:
    used: set[str] = set()
    found: list[dict[str, str]] = []
    for folder, masks in folders.items():
        with photos_in(folder, masks=masks) as photos:
            there = [photo.name for photo in photos]
        bare = Counter(PurePosixPath(name).name for name in there)
        key_of: dict[str, str] = {}
        for name in there:
            file = PurePosixPath(name).name
            key = name if name in table else file if file in table and bare[file] == 1 else ""
            key_of[name] = key
            used.add(key)
        with photos_in(folder, only, without, masks) as photos:
            kept = [photo.name for photo in photos]
        if unlabelled := [name for name in kept if not key_of[name]]:
            raise _bad(
                f"{len(unlabelled)} of {len(kept)} photos in {place_of(folder)} have no row in {place_of(path)}: "
                f"{_some(unlabelled)}: add rows, or leave them out with `without`"
            )
        found.append({name: table[key_of[name]] for name in kept})
    if unknown := [name for name in table if name not in used]:
        raise _bad(
            f"{len(unknown)} of {len(table)} rows in {place_of(path)} name no photo in "
            f"{' or '.join(map(place_of, folders))}: {_some(unknown)}"
        )
    return found


def _columns(head: Sequence[str], path: Path) -> tuple[int, int, bool]:
    """Where a table has photos and classes, by its first row or else in its two columns; and whether that is a head."""
    words = [cell.lower() for cell in head]
    file = next((words.index(name) for name in _FILES if name in words), None)
    name = next((words.index(name) for name in _CLASSES if name in words), None)
    if file is not None and name is not None:
        return file, name, True
    if len(head) == 2:
        return 0, 1, False
    raise _bad(f"{place_of(path)} has no columns `{_FILES[0]}` and `{_CLASSES[0]}`: name them in its first row")


def _may_be_class(folder: Path) -> bool:
    ours = SHEETS.union(*(names for mark, names in LEFT_BESIDE.items() if (folder.parent / mark).is_file()))
    return not folder.name.startswith(".") and folder.name not in ours


def _is_left_out(folder: str, without: Sequence[str]) -> bool:
    return any(fits(folder, pattern) for pattern in without)


def _some(names: Sequence[str]) -> str:
    said = ", ".join(printable(name) for name in names[:_SAID])
    return f"{said}, …" if len(names) > _SAID else said


def _bad(message: str) -> CommandError:
    return CommandError(ExitCode.BAD_DATA, message)
