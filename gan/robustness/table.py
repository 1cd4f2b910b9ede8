"""robustness.csv: a row an image, with what its defect is like and every score; read again by the next run."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan.robustness.bins import names_of_attributes
from gan.robustness.detectors import UserDetector
from gan.robustness.photos import Targets
from gan.robustness.scoring import PLAIN, Scores
from models.files import write_atomically

TABLE = "robustness.csv"
_KEYS = ("file_name", "part", "pixels_sha256", "detector")
_PARTS = ("defect", "good")


def write_table(
    path: Path,
    targets: Targets,
    clean: Targets,
    detector: UserDetector,
    scores: Mapping[str, NDArray[np.float64]],
    threshold: float | None,
) -> None:
    """Write it.

    Args:
        path: of the file.
        targets, clean: photos with and without a defect, in this order in the scores.
        detector: who was asked.
        scores: by column, each float64 `[N]`.
        threshold: from which on a score is a hit; None: it is not known yet.

    Raises:
        CommandError, OSError: where it cannot be written.
    """
    attributes = names_of_attributes()
    plain = scores.get(PLAIN)
    others = [name for name in scores if name != PLAIN]
    head = [*_KEYS, "class", *attributes, *([PLAIN] if plain is not None else []), "hit", *others]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(head)
            for row, keys in enumerate(_keys(targets, clean, detector)):
                found = targets.found[row] if row < len(targets.names) else None
                told = [] if found is None else [_cell(getattr(found, name)) for name in attributes]
                of_class = targets.classes[row] if found and targets.classes else ""
                hit = "" if plain is None or threshold is None else int(plain[row] >= threshold)
                rows.writerow([
                    *keys, of_class, *(told or [""] * len(attributes)),
                    *([repr(float(plain[row]))] if plain is not None else []), hit,
                    *(repr(float(scores[name][row])) for name in others),
                ])  # fmt: skip

    write_atomically(path, write)


def read_scores(path: Path, targets: Targets, clean: Targets, detector: UserDetector) -> Scores:
    """The scores in a table of the same images, pixel by pixel, and of a detector of this name and file; else none."""
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
        if [tuple(row[key] for key in _KEYS) for row in rows] != _keys(targets, clean, detector):
            return {}
        told = {*_KEYS, "class", "hit", *names_of_attributes()}
        return {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name not in told}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):  # no table of ours: it will be written anew
        return {}


def _keys(targets: Targets, clean: Targets, detector: UserDetector) -> list[tuple[str, ...]]:
    who = f"{detector.name} {detector.digest[:16]}".strip()
    return [
        (name, part, hashlib.sha256(image.tobytes()).hexdigest()[:16], who)
        for part, photos in zip(_PARTS, (targets, clean), strict=True)
        for name, image in zip(photos.names, photos.images, strict=True)
    ]


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else "" if np.isnan(value) else f"{value:.6g}"
