"""What changed between two runs of the benchmark: `python tests/bench/compare.py OLD NEW`, each a file of JSON lines.

A figure that has a baseline is compared by its ratio to the baseline of its own run, since the machine's speed changes from day to day;
another by its value. It has moved when its medians differ by more than the noise: the spread of the samples (largest less smallest) of
both runs together, and never less than 3 %; 25 % where a run has a single sample, which tells no spread.
The exit code is 1 when a figure is worse or a target was met and no longer is, else 0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

_LEAST_NOISE = 0.03
_NOISE_OF_ONE = 0.25

Verdict = Literal["same", "better", "worse", "new", "gone"]


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs. `by`: whether ratios to the baseline or values were compared; `noise` is a share, 0.1 is 10 %."""

    name: str
    by: Literal["ratio", "value"]
    old: float | None
    new: float | None
    noise: float
    verdict: Verdict
    target: str
    met: tuple[bool | None, bool | None]

    @property
    def is_worse(self) -> bool:
        """Whether somebody should look at it."""
        return self.verdict == "worse" or self.met == (True, False)


def compare(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The changes from one run's lines to another's, in the order of the new run, then what is gone."""
    before, after = {_name(line): line for line in old if "figure" in line}, {_name(line): line for line in new if "figure" in line}
    return [_change(name, before.get(name), after.get(name)) for name in (*after, *(name for name in before if name not in after))]


def _name(line: Mapping[str, Any]) -> str:
    at = " ".join(f"{key}={value}" for key, value in line["at"].items())
    return f"{line['bench']}.{line['figure']}" + (f" {at}" if at else "")


def _change(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change:
    known: Mapping[str, Any] = new or old or {}
    by: Literal["ratio", "value"] = "ratio" if all(line is None or line.get("ratios") for line in (old, new)) else "value"
    samples = [_samples(line, by) for line in (old, new)]
    first, last = (median(each) if each else None for each in samples)
    noise = _noise(*samples)
    verdict: Verdict = "same"
    if first is None or last is None:
        verdict = "same" if first is last else "new" if first is None else "gone"
    elif abs(last - first) > noise * abs(first):
        verdict = "better" if (last < first) == (known["better"] == "lower") else "worse"
    met = ((old or {}).get("met"), (new or {}).get("met"))
    return Change(name, by, first, last, noise, verdict, known.get("target", ""), met)


def _samples(line: Mapping[str, Any] | None, by: str) -> list[float]:
    if line is None or line["value"] is None:
        return []
    found: list[float] = line["ratios" if by == "ratio" else "samples"]
    return found


def _noise(old: Sequence[float], new: Sequence[float]) -> float:
    if len(old) < 2 or len(new) < 2:
        return _NOISE_OF_ONE
    spread = (max(old) - min(old)) + (max(new) - min(new))
    return max(_LEAST_NOISE, spread / abs(median(old))) if median(old) else _LEAST_NOISE


def table(changes: Sequence[Change]) -> str:
    """The changes as people read them; what moved is marked."""
    rows = [("", "FIGURE", "BY", "OLD", "NEW", "NEW/OLD", "NOISE", "TARGET", "MET")]
    for each in changes:
        share = f"{each.new / each.old:.2f}" if each.old and each.new is not None else "-"
        met = {True: "yes", False: "no", None: "-"}[each.met[1]] if each.target else ""
        mark = {"same": "", "better": "+", "worse": "-", "new": "new", "gone": "gone"}[each.verdict]
        if each.met == (True, False):
            mark = f"{mark}!"
        rows.append((mark, each.name, each.by, _shown(each.old), _shown(each.new), share, f"{each.noise:.0%}", each.target, met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a run; what is no JSON object (make's own words) is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 when anything is worse."""
    if len(arguments) != 2:
        print("usage: compare.py OLD NEW (files that `make bench` wrote)", file=sys.stderr)
        return 2
    changes = compare(*(read(Path(each)) for each in arguments))
    print(table(changes))
    return int(any(change.is_worse for change in changes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
