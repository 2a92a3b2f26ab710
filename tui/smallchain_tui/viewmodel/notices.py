"""What a person is told who is not looking: what asks for them, and what failed. Time is an argument.

The one rule: a notice names what it is about, and never comes twice. What comes within ten seconds of the last is told with the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from smallchain.protocol.text import one_line

EVERY_S = 10.0
"""There is no second notice for so long."""
_NAMED = 3
_WIDEST = 120
_MOST_KNOWN = 50_000


class Of(StrEnum):
    """What a notice is about."""

    REQUEST = "request"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing to tell: its id, and words that are safe in a terminal."""

    of: Of
    id: str
    words: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told at once: a title of ours, a line, and the ids for a command of the person's own."""

    title: str
    line: str
    pieces: tuple[Piece, ...]

    def ids(self, of: Of) -> tuple[str, ...]:
        """The ids of one sort."""
        return tuple(piece.id for piece in self.pieces if piece.of is of)


@dataclass(frozen=True, slots=True)
class Notices:
    """What has been told. `known` are ids of requests and failed runs; None before the first look, which tells nothing."""

    known: frozenset[str] | None = None
    waiting: tuple[Piece, ...] = ()
    told_at: float = float("-inf")

    def look(self, requests: Iterable[Mapping[str, Any]], failed: Iterable[Mapping[str, Any]], now: float) -> tuple[Notices, Notice | None]:
        """The open requests and failed runs as they are now, and what to tell of them. What was decided meanwhile is not told any more."""
        asking, failing = list(requests), list(failed)
        ids = frozenset(str(item.get("id")) for item in (*asking, *failing))
        if self.known is None:
            return replace(self, known=ids), None
        fresh = [_asks(item) for item in asking if item.get("id") not in self.known]
        fresh += [_failed(item) for item in failing if item.get("id") not in self.known]
        waiting = (*(piece for piece in self.waiting if piece.id in ids), *fresh)
        seen = replace(self, known=ids if len(self.known) > _MOST_KNOWN else self.known | ids, waiting=waiting)
        if not waiting or now - self.told_at < EVERY_S:
            return seen, None
        return replace(seen, waiting=(), told_at=now), _notice(waiting)


def title(requests: int, failed: int) -> str:
    """The title of the window: how many wait stands first, so that it is seen in a narrow tab."""
    counts = [f"({requests}) " if requests else "", f" {failed} failed" if failed else ""]
    return f"{counts[0]}smallchain{counts[1]}"


def _asks(item: Mapping[str, Any]) -> Piece:
    tool, run = str(item.get("tool") or item.get("kind") or "something"), str(item.get("run") or item.get("path") or "")
    risk = " HIGH" if str(item.get("risk")).casefold() == "high" else ""
    return Piece(Of.REQUEST, str(item.get("id")), one_line(f"{tool}{risk} ({run})", cells=_WIDEST))


def _failed(item: Mapping[str, Any]) -> Piece:
    return Piece(Of.FAILURE, str(item.get("id")), one_line(f"{item.get('name')} failed", cells=_WIDEST))


def _notice(pieces: tuple[Piece, ...]) -> Notice:
    asking = [piece.words for piece in pieces if piece.of is Of.REQUEST]
    failed = [piece.words for piece in pieces if piece.of is Of.FAILURE]
    told = []
    if asking:
        told.append(f"{'asks' if len(asking) == 1 else f'{len(asking)} ask'}: {_few(asking)}")
    if failed:
        told.append(_few(failed))
    return Notice("smallchain", "; ".join(told), pieces)


def _few(words: list[str]) -> str:
    return ", ".join(words[:_NAMED]) + (f" and {len(words) - _NAMED} more" if len(words) > _NAMED else "")
