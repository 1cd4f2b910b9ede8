"""What was found of a detector, in words: the verdict, a table, JSON."""

from __future__ import annotations

import json

from gan.robustness.changes import CHANGES
from gan.robustness.pod import FAR_OUT, LEAST_TARGETS, NO_CURVE, PodCurve, PodPlane
from gan.robustness.result import ChangeRate, Robustness

_CHANGES = {change.name: change for change in CHANGES}


def verdict(found: Robustness) -> str:
    """One sentence: how much it misses, what above all, and which change harms it."""
    recall = found.recall
    low, high = recall.interval
    missed = recall.count - recall.hits
    if not missed:
        said = f"misses none of {recall.count} defects (recall at least {100 * low:.0f} %)"
    else:
        said = (
            f"misses {missed} of {recall.count} defects (recall {100 * recall.share:.0f} %, "
            f"{100 * low:.0f} to {100 * high:.0f})"
        )
        worst = next((each for each in found.slices if each.sure), None)
        if worst is None:
            said += "; no kind of defect is surely missed more than the others"
        else:
            said += (
                f"; most of all: {worst.name} (finds {worst.rate.hits} of {worst.rate.count}; of all others "
                f"{100 * worst.others.share:.0f} %)"
            )
    weak = found.weakest_change
    if weak is not None:
        name, rate = weak
        said += f"; {name} of {amount(name, rate)} brings recall to {100 * rate.recall.share:.0f} %"
    if found.false_alarms is not None:
        said += f"; {found.false_alarms.hits} false alarms in {found.false_alarms.count} good photos"
    if (loud := found.loudest_change) is not None and loud[1].false_alarms is not None:
        name, rate = loud
        said += f", and {name} of {amount(name, rate)} brings them to {100 * loud[1].false_alarms.share:.0f} %"
    if found.changes and weak is None and loud is None:
        said += "; no change of the images harms it surely"
    return f"{found.detector} {said}."


def amount(name: str, rate: ChangeRate) -> str:
    """A strength with its unit."""
    return f"{rate.strength:g} {_CHANGES[name].unit}"


def pod_line(curve: PodCurve) -> str:
    """A curve in words."""
    if curve.fault:
        line = f"no curve of {curve.targets} targets: {NO_CURVE[curve.fault]}"
        if curve.step is not None:
            line += f" between {curve.step[0]:.3g} and {curve.step[1]:.3g} {curve.unit}"
        return line
    if curve.a90 is None or curve.a50 is None:
        return f"recall does not grow with {curve.attribute} ({curve.targets} targets)"
    bound = f"a90/95 {_size(curve, curve.a90_95)}" if curve.a90_95 is not None else f"no a90/95: {curve.no_a90_95}"
    return f"a50 {_size(curve, curve.a50)}, a90 {_size(curve, curve.a90)}, {bound} ({curve.targets} targets)"


def plane_line(plane: PodPlane) -> str:
    """Both attributes together in words."""
    if plane.fault:
        return f"no fit of {plane.targets} targets: {NO_CURVE[plane.fault]}"
    assert plane.of_length is not None
    assert plane.of_contrast is not None
    errors = plane.errors
    said = (
        f"logit of POD grows by {plane.of_length:.2f} ± {1.96 * errors[1]:.2f} a ln(length) and by "
        f"{plane.of_contrast:.2f} ± {1.96 * errors[2]:.2f} a ln(contrast)"
    )
    known = [f"{length:.3g} px at contrast {contrast:.3g}" for contrast, length in plane.examples if length is not None]
    return f"{said}; a90 of length: {', '.join(known)}" if known else said


def _size(curve: PodCurve, size: float) -> str:
    if size > FAR_OUT * curve.largest:
        return f"far beyond the largest of {curve.largest:.3g} {curve.unit}"
    if size < curve.smallest / FAR_OUT:
        return f"far below the smallest of {curve.smallest:.3g} {curve.unit}"
    beyond = ""
    if size > curve.largest:
        beyond = f", beyond the largest of {curve.largest:.3g}"
    elif size < curve.smallest:
        beyond = f", below the smallest of {curve.smallest:.3g}"
    return f"{size:.3g} {curve.unit}{beyond}"


def table(found: Robustness) -> str:
    """All of it as text, the verdict first."""
    lines = [
        verdict(found), "",
        f"photos      {found.data}, {found.image_size[0]}×{found.image_size[1]} px, defects measured by "
        f"{found.found_by}",
        f"threshold   {found.threshold:.4g}: {found.threshold_by}",
        f"recall      {found.recall}",
        f"alarms      {'no photos without a defect' if found.false_alarms is None else found.false_alarms}",
    ]  # fmt: skip
    lines += [f"POD         over {name}: {pod_line(curve)}" for name, curve in found.pod.items()]
    lines += [f"            over both: {plane_line(found.plane)}", ""]
    lines.append("recall by attribute, % (95 % interval) of photos")
    for attribute, rates in found.bins.items():
        lines += [f"  {attribute if place == 0 else '':<10} {each.name:<30} {each.rate}"
                  for place, each in enumerate(rates)]  # fmt: skip
    if found.changes:
        alarms = found.false_alarms is not None
        lines += ["", f"recall where images change{', and false alarms' if alarms else ''}"]
        for name, changed in found.changes.items():
            parts = [
                f"{rate.strength:g}: {100 * rate.recall.share:.0f} %"
                + (f", {100 * rate.false_alarms.share:.0f} %" if rate.false_alarms is not None else "")
                for rate in changed
            ]
            lines.append(f"  {name:<15} {_CHANGES[name].unit:<20} {'   '.join(parts)}")
    lines += ["", slices_line(found)]
    for each in found.slices:
        by_chance = "" if each.sure else "  (may be chance)"
        lines.append(f"  {each.name:<58} {each.rate}, others {100 * each.others.share:.0f} %{by_chance}")
    lines += ["", *(f"note: {note}" for note in found.notes)]
    return "\n".join(lines).rstrip()


def slices_line(found: Robustness) -> str:
    """How many slices were looked at, and what that means."""
    if not found.slices:
        return f"The worst slices: none of {found.slices_looked_at} with photos enough has a miss"
    return (
        f"The worst slices of {found.slices_looked_at} that were looked at: so many have bad ones by chance, so each "
        "is held against that (Fisher's exact test, Bonferroni)"
    )


def method_line() -> str:
    """How the curves are made."""
    return (
        "Logistic regression of hit or miss on the logarithm (MIL-HDBK-1823A). Each edge of the band is a bound of its "
        "own with 95 % confidence, by profile likelihood; a90/95 is where the lower one reaches 90 %. Below "
        f"{LEAST_TARGETS} targets it is not given."
    )


def robustness_json(found: Robustness) -> str:
    """All of it as one JSON object."""
    return json.dumps({"verdict": verdict(found), **found.as_json()}, indent=2, allow_nan=False, ensure_ascii=False)
