"""Where the run loop asks for money: whether the next call fits, what it holds while it is out, and what it came to.

The one rule: a hold is recorded in the transaction that records the attempt, and let go in the one that records what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from smallchain.engine.agent import strategy
from smallchain.engine.budget.bounds import of_body, prompt_bound, replies_asked, written_output
from smallchain.engine.budget.caps import caps_over, written_caps
from smallchain.engine.budget.decide import Bounds, Verdict, Word, admit, output_of, worst_of
from smallchain.engine.budget.room import room_at
from smallchain.engine.llm.endpoint import timeout_of
from smallchain.engine.specs import as_of_now, pins_of, typed
from smallchain.model.canonical import parse
from smallchain.model.cap import Cap, OnLimit, Unit, Worst, counts_from, parse_amount, show_amount, window_end
from smallchain.model.delivery import Verb
from smallchain.model.errors import BadInput, Refused
from smallchain.model.human import HumanRequest
from smallchain.model.lifecycles import RequestPhase
from smallchain.model.llm import Failure
from smallchain.model.llmspec import LLMSpec
from smallchain.model.money import MOST, Price, Usage
from smallchain.model.run import Run
from smallchain.store import composed, ledger, modelcalls, requests, resources, runs
from smallchain.store.contract import Tx
from smallchain.store.times import show_moment

FREE = Verdict(Word.FITS)
_WOKEN = 8
"""Runs that are woken when a call settles and others are still out: each that goes out holds anew."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a call fits under all caps over it, with what it may use. `output`: the tokens of a reply that have to be asked for,
    because nothing that is written bounds them; None: leave the request as it is."""

    verdict: Verdict = FREE
    accounts: tuple[ledger.Account, ...] = ()
    worst: Worst | None = None
    output: int | None = None
    lacking: str = ""
    """Why no worst case can be told: what has to be written."""
    room_at: datetime | None = None
    """When there is room at the latest, where time brings it to a call that does not fit."""

    @property
    def reset(self) -> str:
        """From when there is room again, in words; empty where no time brings it."""
        return f"there is room again from {show_moment(self.room_at)}" if self.room_at is not None else ""


def look(tx: Tx, run: Run, llm: str, /, *, more: int = 0) -> Fit:
    """Whether the next call of a run fits, with so many bytes more in its prompt; the accounts over it are brought up to now."""
    caps = caps_over(tx, run, llm)
    if not caps:
        return Fit()
    spec = spec_of(tx, run, llm)
    if spec is None:
        return Fit()
    price, lacking = _price(tx, spec, llm, caps)
    if lacking:
        return Fit(lacking=lacking)
    accounts = tuple(ledger.bring_up(tx, cap) for cap in caps)
    standings = [each.standing for each in accounts]
    prompt, parameters = _request(tx, run, spec)
    bounds = Bounds(prompt + more, written_output(parameters), price, _time_ms(tx, spec), replies_asked(parameters))
    output = output_of(bounds, standings)
    worst = worst_of(bounds, output)
    money = any(cap.unit is not Unit.TIME for cap in caps)
    verdict = admit(standings, worst)
    asked = output if bounds.output is None and money and not _is_own(tx, run) else None
    return Fit(verdict, accounts, worst, asked, room_at=_room_at(tx, verdict, accounts, worst))


def _room_at(tx: Tx, verdict: Verdict, accounts: tuple[ledger.Account, ...], worst: Worst) -> datetime | None:
    standing = verdict.standing
    if standing is None or verdict.word is not Word.OVER:
        return None
    account = next(each for each in accounts if each.standing is standing)
    return room_at(standing, worst.of(standing.cap.unit), ledger.counted(tx, account), now=tx.now)


def _request(tx: Tx, run: Run, spec: LLMSpec) -> tuple[int, Mapping[str, Any]]:
    """Tokens of the prompt of the next request at most, and its parameters. That of a person's own strategy is known once it is made;
    until then it is taken to cost nothing."""
    if not _is_own(tx, run):
        return prompt_bound(tx, run, spec), spec.parameters
    made = composed.get(tx, run.id, run.attempts + 1)
    return of_body(made) if made is not None else (0, {"max_tokens": 1})


def _is_own(tx: Tx, run: Run) -> bool:
    agent = pins_of(tx, run.root_id).agent(run.agent)
    return agent is not None and strategy.is_own(agent)


def why_unbounded(tx: Tx, run: Run, llm: str, body: str, /) -> str:
    """Why the caps over a call can't be kept for a request that a person's own strategy made; empty where they can."""
    caps, spec = caps_over(tx, run, llm), spec_of(tx, run, llm)
    if spec is None:
        return ""
    price, _ = _price(tx, spec, llm, caps)
    cap = next((cap for cap in caps if cap.unit is Unit.TOKENS or (cap.unit is Unit.DOLLARS and price is not None)), None)
    if cap is None:
        return ""
    _, asked = of_body(body)
    if not asked:
        return f"is no object of JSON, so that nothing says what it may use at most, which {cap.kind} '{cap.name}' has to know"
    if asked.get("model") != (spec.model or llm):
        return f"asks for another model than {spec.model or llm}, whose price is what {cap.kind} '{cap.name}' goes by"
    if written_output(asked) is None:
        return f"bounds no reply, which {cap.kind} '{cap.name}' needs: let it send `max_tokens`, as the agent's `parameters` say it"
    return ""


def left_for_reply(tx: Tx, run: Run, llm: str, /) -> int | None:
    """Tokens of a reply that a person's own strategy is told to ask for, where caps need a bound and nothing written gives one."""
    caps, spec = caps_over(tx, run, llm), spec_of(tx, run, llm)
    if spec is None or all(cap.unit is Unit.TIME for cap in caps) or written_output(spec.parameters) is not None:
        return None
    price, _ = _price(tx, spec, llm, caps)
    bounds = Bounds(prompt_bound(tx, run, spec), None, price, _time_ms(tx, spec), replies_asked(spec.parameters))
    return output_of(bounds, [ledger.look(tx, cap) for cap in caps])


def hold(tx: Tx, run: Run, fit: Fit, /, *, attempt: int) -> None:
    """Hold what a call that fits may use, in every account over it."""
    if fit.worst is not None or run.detail:  # which says what it waits for, also where that cap is gone
        ledger.stop_waiting(tx, run)
    if fit.worst is None:
        return
    for account in fit.accounts:
        ledger.hold(tx, account, run, attempt=attempt, amount=fit.worst.of(account.standing.cap.unit))


def settle_reply(tx: Tx, run_id: str, attempt: int, /, *, usage: Usage | None, cost_nanousd: int | None) -> None:
    """Book a reply: at what it used where it says so, else at what it held."""
    if usage is None:
        _booked(tx, ledger.settle(tx, run_id, attempt, None))
        return
    _booked(
        tx,
        ledger.settle(tx, run_id, attempt, Worst(cost_nanousd or 0, usage.input_tokens + usage.output_tokens, _took(tx, run_id, attempt))),
    )


def settle_failure(tx: Tx, run_id: str, attempt: int, failure: Failure, /) -> None:
    """Book a call that gave no reply: at nothing where the provider said no or was not reached, else at what it held."""
    used = None if failure.may_have_cost else Worst(0, 0, _took(tx, run_id, attempt))
    _booked(tx, ledger.settle(tx, run_id, attempt, used))


def settle_lost(tx: Tx, run_id: str, attempt: int, /) -> None:
    """Book a call whose outcome is not known, at what it held."""
    _booked(tx, ledger.settle(tx, run_id, attempt, None))


def wait(tx: Tx, run: Run, fit: Fit, /) -> str:
    """Note that a run waits for room; the digest of requests about what it waits for."""
    account = next(each for each in fit.accounts if each.standing is fit.verdict.standing)
    ledger.wait(tx, run, account.id)
    return digest_of(account.id)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person is asked about a cap. `arguments` are what an approval does; a person may put others in their place."""

    question: str
    arguments: dict[str, Any]
    digest: str
    rule: str


def wish_of(tx: Tx, fit: Fit, /) -> Wish | None:
    """What to ask about the cap that a call does not fit; None where nothing is to be asked: it waits by itself, a person is asked
    already, or has said no within this window."""
    standing = fit.verdict.standing
    if standing is None or standing.cap.on_limit is not OnLimit.ASK:
        return None
    account = next(each for each in fit.accounts if each.standing is standing)
    asked = requests.about_budget(tx, digest_of(account.id))
    if asked is not None and asked.phase is RequestPhase.OPEN:
        return None
    cap = standing.cap
    by = show_amount(cap.unit, cap.limit).replace(",", "")
    if asked is not None and _is_denied(asked, by, since=counts_from(cap, now=tx.now)):
        return None
    question = f"{fit.verdict.why[:1].upper()}{fit.verdict.why[1:]}. May it be raised by {by}?"
    return Wish(question, {"by": by, "for_good": False}, digest_of(account.id), f"{cap.kind} '{cap.name}'")


def _is_denied(asked: HumanRequest, by: str, *, since: datetime | None) -> bool:
    """Whether a person has said no within this window to raising the limit as it is written now, which is what was asked for."""
    said_no = asked.phase is RequestPhase.ANSWERED and parse(asked.decision).get("verb") == Verb.DENY
    return said_no and parse(asked.arguments).get("by") == by and (since is None or asked.created_at >= since)


def digest_of(account: int, /) -> str:
    """What binds a request to the account that it asks about: its number, in the form of a digest."""
    return f"{account:064x}"


def raise_cap(tx: Tx, run: Run, digest: str, by: str, /, *, for_good: bool) -> str:
    """Add to the limit of the account that a request of a run is about: for this window, or as long as the cap is written as it is.

    Says what was done. Raises BadInput for an amount in another unit, Refused when the cap is gone or as high as any can be.
    """
    account = int(digest, 16)
    key, subject = ledger.cap_of(tx, account) or ("", "")
    caps = [*caps_over(tx, run, run.llm), *(cap for cap, _ in written_caps(tx))]
    cap = next((replace(cap, subject=subject) for cap in caps if cap.key == key), None)
    if cap is None:
        raise Refused("there is no such cap any more", hint="what is written now counts in another way, and asks for itself")
    unit, amount = _read_amount(by)
    if unit != cap.unit:
        raise BadInput(f"{by} is not counted in {cap.unit}")
    if amount == 0:
        raise BadInput(f"{by} raises nothing")
    if ledger.look(tx, cap).limit + amount >= MOST:
        raise Refused(f"{cap.kind} '{cap.name}' can't be raised by {by}: it would be more than any amount")
    until = None if for_good else window_end(cap.per, cap.window, now=tx.now, time_zone=cap.time_zone)
    ledger.raise_limit(tx, account, by=amount, until=until, over=cap.limit)
    for id in ledger.all_waiting(tx):
        tx.wake("run", id)
    return f"raised by {by}" + (f" until {show_moment(until)}" if until is not None else "")


def _read_amount(text: str) -> tuple[Unit, int]:
    try:
        return parse_amount(text.strip())
    except BadInput as error:
        raise BadInput(f"{text[:40]!r} is not an amount", hint="write $5, 200000 tokens or 2h") from error


def spec_of(tx: Tx, run: Run, llm: str, /) -> LLMSpec | None:
    """An LLM as a run goes on with it now; None where it is neither pinned nor written."""
    pinned: LLMSpec | None = pins_of(tx, run.root_id).llm(llm)
    row = resources.get(tx, "llm", llm)
    now: LLMSpec | None = typed(row) if row is not None else None
    if pinned is None or now is None:
        return pinned or now
    return as_of_now(pinned, now)


def _price(tx: Tx, spec: LLMSpec, llm: str, caps: list[Cap]) -> tuple[Price | None, str]:
    if spec.price is not None and not isinstance(spec.price, str):
        return spec.price.price(), ""
    if spec.provider == "scripted":
        return None, ""
    found = ledger.price(tx, llm, spec.model or llm)
    money = next((cap for cap in caps if cap.unit is Unit.DOLLARS), None)
    if found is not None or money is None or spec.price is not None:
        return found, ""
    what = f"LLM '{llm}' has no known price, and {money.kind} '{money.name}' caps dollars"
    return None, f"{what}: write `price: {{input: $..., output: $...}}` to it, or `price: unknown_ok`"


def _time_ms(tx: Tx, spec: LLMSpec) -> int:
    defaults = resources.get(tx, "defaults", "defaults")
    return int(timeout_of(spec, typed(defaults).timeout if defaults is not None else None) / timedelta(milliseconds=1))


def _took(tx: Tx, run_id: str, attempt: int) -> int:
    call = modelcalls.get(tx, run_id, attempt)
    return max(0, int((tx.now - modelcalls.began(call)) / timedelta(milliseconds=1))) if call is not None else 0


def _booked(tx: Tx, accounts: list[int]) -> None:
    """Let those who wait for room in these accounts look again."""
    for account in accounts:
        for id in ledger.waiting(tx, account, most=_WOKEN):
            tx.wake("run", id)


def owner_of(tx: Tx, run: Run, cap: Cap, /) -> Run:
    """The run that a cap stops: the one it is over; under a shared cap the one that calls."""
    found = runs.find(tx, cap.subject) if cap.subject else None
    return found or run
