"""A request in plain words, as messages tell it: parts with a heading each, everything that is not seen made visible.

The one rule: the title is made of our words and names from the YAML; what models wrote stands below, under a heading that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from smallchain.model.delivery import VERBS, Told, Verb
from smallchain.model.human import RequestKind
from smallchain.protocol.text import is_plain, one_line, visible

_TITLES = {
    RequestKind.APPROVAL: "May {tool} run?",
    RequestKind.QUESTION: "A question from {run}",
    RequestKind.SETTLE: "Did {tool} happen?",
    RequestKind.BUDGET: "A budget is used up in {run}",
    RequestKind.LOOP: "{run} repeats itself",
    RequestKind.TOOL_CHANGED: "The tool {tool} has changed",
    RequestKind.QUARANTINE: "The daemon died three times within {run}",
}
_ARGUMENTS = "With these arguments"
_HIDDEN = " (contains hidden characters, shown as escapes)"
_CELLS = 60


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what is told, under a heading of ours; `whole` False: more of it exists than is shown."""

    heading: str
    text: str
    whole: bool = True


def title(told: Told) -> str:
    """One line: what it is about."""
    names = {"tool": one_line(told.tool or "the tool", cells=_CELLS), "run": one_line(told.run, cells=_CELLS)}
    return _TITLES[told.kind].format(**names)


def facts(told: Told) -> list[tuple[str, str]]:
    """What we know ourselves: where it comes from, how much is at stake, until when."""
    found = [("run", told.run), ("asked by", told.path), ("risk", told.risk), ("opened", when(told.opened_at))]
    if told.expires_at is not None:
        found.append(("expires", f"{when(told.expires_at)}, then: {told.on_expiry}" if told.on_expiry else when(told.expires_at)))
    return [(name, one_line(value)) for name, value in found if value]


def parts(told: Told, /, *, most: int) -> list[Part]:
    """What models and tools wrote; at most so many characters of each."""
    texts = [("Asked", told.question), ("The model said before", told.why), (_ARGUMENTS, told.arguments)]
    texts += [(f"Choice {number}", choice) for number, choice in enumerate(told.choices, 1)]
    return [_part(heading, text, most) for heading, text in texts if text]


def outcomes(told: Told) -> list[str]:
    """What each answer leads to, a line each."""
    return [f"{verb}: {one_line(sentence)}" for verb, sentence in told.outcomes]


def shown_whole(told: Told, /, *, most: int) -> bool:
    """Whether all of the arguments are shown: nobody approves what nobody saw."""
    return all(part.whole for part in parts(told, most=most) if part.heading.startswith(_ARGUMENTS))


def verbs(told: Told, /, *, most: int) -> tuple[Verb, ...]:
    """The answers that can be offered with what is shown."""
    return tuple(verb for verb in VERBS[told.kind] if verb is not Verb.APPROVE or shown_whole(told, most=most))


def when(at: datetime) -> str:
    """A moment as people read it, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _part(heading: str, text: str, most: int) -> Part:
    if not is_plain(text):
        heading += _HIDDEN
    shown = "\n".join(_unwrapped(line) for line in text.split("\n"))
    whole = len(shown) <= most
    return Part(heading, shown if whole else f"{shown[:most]}… ({len(shown) - most} more characters: `smallchain inbox` has all)", whole)


def _unwrapped(line: str) -> str:
    """A line with nothing hidden in it, and nothing of it left out."""
    return "".join(visible(line[start : start + 1000]) for start in range(0, len(line), 1000)) if len(line) > 1000 else visible(line)
