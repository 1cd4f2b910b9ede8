"""Does a detector miss defects, and which: read photos, ask it, count, and leave the report. The one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan.evaluation import defaults
from gan.evaluation.refusals import CommonShape, refuse_values
from gan.photos.which import ALL_PHOTOS, Which
from gan.robustness.bins import UNITS, column, rates_of, sorted_into_bins
from gan.robustness.changes import CHANGES
from gan.robustness.detectors import Asked, UserDetector, open_detector
from gan.robustness.page import write_page
from gan.robustness.photos import Reading, Targets, read_targets
from gan.robustness.pod import pod_curve, pod_plane
from gan.robustness.rates import Rate
from gan.robustness.result import ChangeRate, Robustness
from gan.robustness.scoring import PLAIN, Scores, column_of, score
from gan.robustness.slices import worst_slices
from gan.robustness.table import TABLE, read_scores, write_table
from gan.robustness.threshold import threshold_of
from models.errors import CommandError, ExitCode
from models.files import write_probe

REPORT = "report.html"


def examine_detector(
    data: Path,
    detector: str | Path | Asked,
    *,
    good: Path | None = None,
    which: Which = ALL_PHOTOS,
    class_name: str | None = None,
    threshold: float | None = None,
    false_alarms: float | None = None,
    changes: bool = defaults.CHANGES,
    count: int = defaults.COUNT,
    channels: int | None = None,
    image_size: int | str | None = None,
    fit: str = defaults.FIT,
    out: Path | None = None,
) -> Robustness:
    """Ask a detector about photos with defects, and about photos without one.

    Args:
        data: photos with defects: a folder or `.zip`, class folders, or a run of `gan-batch`, which has its own masks.
        detector: see `gan.robustness.detectors.open_detector`; one of `gan.usefulness` through `of_tensors` there.
        good: photos without a defect, for false alarms and for the threshold.
        which: photos in `data` to take, and their masks; without masks a ridge filter finds the defects that are
            measured.
        class_name: which of the detector's columns is the defect's, by number or by name.
        threshold: from which probability on a photo counts as one with a defect, 0 to 1; None: 0.5.
        false_alarms: set the threshold so that at most this share of the photos without a defect is above it, 0 to 1.
        changes: ask about changed images, too.
        count: how many photos of each folder, at most, 10 to 20,000.
        channels: 1 or 3; None: as the detector takes them, or as the photos are.
        image_size: to which all photos are brought, as of `gan.evaluate`; None: as the detector takes them, or as the
            photos are. Sizes of defects are in pixels of these images.
        fit: how a photo gets that shape, one of `gan.photos.fit.FITS`.
        out: folder for `report.html` and `robustness.csv`; None: none is written.

    Raises:
        CommandError: 2 arguments that cannot be meant; 65 unusable photos, or a detector that fails; 66 nothing there;
            73 or 74 where `out` cannot be written; 143 and the like after a signal.
    """
    _refuse_threshold(threshold, false_alarms, good, which.masks)
    which.check()
    refuse_values(count, 0, CommonShape(channels, image_size, fit))
    asked = open_detector(detector, class_name)
    if out is not None:
        write_probe(out)
    targets, clean = read_targets(data, good, asked, Reading(count, channels, image_size, fit, which))
    if false_alarms is not None and not clean.names:
        raise CommandError(ExitCode.BAD_DATA, "`false_alarms` needs photos without a defect: `good`")

    def save(scores: Scores, at: float | None = None) -> None:
        if out is not None:
            write_table(out / TABLE, targets, clean, asked, scores, at)

    known = {} if out is None else read_scores(out / TABLE, targets, clean, asked)
    scores = score(asked, np.concatenate([targets.images, clean.images]), changes, known, save)
    split = len(targets.names)
    at, reason = threshold_of(scores[PLAIN][split:], threshold, false_alarms)
    save(scores, at)
    found = _result(data, good, asked, targets, clean, scores, at, reason)
    if out is not None:
        write_page(out / REPORT, found, targets)
    return found


def _result(
    data: Path, good: Path | None, detector: UserDetector, targets: Targets, clean: Targets, scores: Scores,
    threshold: float, reason: str,
) -> Robustness:  # fmt: skip
    split = len(targets.names)
    hits = scores[PLAIN][:split] >= threshold
    height, width = targets.images.shape[1:3]
    bins = sorted_into_bins(targets.found, (width, height), targets.classes)
    slices, looked_at = worst_slices(bins, hits, scores[PLAIN][:split].tolist())
    values = {name: column(targets.found, name) for name in UNITS}
    return Robustness(
        data=str(data), good=None if good is None else str(good), detector=detector.name, image_size=(width, height),
        found_by=targets.found_by, threshold=threshold, threshold_by=reason, recall=Rate.of(hits),
        false_alarms=Rate.of(scores[PLAIN][split:] >= threshold) if clean.names else None,
        bins=rates_of(bins, hits),
        pod={name: pod_curve(name, UNITS[name], values[name], hits) for name in ("length", "contrast")},
        plane=pod_plane(values["length"], values["contrast"], hits),
        changes=_changes(scores, split, threshold), slices=slices, slices_looked_at=looked_at,
        notes=tuple(_notes(targets, clean, hits, reason)),
    )  # fmt: skip


def _changes(scores: Scores, split: int, threshold: float) -> Mapping[str, tuple[ChangeRate, ...]]:
    looked_at = len(scores) - 1
    if not looked_at:
        return {}
    plain = scores[PLAIN] >= threshold
    return {
        change.name: tuple(
            _change(strength, plain, scores[column_of(change, strength) if strength else PLAIN] >= threshold,
                    split, looked_at)
            for strength in (0.0, *change.strengths)
        )
        for change in CHANGES
    }  # fmt: skip


def _change(
    strength: float, plain: NDArray[np.bool_], now: NDArray[np.bool_], split: int, looked_at: int
) -> ChangeRate:
    from scipy.stats import binom

    lost, gained = int((plain & ~now)[:split].sum()), int((~plain & now)[:split].sum())
    chance = float(binom.sf(lost - 1, lost + gained, 0.5)) if lost else 1.0
    return ChangeRate(
        strength, Rate.of(now[:split]), lost, gained, min(1.0, chance * looked_at),
        Rate.of(now[split:]) if len(now) > split else None,
    )  # fmt: skip


def _notes(targets: Targets, clean: Targets, hits: NDArray[np.bool_], reason: str) -> list[str]:
    notes = []
    if targets.found_by != "masks":
        unseen = sum(each.count == 0 for each in targets.found)
        notes.append(
            "there are no masks, so a ridge filter found the defects that were measured"
            + (f"; in {unseen} of {len(hits)} photos it found none, and these have no length or contrast"
               if unseen else "")
        )  # fmt: skip
    many = sum(each.count > 1 for each in targets.found)
    if many:
        notes.append(
            f"{many} photos show more than one defect: length, contrast and the like are those of the largest, and a "
            "photo counts as found whichever of them gave it away"
        )
    if "false alarms" in reason and len(clean.names) < 300:
        notes.append(
            f"{len(clean.names)} photos without a defect set the threshold, and the false alarms are counted on the "
            "same ones: on others there may be more"
        )
    return notes


def _refuse_threshold(
    threshold: float | None, false_alarms: float | None, good: Path | None, masks: Path | None
) -> None:
    if threshold is not None and false_alarms is not None:
        raise _usage("`threshold` and `false_alarms` exclude each other: the one is set by the other")
    for name, value in (("threshold", threshold), ("false_alarms", false_alarms)):
        if value is not None and not 0 <= value <= 1:
            raise _usage(f"`{name}={value}` is not between 0 and 1")
    if false_alarms is not None and good is None and masks is None:
        raise _usage("`false_alarms` needs photos without a defect: `good`")


def _usage(message: str) -> CommandError:
    return CommandError(ExitCode.USAGE, message)
