"""What an agent may know of money: what was spent since a moment, and how the caps over it stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from smallchain.engine.budget.caps import caps_over
from smallchain.model.cap import Standing, next_window, show_amount
from smallchain.model.durations import parse_duration
from smallchain.model.errors import BadInput
from smallchain.model.money import show_dollars
from smallchain.model.run import Run
from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.store import ledger, spend
from smallchain.store.contract import Tx
from smallchain.store.times import show_moment

SCOPES = ("run", "tree", "agent", "everything")


def check_current_spend_since(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """What model calls have cost since a moment, or within a duration: of the run with its children (the default), its whole tree,
    its agent, or everything."""
    scope = arguments.get("scope") or "run"
    if scope not in SCOPES:
        return Outcome(OutcomeKind.FAILED, f"`scope` is one of {', '.join(SCOPES)}")
    try:
        since = _since(arguments.get("since"), tx.now)
    except BadInput as error:
        return Outcome(OutcomeKind.FAILED, f"{error.message}; {error.hint}" if error.hint else error.message)
    tree = {"run": run.id, "tree": run.root_id}.get(scope)
    sums = spend.sums(tx, (spend.By.AGENT,), since=since, tree_of=tree)
    counted = [each for each in sums if scope != "agent" or each.agent == run.agent]
    cost = sum(each.cost_nanousd for each in counted)
    calls, unpriced = sum(each.calls for each in counted), sum(each.unpriced for each in counted)
    tokens = sum(each.input_tokens + each.output_tokens for each in counted)
    start = f"since {show_moment(since)}" if since is not None else "in all"
    more = f"; {unpriced} of them have no price and are not counted" if unpriced else ""
    return Outcome(OutcomeKind.SUCCEEDED, f"${show_dollars(cost)} spent {start} ({scope}): {calls} model calls, {tokens} tokens{more}")


def check_budget(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """How every cap over the run's next call stands."""
    caps = caps_over(tx, run, run.llm)
    if not caps:
        return Outcome(OutcomeKind.SUCCEEDED, "no cap is over this run")
    return Outcome(OutcomeKind.SUCCEEDED, "\n".join(_line(tx, ledger.look(tx, cap)) for cap in caps))


def _line(tx: Tx, standing: Standing) -> str:
    cap = standing.cap
    left, spent, held = (show_amount(cap.unit, max(0, amount)) for amount in (standing.room, standing.spent, standing.held))
    window = next_window(cap, now=tx.now)
    when = f", anew at {show_moment(window)}" if window is not None else ", room comes back little by little" if cap.is_rolling else ""
    return f"{cap.shown}: {left} left, {spent} spent, {held} held by calls that are out{when}"


def _since(given: Any, now: datetime) -> datetime | None:
    if given in (None, ""):
        return None
    hint = "write a duration (1h, 2d) or a moment with a time zone (2026-01-31T06:00:00Z)"
    if not isinstance(given, str) or len(given) > 64:
        raise BadInput("`since` is a text", hint=hint)
    try:
        return now - parse_duration(given)
    except BadInput:
        pass
    try:
        moment = datetime.fromisoformat(given.strip())
    except ValueError:
        raise BadInput(f"{given[:40]!r} is neither a duration nor a moment", hint=hint) from None
    if moment.tzinfo is None:
        raise BadInput(f"{given[:40]!r} has no time zone", hint=hint)
    return moment
