"""Shares with their intervals as SVG, in the look of the pages of `gan-eval`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gan.robustness.rates import Rate
from models.chart import Chart, svg

_ROW, _NAME, _NUMBERS = 22, 190, 170
STYLE = """<style>
.panels figcaption { max-width: 380px; }
svg.rows { width: 580px; max-width: 100%; }
</style>"""
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def chart_of_shares(label: str, axis: str, low: float, high: float, log: bool = False) -> Chart:
    """An empty chart of shares, 0 to 1 upwards."""
    return Chart(label, axis, low, high, log=log, levels=_SHARES, in_percent=True)


def dot(chart: Chart, x: float, rate: Rate) -> None:
    """A share with its interval."""
    chart.dot(x, rate.share, rate.interval)


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
    return svg("rows", width, height, label, parts)
