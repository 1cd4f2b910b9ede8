"""What was found of a detector as one HTML file, which holds its pictures."""

from __future__ import annotations

from html import escape
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from gan.evaluation.embedded import held_grid
from gan.evaluation.mask_page import outlined
from gan.robustness.changes import CHANGES
from gan.robustness.charts import STYLE, chart_of_shares, dot, rows_of_rates
from gan.robustness.photos import Targets
from gan.robustness.pod import PodCurve
from gan.robustness.result import ChangeRate, Robustness
from gan.robustness.slices import Slice
from gan.robustness.summary import method_line, plane_line, pod_line, robustness_json, slices_line, verdict
from models.files import write_atomically
from models.page import page

SHOWN = 8
"""Pictures of a slice."""
_LARGEST = 192
"""Pixels of the longer side of a picture; smaller ones are enlarged to half of it, pixel by pixel."""
_LEAST_CHANCE = 0.0001


def write_page(path: Path, found: Robustness, targets: Targets) -> None:
    """Write the HTML file; it needs no other file and no network.

    Raises:
        CommandError, OSError: where it cannot be written.
    """
    text = robustness_page(found, targets)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def robustness_page(found: Robustness, targets: Targets) -> str:
    """The report as HTML."""
    facts = [
        f"Photos: <code>{escape(found.data)}</code>, {found.image_size[0]}×{found.image_size[1]} px, defects measured "
        f"by {found.found_by}",
        f"Threshold: {found.threshold:.4g}, {escape(found.threshold_by)}",
        f"Recall: {found.recall}, with its 95 % interval",
        "False alarms: " + ("no photos without a defect were given" if found.false_alarms is None
                            else str(found.false_alarms)),
    ]  # fmt: skip
    body = [
        STYLE,
        f'<ul class="distrust"><li>{escape(verdict(found))}</li></ul>',
        _list(facts),
        _list([escape(note) for note in found.notes]),
        "<h2>The worst slices</h2>",
        f"<p>{escape(slices_line(found))}. Shown are missed defects, those with the lowest score first, outlined in "
        "orange where they were measured.</p>",
        *(_slice(each, targets) for each in found.slices),
        "<h2>Probability of detection</h2>",
        f"<p>{escape(method_line())} Dots are the recall of bins.</p>",
        f'<div class="panels">{"".join(_pod(curve, found) for curve in found.pod.values())}</div>',
        f"<p>Both together: {escape(plane_line(found.plane))}.</p>",
        "<h2>Recall by what defects are like</h2>",
        "<p>With 95 % intervals (Wilson). The dotted line is the recall of all.</p>",
        '<div class="panels">',
        *(_bins(name, found) for name in found.bins),
        "</div>",
        *_changes(found),
        f"<details><summary>All numbers</summary><pre>{escape(robustness_json(found))}</pre></details>",
    ]
    return page(f"What {found.detector} misses", "\n".join(body))


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _slice(found: Slice, targets: Targets) -> str:
    luck = f"chance {found.chance:.2g}" if found.sure else "may be chance"
    if found.chance < _LEAST_CHANCE:
        luck = f"chance under {_LEAST_CHANCE}"
    shown = list(found.missed[:SHOWN])
    pictures = _pictures(targets, shown)
    names = ", ".join(targets.names[row] for row in shown)
    return (
        f"<figure><h3>{escape(found.name)}</h3><p>Recall {found.rate}; of all others {100 * found.others.share:.0f} %; "
        f"{luck}.</p>{held_grid(pictures, f'missed: {found.name}', SHOWN)}"
        f"<figcaption>{escape(names)}</figcaption></figure>"
    )


def _pictures(targets: Targets, rows: list[int]) -> Tensor:
    """Uint8 `[N, 3, H, W]`, outlined, of a size that fits a page."""
    images = torch.from_numpy(targets.images[rows]).permute(0, 3, 1, 2)
    assert targets.masks is not None
    masks = torch.from_numpy(targets.masks[rows])[:, None].to(torch.uint8)
    times = -(-max(images.shape[2:]) // _LARGEST)
    if times > 1:
        smaller = interpolate(images.float(), scale_factor=1 / times, mode="area")
        images = smaller.round().to(torch.uint8)
        masks = max_pool2d(masks.float(), times, ceil_mode=True)[..., : images.shape[2], : images.shape[3]].to(
            torch.uint8
        )
    shown = outlined(images, masks)
    larger = max(1, _LARGEST // 2 // max(shown.shape[2:]))
    return shown.repeat_interleave(larger, 2).repeat_interleave(larger, 3)


def _pod(curve: PodCurve, found: Robustness) -> str:
    if curve.fault:
        return f"<figure><figcaption>{escape(curve.attribute)}: {escape(pod_line(curve))}</figcaption></figure>"
    chart = chart_of_shares(
        f"probability of detection over {curve.attribute}", f"{curve.attribute}, {curve.unit}", curve.smallest,
        curve.largest, log=True,
    )  # fmt: skip
    chart.band(list(zip(curve.sizes, curve.low, strict=True)), list(zip(curve.sizes, curve.high, strict=True)))
    chart.line(list(zip(curve.sizes, curve.pod, strict=True)))
    for each in found.bins.get(curve.attribute, ()):
        if each.middle is not None:
            dot(chart, each.middle, each.rate)
    for name, size in (("a50", curve.a50), ("a90", curve.a90), ("a90/95", curve.a90_95)):
        if size is not None:
            chart.mark(size, name)
    caption = f"<figcaption><strong>{curve.attribute.capitalize()}</strong> {escape(pod_line(curve))}</figcaption>"
    return f"<figure>{caption}{chart.svg()}</figure>"


def _bins(name: str, found: Robustness) -> str:
    rates = [(each.name, each.rate) for each in found.bins[name]]
    drawn = rows_of_rates(f"recall by {name}", rates, found.recall)
    return f"<figure><figcaption><strong>{name.capitalize()}</strong></figcaption>{drawn}</figure>"


def _changes(found: Robustness) -> list[str]:
    if not found.changes:
        return []
    charts = []
    for change in CHANGES:
        rates = found.changes[change.name]
        charts.append(
            f"<figure><figcaption><strong>{change.name.capitalize()}</strong> {escape(change.meaning)}</figcaption>"
            f"{_change(change.name, change.unit, rates)}</figure>"
        )
    alarms = " Dashed: false alarms." if found.false_alarms is not None else ""
    return [
        "<h2>Recall where images change</h2>",
        f"<p>Over the strength of each change, 0 as they are, with 95 % intervals (Wilson).{alarms}</p>",
        f'<div class="panels">{"".join(charts)}</div>',
    ]


def _change(name: str, unit: str, rates: tuple[ChangeRate, ...]) -> str:
    chart = chart_of_shares(f"recall over the strength of {name}", unit, 0.0, rates[-1].strength)
    chart.line([(rate.strength, rate.recall.share) for rate in rates])
    for rate in rates:
        dot(chart, rate.strength, rate.recall)
    if rates[0].false_alarms is not None:
        chart.line(
            [(rate.strength, rate.false_alarms.share) for rate in rates if rate.false_alarms is not None], "other"
        )
    return chart.svg()
