"""A proof of use as one HTML file, which holds its pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from gan.evaluation.embedded import held_grid
from gan.usefulness.design import ALL
from gan.usefulness.outcome import Outcome, cells, told
from gan.usefulness.teaching import Material
from gan.usefulness.verdict import BudgetVerdict
from models.files import write_atomically
from models.page import page
from models.picks import spread

_SHOWN = 16
_HEAD = ("arm", "images", "score", "95 % interval", "gain", "95 % interval", "p (Holm)")


def write_page(path: Path, outcome: Outcome, material: Material, words: Callable[[str], str] = str) -> None:
    """Write the HTML file; it needs no other file and no network. `words` are those of `gan.evaluate`.

    Raises:
        CommandError, OSError: where it cannot be written.
    """
    text = usefulness_page(outcome, material, words)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def usefulness_page(outcome: Outcome, material: Material, words: Callable[[str], str]) -> str:
    """The report as HTML."""
    parts = [_section(outcome, found, material) for found in outcome.verdicts]
    notes = "".join(f"<li>{_text(words(line))}</li>" for line in outcome.remarks())
    images = material.made[0].images
    made = held_grid(images[spread(len(images), _SHOWN)], f"{_SHOWN} synthetic images")
    body = _BODY.format(
        sentence=escape(outcome.sentence), curve=_curve(outcome), parts="".join(parts), notes=notes, made=made
    )
    return page("Do the synthetic images help?", body)


def _text(line: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(line))


def _section(outcome: Outcome, found: BudgetVerdict, material: Material) -> str:
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(result))}</tr>" for result in found.results
    )
    return (
        f"<h2>{escape(told(found.budget)).capitalize()}</h2><p>{escape(outcome.sentence_of(found))}.</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{_changed(found, material)}"
    )


def _changed(found: BudgetVerdict, material: Material) -> str:
    """Test photos whose answer changed in most runs."""
    drawn = []
    for title, places in zip(("From wrong to right", "From right to wrong"), found.changed, strict=True):
        shown = [material.test[place] for place in places[:_SHOWN]]
        grid = held_grid(material.photos.images[shown], title) if shown else "<p>none</p>"
        named = ", ".join(escape(material.photos.names[place]) for place in shown)
        caption = f"<figcaption>{named}</figcaption>"
        drawn.append(f"<figure><h3>{title}: {len(places)} photos</h3>{grid}{caption}</figure>")
    return f'<div class="beside">{"".join(drawn)}</div>'


def _curve(outcome: Outcome) -> str:
    """Gain against budget as an SVG drawing; nothing for one budget."""
    found = sorted((each for each in outcome.verdicts if each.budget != ALL), key=lambda each: each.budget)
    if len(found) < 2:
        return ""
    width, height, left, bottom, top = 640, 280, 64, 40, 12
    low = min(0.0, *(each.gain.low for each in found))
    high = max(0.0, *(each.gain.high for each in found))
    first, last = math.log(found[0].budget), math.log(found[-1].budget)

    def x(budget: int) -> float:
        return left + 24 + (width - left - 60) * (math.log(budget) - first) / (last - first)

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / max(high - low, 1e-9)

    parts = [f'<line class="grid" x1="{left}" x2="{width - 12}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>']
    for value in {low, 0.0, high}:
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:+.3f}</text>')
    for each in found:
        at = f"{x(each.budget):.1f}"
        parts.append(
            f'<line class="fake" x1="{at}" x2="{at}" y1="{y(each.gain.low):.1f}" y2="{y(each.gain.high):.1f}"/>'
        )
        parts.append(f'<circle cx="{at}" cy="{y(each.gain.value):.1f}" r="4"/>')
        parts.append(f'<text x="{at}" y="{height - bottom + 18}" text-anchor="middle">{each.budget}</text>')
    points = " ".join(f"{x(each.budget):.1f},{y(each.gain.value):.1f}" for each in found)
    label = f'<text x="{width / 2:.0f}" y="{height - 6}" text-anchor="middle">real photos a class</text>'
    return (
        "<h2>Gain against budget</h2><p>What synthetic images add to the metric, with 95 % intervals.</p>"
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="gain over real photos a class">'
        f'<polyline class="fake" points="{points}"/>{"".join(parts)}{label}</svg>'
    )


_BODY = """<p class="distrust">{sentence}.</p>
{curve}
{parts}
<h2>What was run</h2>
<ul>{notes}</ul>
<h2>Synthetic images</h2>
{made}
"""
