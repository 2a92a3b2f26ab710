"""Lists of what never ends growing (runs, tool calls, requests), a page at a time: however long the history is, an answer stays small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smallchain.model.errors import BadInput, Unknown
from smallchain.model.run import OVER
from smallchain.store import requests, runs, toolcalls
from smallchain.store.contract import Tx
from smallchaind.api import finding, items
from smallchaind.api.items import Item

MOST = 500
"""Items of a page."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page of which items. `after` and `before` are ids; `newest`: the last page, `before` one where it is given."""

    names: Sequence[str] = ()
    run: str | None = None
    status: str | None = None
    phase: str | None = None
    live: bool = False
    whole: bool = False
    """Closed requests too."""
    after: str = ""
    before: str | None = None
    newest: bool = False
    limit: int = MOST


@dataclass(frozen=True, slots=True)
class Page:
    """Items, oldest first, and the `after` (of the newest: the `before`) of the page that follows; None: it was the last."""

    items: list[Item]
    next: str | None


def page(tx: Tx, kind: str, wanted: Wanted, /) -> Page:
    """A page of a kind of `HISTORIES`. Raises Unknown for a run that is not there."""
    history = HISTORIES[kind]
    tree = finding.find_run(tx, wanted.run).id if wanted.run else None
    by_id = [history.find(tx, name) for name in wanted.names]
    if by_id and None not in by_id:
        ids = [id for id in by_id if id is not None]
        found = {item["id"]: item for item in history.show(tx, ids)}
        if tree is not None:
            within = {each.id for each in runs.tree(tx, tree)}
            found = {id: item for id, item in found.items() if item["run_id"] in within}
        return Page(_kept([found[id] for id in dict.fromkeys(ids) if id in found], wanted), None)
    backwards = wanted.newest or wanted.before is not None
    if backwards and kind != "runs":
        raise BadInput(f"`newest` and `before` are for runs, not for {kind}")
    ids = history.ids(tx, tree, wanted)
    more = len(ids) == wanted.limit
    shown = history.show(tx, ids)
    if wanted.names:
        shown = [item for item in shown if item["name"] in wanted.names or item["id"] in by_id]
    return Page(_kept(shown, wanted), ids[-1] if more else None)


def one(tx: Tx, kind: str, ref: str, /) -> Item:
    """An item of a kind of `HISTORIES` by its id, a part of it, or a name: the first of that name. Raises Unknown."""
    after: str | None = ""
    while after is not None:
        found = page(tx, kind, Wanted(names=[ref], whole=True, after=after))
        if found.items:
            return found.items[0]
        after = found.next
    raise Unknown(f"there is no {kind.removesuffix('s')} {ref!r}", hint=f"`smallchain get {kind}` lists them")


def _kept(found: list[Item], wanted: Wanted) -> list[Item]:
    if wanted.status is not None:
        found = [item for item in found if str(item.get("status", "")).casefold() == wanted.status.casefold()]
    if wanted.phase is not None:
        found = [item for item in found if item.get("phase") == wanted.phase]
    return found


@dataclass(frozen=True, slots=True)
class _History:
    ids: Callable[[Tx, str | None, Wanted], list[str]]
    """Of a tree where it is given; in the order of the page."""
    find: Callable[[Tx, str], str | None]
    """By id or a part of it; None: it may be a name that many have."""
    show: Callable[[Tx, Sequence[str]], list[Item]]


def _runs(tx: Tx, tree: str | None, wanted: Wanted) -> list[str]:
    if tree is not None:
        return runs.page_of_tree(tx, tree, after=wanted.after, most=wanted.limit)
    if wanted.newest or wanted.before is not None:
        return runs.page_back(tx, before=wanted.before, most=wanted.limit)
    asked = (wanted.status or "").casefold()
    live = wanted.live or (asked and asked not in {status.casefold() for status in OVER})
    return runs.page(tx, after=wanted.after, most=wanted.limit, live=bool(live))


def _toolcalls(tx: Tx, tree: str | None, wanted: Wanted) -> list[str]:
    if tree is not None:
        return toolcalls.page_of_tree(tx, tree, after=wanted.after, most=wanted.limit)
    return toolcalls.page(tx, after=wanted.after, most=wanted.limit, phase=wanted.phase)


def _requests(tx: Tx, tree: str | None, wanted: Wanted) -> list[str]:
    whole = wanted.whole or wanted.phase is not None
    if tree is not None:
        return requests.page_of_tree(tx, tree, after=wanted.after, most=wanted.limit, whole=whole)
    return requests.page(tx, after=wanted.after, most=wanted.limit, whole=whole)


def _find_run(tx: Tx, ref: str) -> str | None:
    return finding.find_run(tx, ref).id


def _find_toolcall(tx: Tx, ref: str) -> str | None:
    if len(ref) == 36 and toolcalls.find(tx, ref) is not None:
        return ref
    found = toolcalls.by_part(tx, ref.lower()) if 6 <= len(ref) < 36 else []
    return found[0] if len(found) == 1 else None


def _find_request(tx: Tx, ref: str) -> str | None:
    if len(ref) == 36 and requests.find(tx, ref) is not None:
        return ref
    found = requests.by_part(tx, ref.lower()) if 6 <= len(ref) < 36 else []
    return found[0] if len(found) == 1 else None


HISTORIES = {
    "runs": _History(_runs, _find_run, items.run_items),
    "toolcalls": _History(_toolcalls, _find_toolcall, items.toolcalls),
    "requests": _History(_requests, _find_request, items.requests),
}
