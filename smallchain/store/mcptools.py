"""The tools of MCP servers: as each server describes them now, as a person has accepted them, and the accepted ones as one listing.

The one rule: what a model is shown and what may run is the accepted listing; what a server says now is only compared with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from smallchain.model.canonical import canonical
from smallchain.model.mcp import LISTING, McpTool, tool_of
from smallchain.store import resources
from smallchain.store.contract import Row, Tx
from smallchain.store.times import to_text

ACCEPTED, CHANGED, REFUSED, UNUSABLE = "accepted", "changed", "refused", "unusable"


@dataclass(frozen=True, slots=True)
class ToolRow:
    """One tool of a server. `words` are the server's, now; `accepted_words` those that a person accepted, empty before that."""

    server: str
    name: str
    state: str
    detail: str
    """Why it cannot be used, where it is unusable; who refused it."""
    offered: bool
    """The server lists it."""
    digest: str
    words: str
    accepted_digest: str
    accepted_words: str
    request_id: str
    """The open request about its change."""

    @property
    def now(self) -> McpTool:
        """The tool as the server describes it."""
        return tool_of(json.loads(self.words))

    @property
    def accepted(self) -> McpTool | None:
        """The tool as it was accepted, or None."""
        return tool_of(json.loads(self.accepted_words)) if self.accepted_words else None

    @property
    def usable(self) -> bool:
        """Whether it may be used as it stands."""
        return self.offered and self.state == ACCEPTED

    def told(self, tool: McpTool, /, **changes: Any) -> ToolRow:
        """The row with what the server says now."""
        return replace(self, digest=tool.digest, words=canonical(tool.words), offered=True, **changes)


@dataclass(frozen=True, slots=True)
class Listing:
    """The accepted tools of a server, as words under a digest: what runs are pinned to."""

    name: str
    digest: str
    kind: str = LISTING


_COLUMNS = tuple(field.name for field in fields(ToolRow))


def new(server: str, tool: McpTool, /, *, state: str, detail: str = "") -> ToolRow:
    """A tool that was not known."""
    words = canonical(tool.words)
    row = ToolRow(server, tool.name, state, detail, True, tool.digest, words, "", "", "")
    return replace(row, accepted_digest=row.digest, accepted_words=words) if state == ACCEPTED else row


def _from_row(row: Row) -> ToolRow:
    return ToolRow(**{name: row[name] for name in _COLUMNS} | {"offered": bool(row["offered"])})


def of_server(tx: Tx, server: str, /) -> list[ToolRow]:
    """All that is known of a server's tools, by name."""
    return list(tx.recall("mcp_tools", server, lambda: [_from_row(row) for row in tx.all("mcptools.of_server", server=server)]))


def get(tx: Tx, server: str, name: str, /) -> ToolRow | None:
    """One tool, or None."""
    return next((row for row in of_server(tx, server) if row.name == name), None)


def of_request(tx: Tx, request_id: str, /) -> ToolRow | None:
    """The tool that a request asks about, or None when it was asked about anew."""
    row = tx.one("mcptools.of_request", request_id=request_id)
    return _from_row(row) if row else None


def put(tx: Tx, row: ToolRow, /) -> ToolRow:
    """Write a tool as it stands."""
    values = {name: getattr(row, name) for name in _COLUMNS} | {"offered": int(row.offered)}
    tx.run("mcptools.put", **values, seen_at=to_text(tx.now))
    return row


def forget(tx: Tx, server: str, name: str | None = None, /) -> None:
    """Drop what is known of a tool, or of a whole server; what runs are pinned to stays."""
    if name is not None:
        tx.run("mcptools.forget_one", server=server, name=name)
        return
    tx.run("mcptools.forget", server=server)
    tx.run("mcptools.forget_listing", server=server)


def listing(tx: Tx, server: str, /) -> Listing | None:
    """What a server's accepted tools are; None before it was first heard of."""

    def read() -> str:
        row = tx.one("mcptools.listing", server=server)
        return str(row["digest"]) if row else ""

    digest = tx.recall("mcp_listings", server, read)
    return Listing(server, digest) if digest else None


def publish(tx: Tx, server: str, /) -> bool:
    """Keep the accepted tools that the server lists as one listing, under its digest; whether that is news."""
    spec = {"name": server, "tools": [row.now.words for row in of_server(tx, server) if row.usable]}
    digest = resources.keep_words(tx, kind=LISTING, name=server, spec=spec)
    before = listing(tx, server)
    if before is not None and before.digest == digest:
        return False
    tx.run("mcptools.put_listing", server=server, digest=digest)
    return True


def waiting_ids(tx: Tx, /) -> list[str]:
    """Ids of the calls that may wait for a server or one of its tools."""
    return [row["id"] for row in tx.all("mcptools.waiting")]
