"""`gan-batch convert`: a complete run as the data set of a trainer."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.dataset.convert import CLASS_NAME, HOLES, photos
from jobs.dataset.convert.layout import DatasetLayout
from jobs.dataset.convert.layouts import LAYOUTS, MVTEC
from jobs.dataset.convert.mvtec import GOOD
from jobs.dataset.convert.parts import UNUSED, parts_by_file, parts_by_group
from jobs.dataset.convert.photos import RealPhoto
from jobs.dataset.convert.run_reader import RunReader
from jobs.dataset.convert.sample import PARTS, TEST, TRAIN, VAL, Sample
from jobs.dataset.convert.shapes import Shaping
from jobs.dataset.convert.writer import DatasetFolder
from jobs.stores.place import place
from models.errors import CommandError, ExitCode, writing_error
from models.log import log
from models.progress import Progress
from models.stopping import Stop

VERSION = 2
"""Of what a conversion gives; another one does not go on with a folder of this."""
EVERY = 20
"""Without photos, every 20th image of a class is in `val` as well, where a layout demands one."""
NO_VALIDATION = "val is a copy of 5 % of train, because trainers refuse to begin without one: it validates nothing"


@dataclass(frozen=True)
class Real:
    """Real photos to mix in.

    Attributes:
        photos: folder of class folders.
        masks: folder of their masks.
        good: folder of photos of good parts, for MVTec AD's layout.
        split: `split.json` of `gan-eval data --split` or of `gan-eval usefulness` that says what is trained on: of
            `photos`, and for MVTec AD's layout of `good`. Without it photos are divided here, by groups.
    """

    photos: Path | None = None
    masks: Path | None = None
    good: Path | None = None
    split: Path | None = None

    def refuse_misuse(self, to: str) -> None:
        """Refuse what does not go together.

        Raises:
            CommandError: 2.
        """
        divided = self.good if to == MVTEC else self.photos
        said = None
        if to == MVTEC and self.good is None:
            said = f"`{MVTEC}` needs `real_good`: photos of good parts, as nothing else may be in its training part"
        elif self.good is not None and self.photos is not None and self.good.resolve() == self.photos.resolve():
            said = "`real_good` is the folder of `real`, whose photos show defects: give a folder of good parts alone"
        elif to != MVTEC and self.good is not None:
            said = f"`real_good` is for `{MVTEC}` only"
        elif self.masks is not None and self.photos is None:
            said = "`real_masks` has a meaning with `real` only"
        elif self.split is not None and divided is None:
            said = "`split` has a meaning with `real` only"
        elif self.photos is not None and self.masks is None and LAYOUTS[to].needs_masks:
            said = f"`{to}` needs `real_masks` with `real`: without a mask a photo would count as one without a defect"
        if said:
            raise CommandError(ExitCode.USAGE, said)


@dataclass(frozen=True)
class ConversionResult:
    """What a conversion left.

    Attributes:
        out: the folder.
        classes: names, by label.
        images: how many each part has.
        made: whether this call did anything.
        notes: what to know of it, in sentences.
    """

    out: Path
    classes: tuple[str, ...]
    images: dict[str, int]
    made: bool
    notes: tuple[str, ...]


@dataclass
class _Found:
    """All that goes into a data set."""

    run: RunReader
    class_name: str
    classes: list[str]
    photos: list[tuple[RealPhoto, str]] = field(default_factory=list)
    unused: int = 0

    def add(self, photos: Sequence[RealPhoto], parts: Mapping[str, str]) -> None:
        """Photos of these parts, by name."""
        self.photos += [(photo, parts[photo.name]) for photo in photos if parts[photo.name] != UNUSED]
        self.unused += sum(parts[photo.name] == UNUSED for photo in photos)

    def samples(self, to: type[DatasetLayout]) -> Iterator[tuple[Sample, tuple[str, ...]]]:
        """Each image and the parts that it goes into: those of the run, then photos."""
        seen: Counter[int] = Counter()
        for sample in self.run.samples(self.class_name):
            copied = to.needs_val and not self.photos and seen[sample.label] % EVERY == 0
            seen[sample.label] += 1
            yield sample, (to.part_of_run, VAL) if copied else (to.part_of_run,)
        for number, (photo, part) in enumerate(self.photos):
            yield photo.sample(number, self.classes.index(photo.class_name)), (part,)


def convert(
    run: Path | str,
    out: Path | str,
    to: str,
    *,
    class_name: str = CLASS_NAME,
    shaping: Shaping | None = None,
    copy: bool = False,
    real: Real | None = None,
) -> ConversionResult:
    """Write a run as the data set of a trainer; a call that was cut off is finished by the same call.

    Args:
        run: its folder, or the URL of an object store.
        out: folder to write.
        to: a name of `LAYOUTS`.
        class_name: of all images, where the run has no classes, and of photos that are in no class folder.
        shaping: how masks become boxes and polygons.
        copy: copies in the place of hard links.
        real: photos to mix in: `train` gets both, `val` and `test` photos only.

    Raises:
        CommandError: 2 options that do not go together, or not with this run; 65 the run has no masks and the layout
            needs them, a class is missing in a part, or photos cannot be used; 66 no complete run, no photos; 73 `out`
            holds something else; 73, 74 writing; 75 another process writes it; 76 an image of the run is damaged, or
            the run was rejected; 78 `out` is another conversion's; 130, 143 a signal.
    """
    shaping, real, out = shaping or Shaping(), real or Real(), Path(out)
    if to not in LAYOUTS:
        raise CommandError(ExitCode.USAGE, f"`to` is one of {', '.join(LAYOUTS)}, not {to!r}")
    layout = LAYOUTS[to]
    if shaping.holes not in HOLES or shaping.min_area < 1 or not shaping.simplify >= 0:
        raise CommandError(ExitCode.USAGE, f"no way to make shapes: {shaping}")
    real.refuse_misuse(to)
    run = place(run)
    _refuse_within(out, [run, real.photos, real.masks, real.good])
    with Stop() as stop:
        reader = RunReader.of(run)
        found = _find(reader, to, class_name, real)
        folder = DatasetFolder(out, _made_from(found, to, shaping, copy), copy)
        try:
            made = folder.claim()
            if made:
                target = layout(folder, found.classes, shaping)
                images = _fill(target, found, stop)
                notes = _notes(to, found, target.dropped, real)
                folder.finish({"classes": found.classes, "images": images, "notes": notes})
        except OSError as error:
            raise writing_error(error) from None
        finally:
            folder.close()
            reader.store.close()
    for note in folder.said["notes"]:
        log.warning("%s", note)
    return ConversionResult(out, tuple(found.classes), folder.said["images"], made, tuple(folder.said["notes"]))


def _fill(layout: DatasetLayout, found: _Found, stop: Stop) -> dict[str, int]:
    """Put every image into its place; returns how many each part has."""
    images: Counter[str] = Counter()
    with Progress("converting", found.run.state.count + len(found.photos), "images") as progress:
        for sample, parts in found.samples(type(layout)):
            if stop:
                raise stop.error("run the same command again")
            images.update(part for part in parts if layout.place(sample, part))
            progress.update(1)
    counts = {part: images[part] for part in PARTS if images[part]}
    layout.finish(list(counts))
    return counts


def _find(run: RunReader, to: str, class_name: str, real: Real) -> _Found:
    layout = LAYOUTS[to]
    if layout.needs_masks and not run.has_masks:
        others = ", ".join(name for name, other in LAYOUTS.items() if not other.needs_masks)
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{run.store} has no masks, and `{to}` tells where a defect is: the generator must make masks; without "
            f"them there are {others}",
        )
    if layout.masks_in_all and real.photos is not None and run.has_masks != (real.masks is not None):
        how = "give `real_masks`, as the run has masks" if run.has_masks else "leave out `real_masks`: the run has none"
        raise CommandError(ExitCode.USAGE, f"in `{to}` all images have masks or none: {how}")
    found = _Found(run, class_name, list(run.classes) or [class_name])
    if real.photos is not None:
        theirs = photos.photos_below(real.photos, class_name, real.masks, real.good)
        found.classes += sorted({photo.class_name for photo in theirs} - set(found.classes))
        tests = dict.fromkeys((photo.name for photo in theirs), TEST)
        parts = tests if to == MVTEC else _divided(theirs, real.photos, real.split)
        if layout.needs_val:
            _refuse_nothing_kept(parts, VAL, real.split)
        found.add(theirs, parts)
    if to == MVTEC and real.good is not None:
        good = [dataclasses.replace(photo, class_name=GOOD) for photo in photos.photos_below(real.good, GOOD)]
        if GOOD in found.classes:
            raise CommandError(ExitCode.BAD_DATA, f"a class of defects is called {GOOD!r}, which has another meaning")
        divided = _divided(good, real.good, real.split, False)
        parts = {name: part if part in (TRAIN, UNUSED) else TEST for name, part in divided.items()}
        _refuse_nothing_kept(parts, TEST, real.split)
        if TRAIN not in parts.values():
            raise CommandError(
                ExitCode.BAD_DATA,
                f"{real.split}: the split keeps all of these {len(parts)} photos back, so that train/{GOOD} would be "
                "empty, which an anomaly detector learns from: make one that does not, or leave out `split`",
            )
        found.classes.append(GOOD)
        found.add(good, parts)
    _refuse_names(found.classes, class_name)
    if layout.needs_every_class and found.photos:
        _refuse_gaps(found)
    return found


def _divided(found: Sequence[RealPhoto], folder: Path, file: Path | None, tested: bool = True) -> dict[str, str]:
    return parts_by_group(found, tested=tested) if file is None else parts_by_file(found, file, folder)


def _refuse_nothing_kept(parts: Mapping[str, str], wanted: str, split: Path | None) -> None:
    if wanted not in parts.values():
        what = "keeps nothing back" if not {VAL, TEST} & {*parts.values()} else f"has no part {wanted}"
        raise CommandError(
            ExitCode.BAD_DATA,
            f"{split}: the split {what} of these {len(parts)} photos, so that {wanted} would be empty: "
            "make one that does, or leave out `split`",
        )


def _made_from(found: _Found, to: str, shaping: Shaping, copy: bool) -> dict[str, Any]:
    return {
        "version": VERSION,
        "layout": to,
        "run": found.run.state.fingerprint,
        "count": found.run.state.count,
        "manifests_sha256": found.run.sha256,
        "classes": found.classes,
        "shapes": dataclasses.asdict(shaping) if LAYOUTS[to].needs_masks and to != MVTEC else None,
        "files": "copies" if copy else "links",
        "photos_sha256": photos.digest(found.photos) if found.photos else None,
    }


def _notes(to: str, found: _Found, dropped: int, real: Real) -> list[str]:
    notes = []
    if LAYOUTS[to].needs_val and not found.photos:
        notes.append(NO_VALIDATION)
    if dropped and to == MVTEC:
        notes.append(f"{dropped} images whose mask is empty are left out: they show no defect")
    elif dropped:
        notes.append(f"{dropped} images count as free of defects: all in their masks is smaller than `min_area`")
    if found.photos and real.split is None and to != MVTEC:
        notes.append(
            "the photos were divided here: if the generator was trained on all of them, it knows those of val and "
            "test; give `split` with what it was trained on"
        )
    if found.unused:
        notes.append(f"{found.unused} photos are in no part of the split and are left out")
    of_photos = {photo.class_name for photo, _ in found.photos}
    of_run = set(found.run.shown or [found.class_name])
    if real.photos is not None and (alone := sorted((of_run ^ of_photos) - {GOOD})):
        notes.append(f"classes that only the run or only the photos have: {', '.join(alone)}")
    return notes


def _refuse_within(out: Path, sources: Sequence[Path | str | None]) -> None:
    for source in sources:
        if isinstance(source, Path) and out.resolve().is_relative_to(source.resolve()):
            raise CommandError(ExitCode.USAGE, f"{out} lies in {source}, which is read: name another folder")


def _refuse_names(classes: Sequence[str], class_name: str) -> None:
    for name in classes:
        if name in {"", ".", ".."} or "/" in name or not name.isprintable() or name.startswith("."):
            code, what = (ExitCode.USAGE, "`class_name`") if name == class_name else (ExitCode.BAD_DATA, "the class")
            raise CommandError(code, f"{what} {name!r} cannot be a folder's name: call it otherwise")


def _refuse_gaps(found: _Found) -> None:
    """Refuse parts that lack a class of another part: loaders would number the classes of that part otherwise, or
    fail."""
    there: dict[str, set[str]] = {TRAIN: set(found.run.shown or [found.class_name])}
    for photo, part in found.photos:
        there.setdefault(part, set()).add(photo.class_name)
    shown = set[str]().union(*there.values())
    for part, classes in there.items():
        if missing := sorted(shown - classes):
            raise CommandError(
                ExitCode.BAD_DATA,
                f"no image of the class {missing[0]!r} is in {part}, and loaders number classes by what they find: add "
                f"photos of it, or take only classes that the run and the photos have ({', '.join(sorted(shown))})",
            )
