"""A run's report as one HTML file, which holds its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from jobs.checks.looks import AttributeSpread
from jobs.checks.run_facts import Check, RunReport
from jobs.dataset.state import COMPLETE, REJECTED
from models.attributes import UNITS
from models.info import GeneratorInfo
from models.machine import in_words
from models.page import page, picture, table
from models.progress import duration

_MARKS = {True: "✓", False: "✗", None: "–"}
_MOST_WIDE = 1120


def report_page(run: RunReport) -> str:
    """The report as HTML."""
    parts = (
        _headline(run), _pictures(run), _mix(run), _quality(run), _defects(run), _checks(run.checks), _origin(run),
        _times(run),
    )  # fmt: skip
    return page(f"Run {run.place}", "".join(parts))


def _headline(run: RunReport) -> str:
    status, plan = run.status, run.plan
    colour = "gray" if plan.mode == "L" else "colour"
    there = f"{status.committed:,} of {status.count:,} images" if status.committed != status.count else (
        f"{status.count:,} images"
    )  # fmt: skip
    what = (
        f"{there} of {plan.width}×{plan.height}, {colour}, {'with masks, ' if plan.has_masks else ''}seed {plan.seed}"
    )
    wish = f"<p>All of them were chosen to be so: <code>{escape(str(plan.wish))}</code></p>" if plan.wish else ""
    state = "<strong>Complete</strong>: " if status.state == COMPLETE else ""
    return f"<p>{state}{escape(what)}.</p>{wish}{_warning(run)}"


def _warning(run: RunReport) -> str:
    """What to know before the images are used; nothing where the run is complete."""
    status = run.status
    if status.state == COMPLETE:
        return ""
    told = {REJECTED: "The quality gate rejected this run: look at what it found before the images are used."}
    missing = f"{status.count - status.committed:,} images are missing"
    usual = f"This run is {status.state}, and {missing}. All here is of those that are there."
    error = f" It last stopped: {status.last_error}." if status.last_error else ""
    return f'<p class="distrust">{escape(told.get(status.state, usual) + error)}</p>'


def _pictures(run: RunReport) -> str:
    figures = []
    for look in run.looks:
        name = f"{look.label}: " if look.label else ""
        outlined = ", each beside itself with its mask outlined" if run.plan.has_masks else ""
        text = f"{name}{look.shown} of {look.there:,} images, evenly spread{outlined}"
        shown = picture(look.sheet, text, min(look.width, _MOST_WIDE))
        figures.append(f"<figure><figcaption>{escape(text)}</figcaption>{shown}</figure>")
    return f"<h2>Images</h2>{''.join(figures) or '<p>None can be shown.</p>'}"


def _mix(run: RunReport) -> str:
    mix = run.plan.mix
    if mix is None:
        return ""
    counts, total = mix.counts(run.state.count), sum(mix.shares)
    rows = [
        (name, f"{share / total:.1%}", f"{count:,}", f"{run.committed.count(label):,}")
        for label, (name, share, count) in enumerate(zip(mix.names, mix.shares, counts, strict=True))
    ]
    return f"<h2>Mix</h2>{table(('class', 'share', 'images', 'there'), rows)}"


def _quality(run: RunReport) -> str:
    rows = list(_findings(run.quality or {}))
    if not rows:
        state = "has not judged this run yet" if run.status.state != COMPLETE else "was off"
        return f"<h2>Quality</h2><p>The quality gate {state}.</p>{_generator(run.info)}"
    head = ("fault", "", "images", "allowed")
    return f"<h2>Quality</h2>{table(head, rows, told=True)}{_generator(run.info)}"


def _findings(quality: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Rows of what quality.json tells; what is damaged in it is left out."""
    for each in quality.get("found") or ():
        try:
            count, of, allowed = int(each["count"]), int(each["of"]), float(each["allowed"])
            name = f"{each['label']}: {each['kind']}" if each.get("label") else str(each["kind"])
            yield name, _MARKS[count <= allowed * of], f"{count:,} of {of:,}", f"{allowed:.0%}"
        except (KeyError, TypeError, ValueError):
            continue


def _generator(info: GeneratorInfo | None) -> str:
    """What was measured of the generator, beside what photos would have."""
    if info is None or info.faults is None:
        return ""
    figures = info.training["figures"]
    rows = [("faults of the generator", "; ".join(info.faults) or "none found", "")]
    if isinstance(figures.get("diversity"), int | float):
        rows.append(("diversity", f"{figures['diversity']:.2f}", "1.00"))
    if isinstance(kid := info.training.get("kid_x1000"), int | float):
        rows.append(("KID × 1000", f"{kid:.1f}", "0"))
    shown = table(("", "its images", "photos"), rows, told=True)
    return f"<p>When it was trained, the generator was measured:</p>{shown}"


def _defects(run: RunReport) -> str:
    found = run.measured
    if found is None:
        why = "No image is there." if not run.looks else (
            "Not measured: that needs scikit-image (<code>pip install scikit-image</code>)."
        )  # fmt: skip
        return f"<h2>Defects</h2><p>{why}</p>"
    by = "by their masks" if run.plan.has_masks else "by a ridge filter, which may take other lines for defects"
    rows = "".join(
        f"<tr><th>{of.name}<br><small>{UNITS[of.name]}</small></th><td>{of.middle:.3g}</td>"
        f"<td>{of.low:.3g} to {of.high:.3g}</td><td>{_bars(of)}</td></tr>"
        for of in found.spreads
    )
    head = "<tr><th></th><th>middle</th><th>four of five</th><th></th></tr>"
    text = (
        f"{found.images} images, evenly spread, were measured {by}: {found.with_defect} show a defect, and "
        f"{found.bright} of these one that is brighter than what is around it. The figures are of the largest of each."
    )
    table_of = (
        f'<div class="wide"><table class=told><thead>{head}</thead><tbody>{rows}</tbody></table></div>' if rows else ""
    )
    return f"<h2>Defects</h2><p>{text}</p>{table_of}"


def _bars(of: AttributeSpread) -> str:
    """How often each value is, as a small drawing."""
    width, height, most = 10, 28, max(of.bars) or 1.0
    drawn = "".join(
        f'<rect x="{width * place}" y="{height * (1 - bar / most):.1f}" width="{width - 1}" '
        f'height="{height * bar / most:.1f}"/>'
        for place, bar in enumerate(of.bars)
    )
    text = f"how often, from {of.first:.3g} to {of.last:.3g}"
    wide = width * len(of.bars)
    return (
        f'<svg class="bars" width="{wide}" height="{height}" viewBox="0 0 {wide} {height}" preserveAspectRatio="none" '
        f'role="img" aria-label="{text}"><title>{text}</title>{drawn}</svg>'
    )


def _checks(checks: Iterable[Check]) -> str:
    rows = [(check.what, _MARKS[check.is_good], check.found) for check in checks]
    return (
        f"<h2>Checks</h2>{table((), rows, told=True)}<p>Images were not compared with the manifest here: "
        "<code>gan-batch verify</code> does.</p>"
    )


def _origin(run: RunReport) -> str:
    known, info = run.state.fingerprint, run.info
    rows = [
        ("model", f"sha256 {known['model_sha256']}"),
        *(_trained(info) if info else ()),
        ("seed", str(known["seed"])),
        ("mix", str(known.get("mix", ""))),
        ("wish", f"{known['want']}, by version {known['measure']} of the measure" if "want" in known else ""),
        ("latents", f"{known['latent_scheme']}, {known['z_dim']} numbers an image"),
        ("made by", f"{known['provider']} of ONNX Runtime {known['onnxruntime']}, written by {known['encoder']}"),
        ("on disk", f"{known.get('format', 'png')}, {known['shard_size']:,} images a shard, layout {run.state.layout}"),
        ("line", run.state.line or ""),
        *(("machine", text) for text in dict.fromkeys(in_words(stats.get("machine")) for stats in run.stats)),
    ]
    return f"<h2>Origin</h2>{table((), [row for row in rows if row[1]], told=True)}{_proof(info)}"


def _trained(info: GeneratorInfo) -> Iterator[tuple[str, str]]:
    yield "network", f"{info.architecture}, {info.precision}; weights sha256 {info.weights_sha256}"
    data = info.training.get("data")
    if isinstance(data, dict) and "images" in data:
        yield "trained on", f"{data['images']} photos, sha256 {data.get('sha256', 'not known')}"
    if isinstance(kimg := info.training.get("kimg"), int | float):
        yield "trained for", f"{kimg:g} kimg"
    yield "exported with", ", ".join(f"{name} {version}" for name, version in sorted(info.versions.items()))


def _proof(info: GeneratorInfo | None) -> str:
    """The comparisons with PyTorch that the model's file tells of."""
    found = (info.parity.get("rows") if info else None) or ()
    rows = []
    for each in found:
        try:
            allowed = "reported" if each["atol"] is None else f"{each['atol']:.1e}"
            error = f"{each['images_error']:.1e}"
            rows.append((f"{each['runtime']}, {each['latents']}", error, allowed, str(each["pixels_error"])))
        except (KeyError, TypeError, ValueError):
            continue
    if not rows:
        return ""
    head = ("compared with PyTorch in float64", "largest difference", "allowed", "steps of a pixel")
    return f"<details><summary>How the model was proven</summary>{table(head, rows)}</details>"


def _times(run: RunReport) -> str:
    rows = []
    for stats in run.stats:
        seconds, rate = stats.get("seconds"), stats.get("images_per_second")
        if isinstance(seconds, int | float):
            by = f"{stats.get('workers')} workers, batches of {stats.get('batch_size')}"
            rows.append((f"{stats.get('images')} images", f"{duration(seconds)}, {rate} images/s, {by}"))
    events = [(_time(row), str(row.get("event")), _told(row)) for row in run.events]
    speed = f"<p>The last call that made images:</p>{table((), rows, told=True)}" if rows else ""
    log = f"<p>The log:</p>{table((), events, told=True)}" if events else "<p>There is no log.</p>"
    return f"<h2>Times</h2>{speed}{log}"


def _time(row: dict[str, Any]) -> str:
    """When a line of the log was written, such as `2026-11-22 03:00:07 +0100`."""
    return re.sub(r"(\d)T(\d.*?)([+-]\d{4})$", r"\1 \2 \3", str(row.get("time")))


def _told(row: dict[str, Any]) -> str:
    """The rest of a line of the log."""
    if "reason" in row and row.get("event") != "start":
        return re.sub(r"\s+", " ", str(row["reason"]))
    return ", ".join(f"{name} {value}" for name, value in row.items() if name not in ("time", "event", "reason"))
