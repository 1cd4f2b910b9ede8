"""Probability of detection (POD) over the size of a defect: a logistic curve through hits and misses.

The model, the numbers a50, a90 and a90/95 and the least number of targets are those of MIL-HDBK-1823A, "Nondestructive
Evaluation System Reliability Assessment" (2009), for hit/miss data: the logit of POD is linear in the logarithm of the
size. Confidence bounds are by profile likelihood, one point of the curve at a time, one-sided with 95 %: twice the fall
of the log-likelihood is held against χ² of one degree of freedom (Meeker and Escobar, "Teaching about approximate
confidence regions based on maximum likelihood estimation", The American Statistician 1995). Wald's bounds, symmetric in
the logit, are too narrow where few are missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Hits = NDArray[np.bool_]

LEAST_TARGETS = 60
"""Below it no a90/95 is given: MIL-HDBK-1823A asks for as many where an inspection says only hit or miss."""
LEAST_FITTED = 10
"""Targets below which no curve is drawn at all."""
_FALL = 2.705543454095404
"""χ² of one degree of freedom that 90 % lie below: its root is the deviation that 95 % lie below, one-sided."""
_FAR = 12.0
"""Logits, and logarithms of sizes in units of their range, beyond which no bound is looked for."""
FAR_OUT = 2.0
"""Times the largest target: a size beyond that says only that the curve does not get there."""
_NO_SIZE = 50.0
"""The logarithm of what is no size any more: so flat a curve does not grow."""
_ROUNDS = 50
_POINTS = 61
NO_CURVE = {
    "few": "too few targets for a curve",
    "all hit": "all are hit, so there is nothing to fit",
    "all missed": "all are missed, so there is nothing to fit",
    "one size": "all are of one size",
    "separated": "hits and misses do not overlap, so the curve is a step and has no bounds",
}


@dataclass(frozen=True)
class PodCurve:
    """Probability of detection over one attribute.

    Attributes:
        attribute, unit: such as `length`, `px`.
        targets, hits: how many defects were asked for, and found.
        left_out: targets without a value, or with one that has no logarithm.
        fault: a key of `NO_CURVE` where there is no curve; else empty.
        step: where hits and misses are separated, the largest missed and the smallest hit, or the other way round.
        intercept, slope: of the logit of POD over the natural logarithm; None without a curve.
        slope_error: standard error of the slope.
        a50, a90: sizes that are found with a probability of 50 and 90 %; None where POD does not grow.
        a90_95: the size below which a90 lies with 95 % confidence; None without a reason to have one.
        no_a90_95: why there is none; else empty.
        smallest, largest: of the targets.
        sizes: of the points below, ascending.
        pod, low, high: at these sizes the probability, and two bounds, each with 95 % confidence of its own.
    """

    attribute: str
    unit: str
    targets: int
    hits: int
    left_out: int = 0
    fault: str = ""
    step: tuple[float, float] | None = None
    intercept: float | None = None
    slope: float | None = None
    slope_error: float | None = None
    a50: float | None = None
    a90: float | None = None
    a90_95: float | None = None
    no_a90_95: str = ""
    smallest: float = 0.0
    largest: float = 0.0
    sizes: tuple[float, ...] = ()
    pod: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class PodPlane:
    """Probability of detection over length and contrast together.

    Attributes:
        targets: how many.
        fault: as of `PodCurve`.
        intercept, of_length, of_contrast: of the logit over both natural logarithms; None without a fit.
        errors: their standard errors.
        examples: contrast in gray levels, and the length in px that is found with 90 % at it; None where none is, or
            one far out of the targets' lengths.
    """

    targets: int
    fault: str = ""
    intercept: float | None = None
    of_length: float | None = None
    of_contrast: float | None = None
    errors: tuple[float, ...] = ()
    examples: tuple[tuple[float, float | None], ...] = ()


def pod_curve(attribute: str, unit: str, sizes: Values, hits: Hits, points: int = _POINTS) -> PodCurve:
    """Fit hits and misses.

    Args:
        attribute, unit: of the sizes.
        sizes: `[N]`; NaN and what is not above 0 is left out.
        hits: `[N]`, whether each was found.
        points: of the curve with its bounds; 0: the numbers alone.
    """
    known = np.isfinite(sizes) & (sizes > 0)
    left_out, sizes, hits = int((~known).sum()), sizes[known], hits[known]
    logs = np.log(sizes)
    found = PodCurve(attribute, unit, len(sizes), int(hits.sum()), left_out)
    fault = _fault(logs[:, None], hits)
    if fault:
        return replace(found, fault=fault, step=_step(sizes, hits) if fault == "separated" else None)
    curve = _Curve(logs, hits)
    slope = curve.slope
    a50, a90 = (_size_at(curve, share) for share in (0.5, 0.9))
    a90_95, reason = _a90_95(curve, len(sizes))
    at = np.linspace(logs.min(), logs.max(), points)
    bounds = np.array([curve.bounds(place) for place in at]).reshape(-1, 2)
    return replace(
        found, intercept=curve.intercept, slope=slope, slope_error=curve.slope_error,
        a50=a50, a90=a90, a90_95=a90_95, no_a90_95=reason,
        smallest=float(sizes.min()), largest=float(sizes.max()),
        sizes=tuple(np.exp(at).tolist()), pod=tuple(_share(curve.intercept + slope * at).tolist()),
        low=tuple(_share(bounds[:, 0]).tolist()), high=tuple(_share(bounds[:, 1]).tolist()),
    )  # fmt: skip


def pod_plane(lengths: Values, contrasts: Values, hits: Hits) -> PodPlane:
    """Fit hits and misses `[N]` over lengths in px and contrasts in gray levels together."""
    known = np.isfinite(lengths) & np.isfinite(contrasts) & (lengths > 0) & (contrasts > 0)
    both = np.log(np.column_stack([lengths, contrasts])[known])
    hits = hits[known]
    fault = _fault(both, hits)
    if fault:
        return PodPlane(len(hits), fault)
    design = np.column_stack([np.ones(len(both)), both])
    found = _maximum(design, hits)
    intercept, of_length, of_contrast = found.tolist()
    examples: list[tuple[float, float | None]] = []
    for quantile in (0.1, 0.5, 0.9):
        contrast = float(np.quantile(both[:, 1], quantile))
        log = (_logit(0.9) - intercept - of_contrast * contrast) / of_length if of_length > 0 else np.inf
        within = both[:, 0].min() - np.log(FAR_OUT) <= log <= both[:, 0].max() + np.log(FAR_OUT)
        examples.append((float(np.exp(contrast)), float(np.exp(log)) if within else None))
    return PodPlane(
        len(hits), "", intercept, of_length, of_contrast, tuple(_errors(design, found).tolist()), tuple(examples)
    )


def separated(values: Values, hits: Hits) -> bool:
    """Whether a line (a plane) parts hits and misses, so that no logistic curve fits best.

    Args:
        values: `[N, K]`.
        hits: `[N]`.

    Some direction then has no target on its wrong side, and one that is not on the line itself: a linear programme
    (Konis, "Linear programming algorithms for detecting separated data in binary logistic regression models", 2007).
    """
    from scipy.optimize import linprog

    centred = (values - values.mean(0)) / np.maximum(values.std(0), 1e-12)
    sides = np.where(hits, 1.0, -1.0)[:, None] * np.column_stack([np.ones(len(values)), centred])
    found = linprog(-sides.sum(0), A_ub=-sides, b_ub=np.zeros(len(sides)), bounds=(-1, 1))
    return bool(-found.fun > 1e-6)


class _Curve:
    """A logistic curve of greatest likelihood, and its bounds."""

    def __init__(self, logs: Values, hits: Hits) -> None:
        self.logs, self.hits = logs, hits
        design = np.column_stack([np.ones(len(logs)), logs])
        found = _maximum(design, hits)
        self.intercept, self.slope = found.tolist()
        self.slope_error = float(_errors(design, found)[1])
        self.best = _likelihood(design @ found, hits)
        self._covariance = np.linalg.inv(_information(design, design @ found))

    def at(self, share: float) -> float:
        """The logarithm of the size that is found with this probability."""
        return float((_logit(share) - self.intercept) / self.slope)

    def fall(self, log: float, logit: float) -> float:
        """Twice what the log-likelihood loses where the curve must pass this point."""
        design = (self.logs - log)[:, None]
        offset = np.full(len(self.logs), logit)
        slope = _maximum(design, self.hits, offset, np.array([self.slope]))
        return 2 * (self.best - _likelihood(offset + design @ slope, self.hits))

    def bounds(self, log: float) -> tuple[float, float]:
        """The lowest and the highest logit at a place, each one-sided with 95 % confidence."""
        from scipy.optimize import brentq

        middle = self.intercept + self.slope * log
        point = np.array([1.0, log])
        step = float(np.sqrt(_FALL * (point @ self._covariance @ point)))
        found = []
        for way in (-step, step):
            far = way
            while self.fall(log, middle + far) < _FALL and abs(far) < _FAR:
                far *= 1.5
            reached = self.fall(log, middle + far) >= _FALL
            by = brentq(lambda by: self.fall(log, middle + by) - _FALL, 0, far, xtol=1e-4) if reached else far
            found.append(float(middle + by))
        return found[0], found[1]

    def upper(self, share: float) -> float | None:
        """The logarithm below which the size of this probability lies with 95 % confidence; None where nothing tells.

        There the lower bound of the curve reaches that probability.
        """
        from scipy.optimize import brentq

        logit, start = _logit(share), self.at(share)
        extent = float(np.ptp(self.logs))
        by = extent / 16
        while self.fall(start + by, logit) < _FALL:
            by *= 1.5
            if by > _FAR * extent:
                return None
        return float(brentq(lambda log: self.fall(log, logit) - _FALL, start, start + by, xtol=1e-6))


def _size_at(curve: _Curve, share: float) -> float | None:
    log = curve.at(share) if curve.slope > 0 else np.inf
    return float(np.exp(log)) if abs(log) < _NO_SIZE else None


def _a90_95(curve: _Curve, targets: int) -> tuple[float | None, str]:
    if curve.slope <= 0:
        return None, "recall does not grow with it"
    if targets < LEAST_TARGETS:
        return None, f"{targets} targets, {LEAST_TARGETS} are needed (MIL-HDBK-1823A)"
    log = curve.upper(0.9)
    if log is None:
        return None, "it is not sure that recall grows with it"
    return float(np.exp(log)), ""


def _fault(values: Values, hits: Hits) -> str:
    """Why there is no curve over values `[N, K]`; empty where there is one."""
    if len(hits) and hits.all():
        return "all hit"
    if len(hits) and not hits.any():
        return "all missed"
    if len(hits) < LEAST_FITTED:
        return "few"
    if not np.ptp(values, axis=0).all():
        return "one size"
    return "separated" if separated(values, hits) else ""


def _step(sizes: Values, hits: Hits) -> tuple[float, float]:
    missed, hit = sizes[~hits], sizes[hits]
    if missed.max() <= hit.min():
        return float(missed.max()), float(hit.min())
    return float(hit.max()), float(missed.min())


def _maximum(design: Values, hits: Hits, offset: Values | None = None, start: Values | None = None) -> Values:
    """The coefficients `[K]` of greatest likelihood: Newton's method, whose steps are halved where they overshoot."""
    found = np.zeros(design.shape[1]) if start is None else start
    offset = np.zeros(len(design)) if offset is None else offset
    logits = offset + design @ found
    reached = _likelihood(logits, hits)
    for _ in range(_ROUNDS):
        slope = design.T @ (hits - _share(logits))
        step = np.linalg.solve(_information(design, logits) + 1e-12 * np.eye(len(found)), slope)
        size = 1.0
        while size > 1e-6 and _likelihood(offset + design @ (found + size * step), hits) < reached:
            size /= 2
        found = found + size * step
        logits = offset + design @ found
        before, reached = reached, _likelihood(logits, hits)
        if reached - before < 1e-9:
            break
    return found


def _information(design: Values, logits: Values) -> Values:
    """Fisher's, `[K, K]`."""
    share = _share(logits)
    return (design * (share * (1 - share))[:, None]).T @ design


def _errors(design: Values, found: Values) -> Values:
    errors: Values = np.sqrt(np.diag(np.linalg.inv(_information(design, design @ found))))
    return errors


def _likelihood(logits: Values, hits: Hits) -> float:
    return float(-np.logaddexp(0, np.where(hits, -logits, logits)).sum())


def _share(logits: Values) -> Values:
    share: Values = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    return share


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))
