"""A run and what it delegated, as a tree with what each branch has cost; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smallchain.protocol.text import cut, one_line, pad, width
from smallchain_tui.viewmodel.conversation import exact_dollars
from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.line import Line, Span, cell, to_right
from smallchain_tui.viewmodel.rows import Item, RunRow, moment, text
from smallchain_tui.viewmodel.words import span

_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Node:
    """A run, or a tool call of one. `total_nanousd` is with all below it; `branches` says for each level whether it goes on."""

    kind: str
    id: str
    name: str
    label: str
    status: str
    detail: str
    depth: int
    branches: tuple[bool, ...]
    own_nanousd: int
    total_nanousd: int
    children: int
    folded: bool
    started_at: datetime | None
    finished_at: datetime | None


def tree(
    runs: Iterable[RunRow], calls: Iterable[Item] = (), *, root: str = "", folded: Collection[str] = (), with_calls: bool = True
) -> list[Node]:
    """Runs below a root (its id; all roots without one), each followed by its calls and children, in the order of their making.

    A call that made a child is not shown beside it. What a branch costs is the sum of what is here, so the numbers add up as shown.
    """
    rows = {row.id: row for row in runs}
    children: dict[str, list[RunRow]] = defaultdict(list)
    for row in rows.values():
        children[row.parent_id if row.parent_id in rows else ""].append(row)
    own_calls: dict[str, list[Item]] = defaultdict(list)
    if with_calls:
        for call in calls:
            if not text(call, "child"):
                own_calls[text(call, "run_id")].append(call)
    totals = _rolled_up(rows, children)
    beginnings = [rows[root]] if root in rows else children[""]
    found: list[Node] = []
    waiting: list[tuple[RunRow | Item, tuple[bool, ...]]] = [(row, ()) for row in reversed(beginnings)]
    while waiting:
        one, branches = waiting.pop()
        if not isinstance(one, RunRow):
            found.append(_of_call(one, branches))
            continue
        below: list[RunRow | Item] = [*own_calls[one.id], *children[one.id]] if len(branches) < _DEEPEST else []
        below.sort(key=_made)
        found.append(_of_run(one, branches, totals[one.id], len(below), folded=one.id in folded))
        if one.id not in folded:
            waiting += [(each, (*branches, place > 0)) for place, each in enumerate(reversed(below))]
    return found


def tree_line(node: Node, cells: int, glyphs: Glyphs, *, whole_nanousd: int, now: datetime) -> Line:
    """A node: its branch, its state by glyph and word, what it cost itself and with all below it, and for how long."""
    child, last, on, nothing = glyphs.branches
    lead = "".join(on if goes_on else nothing for goes_on in node.branches[:-1])
    lead += (child if node.branches[-1] else last) if node.branches else ""
    style = colour_of(node.status)
    wide, middle = cells >= 110, cells >= 70
    figures = (32 if wide else 22 if middle else 11) + (8 if middle else 0)
    state = f"{glyphs.of(node.status)} {one_line(node.status)}"
    name = f"{node.label}{f' (+{node.children})' if node.folded else ''}"
    room = max(cells - figures - 21, 12)
    first = cell(one_line(name), max(room - width(lead), 6), "strong" if node.kind == "run" else "")
    spans: list[Span] = [(lead, "muted"), first, ("  ", ""), cell(state, 19, style)]
    if node.kind == "run":
        spans.append(to_right(exact_dollars(node.total_nanousd), 11, "number"))
        if middle:
            own = exact_dollars(node.own_nanousd) if node.children and node.own_nanousd != node.total_nanousd else ""
            spans.append(to_right(own, 11, "muted"))
        if wide:
            spans += [("  ", ""), *_share(node.total_nanousd, whole_nanousd, 8, glyphs)]
    else:
        spans.append((" " * figures if not middle else " " * (figures - 8), ""))
    if middle:
        ended = node.finished_at or now
        spans.append(to_right(span(ended - node.started_at) if node.started_at else "", 8, "muted"))
    return tuple(spans)


def heading(cells: int) -> Line:
    """What the columns are."""
    wide, middle = cells >= 110, cells >= 70
    figures = (32 if wide else 22 if middle else 11) + (8 if middle else 0)
    room = max(cells - figures - 21, 12)
    words = pad(cut("RUN, TOOL CALL", room), room) + "  " + pad("STATUS", 19) + f"{'COST':>11}"
    words += (f"{'OF IT OWN':>11}" if middle else "") + (f"{'SHARE':<10}".rjust(10) if wide else "") + (f"{'TIME':>8}" if middle else "")
    return ((words, "muted"),)


def _rolled_up(rows: dict[str, RunRow], children: dict[str, list[RunRow]]) -> dict[str, int]:
    totals = {id: row.cost_nanousd for id, row in rows.items()}
    order: list[RunRow] = list(children[""])
    for row in order:  # grows while it is walked: parents before children
        order += children[row.id]
    for row in reversed(order):
        if row.parent_id in totals:
            totals[row.parent_id] += totals[row.id]
    return totals


def _of_run(row: RunRow, branches: tuple[bool, ...], total: int, below: int, *, folded: bool) -> Node:
    label = row.name if not branches else f"{row.agent or '?'}  {row.name.rpartition('/')[2]}"
    return Node(
        "run", row.id, row.name, label, row.status, row.detail, len(branches), branches, row.cost_nanousd, total, below,
        folded and below > 0, row.started_at, row.finished_at,
    )  # fmt: skip


def _of_call(call: Item, branches: tuple[bool, ...]) -> Node:
    begun, ended = moment(call, "created_at"), moment(call, "finished_at")
    return Node(
        "toolcall", text(call, "id"), text(call, "tool"), text(call, "tool"), text(call, "phase"), text(call, "detail"),
        len(branches), branches, 0, 0, 0, False, begun, ended,
    )  # fmt: skip


def _made(one: RunRow | Item) -> str:
    made = one.created_at if isinstance(one, RunRow) else moment(one, "created_at")
    return made.isoformat() if made else ""


def _share(part: int, whole: int, cells: int, glyphs: Glyphs) -> Sequence[Span]:
    used, _, left = glyphs.gauge
    full = round(cells * part / whole) if whole > 0 else 0
    return ((used * full, "accent"), (left * (cells - full), "muted"))
