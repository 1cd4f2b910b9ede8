"""The rows of the report: every number of a comparison beside that of real photos, and what it means."""

from __future__ import annotations

from gan.evaluation.classes import Classwise
from gan.evaluation.comparison import Judgement, Quality
from gan.evaluation.copying import SUSPECTED_RATIO
from gan.evaluation.line_figures import ALIGNED, ATTRIBUTES, DIRECTION_KINDS, LineFigures
from gan.evaluation.mask_rows import mask_rows
from gan.evaluation.places import Places, loudest_echo, worst_grid
from gan.evaluation.rows import ReportRow, percent
from gan.evaluation.spots import Spot, Spots

_WHOLE = ("contrast", "length", "width", "count")


def rows(quality: Quality) -> list[ReportRow]:
    """The numbers in the order in which to look at them."""
    result = _rows_of_all(quality)
    if quality.second is not None:
        result += _rows_of_second(quality.second)
    if quality.classes is not None:
        result += _rows_of_classes(quality.classes)
    result += _rows_of_lines(quality.lines)
    result += _rows_of_spots(quality.spots)
    result += _rows_of_places(quality.places, quality.places_real)
    if quality.masks is not None:
        result += mask_rows(quality.masks)
    elif quality.has_masks:
        result.append(ReportRow("masks", "not asked", "", "needs the masks of the photos: `masks`"))
    return result + _rows_of_copying(quality)


def _kid(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.1f} ({interval[0]:.1f} to {interval[1]:.1f})"


def _rows_of_all(quality: Quality) -> list[ReportRow]:
    """Of all images together."""
    return [
        ReportRow(
            "KID × 1000",
            _kid(quality.kid_x1000, quality.kid_x1000_interval),
            _kid(quality.kid_x1000_floor, quality.kid_x1000_floor_interval),
            "distance from the photos: 0 is perfect, lower is better",
        ),
        ReportRow(
            "precision",
            f"{quality.precision:.2f}",
            f"{quality.precision_floor:.2f}",
            "share of fakes that lie among the photos",
        ),
        ReportRow(
            "density", f"{quality.density:.2f}", f"{quality.density_floor:.2f}", "how deep among the photos: 1 is right"
        ),
        ReportRow(
            "coverage",
            f"{quality.coverage:.2f}",
            f"{quality.coverage_floor:.2f}",
            f"share of photos with a fake nearby: {quality.coverage_ideal:.2f} is ideal here",
        ),
        ReportRow(
            "MS-SSIM",
            f"{quality.ms_ssim:.3f}",
            f"{quality.ms_ssim_real:.3f}",
            "likeness of two random images: more than the photos' is too little variety",
        ),
        ReportRow(
            "spectrum",
            f"{quality.spectrum_distance_db:.1f} dB",
            f"{quality.spectrum_floor_db:.1f} dB",
            "difference in grain and detail: 3 dB is twice or half the power",
        ),
    ]


def _rows_of_second(second: Judgement) -> list[ReportRow]:
    """In the eyes of another network."""
    return [
        ReportRow(
            "KID, second",
            _kid(second.kid_x1000, second.kid_x1000_interval),
            _kid(second.kid_x1000_floor, second.kid_x1000_floor_interval),
            f"KID × 1000 in the eyes of {second.features}",
        ),
        ReportRow(
            "precision, coverage",
            f"{second.precision:.2f}, {second.coverage:.2f}",
            f"{second.precision_floor:.2f}, {second.coverage_floor:.2f}",
            f"both in the eyes of {second.features}",
        ),
    ]


def _rows_of_classes(classes: Classwise) -> list[ReportRow]:
    def one(
        distance: float | None, interval: tuple[float, float] | None, among: tuple[float | None, float | None],
        right: float | None,
    ) -> str:  # fmt: skip
        said = "none" if right is None else f"{100 * right:.0f} % right"
        if distance is None or interval is None:
            return said
        precision, coverage = among
        return f"{distance:.0f} ({interval[0]:.0f} to {interval[1]:.0f}), {precision:.2f}, {coverage:.2f}, {said}"

    return [
        ReportRow(
            "labels right",
            percent(classes.accuracy),
            percent(classes.accuracy_real),
            "share that a classifier of the training photos names as they are labelled, every class alike",
        ),
        *(
            ReportRow(
                each.name,
                one(each.kid_x1000, each.kid_x1000_interval, (each.precision, each.coverage), each.named_right),
                one(
                    each.kid_x1000_floor, each.kid_x1000_floor_interval,
                    (each.precision_floor, each.coverage_floor), each.named_right_real,
                ),
                f"KID × 1000, precision, coverage and labels right of this class: {each.n_fake} images, {each.n_real} "
                "real photos",
            )
            for each in classes.classes
        ),
    ]  # fmt: skip


def _rows_of_lines(lines: LineFigures) -> list[ReportRow]:
    """Of the strongest line of each image."""

    def shares(of: dict[str, float]) -> str:
        return " ".join(f"{100 * of[name]:.0f}" for name in DIRECTION_KINDS) + " %"

    directions = ReportRow(
        "direction of lines",
        f"{shares(lines.shares)}, off by {lines.distances['direction']:.2f}",
        f"{shares(lines.shares_real)}, {lines.distances_floor['direction']:.2f}",
        "share of strongest lines that lie, rise, stand and fall; off by: the share that would have to turn",
    )
    along = ReportRow(
        "along the pixels",
        percent(lines.shares[ALIGNED]),
        percent(lines.shares_real[ALIGNED]),
        "share of strongest lines within half a degree of the pixels' rows or columns",
    )
    period = max(lines.ripples, key=lines.ripples.__getitem__)
    rippled = ReportRow(
        "ripples",
        f"{lines.ripples[period]:+.1f} dB ({period})",
        f"{lines.ripples_floor[period]:+.1f} dB",
        "beside lines, above the photos' ripples of this period, where they exceed these most",
    )
    return [
        directions,
        *(
            ReportRow(
                name if name == "detail" else f"{name} of lines",
                f"{lines.medians[name]:.{digits}f}, off by {lines.distances[name]:.2f}",
                f"{lines.medians_real[name]:.{digits}f}, {lines.distances_floor[name]:.2f}",
                f"{meaning}, the middle one; off by: how far they would have to move, in the photos' deviations",
            )
            for name, meaning in ATTRIBUTES.items()
            for digits in (0 if name in _WHOLE else 1,)
        ),
        along,
        rippled,
    ]


def _rows_of_spots(spots: Spots) -> list[ReportRow]:
    rough, shade = spots.rough, spots.shade
    return [
        ReportRow(
            "patch",
            f"{percent(rough.images)} {rough.place}",
            percent(rough.photos),
            f"share of the finest structure in that of 64 cells that differs most surely, {_surely(rough)}",
        ),
        ReportRow(
            "shadow",
            f"{shade.images:+.1f} {shade.place}",
            f"{shade.photos:+.1f}",
            f"grey levels above the image's mean in that of 256 cells that differs most surely, {_surely(shade)}",
        ),
    ]


def _surely(spot: Spot) -> str:
    return f"by {spot.errors:.0f} standard errors; photos among themselves {spot.errors_floor:.0f}"


def _rows_of_places(fakes: Places, photos: Places) -> list[ReportRow]:
    grid, echo = worst_grid(fakes, photos), loudest_echo(fakes, photos)
    return [
        ReportRow(
            "grid",
            f"{fakes.grids[grid]:.2f} ({grid})",
            f"{photos.grids[grid]:.2f}",
            f"how much the sharpest lines keep to a grid: 1 is always, up to {fakes.chances[grid]:.2f} is chance",
        ),
        ReportRow(
            "same places",
            percent(fakes.commonest),
            percent(photos.commonest),
            "share of images whose sharpest line stands in one of three columns or rows",
        ),
        ReportRow(
            "echo",
            f"{fakes.echoes[echo]:.2f} ({echo})",
            f"{photos.echoes[echo]:.2f}",
            "how much pairs of lines prefer a distance, where it exceeds the photos' most",
        ),
        ReportRow(
            "common grain",
            percent(max(0.0, fakes.common_grain)),
            percent(max(0.0, photos.common_grain)),
            "share of the fine structure that is the same in all images",
        ),
    ]


def _rows_of_copying(quality: Quality) -> list[ReportRow]:
    copying, pixels, shifted = quality.copying, quality.pixel_copying, quality.shifted_copying
    if copying is None or pixels is None or shifted is None:
        return [ReportRow("copying", "not asked", "", "needs the photos that were trained on: `train`")]
    return [
        ReportRow(
            "train distance", f"{copying.ratio:.2f} ×", "1.00 ×", "median distance to the nearest training image"
        ),
        ReportRow(
            "near",
            percent(copying.below_5th),
            "5.0 %",
            "share nearer to a training image than 95 % of held-out photos are",
        ),
        ReportRow(
            "very near",
            percent(copying.below_1st),
            "1.0 %",
            "share nearer to a training image than 99 % of held-out photos are",
        ),
        ReportRow(
            "pixel distance",
            f"{pixels.ratio:.2f} ×",
            "1.00 ×",
            "train distance by pixels at 32×32, whatever the brightness",
        ),
        ReportRow("pixels very near", percent(pixels.below_1st), "1.0 %", "very near, by pixels"),
        ReportRow(
            "shifted very near",
            percent(shifted.below_1st),
            "1.0 %",
            "very near, by the pixels of its middle, wherever that lies in the training image",
        ),
        ReportRow("copying", quality.copying_verdict or "", "", copying_rule(quality)),
    ]


def copying_rule(quality: Quality) -> str:
    """What the verdict on copies follows from, in a line; nothing where they were not looked for."""
    if quality.copying is None:
        return ""
    return (
        f"copies: very near above {100 * quality.copying.copies_above:.0f} %; suspected: above "
        f"{100 * quality.copying.suspected_above:.0f} %, or train distance below {SUSPECTED_RATIO} ×, in any way"
    )
