"""Which few of many to show or to look at."""

from __future__ import annotations


def spread(count: int, size: int) -> list[int]:
    """At most `size` indices, evenly spread over 0 to `count - 1`, in ascending order."""
    shown = min(size, count)
    return [place * count // shown for place in range(shown)]
