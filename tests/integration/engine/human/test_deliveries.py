"""Requests told where people are: once under one id, again after a crash or a failure, reminded, escalated, and ended; and who may answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import cancel
from smallchain.model.codes import code_of
from smallchain.model.delivery import UNPROVEN, Delivery, Said, Undelivered, Verb
from smallchain.model.lifecycles import DeliveryPhase, Readiness, RunPhase
from smallchain.store import deliveries, resources, runs
from support.asking import RUN, TITLE, asks, publish, text
from support.house import KEY, House, a_house
from support.mailbox import Mailbox
from support.starts import FixedClock

HOUR = timedelta(hours=1)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def house(tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[House]:
    async with a_house(tmp_path, channels={"terminal": mailbox}) as opened:
        yield opened


def asking(approval: dict[str, Any] | None = None, *channels: dict[str, Any], **top: Any) -> str:
    """A file whose tool needs an approval on channel `ops`, where ann may approve."""
    ops = {"name": "ops", "type": "terminal", "allowed": ["ann"]}
    return text(publish(approval={"channel": "ops"} | (approval or {})), replies=asks(TITLE), channels=[ops, *channels], **top)


def says(delivery: Delivery, verb: Verb = Verb.APPROVE, by: str = "ann", via: str = "ops", **words: Any) -> Said:
    """What somebody says on a channel to what they were told."""
    return Said(delivery.told.request_id, verb, by, via, **words)


async def phase(house: House, delivery: Delivery, wanted: DeliveryPhase) -> None:
    await house.until(lambda tx: (row := deliveries.find(tx, delivery.id)) is not None and row.phase is wanted)


# ---- told


async def test_a_channel_is_told_all_that_a_person_needs_to_decide(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking())
    (delivery,) = await mailbox.told(1)

    told = delivery.told
    assert (told.run, told.tool, told.path, told.why) == (RUN, "publish", "publisher > publish", "the draft is ready")
    assert (told.arguments, len(told.digest), told.opened_at) == ('{"title":"Agents"}', 64, house.clock.now())
    assert [verb for verb, _ in told.outcomes] == [Verb.APPROVE, Verb.DENY]
    assert (delivery.channel.name, delivery.attempt, delivery.reminder, delivery.reference) == ("ops", 1, 0, "")
    assert delivery.code == code_of(KEY, told.request_id)


async def test_what_names_no_channel_goes_where_the_defaults_say_or_to_the_inbox_alone(house: House, mailbox: Mailbox) -> None:
    tool = publish(approval="required")
    await house.apply(text(tool, replies=asks(TITLE)))
    assert (await house.request(RUN)).channel == ""
    words = {"channels": [{"name": "ops", "type": "terminal"}], "defaults": {"channel": "ops"}}
    await house.apply(text(tool, replies=asks(TITLE), runs=[{"name": RUN, "task": "write"}, {"name": "tuesday", "task": "write"}], **words))

    assert (await house.request("tuesday")).channel == "ops"
    (delivery,) = await mailbox.told(1)
    assert delivery.told.run == "tuesday"


async def test_an_answer_on_the_channel_counts_and_its_end_is_told_there(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking())
    (delivery,) = await mailbox.told(1)
    heard = await mailbox.say(says(delivery, note="go"))
    house.gate.let_through("post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert heard.counted
    assert await house.results(RUN) == ["[approved by ann: go]\npost 7"]
    assert await mailbox.ended(1) == [(delivery.id, "already approved by ann at 2026-01-02 03:04:05 UTC through ops")]
    await phase(house, delivery, DeliveryPhase.CLOSED)


async def test_cancelling_the_run_tells_the_end_where_it_was_asked(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking())
    (delivery,) = await mailbox.told(1)
    await phase(house, delivery, DeliveryPhase.DELIVERED)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, run.id), by="bob", note="enough"))

    assert await mailbox.ended(1) == [(delivery.id, "withdrawn at 2026-01-02 03:04:05 UTC: cancelled by bob: enough")]


# ---- who may answer


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"by": "mallory"}, "mallory is not among the `allowed` of channel 'ops'"),
        ({"via": "other"}, "not asked on channel 'other'"),
        ({"via": "nowhere"}, "not asked on channel 'nowhere'"),
        ({"code": "AAAAAAAA"}, "the code is not that of this request"),
        ({"verb": Verb.ANSWER}, "takes approve or deny, not answer"),
        ({"expect_digest": "0" * 64}, "not what was expected"),
    ],
)
async def test_what_may_not_be_said_there_does_not_count_and_nothing_runs(
    house: House, mailbox: Mailbox, words: dict[str, Any], why: str
) -> None:
    await house.apply(asking(None, {"name": "other", "type": "terminal", "allowed": ["ann"]}))
    (delivery,) = await mailbox.told(1)
    heard = await mailbox.say(says(delivery, **words))
    await house.quiet()

    assert (heard.counted, house.gate.starts) == (False, [])
    assert why in heard.sentence
    assert (await house.request(RUN)).id == delivery.told.request_id


async def test_the_requests_own_code_counts(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking())
    (delivery,) = await mailbox.told(1)

    assert (await mailbox.say(says(delivery, code=delivery.code.lower()))).counted


async def test_a_channel_without_allowed_answers_questions_and_approves_nothing(house: House, mailbox: Mailbox) -> None:
    room = {"name": "room", "type": "terminal"}
    script = [
        {"tool_calls": [{"name": "ask_room", "arguments": {"question": "Which?"}}, asks(TITLE)[0]["tool_calls"][0]]},
        {"content": "done"},
    ]
    agent = {"tools": [{"human": "room"}, "publish"]}
    await house.apply(text(publish(approval={"channel": "room"}), replies=script, agent=agent, channels=[room]))
    told = {delivery.told.kind: delivery for delivery in await mailbox.told(2)}
    refused = await mailbox.say(says(told["approval"], by="anybody", via="room"))
    counted = await mailbox.say(says(told["question"], Verb.ANSWER, by="anybody", via="room", text="The second."))

    assert (refused.counted, counted.counted) == (False, True)
    assert "answers questions and decides nothing else" in refused.sentence


async def test_where_a_sender_can_be_forged_an_approval_needs_the_code_although_the_channel_did_not_ask_for_it(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    server = {"smtp": "localhost:25", "sender": "agents@example.com", "security": "none"}
    ops = {"name": "ops", "type": "email", "to": "ann@example.com", "allowed": ["ann@example.com"], "parameters": server}
    async with a_house(tmp_path, channels={"email": mailbox}) as house:
        await house.apply(text(publish(approval={"channel": "ops"}), replies=asks(TITLE), channels=[ops]))
        (delivery,) = await mailbox.told(1)
        bare = await mailbox.say(says(delivery, by="ann@example.com"))
        await house.quiet()
        started = list(house.gate.starts)
        coded = await mailbox.say(says(delivery, by="ann@example.com", code=delivery.code))

    assert (bare.counted, coded.counted, started) == (False, True, [])
    assert "an approval on channel 'ops' needs the code" in bare.sentence


def test_what_counts_without_the_code_neither_starts_nor_ends_anything() -> None:
    assert {Verb.ANSWER, Verb.DENY} == UNPROVEN


# ---- what goes wrong


async def test_a_channel_that_does_not_take_it_is_tried_again_under_the_same_id(house: House, mailbox: Mailbox) -> None:
    mailbox.answers = [Undelivered("busy", for_now=True, retry_after=timedelta(minutes=2)), Undelivered("busy", for_now=True)]
    await house.apply(asking())
    (first,) = await mailbox.told(1)
    await phase(house, first, DeliveryPhase.WAITING)
    await house.wait(timedelta(minutes=1))
    await house.quiet()
    assert len(mailbox.deliveries) == 1

    await house.wait(timedelta(minutes=1))
    await mailbox.told(2)
    await phase(house, first, DeliveryPhase.WAITING)
    await house.wait(timedelta(minutes=1))
    await mailbox.told(3)
    assert [(each.id, each.attempt) for each in mailbox.deliveries] == [(first.id, number) for number in (1, 2, 3)]
    assert [line for line in await house.reasons() if line == "RequestUndelivered"] == ["RequestUndelivered"]


async def test_a_channel_that_must_be_changed_first_is_told_once_it_is(house: House, mailbox: Mailbox) -> None:
    mailbox.answers = [Undelivered("no such room", for_now=False)]
    await house.apply(asking())
    (first,) = await mailbox.told(1)
    await phase(house, first, DeliveryPhase.HELD)
    await house.wait(24 * HOUR)
    await house.quiet()
    assert len(mailbox.deliveries) == 1

    changed = asking().replace('"allowed": ["ann"]', '"allowed": ["ann", "bob"]')
    await house.apply(changed)
    _, second = await mailbox.told(2)
    assert (second.id, second.channel.allowed) == (first.id, ("ann", "bob"))


async def test_a_run_waits_for_a_channel_that_cannot_be_used_and_goes_on_when_it_can(house: House, mailbox: Mailbox) -> None:
    mailbox.fault = "the token is wrong"
    await house.apply(asking())
    await house.until(lambda tx: (row := resources.get(tx, "channel", "ops")) and row.status is Readiness.ERROR)
    run = await house.until(lambda tx: (run := runs.by_name(tx, RUN)) and "token" in run.detail and run)
    assert run.phase is RunPhase.PENDING

    mailbox.fault = ""
    await house.wait(timedelta(seconds=10))
    assert len(await mailbox.told(1)) == 1


async def test_a_delivery_that_the_daemon_did_not_live_to_record_is_told_again_under_its_id(tmp_path: Path, mailbox: Mailbox) -> None:
    mailbox.open.clear()
    first = (await House.open(tmp_path, FixedClock(), channels={"terminal": mailbox})).start()
    await first.apply(asking())
    await mailbox.told(1)
    second = await first.crash()
    mailbox.open.set()
    second.start()
    try:
        before, after = await mailbox.told(2)
        assert (before.id, before.told, before.code) == (after.id, after.told, after.code)
        assert (before.attempt, after.attempt) == (1, 2)
        await phase(second, after, DeliveryPhase.DELIVERED)
        await second.quiet()
        assert len(mailbox.deliveries) == 2
    finally:
        await second.close()


async def test_a_request_that_was_told_is_not_told_again_in_the_next_life(tmp_path: Path, mailbox: Mailbox) -> None:
    first = (await House.open(tmp_path, FixedClock(), channels={"terminal": mailbox})).start()
    await first.apply(asking())
    (delivery,) = await mailbox.told(1)
    await phase(first, delivery, DeliveryPhase.DELIVERED)
    second = (await first.crash()).start()
    try:
        await second.quiet()
        assert (await mailbox.say(says(delivery))).counted
        second.gate.let_through("post 7")
        await second.run(RUN, RunPhase.SUCCEEDED)
        assert len(mailbox.deliveries) == 1
    finally:
        await second.close()


# ---- time


async def test_reminders_are_the_same_delivery_and_climb_the_ladder(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking({"remind": ["10m", "1h"]}))
    (first,) = await mailbox.told(1)
    for number, gap in enumerate((timedelta(minutes=10), HOUR, HOUR), 1):
        await phase(house, first, DeliveryPhase.DELIVERED)
        await house.wait(gap - timedelta(seconds=1))
        await house.quiet()
        assert len(mailbox.deliveries) == number
        await house.wait(timedelta(seconds=1))
        await mailbox.told(number + 1)

    assert [(each.id, each.reminder, each.reference) for each in mailbox.deliveries] == [
        (first.id, 0, ""),
        *[(first.id, number, "message 1") for number in (1, 2, 3)],
    ]


async def test_without_a_ladder_a_channel_is_reminded_after_an_hour_and_then_daily(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking())
    (first,) = await mailbox.told(1)
    for number, gap in enumerate((HOUR, 24 * HOUR, 24 * HOUR), 2):
        await phase(house, first, DeliveryPhase.DELIVERED)
        await house.wait(gap)
        await mailbox.told(number)


async def test_when_nobody_answers_the_next_channel_is_asked_too_and_either_may_decide(house: House, mailbox: Mailbox) -> None:
    ceo = {"name": "ceo", "type": "terminal", "allowed": ["carol"]}
    await house.apply(asking({"escalate": {"after": "30m", "to": "ceo"}}, ceo))
    await mailbox.told(1)
    await house.wait(timedelta(minutes=30))
    _, second = await mailbox.told(2)
    heard = await mailbox.say(says(second, Verb.DENY, by="carol", via="ceo"))

    assert (second.channel.name, heard.counted) == ("ceo", True)
    assert len({end for end, _ in await mailbox.ended(2)}) == 2


async def test_an_expiry_that_escalates_leaves_the_request_open(house: House, mailbox: Mailbox) -> None:
    ceo = {"name": "ceo", "type": "terminal", "allowed": ["carol"]}
    words = {"expires": "2h", "on_expiry": "escalate", "escalate": {"after": "90m", "to": "ceo"}}
    await house.apply(asking(words, ceo))
    (first,) = await mailbox.told(1)
    await house.wait(2 * HOUR)
    told = {each.channel.name for each in await mailbox.told(2)}
    await house.wait(1000 * HOUR)
    await house.quiet()

    assert told == {"ops", "ceo"}
    assert (await house.request(RUN)).id == first.told.request_id
    assert (await house.reasons()).count("RequestEscalated") == 1


# ---- ears


async def test_the_ears_follow_the_channels_as_they_are_written(house: House, mailbox: Mailbox) -> None:
    await house.apply(asking())
    await mailbox.told(1)
    await house.apply(asking(None, {"name": "other", "type": "terminal"}))
    await mailbox.listens_to("ops", "other")
    heard = await mailbox.say(Said("nothing", Verb.APPROVE, "ann", "ops"))

    assert "no request" in heard.sentence


async def test_a_channel_whose_token_is_gone_is_in_error_and_the_others_of_its_type_are_heard(tmp_path: Path, mailbox: Mailbox) -> None:
    def hook(name: str) -> dict[str, Any]:
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o600)
        return {"name": name, "type": "webhook", "to": "https://example.com/", "token": {"file": str(tmp_path / name)}}

    first, second, third = (hook(name) for name in ("first", "second", "third"))
    async with a_house(tmp_path, channels={"webhook": mailbox}) as house:
        await house.apply(text(replies=[{"content": "done"}], runs=[], channels=[first, second]))
        await mailbox.listens_to("first", "second")
        (tmp_path / "first").unlink()
        await house.apply(text(replies=[{"content": "done"}], runs=[], channels=[first, second, third]))
        await mailbox.listens_to("second", "third")
        await house.until(lambda tx: (row := resources.get(tx, "channel", "first")) is not None and row.status is Readiness.ERROR)
        row = await house.database.read(lambda tx: resources.get(tx, "channel", "first"))
        heard = await mailbox.say(Said("nothing", Verb.APPROVE, "ann", "second"))

    assert row is not None
    assert str(tmp_path / "first") in row.detail
    assert "no request" in heard.sentence
