"""Several approvals at once: what is taken, what is left out and why, and what became of each.

The one rule: only what a person can judge from a line is taken. HIGH risk, hidden characters, and whatever is no approval are opened alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from smallchain.model.delivery import Verb
from smallchain.model.human import RequestKind
from smallchain.protocol.text import mixed_script_words, sanitised
from smallchain_tui.viewmodel.arguments import on_one_line, texts_in
from smallchain_tui.viewmodel.decision import Act, Asked, Decision, Verdict

LONGEST_LINE = 400
"""Characters of arguments that a line is taken to show; longer ones have to be opened."""


@dataclass(frozen=True, slots=True)
class Row:
    """A marked request; `left_out` says why it is not among those that are decided, empty where it is."""

    asked: Asked
    arguments: str
    left_out: str = ""


class Result(NamedTuple):
    """What became of one: whether it counted, and the daemon's sentence."""

    counted: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Many:
    """Several requests as the subject of one decision; its word is how many there are."""

    count: int
    id: str = ""
    verbs: Sequence[str] = (Verb.APPROVE, Verb.DENY)

    @property
    def word(self) -> str:
        """How many."""
        return str(self.count)

    def needs_word(self, verdict: Verdict, /) -> bool:
        """To approve them does."""
        return verdict.verb == Verb.APPROVE

    def needs_text(self, verb: str, /) -> bool:
        """Neither does."""
        return False

    def request(self, decision: Decision, verdict: Verdict, /) -> Act:
        """Each goes by itself: see `Bulk.act`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bulk:
    """The marked requests and what became of them, in the order they were marked. `stopped`: why no more are sent."""

    rows: tuple[Row, ...]
    results: Mapping[str, Result] = field(default_factory=dict)
    stopped: str = ""

    @property
    def taken(self) -> tuple[Row, ...]:
        """Those that are decided."""
        return tuple(row for row in self.rows if not row.left_out)

    @property
    def left_out(self) -> tuple[Row, ...]:
        """Those that have to be opened alone."""
        return tuple(row for row in self.rows if row.left_out)

    def next(self) -> Row | None:
        """The one to send now; None when all have been, or it was stopped."""
        return None if self.stopped else next((row for row in self.taken if row.asked.id not in self.results), None)

    def act(self, row: Row, verdict: Verdict, note: str) -> Act:
        """What is sent for one: bound to its own digest, with the note of all."""
        return row.asked.request(Decision(row.asked, quiet_since=0.0, note=note), verdict)

    def told(self, id: str, result: Result) -> Bulk:
        """The same, with what became of one."""
        return replace(self, results={**self.results, id: result})

    def stop(self, why: str) -> Bulk:
        """No more are sent; what has no result was not sent."""
        return replace(self, stopped=why)

    def summary(self) -> str:
        """What came of it, on a line."""
        counted = sum(result.counted for result in self.results.values())
        parts = [f"{counted} of {len(self.taken)} counted"]
        if failed := len(self.results) - counted:
            parts.append(f"{failed} did not")
        if unsent := len(self.taken) - len(self.results):
            parts.append(f"{unsent} not sent")
        if self.left_out:
            parts.append(f"{len(self.left_out)} left out")
        return ", ".join(parts) + (f" ({self.stopped})" if self.stopped else "")


def preflight(items: Iterable[Mapping[str, Any]]) -> Bulk:
    """The marked requests, as the daemon tells them, before anything is sent."""
    return Bulk(tuple(_row(item) for item in items))


def _row(item: Mapping[str, Any]) -> Row:
    asked, arguments = Asked.of(item), item.get("arguments")
    texts = texts_in(arguments)
    line = on_one_line(arguments, most=LONGEST_LINE + 1)
    return Row(asked, line[:LONGEST_LINE], _why_left_out(item, asked, texts, line))


def _why_left_out(item: Mapping[str, Any], asked: Asked, texts: list[str], line: str) -> str:
    if item.get("phase") != "open":
        return "it is decided already"
    if asked.kind is not RequestKind.APPROVAL:
        return f"a {asked.kind.value.replace('_', ' ')} is answered by itself"
    if asked.risk.casefold() == "high":
        return "HIGH risk is opened alone"
    if not isinstance(item.get("arguments"), dict):
        return "its arguments are no object"
    if hidden := sum(map(sanitised, texts)):
        return f"{hidden} hidden {'character' if hidden == 1 else 'characters'}: open it"
    if mixed := next((word for text in texts for word in mixed_script_words(text)), None):
        return f"mixed alphabets ({mixed}): open it"
    if len(line) > LONGEST_LINE:
        return "its arguments are longer than a line: open it"
    return ""
