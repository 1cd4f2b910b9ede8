"""A comparison of generated images with photos as one HTML file, which holds its pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from gan.evaluation.comparison import Quality, Sets
from gan.evaluation.copying import Pair
from gan.evaluation.embedded import held, held_grid
from gan.evaluation.mask_page import masks_section
from gan.evaluation.matrix import SCALE, matrix
from gan.evaluation.metrics import spectrum_2d
from gan.evaluation.panels import panels
from gan.evaluation.quality_rows import copying_rule, rows
from gan.evaluation.summary import headline, quality_json, remarks
from gan.evaluation.verdict import distrust, findings, not_asked
from models.files import write_atomically
from models.page import page
from models.picks import spread

SHOWN_IMAGES = 32


Words = Callable[[str], str]


def write_report(path: Path, quality: Quality, sets: Sets, pairs: list[Pair], words: Words = str) -> None:
    """Write the HTML file; it needs no other file and no network. `words` are those of `report_page`.

    Raises:
        CommandError, OSError: where it cannot be written.
    """
    text = report_page(quality, sets, pairs, words)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def report_page(quality: Quality, sets: Sets, pairs: list[Pair], words: Words = str) -> str:
    """The report as HTML; an argument that it names between backticks is said as `words` says it, or set as code."""

    def text(line: str) -> str:
        return re.sub("`([^`]+)`", r"<code>\1</code>", escape(words(line)))

    body = "".join(
        f"<tr><th>{escape(row.name)}</th><td>{escape(row.fakes)}</td><td>{escape(row.photos)}</td>"
        f"<td>{text(row.meaning)}</td></tr>"
        for row in rows(quality)
    )
    sources = [("Fakes", quality.fake), ("Real", quality.real), ("Train", quality.train)]
    where = "".join(f"<li>{name}: <code>{escape(path)}</code></li>" for name, path in sources if path)
    notes = "".join(f"<li>{text(line)}</li>" for line in remarks(quality))
    filled = _BODY.format(
        distrust=_distrust(quality, text),
        headline=escape(headline(quality)),
        where=where,
        rows=body,
        notes=notes,
        fakes=held_grid(_some(sets.fake.images), f"{min(SHOWN_IMAGES, quality.n_fake)} fakes"),
        reals=held_grid(_some(sets.real.images), f"{min(SHOWN_IMAGES, quality.n_real)} real photos"),
        pairs=_pairs(quality, pairs, text),
        spectrum=_spectrum(quality),
        directions=_directions(sets),
        panels=_panels(quality, sets),
        masks=masks_section(quality, sets),
        classes=_classes(quality),
        numbers=escape(words(quality_json(quality))),
    )
    return page(f"Quality of {quality.fake}", filled)


def _some(images: Tensor) -> Tensor:
    """As many as are shown, evenly spaced."""
    return images[spread(len(images), SHOWN_IMAGES)]


def _distrust(quality: Quality, text: Words) -> str:
    """The verdict as a list, or as the one sentence that it is where nothing was found."""
    found = findings(quality)
    if not found:
        return f"<p><strong>{text(distrust(quality))}</strong></p>"
    asked = not_asked(quality)
    items = "".join(f"<li>{escape(of[:1].upper() + of[1:])}</li>" for of in found)
    return f'<ul class="distrust">{items}</ul>' + (f"<p>{text(asked)}</p>" if asked else "")


def _panels(quality: Quality, sets: Sets) -> str:
    figures = "".join(
        f"<figure><figcaption><strong>{escape(panel.title)}</strong> {escape(panel.unit)}</figcaption>"
        f"{held(panel.picture, f'{panel.title}, photos beside generated images', panel.width)}</figure>"
        for panel in panels(quality, sets)
    )
    return f'<div class="panels">{figures}</div>'


def _classes(quality: Quality) -> str:
    """What is named what, of images and of photos; nothing where they have no labels."""
    if quality.classes is None:
        return ""
    names = quality.classes.names
    drawn = [
        (title, matrix(confusion, names))
        for title, confusion in (
            ("Generated images", quality.classes.confusion), ("Held-out photos", quality.classes.confusion_real)
        )
    ]  # fmt: skip
    figures = "".join(
        f"<figure><figcaption><strong>{title}</strong></figcaption>"
        f"{held(picture, f'{title}: what is named what', picture.width // SCALE)}</figure>"
        for title, picture in drawn
    )
    return (
        "<h2>Classes</h2><p>A small classifier that learned the classes from the training photos names each image. "
        "Rows are labels, columns what was named, in percent of the row. Off the diagonal are images that look like "
        "another class; photos show how far classes can be told apart at all.</p>"
        f'<div class="beside">{figures}</div>'
    )


def _pairs(quality: Quality, pairs: list[Pair], text: Words) -> str:
    if quality.copying is None:
        return f"<p>{text('Not looked for: that needs the photos that were trained on (`train`).')}</p>"
    figures = "".join(
        f"<figure>{held_grid(torch.stack([pair.fake, pair.train]), 'a fake and its nearest training image', 2)}"
        f"<figcaption>{pair.distance:.2f} ×<br>{escape(pair.fake_name)}<br>{escape(pair.train_name)}"
        f"{'' if pair.mirror == 'as it is' else f', {pair.mirror}'}</figcaption></figure>"
        for pair in pairs
    )
    return (
        f"<p>Verdict: <strong>{quality.copying_verdict}</strong> ({escape(copying_rule(quality))}). "
        f"The {len(pairs)} fakes that lie nearest to a training image, the nearest first: left the fake, right the "
        "training image, in the orientation in which it is nearest. The number is their distance over the median "
        "distance of held-out photos to theirs. Judge with your own eyes: a copy shows the same marks in the same "
        f'places.</p><div class="pairs">{figures}</div>'
    )


def _directions(sets: Sets) -> str:
    """The spectra of photos and fakes over both frequencies, on one scale."""
    both = torch.stack([spectrum_2d(images.images) for images in (sets.real, sets.fake)])
    low, high = both.quantile(0.01), both.quantile(0.999)
    shades = (255 * (both - low) / (high - low).clamp_min(1e-6)).clamp(0, 255).to(torch.uint8)
    return held_grid(shades[:, None], "power over both frequencies: photos left, fakes right", 2)


def _spectrum(quality: Quality) -> str:
    """Both curves as an SVG drawing."""
    width, height, left, bottom = 640, 280, 48, 40
    curves = {"real": quality.spectrum_real_db, "fake": quality.spectrum_fake_db}
    values = [value for curve in curves.values() for value in curve]
    low, high = 10 * int(min(values) // 10), 10 * int(max(values) // 10 + 1)
    last = len(quality.spectrum_real_db)

    def x(cycles: float) -> float:
        return left + (width - left - 12) * (cycles - 1) / max(last - 1, 1)

    def y(value: float) -> float:
        return 12 + (height - 12 - bottom) * (high - value) / (high - low)

    parts = [
        f'<line x1="{left}" x2="{width - 12}" y1="{y(level):.1f}" y2="{y(level):.1f}" class="grid"/>'
        f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level}</text>'
        for level in range(low, high + 1, 10)
    ]
    for cycles in [1, *(last * part // 4 for part in range(1, 5))]:
        parts.append(f'<text x="{x(cycles):.1f}" y="{height - bottom + 18}" text-anchor="middle">{cycles}</text>')
    for name, curve in curves.items():
        points = " ".join(f"{x(cycles):.1f},{y(value):.1f}" for cycles, value in enumerate(curve, 1))
        parts.append(f'<polyline class="{name}" points="{points}"/>')
    for row, (name, label) in enumerate((("real", "real photos"), ("fake", "fakes"))):
        place = 30 + 20 * row
        parts.append(f'<line class="{name}" x1="{width - 140}" x2="{width - 112}" y1="{place}" y2="{place}"/>')
        parts.append(f'<text x="{width - 104}" y="{place + 4}">{label}</text>')
    axis = f'<text x="{(left + width) / 2:.0f}" y="{height - 6}" text-anchor="middle">cycles per image</text>'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="power in dB over cycles per image">'
        f"{''.join(parts)}{axis}</svg>"
    )


_BODY = """<h2>What to distrust in these images</h2>
{distrust}
<p>{headline}</p>
<ul>{where}</ul>
<div class="beside">
<figure><h2>Generated images</h2>{fakes}</figure>
<figure><h2>Real photos</h2>{reals}</figure>
</div>
<h2>What the lines are like</h2>
<p><span class="key" style="background: #464646"></span> photos,
<span class="key" style="background: #e8590c"></span> generated images,
<span class="key" style="background: #dadada"></span> between two sets of photos: the share of the images whose
strongest line is so. Where the orange bar is missing, the images lack what photos have; where it stands far above the
others, they have too much of it. High orange bars at equal distances in the two panels of positions are a grid on which
the generator draws.</p>
{panels}
{masks}
{classes}
<h2>Figures</h2>
<div class="wide"><table>
<thead><tr><th></th><th>images</th><th>real photos</th><th>what it means</th></tr></thead>
<tbody>{rows}</tbody>
</table></div>
<ul>{notes}</ul>
<h2>Nearest training images</h2>
{pairs}
<h2>Spectrum</h2>
<p>Mean power in dB at each number of cycles per image, over all directions: grain and detail to the right. An
orange line above the other is too much of them, below it too little.</p>
{spectrum}
<p>The same over both frequencies, photos on the left and fakes on the right, the slowest in the middle: bright dots or
a mesh on the right alone are a grid on which the generator draws.</p>
{directions}
<details><summary>All numbers</summary><pre>{numbers}</pre></details>
"""
