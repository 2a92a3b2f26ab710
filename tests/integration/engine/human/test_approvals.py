"""Approvals on a real database: you approve what runs, the first decision wins, and the model is told which it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.human.deciding import check_edits, decide_request, resume
from smallchain.engine.run.acts import adopt, cancel, pause
from smallchain.engine.toolcall import gates
from smallchain.model.delivery import Said, Verb
from smallchain.model.errors import BadInput, Refused, SmallchainError
from smallchain.model.human import MOST_OPEN, HumanRequest
from smallchain.model.lifecycles import CallPhase, RequestPhase, RunPhase
from smallchain.model.toolcall import OutcomeKind
from smallchain.store import approvals, requests, runs
from smallchain.store.contract import Tx
from support.asking import RUN, TITLE, Words, asks, publish, text
from support.house import KEY, House, a_house, is_legal
from support.starts import FixedClock


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def asked(house: House, **words: Any) -> HumanRequest:
    """The request of a run whose tool needs an approval."""
    await house.apply(text(publish(**({"approval": "required"} | words)), replies=asks(TITLE)))
    return await house.request(RUN)


async def result(house: House) -> str:
    """What the model was told of its one call."""
    await house.run(RUN, RunPhase.SUCCEEDED)
    (found,) = await house.results(RUN)
    assert is_legal(await house.conversation(RUN))
    return str(found)


# ---- asked


async def test_a_request_says_who_asks_why_and_for_what(house: House) -> None:
    request = await asked(house, risk="high")

    assert (request.tool, request.path, request.why) == ("publish", "publisher > publish", "the draft is ready")
    assert (request.arguments, request.risk) == ('{"title":"Agents"}', "high")
    assert request.rule == "tool 'publish' requires approval"
    assert len(request.digest) == 64
    await house.quiet()
    assert house.gate.starts == []


async def test_what_is_approved_runs_once_and_the_model_is_told_by_whom(house: House) -> None:
    request = await asked(house)
    await house.say(Verb.APPROVE, request, note="fine")
    house.gate.let_through("post 7")

    assert await result(house) == "[approved by ann: fine]\npost 7"
    assert [start.arguments for start in house.gate.starts] == [TITLE]


async def test_what_is_denied_never_runs_and_the_model_is_told_why(house: House) -> None:
    await house.say(Verb.DENY, await asked(house), note="not on a Monday")

    assert await result(house) == "Error: publish was not carried out: ann denied it: not on a Monday"
    assert house.gate.starts == []
    assert (await house.calls(RUN))[0].phase is CallPhase.REJECTED


async def test_a_denial_leaves_the_other_calls_of_the_reply_alone(house: House) -> None:
    await house.apply(text(publish(approval="required"), replies=asks(TITLE, {"title": "Other"}, {"title": "Third"})))
    await house.request(RUN, position=2)
    await house.say(Verb.DENY, await house.request(RUN, position=1), note="no")
    await house.say(Verb.APPROVE, await house.request(RUN))
    house.gate.let_through("first")
    await house.call(RUN, CallPhase.SUCCEEDED)
    await house.say(Verb.APPROVE, await house.request(RUN))
    house.gate.let_through("third")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == [
        "[approved by ann]\nfirst",
        "Error: publish was not carried out: ann denied it: no",
        "[approved by ann]\nthird",
    ]


async def test_a_request_of_a_delegate_shows_the_way_down_to_it(house: House) -> None:
    script = [
        {"when": {"agent": "writer", "turn": 1}, "reply": asks(TITLE)[0]},
        {"when": {"agent": "writer"}, "reply": {"content": "posted"}},
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "delegate_to_writer", "arguments": {"message": "post"}}]}},
        {"when": {}, "reply": {"content": "done"}},
    ]
    agents = [{"name": "publisher", "tools": [{"agent": "writer"}]}, {"name": "writer", "tools": ["publish"]}]
    await house.apply(text(publish(approval="required"), replies=script, agents=agents))
    request = await house.request(f"{RUN}/writer-1")
    await house.say(Verb.APPROVE, request)
    house.gate.let_through("post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert request.path == "publisher > writer > publish"


async def test_a_delegation_can_need_an_approval_too(house: House) -> None:
    script = [
        {"when": {"agent": "writer"}, "reply": {"content": "posted"}},
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "delegate_to_writer", "arguments": {"message": "post"}}]}},
        {"when": {}, "reply": {"content": "done"}},
    ]
    agents = [{"name": "publisher", "tools": [{"agent": "writer", "approval": "required"}]}, {"name": "writer"}]
    await house.apply(text(replies=script, agents=agents))
    request = await house.request(RUN)
    assert await house.database.read(lambda tx: runs.by_name(tx, f"{RUN}/writer-1")) is None
    await house.say(Verb.APPROVE, request)

    assert await result(house) == "[approved by ann]\nposted"


async def test_a_delegate_is_told_what_a_person_wrote_in_the_place_of_the_message(house: House) -> None:
    script = [
        {"when": {"agent": "writer"}, "reply": {"content": "posted"}},
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "delegate_to_writer", "arguments": {"message": "post"}}]}},
        {"when": {}, "reply": {"content": "done"}},
    ]
    agents = [{"name": "publisher", "tools": [{"agent": "writer", "approval": "required"}]}, {"name": "writer"}]
    await house.apply(text(replies=script, agents=agents))
    await house.say(Verb.APPROVE, await house.request(RUN), edits={"message": "draft"})
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert [message["content"] for message in await house.conversation(f"{RUN}/writer-1")] == ["draft", "posted"]


async def test_a_run_asks_no_more_than_a_few_things_at_a_time_and_goes_on_asking(house: House) -> None:
    await house.apply(text(publish(approval="required"), replies=asks(*[{"title": str(number)} for number in range(MOST_OPEN + 2)])))
    await house.request(RUN, position=MOST_OPEN - 1)
    await house.quiet()
    run = await house.now(RUN)
    assert len(await house.database.read(lambda tx: requests.open_of_run(tx, run.id))) == MOST_OPEN
    for _ in range(MOST_OPEN + 2):
        await house.say(Verb.DENY, await house.request(RUN))

    await house.run(RUN, RunPhase.SUCCEEDED)
    assert len(await house.results(RUN)) == MOST_OPEN + 2


# ---- rules


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"tool": {"approval": {"when": {"amount": {"gt": 100}}}}}, "the `approval` rule of tool 'publish' holds"),
        ({"entry": "required"}, "agent 'publisher' for 'publish' requires approval"),
        ({"entry": "required", "tool": {"approval": "never"}}, "agent 'publisher' for 'publish' requires approval"),
        ({"entry": "never", "tool": {"approval": "required"}}, "tool 'publish' requires approval"),
        ({"defaults": "required"}, "the defaults requires approval"),
        ({"tool": {"approval": {"when": {"missing": {"gt": 100}}}}}, "whether the `approval` rule of tool 'publish' holds can't be told"),
        ({"tool": {"deny": {"when": {"missing": {"gt": 1}}}}}, "whether the `deny` rule of tool 'publish' forbids it can't be told"),
    ],
)
async def test_the_strictest_rule_wins_wherever_it_is_written(house: House, rules: Words, why: str) -> None:
    agent = {"tools": [{"tool": "publish", "approval": rules["entry"]}]} if "entry" in rules else None
    top = {"defaults": {"approval": rules["defaults"]}} if "defaults" in rules else {}
    arguments = TITLE | {"amount": 150}
    await house.apply(text(publish(**rules.get("tool", {})), replies=asks(arguments), agent=agent, **top))

    assert (await house.request(RUN)).rule == why


async def test_what_a_rule_forbids_is_refused_without_asking_anybody(house: House) -> None:
    rules = {"approval": "required", "deny": {"when": {"title": {"matches": "(?i)confidential"}}}}
    await house.apply(text(publish(**rules), replies=asks({"title": "Our CONFIDENTIAL plan"})))

    assert await result(house) == "Error: publish was not carried out: the `deny` rule of tool 'publish' forbids it"
    assert "RequestOpened" not in await house.reasons()
    assert house.gate.starts == []


async def test_what_no_rule_is_about_runs_without_asking(house: House) -> None:
    rules = {"approval": {"when": {"amount": {"gt": 100}}}}
    await house.apply(text(publish(**rules), replies=asks(TITLE | {"amount": 100})))
    house.gate.let_through("post 7")

    assert await result(house) == "post 7"


async def test_a_rule_written_while_the_run_goes_on_holds_for_its_next_call(house: House) -> None:
    script = [asks(TITLE)[0], asks({"title": "Second"})[0], {"content": "done"}]
    await house.apply(text(publish(), replies=script))
    await house.gate.came(1)
    await house.apply(text(publish(approval="required"), replies=script))
    house.gate.let_through("first")

    assert (await house.request(RUN)).arguments == '{"title":"Second"}'


async def test_a_rule_taken_away_while_the_run_goes_on_still_holds_for_it(house: House) -> None:
    script = [{"content": "wait", "delay": "100ms", "tool_calls": asks(TITLE)[0]["tool_calls"]}, {"content": "done"}]
    await house.apply(text(publish(approval="required"), replies=script))
    await house.run(RUN, RunPhase.CALLING_MODEL)
    await house.apply(text(publish(), replies=script))

    assert (await house.request(RUN)).rule == "tool 'publish' requires approval"


async def test_a_rule_that_forbids_it_meanwhile_beats_an_approval(house: House) -> None:
    request = await asked(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await house.say(Verb.APPROVE, request)
    await house.apply(text(publish(approval="required", deny={"when": {"title": {"matches": "Agents"}}}), replies=asks(TITLE)))
    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))

    assert await result(house) == "Error: publish was not carried out: the `deny` rule of tool 'publish' forbids it"
    assert house.gate.starts == []


# ---- you approve what runs


async def test_edited_arguments_run_in_the_place_of_the_models_and_it_is_told_the_difference(house: House) -> None:
    request = await asked(house)
    await house.say(Verb.APPROVE, request, edits={"title": "Better", "amount": 3})
    house.gate.let_through("post 7")
    told = await result(house)
    (call,) = await house.calls(RUN)

    assert told == '[approved by ann with other arguments (title: "Agents" → "Better"; amount: (none) → 3)]\npost 7'
    assert [start.arguments for start in house.gate.starts] == [{"title": "Better", "amount": 3}]
    assert json.loads(call.arguments) == TITLE


async def test_edited_arguments_that_do_not_fit_are_refused_and_it_stays_open(house: House) -> None:
    request = await asked(house)
    with pytest.raises(BadInput, match="title"):
        await house.say(Verb.APPROVE, request, edits={"title": 5})

    assert (await house.request(RUN)).id == request.id


async def test_edits_do_not_get_past_a_rule_that_forbids_them(house: House) -> None:
    request = await asked(house, deny={"when": {"title": {"matches": "secret"}}})
    with pytest.raises(Refused, match="may not run with these arguments"):
        await house.say(Verb.APPROVE, request, edits={"title": "secret"})

    assert (await house.request(RUN)).id == request.id


async def test_edits_can_be_checked_before_anything_is_decided(house: House) -> None:
    request = await asked(house, deny={"when": {"title": {"equals": "secret"}}})

    async def check(edits: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        return await house.database.read(lambda tx: check_edits(tx, request, edits))

    assert await check({"title": "Better"}) == ("", ('title: "Agents" → "Better"',))
    assert "amount" in (await check({"title": "Better", "amount": "many"}))[0]
    assert "forbids it" in (await check({"title": "secret"}))[0]
    assert (await house.request(RUN)).version == request.version
    assert house.gate.starts == []


async def test_an_approval_of_something_else_than_is_asked_is_refused(house: House) -> None:
    request = await asked(house)
    for digest in ("0" * 64, request.digest[:8], ""):
        with pytest.raises(Refused, match="not what was expected"):
            await house.say(Verb.APPROVE, request, expect_digest=digest)
    await house.quiet()
    assert house.gate.starts == []

    await house.say(Verb.APPROVE, request, expect_digest=request.digest[:12])


async def test_what_changed_after_it_was_asked_is_asked_about_anew_and_does_not_run(house: House) -> None:
    request = await asked(house)
    run = await house.now(RUN)
    changed = publish(approval="required", executor={"python": {"command": "something else"}})
    await house.apply(text(changed, replies=asks(TITLE)))
    await house.driver.transact(lambda tx: adopt(tx, runs.get(tx, run.id), by="ann"))
    heard = await house.say(Verb.APPROVE, request)
    again = await house.request(RUN)
    await house.quiet()

    assert not heard.counted
    assert again.id[-8:] in heard.sentence
    assert (again.arguments, again.digest != request.digest) == (request.arguments, True)
    assert house.gate.starts == []


async def test_what_changed_after_it_was_approved_is_asked_about_anew_and_does_not_run(house: House) -> None:
    request = await asked(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await house.say(Verb.APPROVE, request, edits={"title": "Better"})
    changed = publish(approval="required", executor={"python": {"command": "something else"}})
    await house.apply(text(changed, replies=asks(TITLE)))

    def adopt_and_resume(tx: Tx) -> None:
        adopt(tx, runs.get(tx, run.id), by="ann")
        resume(tx, runs.get(tx, run.id), by="ann")

    await house.driver.transact(adopt_and_resume)
    again = await house.request(RUN)
    assert again.arguments == '{"title":"Better"}'
    assert house.gate.starts == []

    await house.say(Verb.APPROVE, again)
    house.gate.let_through("post 7")
    assert "Better" in await result(house)
    assert [start.arguments for start in house.gate.starts] == [{"title": "Better"}]


async def test_what_needs_no_approval_any_more_runs_as_it_is_now(house: House) -> None:
    request = await asked(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await house.say(Verb.APPROVE, request, edits={"title": "Better"})
    await house.apply(text(publish(approval="never", executor={"python": {"command": "something else"}}), replies=asks(TITLE)))

    def adopt_and_resume(tx: Tx) -> None:
        adopt(tx, runs.get(tx, run.id), by="ann")
        resume(tx, runs.get(tx, run.id), by="ann")

    await house.driver.transact(adopt_and_resume)
    house.gate.let_through("post 7")

    assert "post 7" in await result(house)
    assert [(start.arguments, start.executor) for start in house.gate.starts] == [
        ({"title": "Better"}, {"python": {"command": "something else", "requirements": []}})
    ]


USES: dict[str, tuple[Words, str, Words]] = {
    "a tool": ({"tool": "publish"}, "publish", TITLE),
    "a timer": ({"tool": "sleep_for"}, "sleep_for", {"duration": "1m"}),
    "an agent": ({"agent": "helper"}, "delegate_to_helper", {"message": "go"}),
    "a person": ({"human": "ops"}, "ask_ops", {"question": "why"}),
}


def using(what: str, *, still: bool) -> str:
    """A file whose agent calls something with an approval, or, after that, has nothing to call any more."""
    entry, name, arguments = USES[what]
    used = [entry | {"approval": "required"}] if still else []
    return text(
        publish(),
        replies=[{"tool_calls": [{"name": name, "arguments": arguments}]}, {"content": "done"}],
        agents=[{"name": "publisher", "tools": used}, {"name": "helper"}],
        channels=[{"name": "ops", "type": "terminal"}],
    )


@pytest.mark.parametrize("what", list(USES))
@pytest.mark.parametrize("is_first", [True, False], ids=["moved first", "approved first"])
async def test_what_its_agent_may_call_no_more_does_not_run_and_its_model_is_told_so(house: House, what: str, is_first: bool) -> None:
    await house.apply(using(what, still=True))
    request = await house.request(RUN)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    if not is_first:
        await house.say(Verb.APPROVE, request)
    await house.apply(using(what, still=False))
    await house.driver.transact(lambda tx: adopt(tx, runs.get(tx, run.id), by="ann"))
    if is_first:
        heard = await house.say(Verb.APPROVE, request)
        assert (heard.counted, "nothing runs" in heard.sentence) == (False, True)
    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))

    assert f"Error: there is no function named {USES[what][1]}" in await result(house)
    assert house.gate.starts == []
    assert "ToolCallStarted" not in await house.reasons()


@pytest.mark.parametrize(
    ("rule", "opens"), [({}, True), ({"approval": "required"}, False), ({"deny": {"when": {"title": {"matches": "A"}}}}, False)]
)
async def test_a_rule_that_is_written_as_a_call_starts_holds_for_that_start(house: House, rule: dict[str, Any], opens: bool) -> None:
    await house.apply(text(publish(approval="never"), replies=asks(TITLE)))
    call = await house.call(RUN, CallPhase.EXECUTING)
    await house.apply(text(publish(**({"approval": "never"} | rule)), replies=asks(TITLE)))

    assert await house.database.read(lambda tx: gates.is_open(tx, call)) is opens


async def test_a_retry_stays_within_what_was_approved(house: House) -> None:
    request = await asked(house, effects="idempotent", retries=1)
    await house.say(Verb.APPROVE, request)
    house.gate.let_through("exit code 1", OutcomeKind.FAILED)
    await house.call(RUN, CallPhase.READY)
    await house.wait(timedelta(seconds=1))
    house.gate.let_through("post 7")

    assert await result(house) == "[approved by ann]\npost 7"
    assert (await house.reasons()).count("RequestOpened") == 1


# ---- for the rest of the run


async def test_a_grant_lets_the_tool_run_again_until_it_is_revoked(house: House) -> None:
    script = [asks({"title": str(number)})[0] for number in range(3)] + [{"content": "done"}]
    await house.apply(text(publish(approval="required"), replies=script))
    await house.say(Verb.APPROVE, await house.request(RUN), for_run=True)
    house.gate.let_through("first")
    await house.gate.came(2)

    def revoke(tx: Tx) -> None:
        (row,) = tx.all("grants.list")
        grant = approvals.find_grant(tx, row["id"])
        assert grant is not None
        assert approvals.revoke(tx, grant, by="bob")

    await house.driver.transact(revoke)
    house.gate.let_through("second")
    request = await house.request(RUN)

    assert request.arguments == '{"title":"2"}'
    assert len(house.gate.starts) == 2


async def test_a_grant_does_not_reach_what_a_rule_forbids(house: House) -> None:
    rules = {"approval": "required", "deny": {"when": {"title": {"matches": "secret"}}}}
    script = [asks(TITLE)[0], asks({"title": "secret"})[0], {"content": "done"}]
    await house.apply(text(publish(**rules), replies=script))
    await house.say(Verb.APPROVE, await house.request(RUN), for_run=True)
    house.gate.let_through("first")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert len(house.gate.starts) == 1


# ---- first decision wins


async def test_of_fifty_who_answer_at_once_one_wins_and_all_others_are_told_who(house: House) -> None:
    request = await asked(house)

    async def answer(number: int) -> str:
        verb = Verb.DENY if number % 2 else Verb.APPROVE
        try:
            await house.say(verb, request, by=f"person {number}")
        except Refused as error:
            return error.message
        return ""

    told = await asyncio.gather(*[answer(number) for number in range(50)])
    winner = told.index("")
    house.gate.let_through("post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert told.count("") == 1
    word = "denied" if winner % 2 else "approved"
    assert {each for each in told if each} == {f"already {word} by person {winner} at 2026-01-02 03:04:05 UTC"}
    assert len(house.gate.starts) == 1 - winner % 2
    assert (await house.now(RUN)).attempts == 2


async def test_after_cancelling_an_answer_comes_too_late_and_nothing_runs(house: House) -> None:
    request = await asked(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, run.id), by="ann", note="enough"))
    with pytest.raises(Refused, match=r"withdrawn at .*: cancelled by ann: enough"):
        await house.say(Verb.APPROVE, request, by="bob")

    assert await house.results(RUN) == ["Error: publish was not carried out: the request to a person was withdrawn"]
    assert house.gate.starts == []


async def test_an_answer_of_another_kind_is_refused_with_those_that_fit(house: House) -> None:
    request = await asked(house)
    with pytest.raises(Refused, match="takes approve or deny, not answer"):
        await house.say(Verb.ANSWER, request, text="yes")


async def test_what_is_said_while_the_run_is_paused_is_kept_and_acted_on_at_resume(house: House) -> None:
    request = await asked(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    heard = await house.say(Verb.APPROVE, request)
    await house.quiet()
    assert "paused" in heard.sentence
    assert house.gate.starts == []

    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    house.gate.let_through("post 7")
    assert await result(house) == "[approved by ann]\npost 7"


# ---- time


async def test_a_request_waits_for_ever_where_nothing_else_is_written(house: House) -> None:
    request = await asked(house)
    await house.wait(timedelta(days=3000))
    await house.quiet()
    await house.say(Verb.APPROVE, request)
    house.gate.let_through("post 7")

    assert await result(house) == "[approved by ann]\npost 7"


async def test_a_request_that_expires_counts_as_denied(house: House) -> None:
    request = await asked(house, approval={"expires": "2h"})
    await house.wait(timedelta(hours=2))

    assert await result(house) == "Error: publish was not carried out: nobody approved it within 2h"
    with pytest.raises(Refused, match="expired at 2026-01-02 05:04:05 UTC"):
        await house.say(Verb.APPROVE, request)
    assert house.gate.starts == []


async def test_an_answer_after_the_time_does_not_count_although_nobody_has_looked_yet(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        request = await asked(house, approval={"expires": "2h"})
        house.clock.moment += timedelta(hours=2)  # no alarm has rung

        said = Said(request.id, Verb.APPROVE, "ann", "terminal")
        with pytest.raises(SmallchainError, match="expired"):
            await house.database.write(lambda tx: decide_request(tx, said, key=KEY))


async def test_a_rule_can_let_it_run_when_nobody_answers(house: House) -> None:
    await asked(house, approval={"expires": "2h", "on_expiry": "approve"})
    await house.wait(timedelta(hours=2))
    house.gate.let_through("post 7")

    assert await result(house) == "[approved by its expiry]\npost 7"


async def test_no_rule_lets_run_by_expiry_what_another_rule_requires(house: House) -> None:
    tool = publish(approval={"expires": "2h", "on_expiry": "approve"})
    agent = {"tools": [{"tool": "publish", "approval": "required"}]}
    await house.apply(text(tool, replies=asks(TITLE), agent=agent))
    request = await house.request(RUN)
    await house.wait(timedelta(hours=3))
    await house.quiet()

    assert (request.expires_at, house.gate.starts) == (None, [])
    assert (await house.request(RUN)).phase is RequestPhase.OPEN


# ---- crashes


async def test_what_was_approved_and_not_started_when_the_daemon_died_runs_once(tmp_path: Path) -> None:
    first = (await House.open(tmp_path, FixedClock())).start()
    request = await asked(first)
    run = await first.now(RUN)
    await first.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await first.say(Verb.APPROVE, request)
    second = (await first.crash()).start()
    await second.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    second.gate.let_through("post 7")
    try:
        assert await result(second) == "[approved by ann]\npost 7"
        assert len(second.gate.starts) == 1
    finally:
        await second.close()
