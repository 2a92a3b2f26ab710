"""Resources: what people wrote and whether it can be used; specs by digest; and the pins of live runs on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from smallchain.model.canonical import canonical, digest
from smallchain.model.errors import Conflict
from smallchain.model.lifecycles import Readiness
from smallchain.store.contract import Row, Tx
from smallchain.store.times import from_text, to_text

CHECKED_KINDS = ("llm", "agent", "tool", "channel", "mcp_server", "schedule")
"""The kinds with a loop of their own; the others are Ready as soon as they are written."""


@dataclass(frozen=True, slots=True)
class Written:
    """A resource as it stands: its words, where they are written, and whether it can be used."""

    id: str
    kind: str
    name: str
    digest: str
    text: str
    """The words, as canonical JSON."""
    folder: str
    file: str
    line: int
    generation: int
    status: Readiness
    detail: str
    failures: int
    checked: str
    """What the last check looked at (a mark of the loop's own), empty before the first."""
    updated_at: datetime
    version: int

    @property
    def spec(self) -> dict[str, Any]:
        """The words, read."""
        return dict(json.loads(self.text))


def _from_row(row: Row) -> Written:
    return Written(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        digest=row["digest"],
        text=row["spec"],
        folder=row["folder"],
        file=row["file"],
        line=row["line"],
        generation=row["generation"],
        status=Readiness(row["status"]),
        detail=row["detail"],
        failures=row["failures"],
        checked=row["checked"],
        updated_at=from_text(row["updated_at"]),
        version=row["version"],
    )


def spec_digest(kind: str, spec: dict[str, Any], folder: str) -> str:
    """What tells two writings apart: the words and the folder that relative paths start at."""
    return digest({"kind": kind, "spec": spec, "folder": folder})


def put(tx: Tx, /, *, kind: str, name: str, spec: dict[str, Any], folder: str, file: str, line: int) -> str:
    """Write a resource as new or changed; `created`, `changed` (its words) or `unchanged` (at most its place)."""
    mark = spec_digest(kind, spec, folder)
    before = tx.one("resources.get", kind=kind, name=name)
    if before is not None and (before["digest"], before["file"], before["line"]) == (mark, file, line):
        return "unchanged"
    tx.run("resources.put_spec", digest=mark, kind=kind, name=name, folder=folder, spec=canonical(spec))
    now = to_text(tx.now)
    if before is None:
        status = Readiness.PENDING if kind in CHECKED_KINDS else Readiness.READY
        tx.run(
            "resources.insert",
            id=tx.new_id(),
            kind=kind,
            name=name,
            digest=mark,
            file=file,
            line=line,
            status=status,
            detail="not looked at yet" if status is Readiness.PENDING else "",
            now=now,
        )
    else:
        tx.run("resources.change", kind=kind, name=name, digest=mark, file=file, line=line, now=now)
    tx.wake(kind, name)
    if before is None:
        return "created"
    return "changed" if before["digest"] != mark else "unchanged"


def keep_words(tx: Tx, /, *, kind: str, name: str, spec: dict[str, Any]) -> str:
    """Keep words that no file says (the tools of an MCP server), so that runs can be pinned to them; their digest."""
    mark = spec_digest(kind, spec, "")
    tx.run("resources.put_spec", digest=mark, kind=kind, name=name, folder="", spec=canonical(spec))
    return mark


def delete(tx: Tx, kind: str, name: str, /) -> None:
    """Take a resource away for new runs; what live runs are pinned to stays."""
    tx.run("resources.delete", kind=kind, name=name)
    tx.wake(kind, name)


def get(tx: Tx, kind: str, name: str, /) -> Written | None:
    """A resource by kind and name, or None."""

    def read() -> Written | None:
        row = tx.one("resources.get", kind=kind, name=name)
        return _from_row(row) if row else None

    return tx.recall("resources", (kind, name), read)


def digest_of(tx: Tx, kind: str, name: str, /) -> str:
    """What tells a resource's words apart; empty when there is none."""
    row = tx.one("resources.digest", kind=kind, name=name)
    return str(row["digest"]) if row else ""


def over_call(tx: Tx, /, *, agent: str, kind: str, name: str) -> tuple[str, str, str]:
    """What tells the words apart that have a rule over a call: of the agent, of the tool or MCP server (`kind` and `name`), and the
    defaults; empty where none are written."""

    def read() -> tuple[str, str, str]:
        found = {row["kind"]: row["digest"] for row in tx.all("resources.over_call", agent=agent, kind=kind, name=name)}
        return found.get("agent", ""), found.get(kind, ""), found.get("defaults", "")

    return tx.recall("resources", ("over_call", agent, kind, name), read)


def of_kind(tx: Tx, kind: str, /) -> list[Written]:
    """All resources of a kind, by name."""

    def read() -> list[Written]:
        return [_from_row(row) for row in tx.all("resources.of_kind", kind=kind)]

    return list(tx.recall("resources", kind, read))


def everything(tx: Tx, /) -> list[Written]:
    """Every resource, by kind and name."""
    return [_from_row(row) for row in tx.all("resources.all")]


def names(tx: Tx, kind: str, /) -> list[str]:
    """The names of a kind."""
    return [row["name"] for row in tx.all("resources.names", kind=kind)]


def set_status(
    tx: Tx, resource: Written, status: Readiness, /, *, detail: str, failures: int | None = None, checked: str | None = None
) -> None:
    """Record whether a resource can be used; raises Conflict when its row has another version."""
    touched = tx.run(
        "resources.set_status",
        kind=resource.kind,
        name=resource.name,
        status=status,
        detail=detail,
        failures=resource.failures if failures is None else failures,
        checked=resource.checked if checked is None else checked,
        now=to_text(tx.now),
        version=resource.version,
    )
    if touched != 1:
        raise Conflict(f"{resource.kind} {resource.name!r} was changed meanwhile")
    tx.wake(resource.kind, resource.name)


class Pinnable(Protocol):
    """Words that a run can be pinned to."""

    @property
    def kind(self) -> str:
        """The kind of what they are of."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def digest(self) -> str:
        """What tells them apart."""
        ...


def pin(tx: Tx, root_id: str, resource: Pinnable, /) -> None:
    """Pin a run's tree to the words of a resource as they stand."""
    tx.run("resources.pin", root_id=root_id, kind=resource.kind, name=resource.name, digest=resource.digest)


@dataclass(frozen=True, slots=True)
class Words:
    """What a digest stands for, as canonical JSON, and the folder its relative paths start at."""

    kind: str
    digest: str
    text: str
    folder: str


def words(tx: Tx, digest: str, /) -> Words | None:
    """What a digest stands for, or None."""
    row = tx.one("resources.spec", digest=digest)
    return Words(row["kind"], digest, row["spec"], row["folder"]) if row else None


def pinned(tx: Tx, root_id: str, /) -> dict[tuple[str, str], str]:
    """The digests that a run's tree is pinned to, by kind and name."""
    return {(row["kind"], row["name"]): row["digest"] for row in tx.all("resources.pinned", root_id=root_id)}


def pins(tx: Tx, root_id: str, /) -> list[Row]:
    """All pins of a run's tree: kind, name, digest, and whether it is `current` (None: the resource is gone)."""
    return tx.all("resources.pins", root_id=root_id)
