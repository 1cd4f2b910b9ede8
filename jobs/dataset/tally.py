"""How many images of each class a data set has: a folder of classes, or a run of gan-batch with labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from jobs.dataset import manifest
from jobs.dataset.layout import STATE
from jobs.dataset.state import RunState
from jobs.stores.opening import open_store
from jobs.stores.store import Store
from models.errors import CommandError, ExitCode

SUFFIXES = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".webp",
}  # fmt: skip
"""What image files are called, in small letters; `gan-train` reads the same ones."""
MASK = "_mask"
"""Ends the name of what is no image but the mask of one."""


def tally(folder: Path | str) -> dict[str, int]:
    """How many images of each class are in `folder`, sorted by the name of the class.

    Of a run of gan-batch, in a folder or at the URL of an object store, that is what its manifests say of the images
    that are there. Of any other folder each sub-folder is a class. Files in it, and in folders below it, whose names
    differ only in what comes after the last dot are one image, as photos and their masks are in some data sets; so is
    `X_mask.png` beside `X.png`.

    Raises:
        CommandError: 66 there is no such folder or run, or nothing to count in it; 65 it is a run that is damaged; 2 it
            is a run without classes; 73, 74 the store refuses or does not answer.
    """
    if isinstance(folder, Path) and not folder.is_dir():
        raise CommandError(ExitCode.NO_INPUT, f"no folder {folder.absolute()}")
    try:
        is_run = isinstance(folder, str) or (folder / STATE).is_file()
        counts = _of_run(open_store(folder)) if is_run else _of_folders(Path(folder))
    except OSError as error:
        raise CommandError(ExitCode.NO_INPUT, f"cannot read {error.filename or folder}: {error.strerror}") from None
    if not counts:
        what = "images yet" if is_run else "folders of classes with images in them"
        raise CommandError(ExitCode.NO_INPUT, f"{folder} has no {what}")
    return {name: counts[name] for name in sorted(counts)}


def _of_folders(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.name.startswith("."):
            counts[entry.name] = _images_below(entry)
    return +counts


def images_among(names: Iterable[str]) -> list[str]:
    """Those of the files of one folder that are images of their own, sorted.

    Of several that differ only in what comes after the last dot that is one, and no PNG where there is another: a PNG
    beside a photo is its mask, and so is `X_mask.png` beside `X.png`.
    """
    paths = [Path(name) for name in names if not name.startswith(".")]
    found = [path for path in paths if path.suffix.lower() in SUFFIXES]
    by_stem = {path.stem: path.name for path in sorted(found, key=lambda path: (path.suffix.lower() != ".png", path))}
    return sorted(
        name for stem, name in by_stem.items() if not stem.endswith(MASK) or stem.removesuffix(MASK) not in by_stem
    )


def _images_below(folder: Path) -> int:
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += len(images_among(files))
    return count


def _of_run(store: Store) -> Counter[str]:
    state = RunState.of(store)
    if state.mix is None:
        raise CommandError(ExitCode.USAGE, f"the run in {store} has no classes: name one whose manifest has labels")
    counts: Counter[str] = Counter()
    committed = manifest.committed(store, state.fingerprint["shard_size"])
    for rows in store.map(partial(manifest.read_shard, store), committed):
        counts.update(row.label or "" for row in rows)
    return counts
