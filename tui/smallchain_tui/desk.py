"""What a person has begun and not decided: notes, edits, what was put off; kept in the state folder, restored after any loss.

The one rule: the file is ours alone (0600), is replaced whole, and never keeps anybody from deciding: one that can't be read is as none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

MOST = 200
"""Requests whose drafts are kept; the oldest go first."""
LONGEST = 1 << 20
"""Characters of one draft's texts."""
_LARGEST_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Draft:
    """What was begun on one request. `digest` is that of what it was begun on: edits of anything else are not taken up."""

    digest: str = ""
    note: str = ""
    text: str = ""
    arguments: str = ""
    """The edit as it stood in its field, YAML; empty for none."""
    snoozed_until: float = 0.0
    """Seconds since the epoch; 0: it was not put off."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.note or self.text or self.arguments or self.snoozed_until)


class Desk:
    """The drafts of one dashboard's state folder, by the id of the request. `path` None keeps them for this life alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._drafts: dict[str, Draft] = {}
        self.fault = ""
        """Why they are not kept, for the person; empty when they are."""
        if path is not None:
            self._drafts = _load(path)

    @classmethod
    def of(cls, state_dir: Path) -> Desk:
        """The desk of a state folder."""
        return cls(state_dir / "dashboard" / "drafts.json")

    def draft(self, id: str) -> Draft:
        """What was begun on a request."""
        return self._drafts.get(id, Draft())

    def keep(self, id: str, draft: Draft) -> None:
        """Keep what was begun, at once and for good; an empty draft goes."""
        before = self._drafts.pop(id, None)
        if not draft.is_empty and sum(map(len, (draft.note, draft.text, draft.arguments))) <= LONGEST:
            self._drafts[id] = draft
            while len(self._drafts) > MOST:
                del self._drafts[next(iter(self._drafts))]
        if self._drafts.get(id) != before:
            self._write()

    def drop(self, id: str) -> None:
        """Forget it: the request is decided."""
        self.keep(id, Draft())

    def snoozed(self, now: float) -> frozenset[str]:
        """The requests that are put off, at `now` seconds since the epoch."""
        return frozenset(id for id, draft in self._drafts.items() if draft.snoozed_until > now)

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps({id: _plain(draft) for id, draft in self._drafts.items()})
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(beside, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        except OSError as error:
            self.fault = f"drafts are not kept: {error.strerror}"
        else:
            self.fault = ""


def _plain(draft: Draft) -> dict[str, Any]:
    return {each.name: getattr(draft, each.name) for each in fields(draft)}


def _load(path: Path) -> dict[str, Draft]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    found = {id: _draft(words) for id, words in value.items()} if isinstance(value, dict) else {}
    return {id: draft for id, draft in list(found.items())[-MOST:] if draft is not None}


def _draft(words: Any) -> Draft | None:
    if not isinstance(words, Mapping):
        return None
    until = words.get("snoozed_until")
    texts = {name: words.get(name) for name in ("digest", "note", "text", "arguments")}
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(until, int | float):
        return None
    return Draft(**texts, snoozed_until=float(until))  # type: ignore[arg-type]
