"""What a person means by a name, an id, or a part of an id (from 6 characters, its beginning or its end)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from smallchain.model.artifact import Kept
from smallchain.model.errors import Refused, Unknown
from smallchain.model.human import Grant, HumanRequest, RequestKind
from smallchain.model.ids import did_you_mean
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals, artifacts, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.resources import Written

T = TypeVar("T")

_SHORTEST_PART = 6
_NEAR = 10_000
"""So many of the newest names are looked through for one that is nearly what was written."""


def find_run(tx: Tx, ref: str, /) -> Run:
    """A run; raises Unknown with a did-you-mean, Refused."""
    found = runs.by_name(tx, ref) or _by_id("run", ref, tx, runs.find, runs.by_part)
    if found is None:
        near = did_you_mean(ref, (row["name"] for row in tx.all("runs.names", most=_NEAR)))
        raise Unknown(f"there is no run {ref!r}", hint=near or "`smallchain get runs` lists them")
    return found


def find_resource(tx: Tx, kind: str, ref: str, /) -> Written:
    """A resource, by its name or whole id; raises Unknown with a did-you-mean."""
    found = resources.get(tx, kind, ref)
    if found is None:
        found = next((each for each in resources.of_kind(tx, kind) if each.id == ref), None)
    if found is None:
        near = did_you_mean(ref, resources.names(tx, kind))
        raise Unknown(f"there is no {kind.replace('_', ' ')} {ref!r}", hint=near or f"`smallchain get {kind}s` lists them")
    return found


def find_artifact(tx: Tx, ref: str, /) -> Kept:
    """An artifact; raises Unknown, Refused."""
    return _known("artifact", ref, _by_id("artifact", ref, tx, artifacts.find, artifacts.by_part))


def find_toolcall(tx: Tx, ref: str, /) -> ToolCall:
    """A tool call; raises Unknown, Refused."""
    return _known("toolcall", ref, _by_id("toolcall", ref, tx, toolcalls.find, toolcalls.by_part))


def find_grant(tx: Tx, ref: str, /) -> Grant:
    """A grant; raises Unknown, Refused."""
    return _known("grant", ref, _by_id("grant", ref, tx, approvals.find_grant, approvals.grants_by_part))


def find_request(tx: Tx, ref: str, /) -> HumanRequest:
    """A request; raises Unknown, Refused."""
    found = _by_id("request", ref, tx, requests.find, requests.by_part)
    if found is None:
        raise Unknown(f"there is no request {ref!r}", hint="`smallchain inbox` lists what waits for a person")
    return found


def find_settle(tx: Tx, ref: str, /) -> HumanRequest:
    """What asks about a call in doubt: by the request's id, or by the call's; raises Unknown, Refused."""
    asked = _by_id("request", ref, tx, requests.find, requests.by_part)
    call = _by_id("toolcall", ref, tx, toolcalls.find, toolcalls.by_part)
    if asked is not None and call is not None:
        raise Refused(f"{ref!r} is part of several ids", hint="write more of it")
    if call is not None:
        asked = requests.of_call(tx, call.id)
        if asked is None or asked.kind is not RequestKind.SETTLE:
            raise Refused(f"tool call {call.id} is {call.phase}, not in doubt")
    if asked is None:
        raise Unknown(f"there is no tool call or request {ref!r}", hint="`smallchain inbox` lists what waits for a person")
    return asked


def _by_id(kind: str, ref: str, tx: Tx, find: Callable[[Tx, str], T | None], by_part: Callable[[Tx, str], list[str]]) -> T | None:
    """What has this id, also as KIND/ID, or is the only one with this part of it."""
    ref = ref.removeprefix(f"{kind}/")
    found = find(tx, ref)
    if found is not None or len(ref) < _SHORTEST_PART:
        return found
    ids = by_part(tx, ref.lower())
    if len(ids) > 1:
        raise Refused(f"{ref!r} is part of several ids", hint="write more of it")
    return find(tx, ids[0]) if ids else None


def _known(kind: str, ref: str, found: T | None) -> T:
    if found is None:
        what = "tool call" if kind == "toolcall" else kind
        raise Unknown(f"there is no {what} {ref!r}", hint=f"`smallchain get {kind}s` lists them")
    return found
