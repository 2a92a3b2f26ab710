"""Growth: what a turn costs with a long history, beside one with a short history; of the daemon and of the bare loop.

The model's server notes the processor time of whoever asks at each request, so the time between two requests is that of a turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from bench.processes import Bare, a_bench, a_model
from bench.report import Figure, Target

_NEAR = 0.1
"""Turns so near to the one that is asked for (a tenth of its number, 2 at least) count with it."""


def growth(pairs: dict[tuple[int, int], float], rounds: int, bare_rounds: int) -> Iterator[Figure]:
    """`pairs` has a late turn and an early one, and how much more the late one may cost."""
    turns = max(late for late, _ in pairs) + 10
    with a_model(turns=turns) as model:
        bare = Bare(model.url, agents=1, turns=turns, rounds=bare_rounds)
        model.reset(watch=bare.process.pid)
        bare.run()
        theirs = _by_turn(model.figures()["cpu_at_turn"])
        model.reset()
        with a_bench(model.url) as bench:
            bench.give_model()
            model.reset(watch=bench.kernel.pid)
            for number in range(rounds):
                bench.prepare(1, prefix=str(number))
                bench.await_end(every_s=0.02)
            ours = _by_turn(model.figures()["cpu_at_turn"])
    for (late, early), most in pairs.items():
        at = {"turn": late, "beside_turn": early}
        for name, figures, beside in (("cpu_growth", ours, theirs), ("cpu_ms_of_late_turn", ours, theirs)):
            grown = name == "cpu_growth"
            yield Figure(
                "growth",
                name,
                "x" if grown else "ms",
                [_cost(figures, late) / _cost(figures, early) if grown else 1000 * _cost(figures, late)],
                at=at,
                baseline=[_cost(beside, late) / _cost(beside, early) if grown else 1000 * _cost(beside, late)],
                baseline_is="the bare openai loop",
                target=Target("value", "<=", most) if grown else None,
            )


def _by_turn(cpu_at_turn: list[tuple[int, float]]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for (turn, first), (following, last) in pairwise(cpu_at_turn):
        if following == turn + 1:
            found[turn].append(last - first)
    return found


def _cost(by_turn: dict[int, list[float]], turn: int) -> float:
    """The median cost of the turns near one, in seconds."""
    near = max(2, round(turn * _NEAR))
    return median(cost for each, costs in by_turn.items() if abs(each - turn) <= near for cost in costs)
