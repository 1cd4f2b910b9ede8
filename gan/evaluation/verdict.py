"""What sets generated images apart from photos, in words: what a person should distrust, and a detector would learn."""

from __future__ import annotations

from gan.evaluation.classes import Classwise
from gan.evaluation.comparison import Quality
from gan.evaluation.copying import VERDICTS
from gan.evaluation.line_figures import is_missing
from gan.evaluation.mask_rows import mask_findings
from gan.evaluation.places import LOUD_ECHO, echoes_itself, faults, loudest_echo

LEAST_RIGHT = 0.9
"""Of the share of photos that a classifier names right: of images it should name as large a share, nearly."""
_MUCH_ALIKE = 0.1
"""MS-SSIM: fakes and photos of one source differ by less."""


def distrust(quality: Quality) -> str:
    """What a person should distrust in these images, in a line: the first thing to read."""
    found = findings(quality)
    said = (
        f"Distrust {'; '.join(found)}." if found else "Nothing measured here sets these images apart from the photos."
    )
    return f"{said} {not_asked(quality)}".rstrip()


def not_asked(quality: Quality) -> str:
    """What the verdict does not cover, a sentence each."""
    said = [] if quality.copying else ["Copies of training photos were not looked for: that needs `train`."]
    if quality.has_masks and quality.masks is None:
        said.append("The masks of the images were not judged: that needs `masks`, those of the photos.")
    return " ".join(said)


def findings(quality: Quality) -> list[str]:
    """What sets the images apart from the photos, in words, what a detector would learn first."""
    found = []
    if quality.copying_verdict in VERDICTS[1:]:
        found.append(f"copies of training images ({quality.copying_verdict})")
    if quality.identical:
        found.append(f"copies of photos: {quality.identical} images are real photos, pixel by pixel")
    of_both = quality.places, quality.places_real
    if quality.classes is not None:
        found += _mislabelled(quality.classes)
    found += faults(*of_both)
    if echoes_itself(*of_both) and not echoes_itself(*of_both, LOUD_ECHO):
        found.append(f"pairs: lines come again at one distance a little ({loudest_echo(*of_both)})")
    found += quality.spots.apart()
    found += [f"what is missing: {kind}" for kind in quality.lines.missing]
    found += quality.lines.apart
    if quality.masks is not None:
        found += mask_findings(quality.masks)
    if quality.ms_ssim > quality.ms_ssim_real + _MUCH_ALIKE:
        found.append("variety: the images are more alike than the photos")
    if _rarer_among_photos(quality, 1 - quality.coverage, 1 - quality.coverage_floor, of_photos=True):
        found.append(f"what is missing: {100 * (1 - quality.coverage):.0f} % of the photos have no image like them")
    if _rarer_among_photos(quality, 1 - quality.precision, 1 - quality.precision_floor):
        found.append(f"the look: {100 * (1 - quality.precision):.0f} % of the images are like no photo")
    if quality.kid_x1000_interval[0] > max(0.0, quality.kid_x1000_floor_interval[1]):
        found.append(f"the look: KID is {quality.kid_x1000:.0f}, photos have {quality.kid_x1000_floor:.0f}")
    return found


def _mislabelled(classes: Classwise) -> list[str]:
    """Whether the classifier knows the images' classes less often than `LEAST_RIGHT` times the photos'."""
    if classes.accuracy >= LEAST_RIGHT * classes.accuracy_real:
        return []
    worst = min(classes.classes, key=lambda each: 1.0 if each.named_right is None else each.named_right)
    return [
        f"labels: {100 * classes.accuracy:.0f} % of the images show their class, of photos "
        f"{100 * classes.accuracy_real:.0f} %; fewest of {worst.name}"
    ]


def _rarer_among_photos(quality: Quality, share: float, floor: float, of_photos: bool = False) -> bool:
    """Whether a share that the fakes score is one that photos hardly do; `of_photos`: a share of the photos."""
    among_themselves = quality.n_real if quality.train else quality.n_real // 2
    others = quality.n_train if quality.train else quality.n_real // 2
    counts = (quality.n_real, among_themselves) if of_photos else (quality.n_fake, others)
    return is_missing(share, counts[0], floor, counts[1])
