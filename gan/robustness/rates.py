"""A share of a count, such as recall, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SURE = 0.95


@dataclass(frozen=True)
class Rate:
    """`hits` of `count`.

    Attributes:
        hits, count: whole numbers, 0 ≤ hits ≤ count.
    """

    hits: int
    count: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_]) -> Rate:
        """How many of these are true."""
        return cls(int(hits.sum()), len(hits))

    @property
    def share(self) -> float:
        """0 to 1; NaN of none."""
        return self.hits / self.count if self.count else float("nan")

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, low and high, of Wilson ("Probable inference", JASA 1927); (0, 1) of none.

        It holds for small counts and for shares near 0 and 1, where that by the normal distribution does not (Brown,
        Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 2001).
        """
        from scipy.stats import binomtest

        if not self.count:
            return 0.0, 1.0
        found = binomtest(self.hits, self.count).proportion_ci(SURE, "wilson")
        return max(0.0, float(found.low)), min(1.0, float(found.high))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.share:.0f} % ({100 * low:.0f} to {100 * high:.0f}) of {self.count}" if self.count else "–"

    def as_json(self) -> dict[str, float | int | None]:
        """For a JSON object: hits, count, share, low, high."""
        low, high = self.interval
        return {"hits": self.hits, "count": self.count, "share": self.share if self.count else None,
                "low": low, "high": high}  # fmt: skip
