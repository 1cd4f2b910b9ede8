"""Which few of many to show or to look at."""

from __future__ import annotations

from collections.abc import Sequence


def spread(count: int, size: int) -> list[int]:
    """At most `size` indices, evenly spread over 0 to `count - 1`, in ascending order."""
    shown = min(size, count)
    return [place * count // shown for place in range(shown)]


def in_proportion(labels: Sequence[int], count: int) -> list[int]:
    """`count` labels, each as often among them as among these, to within one; ascending."""
    ordered = sorted(labels)
    return [ordered[place * len(ordered) // count] for place in range(count)]
