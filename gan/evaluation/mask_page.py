"""The masks on the page of a comparison: outlines upon images beside photos, and panels of what defects are like."""

from __future__ import annotations

from html import escape

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from gan.evaluation.comparison import Quality, Sets
from gan.evaluation.embedded import held, held_grid
from gan.evaluation.panels import IMAGES, Panel, bars
from gan.photos.read import ImageSet
from models.picks import spread

SHOWN_PAIRS = 64


def masks_section(quality: Quality, sets: Sets) -> str:
    """HTML; nothing where masks were not compared."""
    masks = quality.masks
    if masks is None:
        return ""
    panels = [
        Panel(name.capitalize(), figure.unit, bars(figure.histogram))
        for name, figure in masks.figures.items()
        if figure.histogram is not None
    ]
    figures = "".join(
        f"<figure><figcaption><strong>{escape(panel.title)}</strong> {escape(panel.unit)}</figcaption>"
        f"{held(panel.picture, f'{panel.title} of defects, photos beside generated images', panel.width)}</figure>"
        for panel in panels
    )
    return (
        "<h2>Masks</h2><p>What the masks say of the defects: bars as above, and outlines in orange just outside of the "
        "masks. A mask is right where the defect fills its outline, as it does in photos.</p>"
        f'<div class="panels">{figures}</div>'
        + _beside(sets, "", *(spread(len(images.names), SHOWN_PAIRS) for images in (sets.fake, sets.real)))
        + "<p>Those whose defects are longest for their width, the longest first:</p>"
        + _beside(sets, "longest, thinnest ", masks.slender, masks.slender_real)
    )


def _beside(sets: Sets, kind: str, rows: list[int] | tuple[int, ...], real_rows: list[int] | tuple[int, ...]) -> str:
    columns = (("Generated pairs", sets.fake, rows), ("Real pairs", sets.real, real_rows))
    figures = "".join(
        f"<figure><figcaption><strong>{title}</strong></figcaption>"
        f"{held_grid(_outlined(images, list(shown)), f'{kind}{title.lower()}: outlines of the masks')}</figure>"
        for title, images, shown in columns
        if shown
    )
    return f'<div class="beside">{figures}</div>'


def _outlined(images: ImageSet, rows: list[int]) -> Tensor:
    assert images.masks is not None
    return outlined(images.images[rows], images.masks[rows])


def outlined(images: Tensor, masks: Tensor) -> Tensor:
    """Images uint8 `[N, C, H, W]` in colour, with the pixels just outside of masks `[N, 1, H, W]` in orange."""
    defect = (masks > 0).float()
    border = (max_pool2d(defect, 3, 1, 1) - defect) > 0
    colour = torch.tensor(IMAGES, dtype=torch.uint8)[None, :, None, None]
    return torch.where(border, colour, images.expand(-1, 3, -1, -1))
