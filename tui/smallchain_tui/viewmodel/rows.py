"""The daemon's items as frozen rows. An item is a stranger's JSON: a field that is missing or of another type is empty, never an error.

The one rule: what a row holds is raw. Screens show it through `smallchain.protocol.text`; copies, exports and digests take it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from sys import intern
from typing import Any

from smallchain.model.errors import BadInput
from smallchain.model.money import parse_dollars

Item = Mapping[str, Any]

OVER = frozenset(("Succeeded", "Failed", "Cancelled"))
"""The words of runs that have ended."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run. Costs are nano-dollars: its own, and with its descendants."""

    id: str
    name: str
    status: str
    phase: str
    detail: str
    paused: bool
    output: str
    error: str
    agent: str
    llm: str
    task: str
    parent: str
    parent_id: str
    root: str
    root_id: str
    depth: int
    turns: int
    priority: int
    cost_nanousd: int
    tree_cost_nanousd: int
    due_at: datetime | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    item: Item = field(repr=False, compare=False)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in OVER

    @classmethod
    def of(cls, item: Item, /) -> RunRow:
        """From a `run` item."""
        return cls(
            **_texts(cls, item),
            paused=item.get("paused") is True,
            depth=number(item, "depth"),
            turns=number(item, "turns"),
            priority=number(item, "priority"),
            cost_nanousd=money(item, "cost_usd"),
            tree_cost_nanousd=money(item, "tree_cost_usd"),
            due_at=moment(item, "due_at"),
            created_at=moment(item, "created_at"),
            started_at=moment(item, "started_at"),
            finished_at=moment(item, "finished_at"),
            item=item,
        )


@dataclass(frozen=True, slots=True)
class RequestRow:
    """What waits for a person. `kind` is what is asked: `approval`, `question`, `settle`, `loop`, ...

    `run` is empty where no run asks: a tool of an MCP server that changed; `difference` has the lines of what changed of it.
    `outcomes` says for each verb that can be said (`approve`, `deny`, ...) what comes of it, in the daemon's words.
    """

    id: str
    kind: str
    name: str
    run: str
    run_id: str
    tool: str
    toolcall_id: str
    arguments: Any
    difference: tuple[str, ...]
    digest: str
    path: str
    question: str
    why: str
    choices: tuple[str, ...]
    outcomes: Mapping[str, str]
    risk: str
    rule: str
    phase: str
    channel: str
    created_at: datetime | None
    expires_at: datetime | None
    on_expiry: str
    answered_at: datetime | None
    answered_by: str
    answered_via: str
    answer: Any
    note: str
    item: Item = field(repr=False, compare=False)

    @property
    def is_open(self) -> bool:
        """Whether it still waits."""
        return self.phase == "open"

    @property
    def asker(self) -> str:
        """Who asks: a run, else what stands in its place on the path."""
        return self.run or self.path

    @classmethod
    def of(cls, item: Item, /) -> RequestRow:
        """From an item of the inbox."""
        outcomes = item.get("outcomes")
        return cls(
            **_texts(cls, item),
            arguments=item.get("arguments"),
            difference=tuple(each for each in sequence(item, "difference") if isinstance(each, str)),
            choices=tuple(each for each in sequence(item, "choices") if isinstance(each, str)),
            outcomes={str(verb): str(what) for verb, what in outcomes.items()} if isinstance(outcomes, Mapping) else {},
            created_at=moment(item, "created_at"),
            expires_at=moment(item, "expires_at"),
            answered_at=moment(item, "answered_at"),
            answer=item.get("answer"),
            item=item,
        )


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event. `run` is empty where it is about no run."""

    seq: int
    time: datetime | None
    level: str
    reason: str
    message: str
    run: str
    run_id: str
    object_kind: str
    object_name: str
    object_id: str

    @property
    def item(self) -> Item:
        """As the daemon tells it; made anew, since tens of thousands of rows are kept."""
        time = f"{self.time:%Y-%m-%dT%H:%M:%S.%f}Z" if self.time is not None else None
        about = {"kind": self.object_kind, "name": self.object_name, "id": self.object_id}
        told = {"kind": "event", "name": self.reason, "id": str(self.seq), "seq": self.seq, "time": time, "level": self.level}
        return {
            **told,
            "reason": self.reason,
            "object": about,
            "message": self.message,
            "run": self.run or None,
            "run_id": self.run_id or None,
        }

    @classmethod
    def of(cls, item: Item, /) -> EventRow:
        """From an `event` item. What repeats from event to event is kept once."""
        about = item.get("object")
        about = about if isinstance(about, Mapping) else {}
        return cls(
            seq=number(item, "seq"),
            time=moment(item, "time"),
            level=intern(text(item, "level")),
            reason=intern(text(item, "reason")),
            message=text(item, "message"),
            run=intern(text(item, "run")),
            run_id=intern(text(item, "run_id")),
            object_kind=intern(text(about, "kind")),
            object_name=intern(text(about, "name")),
            object_id=intern(text(about, "id")),
        )


def _texts(row: type, item: Item) -> dict[str, str]:
    """All fields of a row that are texts; they are named as in the item."""
    return {each.name: text(item, each.name) for each in fields(row) if each.type == "str"}


def text(item: Item, name: str) -> str:
    """A field that is a text, else empty."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def number(item: Item, name: str) -> int:
    """A field that is a whole number, else 0."""
    value = item.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def sequence(item: Item, name: str) -> Sequence[Any]:
    """A field that is a list, else an empty one."""
    value = item.get(name)
    return value if isinstance(value, list | tuple) else ()


def money(item: Item, name: str) -> int:
    """A field of decimal dollars as nano-dollars, else 0."""
    try:
        return parse_dollars(text(item, name) or "0")
    except BadInput:
        return 0


def moment(item: Item, name: str) -> datetime | None:
    """A field that is a time (RFC 3339), aware and in UTC, else None."""
    try:
        found = datetime.fromisoformat(text(item, name))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
