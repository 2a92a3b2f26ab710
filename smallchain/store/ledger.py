"""What is spent and held under each cap. An account's sums are its charges' sums, kept so that no admission adds them up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from smallchain.model.canonical import canonical
from smallchain.model.cap import Cap, Standing, Unit, Worst, counts_from
from smallchain.model.money import MOST, Price, Rates
from smallchain.model.run import Run
from smallchain.store.contract import Row, Tx
from smallchain.store.times import from_text, maybe, to_text

_EVER = "0000"
"""Sorts before every moment."""
_NEVER = "9999"
"""Sorts behind every moment: nothing is counted yet."""
_PAGE = 500
MOST_PARKED = 1_000
"""Runs that stand still at one cap are counted up to here: with a hundred thousand, each look would take a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a cap, as it counts now."""

    id: int
    standing: Standing


def find(tx: Tx, cap: Cap, /) -> Account | None:
    """The account of a cap, as it counts now; nothing is written. None before the first call under the cap."""
    row = tx.one("ledger.account", cap=cap.key, subject=cap.subject)
    if row is None:
        return None
    return Account(row["id"], Standing(cap, _spent(tx, cap, row), row["held"], _raised(tx, cap, row["id"])))


def look(tx: Tx, cap: Cap, /) -> Standing:
    """How a cap stands now; nothing is written. What was spent before its first call under the cap is not looked up."""
    account = find(tx, cap)
    return account.standing if account is not None else Standing(cap, 0, 0)


def bring_up(tx: Tx, cap: Cap, /) -> Account:
    """The account of a cap, opened (with what was spent before, as far as it counts) or brought up to now."""
    since = _since(tx, cap)
    row = tx.one("ledger.account", cap=cap.key, subject=cap.subject)
    if row is None:
        tx.run("ledger.open_account", cap=cap.key, subject=cap.subject, unit=cap.unit, counted_from=since)
        row = _seed(tx, cap, since)
    elif since < row["counted_from"]:  # it was let go, or the clock was set back: there is more within the window than it knows
        row = _seed(tx, cap, since)
    spent = _spent(tx, cap, row)
    if (row["counted_from"], row["spent"]) != (since, spent):
        if since != row["counted_from"]:
            tx.run("ledger.forget", account=row["id"], since=since)
        tx.run("ledger.write", id=row["id"], counted_from=since, spent=spent, held=row["held"])
    return Account(row["id"], Standing(cap, spent, row["held"], _raised(tx, cap, row["id"])))


def _seed(tx: Tx, cap: Cap, since: str) -> Row:
    """Charge an account with the calls that count and that it does not know; what a clock that ran ahead recorded counts as now."""
    row = tx.one("ledger.account", cap=cap.key, subject=cap.subject)
    assert row is not None, "it is there or was made just now"
    kind, name = cap.counts
    scope = {each: name if each == kind else "" for each in ("agent", "task", "llm")}
    if cap.subject:
        scope |= {"agent": "", "task": ""}  # the subject's tree is what counts
    now = to_text(tx.now)
    tx.run("ledger.come_back", account=row["id"], now=now)
    tx.run("ledger.seed", account=row["id"], subject=cap.subject, unit=cap.unit, since=since, now=now, most=MOST, **scope)
    total = tx.one("ledger.total", account=row["id"], since=since)
    spent, held = (total["spent"], total["held"]) if total else (0, 0)
    tx.run("ledger.write", id=row["id"], counted_from=since, spent=spent, held=held)
    found = tx.one("ledger.account_by_id", id=row["id"])
    assert found is not None, "it is there"
    return found


def let_go(tx: Tx, cap: str, /) -> None:
    """Let go of the accounts of a cap, told by its key, that is not written any more: no call is charged to them meanwhile."""
    tx.run("ledger.let_go", cap=cap, never=_NEVER)


def _since(tx: Tx, cap: Cap) -> str:
    start = counts_from(cap, now=tx.now)
    return to_text(start) if start is not None else _EVER


def _spent(tx: Tx, cap: Cap, row: Row) -> int:
    since = _since(tx, cap)
    if since <= row["counted_from"]:
        return int(row["spent"])
    gone = tx.one("ledger.left", account=row["id"], counted_from=row["counted_from"], since=since)
    return max(0, int(row["spent"]) - (int(gone["amount"]) if gone else 0))


def _raised(tx: Tx, cap: Cap, account: int) -> int:
    """What has been added to the limit as it is written now, for good or for a while that is not over."""
    row = tx.one("ledger.raised", account=account, now=to_text(tx.now), over=cap.limit)
    return int(row["amount"]) if row else 0


def hold(tx: Tx, account: Account, run: Run, /, *, attempt: int, amount: int) -> None:
    """Let a call that goes out hold what it may use at worst."""
    tx.run("ledger.hold", account=account.id, run_id=run.id, attempt=attempt, at=to_text(tx.now), amount=amount)
    tx.run("ledger.add_held", id=account.id, amount=amount)


def settle(tx: Tx, run_id: str, attempt: int, used: Worst | None, /) -> list[int]:
    """Book what a call came to (None: not known, so at what it held) in every account it was held in; the ids of these accounts.

    What is booked a second time (a reply that came after all) takes the place of the first.
    """
    if not _is_any(tx):
        return []
    accounts = []
    for row in tx.all("ledger.of_call", run_id=run_id, attempt=attempt):
        unit, amount = Unit(row["unit"]), row["amount"]
        if used is not None:  # a clock that was set, or a machine that slept, makes no call longer than its time-out
            most = amount if unit is Unit.TIME and amount else MOST
            amount = min(most, used.of(unit))
        before = 0 if row["open"] else row["amount"]
        counts = row["at"] >= row["counted_from"]  # what began before the window began is no part of it
        tx.run("ledger.settle", no=row["no"], amount=amount)
        spent = amount - before if counts else 0
        tx.run("ledger.settle_account", id=row["account"], released=row["amount"] if row["open"] else 0, spent=spent, most=8 * MOST)
        accounts.append(row["account"])
    return accounts


def _is_any(tx: Tx) -> bool:
    """Whether there is any account at all: most houses have none, and each reply asks."""

    def read() -> bool:
        row = tx.one("ledger.newest_account")
        return row is not None and row["id"] is not None

    return tx.recall("accounts", None, read)


def counted(tx: Tx, account: Account, /) -> Iterator[tuple[datetime, int]]:
    """What settled calls came to that count, oldest first, each with the moment the call went out."""
    at, no = _since(tx, account.standing.cap), -1
    while page := tx.all("ledger.counted", account=account.id, at=at, no=no, most=_PAGE):
        yield from ((from_text(row["at"]), row["amount"]) for row in page)
        at, no = page[-1]["at"], page[-1]["no"]


def wait(tx: Tx, run: Run, account: int, /) -> None:
    """Note that a run waits for room in an account."""
    tx.run("ledger.wait", run_id=run.id, account=account)


def stop_waiting(tx: Tx, run: Run, /) -> None:
    """Note that a run does not wait for room any more."""
    if _is_anybody_waiting(tx):
        tx.run("ledger.stop_waiting", run_id=run.id)


def waiting(tx: Tx, account: int, /, *, most: int) -> list[str]:
    """Ids of runs that wait until others' calls under an account end, those first that are to go first: so many while calls are out
    still, all when none is."""
    if not _is_anybody_waiting(tx):
        return []
    row = tx.one("ledger.account_by_id", id=account)
    if row is None or row["held"] == 0:
        most = -1
    return [row["run_id"] for row in tx.all("ledger.waiting", account=account, most=most)]


def _is_anybody_waiting(tx: Tx) -> bool:
    """Whether any run waits for room: each call under a cap asks, and mostly none does."""

    def read() -> bool:
        row = tx.one("ledger.anybody_waiting")
        return row is not None and row["run_id"] is not None

    return tx.recall("waits_for_room", None, read)


@dataclass(frozen=True, slots=True)
class Parked:
    """Runs that stand still at a cap: how many (counted up to `MOST_PARKED`), and when the first of them goes on by itself; None where no
    time brings it."""

    count: int
    due_at: datetime | None


def parked(tx: Tx, account: int, /) -> Parked:
    """The runs that stand still until there is room in an account."""
    row = tx.one("ledger.parked", account=account, most=MOST_PARKED)
    return Parked(row["count"], maybe(row["due_at"])) if row else Parked(0, None)


def parked_ids(tx: Tx, account: int, /, *, most: int) -> list[str]:
    """Ids of the first of them, the oldest first."""
    return [row["run_id"] for row in tx.all("ledger.parked_ids", account=account, most=most)]


def waited_for(tx: Tx, run_id: str, /) -> int | None:
    """The account that a run waits for room in, or None."""
    row = tx.one("ledger.waited_for", run_id=run_id)
    return row["account"] if row else None


def all_waiting(tx: Tx, /) -> list[str]:
    """Ids of the runs that wait for room anywhere."""
    return [row["run_id"] for row in tx.all("ledger.all_waiting")]


def raise_limit(tx: Tx, account: int, /, *, by: int, until: datetime | None, over: int) -> None:
    """Add to the limit of an account as it is written now (`over`), until a moment or for as long as it is written so."""
    tx.run("ledger.raise", account=account, amount=by, until=to_text(until) if until is not None else None, over=over)


def holders(tx: Tx, account: int, /, *, most: int) -> list[str]:
    """Ids of runs whose calls hold something in an account."""
    return [row["run_id"] for row in tx.all("ledger.holders", account=account, most=most)]


def cap_of(tx: Tx, account: int, /) -> tuple[str, str] | None:
    """The key of the cap that an account is of, and its subject; None where there is no such account."""
    row = tx.one("ledger.account_by_id", id=account)
    return (row["cap"], row["subject"]) if row is not None else None


def held_by_tree(tx: Tx, run_id: str, /) -> int:
    """Nano-dollars that the calls of a run and its descendants hold, which are out."""
    row = tx.one("ledger.held_by_tree", id=run_id)
    return int(row["amount"]) if row else 0


def price(tx: Tx, llm: str, model: str, /) -> Price | None:
    """What a model costs by the list that was looked at last; None when none says."""
    row = tx.one("ledger.price", llm=llm, model=model)
    if row is None:
        return None
    longer = tuple((above, Rates(*rates)) for above, *rates in json.loads(row["longer"]))
    return Price(Rates(row["input"], row["output"], row["cached_input"], row["cache_write"]), longer)


def put_price(tx: Tx, llm: str, model: str, found: Price | None, source: str, /) -> None:
    """Keep what a list says of a model's price."""
    if found is None:
        tx.run("ledger.drop_price", llm=llm, model=model)
        return
    longer = canonical([[above, *asdict(rates).values()] for above, rates in found.longer])
    tx.run("ledger.put_price", llm=llm, model=model, longer=longer, source=source, **asdict(found.rates))
