"""A training as one HTML file, which holds its pictures and curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from gan.config import AUTO, DEFAULT_RECIPE, RECIPES, TrainConfig
from gan.training import folder
from gan.training.report_facts import Line, Sheet, TrainingReport
from gan.training.sheets import Side, named, rows_of
from gan.training.stats import KID, LOSSES, SCORE
from models.chart import Chart, levels_around
from models.machine import in_words
from models.page import page, picture, table
from models.picks import spread
from models.progress import duration

MOST_WARNINGS = 50
"""Lines of the log on the page, the last ones."""
_POINTS = 400
"""Of a curve at most: more cannot be seen at its size."""
_ENDED = "ended with exit code"


def training_page(run: TrainingReport) -> str:
    """The page as HTML; the same files give the same bytes."""
    parts = (_headline(run), _pictures(run), _curves(run), _warnings(run.lines), _options(run), _origin(run))
    return page(f"Training {run.place}", "".join(parts))


def _headline(run: TrainingReport) -> str:
    return f"{_state(run)}{_kept(run)}{_distrust(run)}"


def _state(run: TrainingReport) -> str:
    """How far the run is, and how it ended."""
    found = run.status
    of = "" if found.total_steps is None else f" of {found.total_steps:,}"
    far = f"step {found.step:,}{of}, {found.kimg:.1f} thousand images shown"
    if found.state == "finished":
        early = found.total_steps is not None and found.step < found.total_steps
        return f"<p><strong>Finished</strong>: {far}.{' It ended early, as nothing improved.' if early else ''}</p>"
    go_on = "no snapshot is there to go on from"
    if found.newest_snapshot:
        go_on = f"it can be resumed from {found.newest_snapshot.rpartition('/')[2]}"
    told = {
        "running": f"This run goes on: {far}. All here is as it was when this page was written.",
        "killed": f"This run was killed at {far}; {go_on}.",
        "ended": f"This run stopped at {far}: {_error(run)}",
    }
    return f'<p class="distrust">{escape(told.get(found.state, f"How this run ended is not known: {far}."))}</p>'


def _error(run: TrainingReport) -> str:
    """How it ended, as the log has it, which says it in the words of the command."""
    for line in reversed(run.lines):
        if line.level == "ERROR" and line.message.startswith(_ENDED):
            return line.message
    return f"{_ENDED} {run.status.exit_code}: {run.status.error}"


def _kept(run: TrainingReport) -> str:
    """Which generator is kept, and why."""
    if not run.options or not isinstance(run.left.get("step"), int):
        return "<p>No generator is there yet.</p>"
    step, kid = run.left["step"], run.left.get("kid_x1000")
    text = f"<code>{folder.GENERATOR}</code> is the generator of step {step:,}"
    if run.kept_is_of_an_earlier_start:
        text += ", from before the run began anew after a collapse"
    if isinstance(kid, int | float):
        score = next((row[SCORE] for row in run.rows if row["step"] == step and SCORE in row), None)
        told = "" if score is None or run.kept_is_of_an_earlier_start else f", its score {score:.1f}"
        nearest = "of those that count none came nearer to the photos held out, as far as these tell"
        why = f"{nearest}: KID × 1000 is {kid:.1f}{told}"
    elif any(SCORE in row for row in run.rows):
        why = "the newest, as no comparison counts so far: they count once the learning rate has begun to fall"
    else:
        why = "the newest, as no photos were held out to choose by"
    return f"<p>{text}: {why}.</p>"


def _distrust(run: TrainingReport) -> str:
    """What speaks against the generator that is kept."""
    figures, collapsed = run.left.get("figures"), run.state.get("collapsed_at")
    found = [str(fault) for fault in figures.get("faults") or ()] if isinstance(figures, dict) else []
    if isinstance(collapsed, int | float) and run.left.get("kimg", 0) >= collapsed:
        found.insert(0, f"training had collapsed after {collapsed:.1f} thousand images")
    if found:
        items = "".join(f"<li>{escape(text[:1].upper() + text[1:])}</li>" for text in found)
        return f'<p class="distrust">Make nothing with it before you have looked at its images:</p><ul>{items}</ul>'
    if isinstance(figures, dict):
        return (
            f"<p>{figures.get('images')} of its images were measured: no faults were found. Look at them all the same."
            "</p>"
        )
    return "<p>Its images were not measured for faults: that is done at the end.</p>" if run.options else ""


def _pictures(run: TrainingReport) -> str:
    if not run.sheets:
        return "<h2>Images</h2><p>None can be shown.</p>"
    names = run.options.get("class_names") or ()
    rows = f"<p>Rows from the top: {escape(named(rows_of(len(names)), names))}.</p>" if names else ""
    first, *newer = run.sheets
    shown = [_figure("Photos", first.photos), _figure(_title(first), first.images), *_masks(first)]
    folded = "".join(
        f"<details><summary>{_title(sheet)}</summary>"
        f'<div class="beside">{_figure(_title(sheet), sheet.images)}{"".join(_masks(sheet)[1:])}</div></details>'
        for sheet in newer
    )
    return f'<h2>Images</h2>{rows}<div class="beside">{"".join(shown)}</div>{folded}'


def _masks(sheet: Sheet) -> list[str]:
    """Of the photos and of the images; nothing where there are none."""
    if sheet.masks is None:
        return []
    photos, images = sheet.masks
    return [_figure("Masks of the photos", photos), _figure(f"Masks of step {sheet.step:,}", images)]


def _title(sheet: Sheet) -> str:
    return f"Images of step {sheet.step:,}, {'which is kept' if sheet.is_kept else 'the newest'}"


def _figure(title: str, side: Side) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{picture(side.png, title, side.width)}</figure>"


def _curves(run: TrainingReport) -> str:
    if len(run.rows) < 2:
        return ""
    scored = "Orange: KID × 1000. Dashed: the score, by which the generator is chosen. Lower is better."
    losses = "Orange: the discriminator's. Dashed: the generator's. That they fall is not the aim."
    drawn = (
        _figure_of("Distance from the photos held out", scored, run, (KID, SCORE), dots=True),
        _figure_of("Losses", losses, run, LOSSES),
    )
    return f'<h2>Curves</h2><div class="panels">{"".join(drawn)}</div>'


def _figure_of(title: str, text: str, run: TrainingReport, names: Sequence[str], dots: bool = False) -> str:
    """Two curves over the images shown; nothing where there are no such numbers."""
    first, second = ([*_points(run.rows, name)] for name in names)
    values = [value for _, value in first + second]
    if not values:
        return ""
    last = max(row["kimg"] for row in run.rows)
    chart = Chart(
        title, "thousands of images shown", 0.0, last, levels=levels_around(min(0.0, *values), max(values))
    )  # fmt: skip
    for points, kind, of_dots in ((first, "curve", "dot"), (second, "other", "ring")):
        chart.line(points, kind)
        for x, y in points if dots else ():
            chart.dot(x, y, kind=of_dots)
    kimg = run.left.get("kimg")
    if isinstance(kimg, int | float) and not run.kept_is_of_an_earlier_start:
        chart.mark(kimg, "kept")
    return f"<figure class=drawn><figcaption><strong>{title}</strong><br>{text}</figcaption>{chart.svg()}</figure>"


def _points(rows: Sequence[dict[str, float]], name: str) -> Iterator[tuple[float, float]]:
    found = [row for row in rows if isinstance(row.get(name), int | float) and math.isfinite(row[name])]
    return ((found[place]["kimg"], found[place][name]) for place in spread(len(found), _POINTS))


def _warnings(lines: Sequence[Line]) -> str:
    found = [(line.time, line.message) for line in lines if line.level != "INFO"][-MOST_WARNINGS:]
    shown = table((), found, told=True) if found else "<p>There were none.</p>"
    return f"<h2>Warnings</h2>{shown}"


def _options(run: TrainingReport) -> str:
    if not run.options:
        return ""
    recipe = _nearest(run)
    usual = _of_recipe(recipe, run)
    in_effect = {name: value for name, value in run.options.items() if _says(name, run.options)}
    other = [(name, _value(value), _value(usual.get(name))) for name, value in in_effect.items()
             if value != usual.get(name)]  # fmt: skip
    same = [(name, _value(value)) for name, value in in_effect.items() if value == usual.get(name)]
    differing = table(("", "here", "recipe"), other) if other else ""
    text = f"Those of the recipe {recipe}{', but for these:' if other else '.'}"
    rest = f"<details><summary>All others, as the recipe has them</summary>{table((), same)}</details>"
    return f"<h2>Options</h2><p>{text}</p>{differing}{rest}"


def _says(name: str, options: dict[str, Any]) -> bool:
    """Whether an option has any effect: either epochs or images are counted, and classes are told of as photos."""
    return name not in ("class_names", "epochs" if options.get("total_kimg") else "total_kimg")


def _nearest(run: TrainingReport) -> str:
    """The recipe from which the fewest options differ: its name is not among them."""

    def differing(recipe: str) -> int:
        usual = _of_recipe(recipe, run)
        return sum(value != usual.get(name) for name, value in run.options.items())

    return min(RECIPES, key=lambda recipe: (differing(recipe), recipe != DEFAULT_RECIPE))


def _of_recipe(recipe: str, run: TrainingReport) -> dict[str, Any]:
    """What the options would be by a recipe alone, with these photos and on this machine."""
    photos = _data(run).get("images")
    config = TrainConfig.of(recipe).for_photos(photos if isinstance(photos, int) else 0).to_dict()
    for name in ("precision", "transpose"):
        if RECIPES[recipe].get(name) == AUTO:
            config[name] = run.options.get(name)
    return config


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _origin(run: TrainingReport) -> str:
    data, photos = _data(run), run.left.get("photos")
    names, counts = run.options.get("class_names") or (), data.get("photos_a_class") or ()
    measured = photos.get("measured_on") if isinstance(photos, dict) else None
    held_out = len(measured.get("names") or ()) if isinstance(measured, dict) else 0
    seconds = run.state.get("written", 0) - run.state.get("started", 0)
    rate = run.status.steps_per_s
    rows = [
        ("trained on", f"{data['images']} photos, sha256 {data.get('sha256')}" if "images" in data else ""),
        ("of each class", ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=False))),
        ("held out", f"{held_out} photos" if held_out else ""),
        ("generator", f"weights sha256 {run.left['weights_sha256']}" if "weights_sha256" in run.left else ""),
        ("device", run.status.device or ""),
        ("machine", in_words(run.state.get("machine"))),
        ("PyTorch", str(run.left.get("torch", ""))),
        ("log", f"from {run.lines[0].time} to {run.lines[-1].time}" if run.lines else ""),
        ("last call", f"{duration(seconds)}{f', {rate:g} steps/s' if rate else ''}" if seconds > 0 else ""),
    ]
    return f"<h2>Photos, machine and times</h2>{table((), [row for row in rows if row[1]], told=True)}"


def _data(run: TrainingReport) -> dict[str, Any]:
    found = run.left.get("data")
    return found if isinstance(found, dict) else {}
