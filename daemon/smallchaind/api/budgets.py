"""Caps as the items that people and programs see: how each stands, when there is more room, what stands still at it.

The one rule: amounts are words in the cap's own unit, as the YAML has them; nothing is converted.
"""

from __future__ import annotations

from datetime import datetime

from smallchain.engine.budget.caps import caps_over, written_caps
from smallchain.engine.budget.desk import digest_of
from smallchain.engine.budget.room import more_room_at
from smallchain.model.cap import Cap, Standing, next_window, show_amount
from smallchain.model.lifecycles import RequestPhase
from smallchain.model.run import Run
from smallchain.store import ledger, requests, resources, runs
from smallchain.store.contract import Tx
from smallchain.store.ledger import Account, Parked
from smallchain.store.resources import Written
from smallchaind.api.items import Item, run_items, when

_PARKED = 20
"""Runs that stand still at a cap are listed up to here."""


def written(tx: Tx, /) -> list[Item]:
    """Every cap that is written, under `budgets` or with an agent or a run; one that each run has for itself has no standing of its own."""
    return [_item(tx, cap, row, stands=cap.is_shared) for cap, row in written_caps(tx)]


def over(tx: Tx, run: Run, /) -> list[Item]:
    """Every cap over the next model call of a run, as it stands for this run; `waited_for`: the run waits for room under it."""
    waited_for = ledger.waited_for(tx, run.id)
    found = []
    for cap in caps_over(tx, run, run.llm):
        row, account = resources.get(tx, cap.kind, cap.name), ledger.find(tx, cap)
        if row is not None:
            waits = account is not None and account.id == waited_for
            found.append(_item(tx, cap, row, stands=True) | {"waited_for": waits})
    return found


def parked(tx: Tx, named: Item, /) -> list[Item]:
    """The first runs that stand still at a cap of `written`."""
    cap = next((cap for cap, row in written_caps(tx) if cap.is_shared and row.id == named["id"]), None)
    account = ledger.find(tx, cap) if cap is not None else None
    return run_items(tx, ledger.parked_ids(tx, account.id, most=_PARKED)) if account is not None else []


def _item(tx: Tx, cap: Cap, row: Written, *, stands: bool) -> Item:
    account = ledger.find(tx, cap) if stands else None
    standing = account.standing if account is not None else Standing(cap, 0, 0) if stands else None
    waiting = ledger.parked(tx, account.id) if account is not None else Parked(0, None)
    subject = runs.find(tx, cap.subject) if cap.subject else None
    used_up = standing is not None and (standing.room <= 0 or waiting.count > 0)
    return {
        "kind": "budget",
        "name": row.name if row.kind == "budget" else f"{row.kind}/{row.name}",
        "id": row.id,
        "status": "Used up" if used_up else "Ready",
        "detail": _parked_words(waiting.count),
        "counts": " ".join(cap.counts).strip(),
        "limit": show_amount(cap.unit, cap.limit),
        "per": cap.per,
        "window": cap.window,
        "on_limit": cap.on_limit,
        "run": subject.name if subject is not None else None,
        "run_id": subject.id if subject is not None else None,
        **_figures(cap, standing),
        "next_window": when(next_window(cap, now=tx.now)),
        "next_room_at": when(_next_room(tx, account, waiting)),
        "waiting": waiting.count,
        "request_id": _request_id(tx, account),
        "file": row.file,
        "line": row.line,
        "spec": row.spec,
    }


def _parked_words(count: int) -> str:
    if not count:
        return ""
    return f"{count}{' or more' if count == ledger.MOST_PARKED else ''} {'run stands' if count == 1 else 'runs stand'} still at it"


def _figures(cap: Cap, standing: Standing | None) -> Item:
    """What is spent, held and left; null where a cap has no standing of its own."""
    if standing is None:
        return dict.fromkeys(("spent", "held", "raised", "left", "used"))
    return {
        "spent": show_amount(cap.unit, standing.spent),
        "held": show_amount(cap.unit, standing.held),
        "raised": show_amount(cap.unit, standing.raised) if standing.raised else None,
        "left": show_amount(cap.unit, max(0, standing.room)),
        "used": round((standing.spent + standing.held) / max(1, standing.limit), 4),
    }


def _next_room(tx: Tx, account: Account | None, waiting: Parked) -> datetime | None:
    """When the first run that stands still goes on by itself; where none does, when there is more room than now."""
    if account is None or waiting.count:
        return waiting.due_at
    return more_room_at(account.standing, ledger.counted(tx, account), now=tx.now)


def _request_id(tx: Tx, account: Account | None) -> str | None:
    """The open request to raise it."""
    asked = requests.about_budget(tx, digest_of(account.id)) if account is not None else None
    return asked.id if asked is not None and asked.phase is RequestPhase.OPEN else None
