"""What a server says of its tools, compared with what a person knows of them; and what a person says to a change.

The one rule: the tools of the first listing are what the person who wrote the server's entry asked for. All that is said differently
afterwards, new tools included, is held until somebody accepts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smallchain.engine.human.asking import ask
from smallchain.model.errors import Refused
from smallchain.model.events import Object
from smallchain.model.functions import name_on_server
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.mcp import MOST_TOOLS, McpTool
from smallchain.store import eventlog, mcptools, requests, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.mcptools import ACCEPTED, CHANGED, REFUSED, UNUSABLE, ToolRow

MOST_ASKED = 20
"""Changes of one server that are asked about at a time: who is asked too much reads nothing."""
_NAMED = 12


def heard(tx: Tx, server: str, tools: Sequence[tuple[McpTool, str]], /) -> None:
    """Record what a server lists: each tool, and why it cannot be used (empty if it can)."""
    known = {row.name: row for row in mcptools.of_server(tx, server)}
    first = mcptools.listing(tx, server) is None
    said = {tool.name: (tool, fault) for tool, fault in tools[:MOST_TOOLS]}
    for name, (tool, fault) in said.items():
        _heard_of(tx, server, known.get(name), tool, fault, first=first)
    for name, row in known.items():
        if name not in said and row.offered:
            _gone(tx, row)
    _follow(tx, server)


def accept(tx: Tx, request: HumanRequest, /) -> None:
    """Let the tool that a request shows be used as it was shown. Raises Refused when it is not as it was shown any more."""
    row = _shown(tx, request)
    mcptools.put(tx, replace(row, state=ACCEPTED, detail="", accepted_digest=row.digest, accepted_words=row.words, request_id=""))
    _follow(tx, row.server)


def refuse(tx: Tx, request: HumanRequest, /, *, by: str, note: str) -> None:
    """Keep the tool that a request shows from being used as it was shown. Raises Refused as `accept` does."""
    row = _shown(tx, request)
    detail = f"refused by {by}" + (f": {note}" if note else "")
    mcptools.put(tx, replace(row, state=REFUSED, detail=detail, request_id=""))
    _follow(tx, row.server)


def forget(tx: Tx, server: str, /) -> None:
    """Drop what is known of a server that is written nowhere any more, and what was asked about it."""
    known = mcptools.of_server(tx, server)
    for row in known:
        _withdraw(tx, row, "its MCP server is not written any more")
    if known or mcptools.listing(tx, server) is not None:
        mcptools.forget(tx, server)


def _heard_of(tx: Tx, server: str, row: ToolRow | None, tool: McpTool, fault: str, *, first: bool) -> None:
    if fault:
        if row is None or row.state != UNUSABLE or row.detail != fault or row.digest != tool.digest:
            eventlog.tell(tx, "McpToolUnusable", Object("mcp_server", server), name=server, tool=tool.name, detail=fault)
            if row is not None:
                _withdraw(tx, row, "the server has changed it again")
            unusable = mcptools.new(server, tool, state=UNUSABLE, detail=fault)
            mcptools.put(tx, unusable if row is None else row.told(tool, state=UNUSABLE, detail=fault, request_id=""))
        return
    if row is None:
        mcptools.put(tx, mcptools.new(server, tool, state=ACCEPTED if first else CHANGED))
    elif tool.digest == row.accepted_digest:
        if not row.usable:
            _withdraw(tx, row, "the server has taken the change back")
            mcptools.put(tx, row.told(tool, state=ACCEPTED, detail="", request_id=""))
    elif tool.digest != row.digest or row.state == UNUSABLE:
        _withdraw(tx, row, "the server has changed it again")
        mcptools.put(tx, row.told(tool, state=CHANGED, detail="", request_id=""))
    elif not row.offered:
        mcptools.put(tx, replace(row, offered=True))


def _gone(tx: Tx, row: ToolRow) -> None:
    """A tool that somebody accepted is remembered: it may come back, and must be the same then."""
    _withdraw(tx, row, "the server lists it no more")
    if row.accepted is None:
        mcptools.forget(tx, row.server, row.name)
        return
    eventlog.tell(tx, "McpToolGone", Object("mcp_server", row.server), name=row.server, tool=row.name)
    mcptools.put(tx, replace(row, offered=False, request_id=""))


def _follow(tx: Tx, server: str) -> None:
    """Publish what may be used, ask about what may not yet, and wake whoever waits for either."""
    if mcptools.publish(tx, server):
        names = [row.name for row in mcptools.of_server(tx, server) if row.usable]
        listed = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        count = "1 tool" if len(names) == 1 else f"{len(names)} tools"
        eventlog.tell(tx, "McpToolsListed", Object("mcp_server", server), name=server, count=count, names=listed or "(none)")
    changed = [row for row in mcptools.of_server(tx, server) if row.state == CHANGED and row.offered]
    room = MOST_ASKED - sum(1 for row in changed if row.request_id)
    for row in [each for each in changed if not each.request_id][: max(0, room)]:
        mcptools.put(tx, replace(row, request_id=_ask(tx, row).id))
    tx.wake("readiness", "")
    for id in mcptools.waiting_ids(tx):
        tx.wake(toolcalls.KIND, id)


def _ask(tx: Tx, row: ToolRow) -> HumanRequest:
    """Put both forms of a tool before a person, bound to the digest of the new one."""
    before = row.accepted
    what = "changed its tool" if before is not None else "has a new tool,"
    return ask(
        tx,
        None,
        kind=RequestKind.TOOL_CHANGED,
        question=f"MCP server '{row.server}' {what} '{row.name}': may agents use it as it is now?",
        arguments={"before": before.words if before is not None else None, "now": row.now.words},
        digest=row.digest,
        tool=name_on_server(row.server, row.name),
        path=f"MCP server '{row.server}'",
        rule="what a server says differently is held until somebody accepts it",
    )


def _shown(tx: Tx, request: HumanRequest) -> ToolRow:
    row = mcptools.of_request(tx, request.id)
    if row is None or row.digest != request.digest:
        raise Refused("the tool is not as it was shown any more")
    return row


def _withdraw(tx: Tx, row: ToolRow, why: str) -> None:
    request = requests.find(tx, row.request_id) if row.request_id else None
    if request is not None and request.phase == "open":
        requests.decide(tx, request, "withdrawn", decision="", by="smallchain", note=why)
        requests.tell(tx, "RequestWithdrawn", request, why=why)
