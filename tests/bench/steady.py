"""Whether something grows: the slope of a line through samples, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth an hour, and the two ends between which the true one lies with 95 % confidence."""

    per_hour: float
    low: float
    high: float

    def grows(self, least: float) -> bool:
        """Whether it surely grows by more than `least` an hour."""
        return self.low > least


def slope(hours: Sequence[float], values: Sequence[float]) -> Slope:
    """The least-squares line through values at moments.

    Samples that follow each other resemble each other, so they count as fewer: n(1-r)/(1+r) with the lag-1 autocorrelation r of what
    the line leaves over. With fewer than five samples nothing is sure.
    """
    count = len(values)
    if count < 5:
        return Slope(0.0, -math.inf, math.inf)
    middle, mean = sum(hours) / count, sum(values) / count
    spread = sum((hour - middle) ** 2 for hour in hours)
    steep = sum((hour - middle) * (value - mean) for hour, value in zip(hours, values, strict=True)) / spread
    left = [value - mean - steep * (hour - middle) for hour, value in zip(hours, values, strict=True)]
    square = sum(each**2 for each in left)
    if square <= 1e-12 * max(1.0, sum(value**2 for value in values)):
        return Slope(steep, steep, steep)
    alike = min(0.99, max(0.0, sum(a * b for a, b in pairwise(left)) / square))
    really = max(3.0, count * (1 - alike) / (1 + alike))
    error = math.sqrt(square / (really - 2) / spread * count / really)
    return Slope(steep, steep - 2 * error, steep + 2 * error)
