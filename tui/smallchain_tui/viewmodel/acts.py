"""What can be done to a run, or with a task: each way with what it does, the command that does the same, and what is sent.

The one rule: nothing is chosen beforehand where something ends or is repeated; the first thing that counts is the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smallchain_tui import twins
from smallchain_tui.viewmodel.decision import Act, Decision, Verdict
from smallchain_tui.viewmodel.rows import RunRow


@dataclass(frozen=True, slots=True)
class Way:
    """One way to act. `fields`: what has to be filled in; `word`: what has to be typed first, where much is repeated or ended."""

    verb: str
    label: str
    body: Mapping[str, Any]
    fields: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True, slots=True)
class OnRun:
    """An act on a run (or a task) as the subject of a decision: its verbs are the numbers of its ways, from 1."""

    ref: str
    name: str
    ways: tuple[Way, ...]
    values: tuple[tuple[str, str], ...] = ()
    """What is filled in, by field."""
    id: str = ""

    @property
    def verbs(self) -> Sequence[str]:
        """The numbers."""
        return tuple(str(number) for number in range(1, len(self.ways) + 1))

    @property
    def word(self) -> str:
        """Of the way that has one."""
        return next((way.word for way in self.ways if way.word), "")

    def way(self, verb: str) -> Way:
        """By its number."""
        return self.ways[int(verb) - 1]

    def needs_word(self, verdict: Verdict, /) -> bool:
        """Where it repeats what was done, or ends many runs."""
        return bool(self.way(verdict.verb).word)

    def needs_text(self, verb: str, /) -> bool:
        """Fields say for themselves what they lack."""
        return False

    def fault(self, verb: str) -> str:
        """What is not filled in as it has to be; empty when all is."""
        given = dict(self.values)
        for name in self.way(verb).fields:
            value = given.get(name, "").strip()
            if name in ("at", "task") and not value:
                return f"{name}: nothing is written yet"
            if name in ("at", "priority") and value and not value.lstrip("-").isdecimal():
                return f"{name}: a whole number is wanted"
        return ""

    def request(self, decision: Decision, verdict: Verdict, /) -> Act:
        """What is sent."""
        way = self.way(verdict.verb)
        given = {name: value.strip() for name, value in self.values if name in way.fields and value.strip()}
        body: dict[str, Any] = {**way.body, **{name: int(value) if name in ("at", "priority") else value for name, value in given.items()}}
        if decision.note.strip() and way.verb in ("pause", "resume", "cancel"):
            body["note"] = decision.note
        return Act(way.verb, "" if way.verb == "runs" else self.ref, body)

    def twin(self, act: Act) -> str:
        """The command that does the same."""
        body = act.body
        match act.verb:
            case "runs":
                task, message, name = (str(body.get(each, "")) for each in ("task", "message", "name"))
                return twins.start(task or "TASK", message=message, name=name, priority=int(body.get("priority", 0)))
            case "retry":
                return twins.retry(self.name, from_start=bool(body.get("from_start")), confirmed=bool(body.get("confirmed")))
            case "fork":
                return twins.fork(self.name, int(body.get("at", 0)))
        note, only = str(body.get("note", "")), bool(body.get("only"))
        return twins.on_run(act.verb, self.name, note=note, only=only, adopt=bool(body.get("adopt")))


def ways(verb: str, run: RunRow | None, *, confirm: bool = False) -> tuple[Way, ...]:
    """The ways of an act, by the run as it stands; empty where nothing can be done. `confirm`: repeat calls that succeeded, too."""
    if verb == "start":
        return (Way("runs", "start a run of the task", {}, ("task", "message", "name", "priority")),)
    if run is None:
        return ()
    if verb == "fork":
        return (Way("fork", "go on from that message as a new run; calls that were made are never made again", {}, ("at",)),)
    if verb == "retry" or (verb == "resume" and run.is_over):
        again = Way("retry", "repeat it from its start", {"from_start": True})
        if confirm:
            again = Way(
                "retry",
                "repeat it from its start, and the calls that succeeded too",
                {"from_start": True, "confirmed": True},
                word="repeat",
            )
        return (Way("retry", "a new run that goes on where it ended, with all its results", {}), again) if run.is_over else ()
    if run.is_over:
        return ()
    if verb == "pause":
        return (
            Way("pause", "pause it and its descendants; what is out finishes", {}),
            Way("pause", "pause it alone", {"only": True}),
        )
    if verb == "resume":
        return (
            Way("resume", "let it and its descendants go on", {}),
            Way("resume", "let it alone go on", {"only": True}),
            Way("resume", "let it go on with what is written now (adopt)", {"adopt": True}),
        )
    if verb == "cancel":
        return (Way("cancel", "end it and its descendants; calls that run are killed, requests are withdrawn", {}),)
    return ()
