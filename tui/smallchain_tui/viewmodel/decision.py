"""One request before one person: which key counts when, and what is sent. A state machine without a screen; time is an argument.

The one rule: nothing leaves but by `tick`, from a verdict that was begun while the keys were armed and that no key has followed since.
So a key counts that stands alone: no key for 0.4 s before it, none for 0.3 s after it. What was typed ahead, pasted, or meant for
another window is none.

    opened -> armed (0.4 s without keys) -> [edit -> checked] -> [note] -> [the typed word] -> held (0.3 s without keys) -> sent
    sent -> ended (acknowledged, or another was first, expired, withdrawn) | opened (refused) | unknown (the connection broke)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from smallchain.model.delivery import VERBS, Verb
from smallchain.model.human import RequestKind
from smallchain.model.outcomes import decided

ARM_S = 0.4
"""So long no key may have come before a verdict key counts."""
HOLD_S = 0.3
"""So long a verdict is held before it is sent; any key takes it back."""
NOT_ARMED = "not yet: a verdict counts after 0.4 s without keys"
TAKEN_BACK = "taken back: another key came; nothing was sent"
_TYPABLE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Stage(StrEnum):
    """Where a person stands with a request."""

    OPENED = "opened"
    EDITING = "editing"
    NOTING = "noting"
    CONFIRMING = "confirming"
    HELD = "held"
    SENT = "sent"
    UNKNOWN = "unknown"
    ENDED = "ended"


class How(StrEnum):
    """How it ended."""

    ACKED = "acked"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person means to say. `for_run`: and the tool is not asked about again in this run; `for_good`: and the cap stays raised."""

    verb: str
    for_run: bool = False
    for_good: bool = False


class Subject(Protocol):
    """What is decided on: a request, several of them, or an act on a run."""

    @property
    def id(self) -> str:
        """The request's; empty for what is none."""

    @property
    def verbs(self) -> Sequence[str]:
        """What can be said to it, in the order it is offered."""

    @property
    def word(self) -> str:
        """What has to be typed where a verdict needs a word."""

    def needs_word(self, verdict: Verdict, /) -> bool:
        """Whether a verdict has to be confirmed by a typed word."""

    def needs_text(self, verb: str, /) -> bool:
        """Whether a verb says nothing without a text."""

    def request(self, decision: Decision, verdict: Verdict, /) -> Act:
        """What is sent."""


class Act(NamedTuple):
    """What is sent: the route's verb, what it is about, the body; as `POST /v1/VERB/REF`."""

    verb: str
    ref: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to a person. `digest` is that of what is shown, and goes with every verdict; empty where a kind has none."""

    id: str
    kind: RequestKind
    digest: str
    risk: str
    tool: str
    run: str
    run_id: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Asked:
        """The request as the daemon tells it. Raises ValueError for a kind that this version does not know."""
        words = {name: str(item.get(name) or "") for name in ("id", "digest", "risk", "tool", "run", "run_id")}
        return cls(kind=RequestKind(str(item.get("kind"))), **words)

    @property
    def verbs(self) -> Sequence[str]:
        """Those of its kind."""
        return VERBS[self.kind]

    @property
    def word(self) -> str:
        """The tool's name, where a keyboard has its characters."""
        return self.tool if _TYPABLE.fullmatch(self.tool) else "yes"

    def needs_word(self, verdict: Verdict, /) -> bool:
        """What starts something of HIGH risk, or holds on: for a whole run, for good."""
        starts = verdict.verb in (Verb.APPROVE, Verb.RUN_AGAIN)
        return verdict.for_run or verdict.for_good or (starts and self.risk.casefold() == "high")

    def needs_text(self, verb: str, /) -> bool:
        """An answer, and what happened."""
        return verb in (Verb.ANSWER, Verb.HAPPENED)

    def request(self, decision: Decision, verdict: Verdict, /) -> Act:
        """The verdict, bound to the digest of what was shown."""
        note = {"note": decision.note} if decision.note.strip() else {}
        digest = {"expect_digest": self.digest} if self.digest else {}
        match Verb(verdict.verb):
            case Verb.APPROVE if self.kind is RequestKind.BUDGET:
                by = decision.text.strip()  # where nobody wrote an amount: as it is asked
                raises = {"arguments": {"by": by, "for_good": verdict.for_good}} if by else {}
                return Act("approve", self.id, note | digest | raises)
            case Verb.APPROVE:
                edits = {"arguments": decision.edits} if decision.edits is not None else {}
                return Act("approve", self.id, note | digest | edits | ({"for_run": True} if verdict.for_run else {}))
            case Verb.DENY:
                return Act("deny", self.id, note | digest)
            case Verb.ANSWER:
                return Act("answer", self.id, {"text": decision.text} | note)
            case Verb.HAPPENED:
                return Act("settle", self.id, {"happened": decision.text} | note)
            case Verb.DID_NOT_HAPPEN | Verb.RUN_AGAIN as settled:
                return Act("settle", self.id, {settled.value: True} | note)
            case Verb.RESUME:
                return Act("resume", self.run_id or self.run, {"only": True} | note)
            case Verb.CANCEL:
                return Act("cancel", self.run_id or self.run, note)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, told to the person who looks at it: who, when, with which note."""

    how: How
    sentence: str
    by: str = ""
    at: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A request before a person. Moments are seconds of one monotonic clock; `notice` is a sentence for the person, or empty."""

    subject: Subject
    quiet_since: float
    stage: Stage = Stage.OPENED
    since: float = 0.0
    """When this stage began."""
    verdict: Verdict | None = None
    text: str = ""
    """An answer, what happened, or by how much a cap is raised."""
    note: str = ""
    edits: dict[str, Any] | None = None
    """Arguments, checked, in the place of the model's, whole; None: as they are."""
    changes: tuple[str, ...] = ()
    """What the edits change, a line each."""
    typed: str = ""
    notice: str = ""
    ending: Ending | None = None

    @classmethod
    def open(cls, item: Mapping[str, Any], now: float, *, note: str = "", text: str = "") -> Decision:
        """A request that was opened; `note` and `text` are what the person had written before."""
        return cls(Asked.of(item), quiet_since=now, since=now, note=note, text=text)

    # ---- what holds

    def armed(self, now: float) -> bool:
        """Whether a verdict key would count."""
        return self.stage is Stage.OPENED and now >= self.quiet_since + ARM_S

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be said."""
        return self.stage is Stage.ENDED

    @property
    def has_text_field(self) -> bool:
        """Whether letters are letters now."""
        return self.stage in (Stage.EDITING, Stage.NOTING, Stage.CONFIRMING)

    @property
    def needs_word(self) -> bool:
        """Whether the verdict that was begun has to be confirmed by a typed word."""
        return self.verdict is not None and self.subject.needs_word(self.verdict)

    def request(self) -> Act:
        """What is sent, once a verdict was begun."""
        assert self.verdict is not None
        return self.subject.request(self, self.verdict)

    # ---- what a person does

    def other(self, now: float) -> Decision:
        """Any key, click or paste that is no verdict: the keys arm anew, and a held verdict is taken back."""
        if self.stage is Stage.HELD:
            return self._back(now, TAKEN_BACK)
        return replace(self, quiet_since=now)

    def press(self, verdict: Verdict, now: float, *, why_not: str | None) -> Decision:
        """A verdict key. `why_not` says why nothing can be sent now; what is refused so is not kept to be sent later."""
        if self.stage is not Stage.OPENED:
            return self.other(now)
        if verdict.verb not in self.subject.verbs:
            return replace(self, quiet_since=now, notice="it takes no such answer")
        if not self.armed(now):
            return replace(self, quiet_since=now, notice=NOT_ARMED)
        if why_not:
            return replace(self, quiet_since=now, notice=f"not sent: {why_not}")
        begun = replace(self, verdict=verdict, quiet_since=now, notice="")
        if verdict.verb == Verb.DENY:
            return begun._to(Stage.NOTING, now)
        return begun._hold_or_confirm(now)

    def choose(self, verb: str, now: float) -> Decision:
        """Pick what to say; nothing is sent by it."""
        if self.stage is not Stage.OPENED or verb not in self.subject.verbs:
            return self.other(now)
        return replace(self, verdict=Verdict(verb), quiet_since=now, notice="")

    def send(self, now: float, *, why_not: str | None) -> Decision:
        """The key that sends what is written (ctrl+s); it sends only what a person has begun to say, and confirmed where that is wanted."""
        if self.stage is Stage.NOTING and self.verdict is None:
            return self._to(Stage.OPENED, now)
        if self.stage not in (Stage.OPENED, Stage.NOTING, Stage.CONFIRMING):
            return self.other(now)
        verbs = self.subject.verbs
        verdict = self.verdict or (Verdict(verbs[0]) if len(verbs) == 1 else None)
        if verdict is None:
            return replace(self, quiet_since=now, notice="nothing is begun: say first what you decide")
        if now < self.since + ARM_S:
            return replace(self, quiet_since=now, notice=NOT_ARMED)
        if why_not:
            return replace(self, quiet_since=now, notice=f"not sent: {why_not}")
        if self.subject.needs_text(verdict.verb) and not self.text.strip():
            return replace(self, quiet_since=now, notice="nothing is written yet")
        if self.stage is Stage.OPENED and not self.subject.needs_text(verdict.verb) and not self.armed(now):
            return replace(self, quiet_since=now, notice=NOT_ARMED)
        if self.stage is not Stage.CONFIRMING:
            return replace(self, verdict=verdict)._hold_or_confirm(now)
        if self.typed != self.subject.word:
            return replace(self, quiet_since=now, notice=f"type {self.subject.word} first")
        if now < self.quiet_since + ARM_S:  # what pastes a word may paste the key after it too
            return replace(self, quiet_since=now, notice=NOT_ARMED)
        return self._hold(now)

    def edit(self, now: float) -> Decision:
        """Begin to put other arguments in place."""
        return self._to(Stage.EDITING, now) if self.stage is Stage.OPENED else self.other(now)

    def accept(self, edits: dict[str, Any] | None, changes: tuple[str, ...], now: float) -> Decision:
        """The edit, checked; None where it changes nothing. The keys arm anew."""
        return replace(self, edits=edits, changes=changes)._back(now, "") if self.stage is Stage.EDITING else self

    def begin_note(self, now: float) -> Decision:
        """Write a note, for either verdict."""
        return replace(self._to(Stage.NOTING, now), verdict=None) if self.stage is Stage.OPENED else self.other(now)

    def write(self, now: float, *, note: str | None = None, text: str | None = None, typed: str | None = None) -> Decision:
        """What stands in a text field now."""
        if self.stage in (Stage.HELD, Stage.SENT, Stage.ENDED):
            return self
        written = replace(self, note=self.note if note is None else note, text=self.text if text is None else text, quiet_since=now)
        return replace(written, typed=typed) if typed is not None and self.stage is Stage.CONFIRMING else written

    def escape(self, now: float) -> Decision:
        """Back out of what was begun; what was written stays."""
        if self.stage in (Stage.EDITING, Stage.NOTING, Stage.CONFIRMING, Stage.HELD):
            return self._back(now, TAKEN_BACK if self.stage is Stage.HELD else "")
        return replace(self, quiet_since=now)

    def tick(self, now: float, *, why_not: str | None) -> Decision:
        """Time passes: a verdict that was held long enough is sent, if it can be."""
        if self.stage is not Stage.HELD or now < self.since + HOLD_S:
            return self
        return self._back(now, f"not sent: {why_not}") if why_not else self._to(Stage.SENT, now)

    # ---- what the daemon says

    def answered(self, sentence: str, now: float) -> Decision:
        """It counted."""
        return replace(self._to(Stage.ENDED, now), ending=Ending(How.ACKED, sentence), notice="") if self.stage is Stage.SENT else self

    def refused(self, why: str, now: float) -> Decision:
        """It did not count, and the request is still open."""
        return self._back(now, why) if self.stage is Stage.SENT else self

    def lost(self, why: str, now: float) -> Decision:
        """The connection broke while it was out: nobody knows yet whether it counted."""
        return replace(self._to(Stage.UNKNOWN, now), notice=why) if self.stage is Stage.SENT else self

    def looked(self, item: Mapping[str, Any], now: float) -> Decision:
        """The request as it stands at the daemon: another may have been first, or time."""
        if self.stage in (Stage.SENT, Stage.ENDED) or item.get("id") != self.subject.id:
            return self
        if item.get("phase") != "open":
            return replace(self._to(Stage.ENDED, now), ending=ending_of(item), notice="")
        fresh = Asked.of(item)
        if fresh != self.subject:
            why = "what is asked has changed since it was opened: look again"
            return replace(self._back(now, why), subject=fresh, edits=None, changes=())
        return self._back(now, "it did not arrive: nothing was decided") if self.stage is Stage.UNKNOWN else self

    # ---- steps

    def _hold_or_confirm(self, now: float) -> Decision:
        return replace(self._to(Stage.CONFIRMING, now), typed="") if self.needs_word else self._hold(now)

    def _hold(self, now: float) -> Decision:
        return self._to(Stage.HELD, now)

    def _to(self, stage: Stage, now: float) -> Decision:
        return replace(self, stage=stage, since=now, quiet_since=now, notice="")

    def _back(self, now: float, notice: str) -> Decision:
        return replace(self._to(Stage.OPENED, now), verdict=None, typed="", notice=notice)


def ending_of(item: Mapping[str, Any]) -> Ending:
    """How a closed request ended: `already approved by ann`, expired, or withdrawn."""
    by, at, note = (str(item.get(name) or "") for name in ("answered_by", "answered_at", "note"))
    answer = item.get("answer")
    match item.get("phase"):
        case "answered":
            verb = decided(answer) if isinstance(answer, dict) else "answered"
            return Ending(How.CONFLICT, f"{verb} by {by or 'somebody'}", by, at, note)
        case "expired":
            return Ending(
                How.EXPIRED, f"expired: nobody answered in time ({item.get('on_expiry') or 'the model is told so'})", by, at, note
            )
        case _:
            return Ending(How.WITHDRAWN, "withdrawn: it is not asked any more", by, at, note)
