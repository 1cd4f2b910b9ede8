"""What defects are like on one page: distributions of photos and synthetic images, and the gaps with their wishes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from html import escape

import torch
from torch import Tensor

from gan.evaluation.attribute_survey import AttributeSurvey
from gan.evaluation.attribute_words import RULE, headline, remarks, rows, shortage, values_of
from gan.evaluation.embedded import held, held_grid
from gan.evaluation.gaps import Gap
from gan.evaluation.histograms import Histogram, Samples, of_kinds, of_values
from gan.evaluation.mask_page import outlined
from gan.evaluation.panels import SCALE, bars
from gan.photos.read import ImageSet
from models.attributes import NUMBERS, UNITS, WORDS, found_mask
from models.page import page
from models.picks import spread

SHOWN = 32
"""Photos with their outlines, and as many synthetic images."""
_STEPS = {"direction": 15.0}


def attribute_page(survey: AttributeSurvey) -> str:
    """The page as HTML; it holds its pictures."""
    body = "".join(
        f"<tr><th>{escape(row.name)}</th><td>{escape(row.photos)}</td><td>{escape(row.synthetic)}</td>"
        f"<td>{escape(row.unit)}</td></tr>"
        for row in rows(survey)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in remarks(survey))
    return page(
        f"Attributes of {survey.photos.place}",
        f"<p>{escape(headline(survey))}</p><h2>Distributions</h2>{_KEY}{_panels(survey)}"
        '<div class="wide"><table><thead><tr><th></th><th>photos</th><th>synthetic</th><th></th></tr></thead>'
        f"<tbody>{body}</tbody></table></div><p>The middle value, and in brackets between which values four of five "
        f"are.</p><ul>{notes}</ul>{_gaps(survey)}{_examples(survey)}",
    )


_KEY = """<p><span class="key" style="background: #464646"></span> photos,
<span class="key" style="background: #e8590c"></span> synthetic images,
<span class="key" style="background: #dadada"></span> between two halves of the photos: the share of those with a defect
whose largest defect is so.</p>
"""


def _panels(survey: AttributeSurvey) -> str:
    figures = []
    for name, histogram in _histograms(survey).items():
        picture = bars(histogram)
        figures.append(
            f"<figure><figcaption><strong>{name.capitalize()}</strong> {escape(histogram.unit)}</figcaption>"
            f"{held(picture, f'{name} of defects, photos beside synthetic images', picture.width // SCALE)}</figure>"
        )
    return f'<div class="panels">{"".join(figures)}</div>'


def _histograms(survey: AttributeSurvey) -> dict[str, Histogram]:
    """Of each attribute of which there are two values at least among the photos, and one among synthetic images."""
    found = {}
    for name in NUMBERS:
        photos, made = (
            None if of is None else torch.from_numpy(values_of(of, name)) for of in (survey.photos, survey.synthetic)
        )
        if photos is not None and len(photos) > 1:
            found[name] = _beside(photos, made, partial(of_values, unit=UNITS[name], step=_STEPS.get(name)))
    words = WORDS["polarity"]
    photos, made = (
        None if of is None else torch.tensor([words.index(each.polarity) for each in of.found if each.polarity])
        for of in (survey.photos, survey.synthetic)
    )
    if photos is not None and len(photos) > 1:
        found["polarity"] = _beside(photos, made, lambda of: of_kinds(of, words, "than what is around the defect"))
    return found


def _beside(photos: Tensor, made: Tensor | None, histogram: Callable[[Samples], Histogram]) -> Histogram:
    """Without synthetic images their bars are missing."""
    drawn = histogram(Samples(photos, made if made is not None and len(made) else photos, photos[::2], photos[1::2]))
    if made is not None and len(made):
        return drawn
    return dataclasses.replace(drawn, images=(0.0,) * len(drawn.bars))


def _gaps(survey: AttributeSurvey) -> str:
    if not survey.gaps:
        return f"<h2>Gaps</h2><p>None. {RULE}</p>"
    found = "".join(
        f"<h3>{escape(name.capitalize())}</h3>" + "".join(_gap(survey, gap) for gap in gaps)
        for name, gaps in survey.gaps.items()
    )
    return (
        f"<h2>Gaps</h2><p>{RULE} The pictures are photos of the bins beside it, with their defects outlined; the "
        f"command makes images of the kind that is missing.</p>{found}"
    )


def _gap(survey: AttributeSurvey, gap: Gap) -> str:
    shown = held_grid(_outlined(survey.photos.images, list(gap.neighbours)), f"photos beside the gap {gap.wish}")
    return (
        f"<figure><figcaption><strong>{escape(gap.wish)}</strong>: {escape(shortage(gap))}<br>"
        f"<code>{escape(gap.command)}</code></figcaption>{shown}</figure>"
    )


def _examples(survey: AttributeSurvey) -> str:
    """What was measured, so that a person sees whether it is the defect."""
    sets = [("Photos", survey.photos), ("Synthetic images", survey.synthetic)]
    figures = "".join(
        f"<figure><figcaption><strong>{title}</strong></figcaption>"
        f"{held_grid(_outlined(of.images, spread(len(of.found), SHOWN)), f'{title}: outlines of the defects')}</figure>"
        for title, of in sets
        if of is not None
    )
    return (
        "<h2>Where the defects are</h2><p>Orange, just outside of what was measured. What is outlined and is no "
        f'defect was taken for one.</p><div class="beside">{figures}</div>'
    )


def _outlined(images: ImageSet, rows: list[int]) -> Tensor:
    shown = images.images[rows]
    if images.masks is not None:
        return outlined(shown, images.masks[rows])
    return outlined(shown, torch.stack([torch.from_numpy(found_mask(image)) for image in shown[:, 0].numpy()])[:, None])
