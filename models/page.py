"""The look that all reports share, and the frame of one: a file that needs no other and no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape


def page(title: str, body: str) -> str:
    """An HTML page with this title, as a heading, too, and this HTML below it."""
    return _FRAME.format(title=escape(title), style=_STYLE, body=body)


def picture(png: bytes, text: str, width: int) -> str:
    """An HTML image that holds its PNG, so many pixels wide; `text` is for who does not see it."""
    content = base64.b64encode(png).decode()
    return f'<img alt="{escape(text)}" width="{width}" src="data:image/png;base64,{content}">'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, told: bool = False) -> str:
    """A table of texts, the first of a row being its name; without a head where that is empty.

    One of figures may be wider than a telephone, and is moved to the side there; one where things are `told` in words
    breaks its lines.
    """
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    above = f"<thead><tr>{titles}</tr></thead>" if head else ""
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    return f'<div class="wide"><table{" class=told" if told else ""}>{above}<tbody>{body}</tbody></table></div>'


_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}</body>
</html>
"""
_STYLE = """:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1120px; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; }
h1 { font-size: 1.5rem; }
h1, code, pre, figcaption { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td:nth-child(2), td:nth-child(3) { white-space: nowrap; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #8886; }
.told th, .told td:last-child { white-space: normal; }
.told td:last-child { overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
@media (max-width: 480px) { th, td { padding-right: .5rem; } }
small { font-weight: normal; }
td { font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; display: block; }
figure { margin: 0; }
figcaption, li { font-size: .85rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 1rem; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem; }
.panels { display: flex; flex-wrap: wrap; gap: .5rem 1rem; }
.panels figcaption { padding: .3rem 0; }
.distrust { font-weight: bold; }
.distrust li { font-size: 1rem; }
.key { display: inline-block; width: .9em; height: .9em; border-radius: 2px; vertical-align: -.1em; }
svg { max-width: 800px; font-size: 12px; fill: currentColor; }
svg line, svg polyline { fill: none; stroke-width: 2; }
svg.bars { display: block; max-width: 100%; min-width: 2.5rem; height: 28px; fill: #e8590c; }
svg .grid { stroke: #8886; stroke-width: 1; }
svg .real { stroke: currentColor; }
svg .fake { stroke: #e8590c; stroke-dasharray: 6 3; }
svg.chart { width: 380px; max-width: 100%; }
svg .band { fill: #e8590c33; stroke: none; }
svg .curve, svg .span { stroke: #e8590c; }
svg .other { stroke: currentColor; stroke-dasharray: 6 3; }
svg .mark { stroke: currentColor; stroke-width: 1; stroke-dasharray: 2 3; }
svg .dot { fill: #e8590c; }
svg .ring { fill: Canvas; stroke: currentColor; }
.drawn { max-width: 380px; }
pre { white-space: pre-wrap; }
"""
