"""Which mask belongs to which photo, by their names: no picture is decoded here."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gan.photos.find import Photo, photos_in, printable
from models.errors import CommandError

MISSING = ("refuse", "empty")
"""What a photo without a mask is: an error, or a photo without a defect."""
MASKS = {"mask", "masks", "gt", "groundtruth", "ground_truth", "seg", "segmentation", "annotation", "annotations"}
MASKS |= {"label", "labels", "labelled"}
"""What folders of masks are called, and the last word of a mask's name."""
_PHOTOS = {"image", "images", "img", "imgs", "photo", "photos"}
_LAST_WORD = re.compile(rf"[_.\- ](?:{'|'.join(sorted(MASKS))})(?=[0-9]*$)", re.IGNORECASE)
_LOSSLESS = {".png": 2, ".bmp": 1, ".tif": 1, ".tiff": 1}
"""Of two files of one name the mask is that of the higher rank."""

Form = tuple[str, ...]
"""A path without its ending, in parts."""


@dataclass(frozen=True)
class Pairing:
    """The masks of photos in one or two folders.

    Attributes:
        place: the folder or zip of the masks.
        mask_of: by the folder or zip of the photos: a photo's name to that of its mask below `place`, or to "".
        within: by the folder or zip of the photos: names of files there that are masks and no photos.
        without_mask: photos that have none.
        without_photo: masks of no photo.
        unclear: sentences about several masks of one photo, or several photos of one mask.
    """

    place: Path
    mask_of: Mapping[Path, Mapping[str, str]]
    within: Mapping[Path, frozenset[str]]
    without_mask: tuple[str, ...] = ()
    without_photo: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Photos that have a mask."""
        return sum(bool(mask) for masks in self.mask_of.values() for mask in masks.values())


def pair(
    folders: Sequence[Path],
    masks: Path,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Pairing:
    """Find the mask of each photo.

    The mask of `a/X.jpg` is `a/X.png`, `a/X_mask.png` or the like; a folder `masks` or `ground_truth` more in its path,
    and `images` in the photo's, make no difference. Where one of the two has no folders, the name alone counts, if no
    other has it. Masks may lie among the photos or in a folder there.

    Args:
        folders: folders or zips of photos.
        masks: folder or zip of their masks.
        only, without: patterns of the photos that are meant; see `gan.photos.find.fits`. Masks of others are left out.

    Raises:
        CommandError: 66 no photos, or no such folder of masks; 65 a damaged zip.
    """
    try:
        with photos_in(masks) as files:
            candidates = {file.name: file for file in files if not file.problem}
    except CommandError as error:
        raise CommandError(error.exit_code, f"`masks`: {error}") from None
    within: dict[Path, frozenset[str]] = {}
    pairs = _Pairs(masks, len(folders) > 1)
    for folder in folders:
        with photos_in(folder) as photos:
            names = [photo.name for photo in photos]
        within[folder] = inside = _masks_within(folder, names, masks)
        if (below := _relative(folder, masks)) is not None:  # the photos lie in the folder of masks
            for name in set(names) - inside:
                candidates.pop(f"{below}{name}", None)
    for folder in folders:
        with photos_in(folder, masks=within[folder]) as photos:
            every = [_Named.of(photo, folder) for photo in photos if not photo.problem]
        with photos_in(folder, only, without, within[folder]) as photos:
            kept = {photo.name for photo in photos}
        pairs.add(folder, [file for file in every if file.photo.name in kept], every)
    pairs.match([_Named.of(file, masks, True) for file in candidates.values()])
    return pairs.pairing(within)


def masks_among(names: Iterable[str]) -> frozenset[str]:
    """The files of one folder that are masks of others there, by their names.

    It is that which ends in a word such as `_mask`, or lies in a folder such as `masks`; of two files of one name it is
    the PNG.

    Args:
        names: relative, `/`-separated.
    """
    by_path: dict[Form, list[str]] = defaultdict(list)
    for name in names:
        by_path[_path(name)].append(name)
    plain = {form for path in by_path for form in _photo_forms(path) if not _called_mask(path)}
    found: set[str] = set()
    for path, group in by_path.items():
        ranks = sorted((_LOSSLESS.get(PurePosixPath(name).suffix.lower(), 0), name) for name in group)
        if _called_mask(path) and (len(group) == 1 or not plain.isdisjoint(_mask_forms(path))):
            found.update(group)
        elif len(group) > 1 and ranks[-1][0] > ranks[-2][0]:
            found.add(ranks[-1][1])
    return frozenset(found)


@dataclass(frozen=True)
class _Named:
    """A photo or a mask, and the paths by which the other may know it."""

    photo: Photo
    folder: Path
    forms: tuple[Form, ...]
    above: Form

    @classmethod
    def of(cls, photo: Photo, folder: Path, is_mask: bool = False) -> _Named:
        path = _path(photo.name)
        forms = _mask_forms(path) if is_mask else _photo_forms(path)
        return cls(photo, folder, tuple(sorted(forms)), folder.resolve().parts[1:])

    @property
    def stems(self) -> set[str]:
        return {form[-1] for form in self.forms}

    @property
    def is_flat(self) -> bool:
        return any(len(form) == 1 for form in self.forms)


class _Pairs:
    """Photos, and what of masks has been found."""

    def __init__(self, place: Path, several: bool) -> None:
        self._place, self._several = place, several
        self._kept: list[_Named] = []
        self._others: list[_Named] = []
        self._folders: list[Path] = []
        self._mask_of: dict[tuple[Path, str], str] = {}
        self._extra: list[str] = []
        self._unclear: list[str] = []
        self._in_doubt: set[tuple[Path, str]] = set()

    def add(self, folder: Path, kept: list[_Named], every: list[_Named]) -> None:
        self._folders.append(folder)
        self._kept += kept
        names = {file.photo.name for file in kept}
        self._others += [file for file in every if file.photo.name not in names]

    def match(self, masks: list[_Named]) -> None:
        """First by path, then by the name alone; what is left may belong to photos that are left out."""
        masks = self._without_copies(masks)
        stems = Counter(path[-1] for _, path in {(file.folder, _shortest(file)) for file in self._kept + self._others})
        left = self._by_name(self._kept, self._by_path(self._kept, masks), masks, stems)
        said = list(self._unclear)
        left = self._by_name(self._others, self._by_path(self._others, left), masks, stems)
        self._unclear = said  # of photos that are left out it does not matter
        self._extra = [mask.photo.name for mask in left]

    def pairing(self, within: Mapping[Path, frozenset[str]]) -> Pairing:
        found: dict[Path, dict[str, str]] = {folder: {} for folder in self._folders}
        missing: list[str] = []
        for file in self._kept:
            key = (file.folder, file.photo.name)
            found[file.folder][file.photo.name] = self._mask_of.get(key, "")
            if key not in self._mask_of and key not in self._in_doubt:
                missing.append(self._said(file))
        return Pairing(self._place, found, within, tuple(missing), tuple(self._extra), tuple(self._unclear))

    def _without_copies(self, masks: list[_Named]) -> list[_Named]:
        """Without files that are photos: a folder of masks may hold the photos that a split was made of."""
        photos: dict[str, list[_Named]] = defaultdict(list)
        for file in self._kept + self._others:
            photos[PurePosixPath(file.photo.name).name].append(file)
        return [
            mask
            for mask in masks
            if not any(_equal(mask.photo, file.photo) for file in photos[PurePosixPath(mask.photo.name).name])
        ]

    def _by_path(self, photos: list[_Named], masks: list[_Named]) -> list[_Named]:
        """Pair them where the path of one is the end of the other's; the masks that are left."""
        by_stem: dict[str, list[_Named]] = defaultdict(list)
        for mask in masks:
            for stem in mask.stems:
                by_stem[stem].append(mask)
        claims: dict[str, list[tuple[int, _Named]]] = defaultdict(list)
        used: set[str] = set()
        for file in photos:
            near = {mask.photo.name: mask for stem in file.stems for mask in by_stem[stem]}
            shared = {name: _shared(file, mask) for name, mask in near.items()}
            most = max(shared.values(), default=0)
            if not most:
                continue
            best = _preferred([name for name, count in shared.items() if count == most])
            if len(best) > 1:
                self._doubt([file], f"{self._said(file)} has {len(best)}: {_two(best)}")
                used.update(best)
            else:
                claims[best[0]].append((most, file))
        for name, claimed in claims.items():
            used.add(name)
            most = max(count for count, _ in claimed)
            files = [file for count, file in claimed if count == most]
            if len(files) > 1:
                self._doubt(files, f"{printable(name)} is that of {len(files)}: {_two([f.photo.name for f in files])}")
            else:
                self._mask_of[files[0].folder, files[0].photo.name] = name
        return [mask for mask in masks if mask.photo.name not in used]

    def _by_name(
        self, photos: list[_Named], masks: list[_Named], every: list[_Named], stems: Mapping[str, int]
    ) -> list[_Named]:
        """Pair what is left where one of the two has no folders and no other the same name; the masks that are left."""
        of_masks = Counter(_shortest(mask)[-1] for mask in every)
        all_differ = max(of_masks.values(), default=0) == 1
        by_stem = {_shortest(mask)[-1]: mask for mask in masks}
        used: set[str] = set()
        for file in photos:
            key, stem = (file.folder, file.photo.name), _shortest(file)[-1]
            mask = by_stem.get(stem)
            if key in self._mask_of or key in self._in_doubt or mask is None or stems[stem] > 1 or of_masks[stem] > 1:
                continue
            if mask.is_flat or (file.is_flat and all_differ):
                self._mask_of[key] = mask.photo.name
                used.add(mask.photo.name)
        return [mask for mask in masks if mask.photo.name not in used]

    def _doubt(self, files: list[_Named], sentence: str) -> None:
        self._unclear.append(sentence)
        self._in_doubt.update((file.folder, file.photo.name) for file in files)

    def _said(self, file: _Named) -> str:
        return printable(f"{file.folder.name}/{file.photo.name}" if self._several else file.photo.name)


def _path(name: str) -> Form:
    return PurePosixPath(name).with_suffix("").parts


def _called_mask(path: Form) -> bool:
    return bool(_LAST_WORD.search(path[-1])) or any(part.lower() in MASKS for part in path[:-1])


def _mask_forms(path: Form) -> set[Form]:
    short = (*(part for part in path[:-1] if part.lower() not in MASKS), path[-1])
    return {form for each in (path, short) for form in (each, (*each[:-1], _LAST_WORD.sub("", each[-1])))}


def _photo_forms(path: Form) -> set[Form]:
    return {path, (*(part for part in path[:-1] if part.lower() not in _PHOTOS), path[-1])}


def _shortest(file: _Named) -> Form:
    return min(file.forms, key=lambda form: (len(form), sum(map(len, form))))


def _shared(photo: _Named, mask: _Named) -> int:
    """How many parts their paths share from the end on, where that is enough to belong together, else 0."""
    most = 0
    for one in photo.forms:
        for other in mask.forms:
            count, whole = 0, ((*photo.above, *one), (*mask.above, *other))
            while count < min(map(len, whole)) and whole[0][-1 - count] == whole[1][-1 - count]:
                count += 1
            less, more = sorted((len(one), len(other)))
            # Under a name alone, another folder's 000.png would pass for that of this one.
            if count >= more or (count >= less > 1):
                most = max(most, count)
    return most


def _preferred(names: list[str]) -> list[str]:
    """Of several candidates those that are called masks, or those of the ending that masks have."""
    called = [name for name in names if _called_mask(_path(name))]
    if called and len(called) < len(names):
        return called
    ranks = [_LOSSLESS.get(PurePosixPath(name).suffix.lower(), 0) for name in names]
    without_jpeg = [name for name, rank in zip(names, ranks, strict=True) if rank]
    return without_jpeg or names


def _masks_within(folder: Path, names: Sequence[str], masks: Path) -> frozenset[str]:
    if _relative(folder, masks) is not None:
        return masks_among(names)
    if (below := _relative(masks, folder)) is not None:
        return frozenset(name for name in names if name.startswith(below))
    return frozenset()


def _relative(path: Path, folder: Path) -> str | None:
    """How names below `path` begin when they are told relative to `folder`, or None where it is not in there."""
    if not path.resolve().is_relative_to(folder.resolve()):
        return None
    parts = path.resolve().relative_to(folder.resolve()).parts
    return "/".join((*parts, ""))


def _equal(one: Photo, other: Photo) -> bool:
    try:
        return _bytes_of(one) == _bytes_of(other) and one.read() == other.read()
    except (OSError, ValueError):  # whoever decodes it says why
        return False


def _bytes_of(photo: Photo) -> int:
    return photo.path.stat().st_size if photo.member is None else photo.member.file_size


def _two(names: Sequence[str]) -> str:
    return " and ".join(map(printable, names[:2]))
