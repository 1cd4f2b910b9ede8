"""Curves over something as SVG, in the look that all pages share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 380, 250, 44, 12, 14, 44
Points = Sequence[tuple[float, float]]


class Chart:
    """A drawing of something over something else.

    Args:
        label: what it shows, for those who cannot see it.
        axis: what is along it, with its unit.
        low, high: its ends.
        log: whether it is logarithmic.
        levels: the values upwards that have a line and a text, lowest first: the first and the last are the ends.
        in_percent: whether these are shares, which are told in percent.
    """

    def __init__(
        self, label: str, axis: str, low: float, high: float, *, log: bool = False, levels: Sequence[float],
        in_percent: bool = False,
    ) -> None:  # fmt: skip
        self._label, self._axis, self._log = label, axis, log
        self._low, self._high = (math.log(low), math.log(high)) if log else (low, high)
        self._least, self._most = levels[0], levels[-1]
        self._parts: list[str] = []
        for level in levels:
            y = self._y(level)
            told = f"{100 * level:g} %" if in_percent else f"{level:g}"
            self._parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{told}</text>'
            )
        for value in _ticks(low, high, log):
            x = self._x(value)
            self._parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{value:g}</text>')

    def line(self, points: Points, kind: str = "curve") -> None:
        """A curve."""
        self._parts.append(f'<polyline class="{kind}" points="{self._points(points)}"/>')

    def band(self, low: Points, high: Points) -> None:
        """What lies between two curves."""
        self._parts.append(f'<polygon class="band" points="{self._points([*low, *reversed(high)])}"/>')

    def dot(self, x: float, y: float, interval: tuple[float, float] | None = None, kind: str = "dot") -> None:
        """A value, and its interval where it has one."""
        at = self._x(x)
        if interval is not None:
            low, high = map(self._y, interval)
            self._parts.append(f'<line class="span" x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        self._parts.append(f'<circle class="{kind}" cx="{at:.1f}" cy="{self._y(y):.1f}" r="3"/>')

    def mark(self, x: float, name: str) -> None:
        """An upright line with a name."""
        at = self._x(x)
        if _LEFT <= at <= _WIDTH - _RIGHT:
            anchor = "end" if at > _WIDTH - 4 * _RIGHT else "middle"  # a name at the end would be cut off
            self._parts.append(
                f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
                f'<text x="{at:.1f}" y="{_TOP - 3}" text-anchor="{anchor}">{escape(name)}</text>'
            )

    def svg(self) -> str:
        """The drawing as HTML."""
        axis = (
            f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self._axis)}</text>'
        )
        return svg("chart", _WIDTH, _HEIGHT, self._label, [*self._parts, axis])

    def _x(self, value: float) -> float:
        at = math.log(value) if self._log else value
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at - self._low) / ((self._high - self._low) or 1)

    def _y(self, value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (self._most - value) / ((self._most - self._least) or 1)

    def _points(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)


def svg(kind: str, width: int, height: int, label: str, parts: Iterable[str]) -> str:
    """A drawing as HTML, made of these parts."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def levels_around(low: float, high: float) -> list[float]:
    """Four to nine round values, at equal steps, the first at or below `low` and the last at or above `high`."""
    span = (high - low) or abs(high) or 1.0
    ten = 10.0 ** math.floor(math.log10(span / 4))
    step = next(digit * ten for digit in (1, 2, 5, 10) if digit * ten >= span / 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{place * step:.6g}") for place in range(first, max(last, first + 1) + 1)]


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if not log:
        return [float(f"{low + (high - low) * part / 4:.6g}") for part in range(5)]
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [digit * 10.0**ten for ten in tens for digit in (1, 2, 5) if low <= digit * 10.0**ten <= high]
    return found or [float(f"{low:.2g}"), float(f"{high:.2g}")]
