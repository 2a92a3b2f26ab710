"""Whether a call fits under every cap over it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from smallchain.model.cap import OnLimit, Standing, Unit, Worst, show_amount
from smallchain.model.money import MOST, Price

LEAST_OUTPUT = 256
"""Tokens of a reply that are asked for at least, where nothing else says how many."""
MOST_OUTPUT = 8_192
"""Tokens of a reply that are asked for at most, where nothing else says how many: most models refuse more than they can write."""


class Word(StrEnum):
    """What a verdict comes to."""

    FITS = "fits"
    AWAITS_OTHERS = "awaits_others"
    """Only what others hold stands in between: that is no limit, it ends with their calls."""
    OVER = "over"
    NEVER = "never"
    """One call alone is beyond the cap."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The strictest of all caps; `standing` is that cap's, None when the call fits."""

    word: Word
    standing: Standing | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What bounds a call: tokens of the prompt at most, of one reply at most (None: nothing is written), how many replies are asked for,
    and the time-out.

    `price` None: it costs nothing that is known, which its YAML allows.
    """

    prompt: int
    output: int | None
    price: Price | None
    time_ms: int
    replies: int = 1


def output_of(bounds: Bounds, standings: Sequence[Standing], /) -> int:
    """Tokens of one reply that may be asked for: what is written, else what the tightest cap leaves for each."""
    if bounds.output is not None:
        return bounds.output
    left = [_tokens_left(bounds, each) for each in standings]
    return max(LEAST_OUTPUT, min([each // bounds.replies for each in left] + [MOST_OUTPUT]))


def _tokens_left(bounds: Bounds, standing: Standing) -> int:
    match standing.cap.unit:
        case Unit.TOKENS:
            return standing.room - bounds.prompt
        case Unit.DOLLARS if bounds.price is not None:
            left = bounds.price.output_within(standing.room, bounds.prompt)
            return MOST_OUTPUT * bounds.replies if left is None else left
        case _:
            return MOST_OUTPUT * bounds.replies


def worst_of(bounds: Bounds, output: int, /) -> Worst:
    """What a call may use at worst where each reply is of so many tokens, rounded up; what is beyond every cap is the most there is."""
    output *= bounds.replies
    nanousd = bounds.price.worst(bounds.prompt, output) if bounds.price is not None else 0
    return Worst(min(nanousd, MOST), min(bounds.prompt + output, MOST), min(bounds.time_ms, MOST))


def admit(standings: Sequence[Standing], worst: Worst, /) -> Verdict:
    """Whether a call that may use so much fits; the strictest refusal where it does not: who waits for one cap while another stops it
    would wait for nothing."""
    refusals = [found for each in standings if (found := _refusal(each, worst.of(each.cap.unit))) is not None]
    return min(refusals, key=_strictness, default=Verdict(Word.FITS))


def _strictness(verdict: Verdict) -> tuple[int, int]:
    words, limits = (Word.NEVER, Word.OVER, Word.AWAITS_OTHERS), (OnLimit.STOP, OnLimit.ASK, OnLimit.WAIT)
    return words.index(verdict.word), limits.index(verdict.standing.cap.on_limit) if verdict.standing is not None else 0


def _refusal(standing: Standing, worst: int) -> Verdict | None:
    if worst <= standing.room:
        return None
    cap = standing.cap

    def shown(amount: int) -> str:
        return show_amount(cap.unit, amount)

    limit = f"{cap.shown}" + (f" (raised to {shown(standing.limit)})" if standing.raised else "")
    if worst > standing.limit:
        most = f"{shown(worst)}, the `timeout` of its LLM," if cap.unit is Unit.TIME else f"{shown(worst)},"
        return Verdict(Word.NEVER, standing, f"one call may use {most} which is more than {limit} allows")
    if standing.spent + worst > standing.limit:
        why = f"{limit} has no room for the next call: {shown(standing.spent)} spent, and it may use {shown(worst)}"
        return Verdict(Word.OVER, standing, why)
    why = f"other calls hold what is left of {limit}: {shown(standing.spent)} spent, {shown(standing.held)} held"
    return Verdict(Word.AWAITS_OTHERS, standing, why)
