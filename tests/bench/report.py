"""A figure as it is reported: its samples, the baseline of the same run beside it, and what it should come to. One JSON line each."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

_HOLDS = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should come to: of its value, or of its ratio to the baseline."""

    of: Literal["value", "ratio"]
    sign: Literal["<=", ">="]
    number: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a bench at one size. `samples` has one number a repeat, `baseline` the same for what stands beside it."""

    bench: str
    name: str
    unit: str
    samples: Sequence[float]
    better: Literal["lower", "higher"] = "lower"
    at: Mapping[str, Any] = field(default_factory=dict)
    baseline: Sequence[float] = ()
    baseline_is: str = ""
    target: Target | None = None
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio to the baseline, repeat by repeat where both were repeated as often; empty without a baseline."""
        if not self.baseline or 0 in self.baseline:
            return []
        if len(self.baseline) == len(self.samples):
            return [ours / theirs for ours, theirs in zip(self.samples, self.baseline, strict=True)]
        return [ours / median(self.baseline) for ours in self.samples]

    def line(self) -> str:
        """The figure as a line of JSON."""
        said: dict[str, Any] = {"bench": self.bench, "figure": self.name, "at": dict(self.at), "unit": self.unit, "better": self.better}
        if self.samples:
            said |= {"value": _short(median(self.samples)), "samples": [_short(each) for each in self.samples]}
        else:
            said["value"] = None
        if self.baseline:
            said |= {"baseline": _short(median(self.baseline)), "baseline_is": self.baseline_is}
        if self.ratios:
            said |= {"ratio": _short(median(self.ratios)), "ratios": [_short(each) for each in self.ratios]}
        if self.target is not None:
            said["target"] = f"{self.target.of} {self.target.sign} {self.target.number:g}"
            reached = self.ratios if self.target.of == "ratio" else self.samples
            said["met"] = _HOLDS[self.target.sign](median(reached), self.target.number) if reached else None
        if self.note:
            said["note"] = self.note
        return json.dumps(said)


def percentile(numbers: Sequence[float], share: float) -> float:
    """The smallest number that at least this share of them (0 to 1) does not exceed; raises IndexError when there are none."""
    ordered = sorted(numbers)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _short(number: float) -> float:
    return float(f"{number:.4g}")
