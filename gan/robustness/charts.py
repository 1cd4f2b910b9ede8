"""Curves and intervals as SVG, in the look of the pages of `gan-eval`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from gan.robustness.rates import Rate

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 380, 250, 44, 12, 14, 44
_ROW, _NAME, _NUMBERS = 22, 190, 170
STYLE = """<style>
svg .band { fill: #e8590c33; stroke: none; }
svg .curve { stroke: #e8590c; }
svg .other { stroke: currentColor; stroke-dasharray: 6 3; }
svg .mark { stroke: currentColor; stroke-width: 1; stroke-dasharray: 2 3; }
svg .dot { fill: #e8590c; }
svg .miss { fill: none; stroke: currentColor; }
svg .span { stroke: #e8590c; }
.panels figcaption { max-width: 380px; }
svg.chart { width: 380px; max-width: 100%; }
svg.rows { width: 580px; max-width: 100%; }
</style>"""
Points = Sequence[tuple[float, float]]


class Chart:
    """A drawing of shares, 0 to 1 upwards, over something.

    Args:
        label: what it shows, for those who cannot see it.
        axis: what is along it, with its unit.
        low, high: its ends.
        log: whether it is logarithmic.
    """

    def __init__(self, label: str, axis: str, low: float, high: float, log: bool = False) -> None:
        self._label, self._axis, self._log = label, axis, log
        self._low, self._high = (math.log(low), math.log(high)) if log else (low, high)
        self._parts: list[str] = []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            self._across(share, f"{100 * share:g} %")
        for value in _ticks(low, high, log):
            x = self._x(value)
            self._parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{value:g}</text>')

    def line(self, points: Points, kind: str = "curve") -> None:
        """A curve."""
        self._parts.append(f'<polyline class="{kind}" points="{self._points(points)}"/>')

    def band(self, low: Points, high: Points) -> None:
        """What lies between two curves."""
        self._parts.append(f'<polygon class="band" points="{self._points([*low, *reversed(high)])}"/>')

    def dot(self, x: float, rate: Rate, kind: str = "span") -> None:
        """A share with its interval."""
        low, high = (self._y(share) for share in rate.interval)
        at = self._x(x)
        self._parts.append(f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        self._parts.append(f'<circle class="dot" cx="{at:.1f}" cy="{self._y(rate.share):.1f}" r="3"/>')

    def mark(self, x: float, name: str) -> None:
        """An upright line with a name."""
        at = self._x(x)
        if _LEFT <= at <= _WIDTH - _RIGHT:
            self._parts.append(
                f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
                f'<text x="{at:.1f}" y="{_TOP - 3}" text-anchor="middle">{escape(name)}</text>'
            )

    def svg(self) -> str:
        """The drawing as HTML."""
        axis = (
            f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self._axis)}</text>'
        )
        return _svg("chart", _WIDTH, _HEIGHT, self._label, [*self._parts, axis])

    def _across(self, share: float, text: str) -> None:
        y = self._y(share)
        self._parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )

    def _x(self, value: float) -> float:
        at = math.log(value) if self._log else value
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at - self._low) / ((self._high - self._low) or 1)

    def _y(self, share: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    def _points(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)


def rows_of_rates(label: str, rates: Sequence[tuple[str, Rate]], whole: Rate) -> str:
    """A row each: its name, its share with the interval, and the numbers; behind them the share of all."""
    width, height = _NAME + 220 + _NUMBERS, _ROW * len(rates) + 8

    def x(share: float) -> float:
        return _NAME + 8 + 200 * share

    parts = [
        f'<line class="{kind}" x1="{x(share):.1f}" x2="{x(share):.1f}" y1="0" y2="{height}"/>'
        for kind, share in (("grid", 0), ("grid", 1), ("mark", whole.share))
    ]
    for row, (name, rate) in enumerate(rates):
        y = _ROW * row + _ROW / 2 + 4
        low, high = rate.interval
        parts.append(
            f'<text x="{_NAME}" y="{y + 4:.0f}" text-anchor="end">{escape(name)}</text>'
            f'<line class="span" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y:.0f}" y2="{y:.0f}"/>'
            f'<circle class="dot" cx="{x(rate.share):.1f}" cy="{y:.0f}" r="4"/>'
            f'<text x="{x(1) + 10:.0f}" y="{y + 4:.0f}">{escape(str(rate))}</text>'
        )
    return _svg("rows", width, height, label, parts)


def _svg(kind: str, width: int, height: int, label: str, parts: Iterable[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if not log:
        return [low + (high - low) * part / 4 for part in range(5)]
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [digit * 10.0**ten for ten in tens for digit in (1, 2, 5) if low <= digit * 10.0**ten <= high]
    return found or [float(f"{low:.2g}"), float(f"{high:.2g}")]
