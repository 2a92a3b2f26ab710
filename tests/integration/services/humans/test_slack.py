"""Slack against a loopback Slack: what is posted, who is heard, and that a crash asks nobody twice."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from smallchain.model.delivery import ChannelInUse, Delivered, Heard, Said, Undelivered, Verb
from smallchain.model.errors import BadInput, Busy
from smallchain.model.human import RequestKind
from smallchain.services.humans.slack import SlackChannel
from support.people import DIGEST, REQUEST, Judge, channel, delivery, question, told
from support.slackserver import APP_TOKEN, BOT_TOKEN, CHANNEL, SlackServer

ALICE, MALLORY = "U0456DEF", "U0666BAD"


class Keys:
    """Secrets by name."""

    async def resolve(self, reference: dict[str, Any], /) -> str:
        if reference == {"env": "SLACK_APP_TOKEN"}:
            return APP_TOKEN
        raise BadInput("there is no such variable")

    def forget(self) -> None:
        pass

    def mask(self, text: str, /) -> str:
        return text


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as running:
        yield running


@pytest.fixture
async def it() -> AsyncIterator[SlackChannel]:
    made = SlackChannel(secrets=Keys())
    yield made
    await made.close()


def to(slack: SlackServer, **changes: Any) -> ChannelInUse:
    parameters = {"base_url": slack.base_url, "app_token": {"env": "SLACK_APP_TOKEN"}}
    return channel("slack", CHANNEL, allowed=(ALICE,), token=BOT_TOKEN, parameters=parameters, **changes)


class Talk:
    """The channel listens, and the judge hears."""

    def __init__(self, slack: SlackServer, it: SlackChannel) -> None:
        self.slack, self.it = slack, it
        self.judge = Judge(told(), to(slack))
        self.busy = False
        self.turned_away = asyncio.Event()

    async def hear(self, said: Said) -> Heard:
        if self.busy:
            self.turned_away.set()
            raise Busy("the disk is full")
        return await self.judge.hear(said)

    async def ask(self, **changes: Any) -> dict[str, Any]:
        """Post the judge's request; the message."""
        found = await self.it.deliver(delivery(to(self.slack), self.judge.request, **changes))
        assert isinstance(found, Delivered)
        return self.slack.messages[-1]


@pytest.fixture
async def talk(slack: SlackServer, it: SlackChannel) -> AsyncIterator[Talk]:
    made = Talk(slack, it)
    listening = asyncio.create_task(it.listen([to(slack)], made.hear))
    await slack.connected(1)
    yield made
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_request_is_a_message_with_its_answers_as_buttons(slack: SlackServer, it: SlackChannel) -> None:
    found = await it.deliver(delivery(to(slack)))

    [message] = slack.messages
    assert found == Delivered(f"{CHANNEL} {message['ts']}")
    assert [button["text"]["text"] for button in slack.buttons(message)] == ["Approve", "Approve for this run", "Deny"]
    assert message["blocks"][0]["text"]["text"] == "May publish_post run?"
    for words in ('{"title":"AI news"}', "The draft is ready.", "manager > publisher > publish_post", "risk: high", "approve: It runs"):
        assert words in slack.texts(message)
    assert {json.loads(button["value"])["digest"] for button in slack.buttons(message)} == {DIGEST}


async def test_what_models_wrote_is_never_slacks_markup_and_hides_nothing(slack: SlackServer, it: SlackChannel) -> None:
    hostile = "<!channel> *bold* <https://evil.example|click> :tada: \x1b[2J\u202e\u200b &lt;"
    await it.deliver(delivery(to(slack), told(why=hostile, question=hostile, tool="t<!here>", run="<!channel>")))

    [message] = slack.messages
    for block in message["blocks"]:
        for text in (block["text"],) if "text" in block else [element["text"] for element in block["elements"]]:
            assert (text["type"], text["emoji"]) == ("plain_text", False)
    assert "<!" not in message["text"]
    assert "\\x1b[2J<U+202E><U+200B>" in slack.texts(message)
    assert "contains hidden characters" in slack.texts(message)
    assert not {"\x1b", "\u202e", "\u200b"} & set(slack.texts(message))


@pytest.mark.parametrize("kind", list(RequestKind))
async def test_every_kind_of_request_fits_into_slacks_limits_however_long_it_is(
    slack: SlackServer, it: SlackChannel, kind: RequestKind
) -> None:
    long = "\U0001f600<&\n" * 20_000
    what = told(
        kind=kind,
        question=long,
        why=long,
        arguments=long,
        choices=(long, *(str(n) * 200 for n in range(40))),
        run=long,
        path=long,
        tool=long,
    )

    assert isinstance(await it.deliver(delivery(to(slack), what)), Delivered)


async def test_what_is_too_long_to_be_seen_is_not_approved_here(slack: SlackServer, it: SlackChannel) -> None:
    await it.deliver(delivery(to(slack), told(arguments='{"text":"' + "x" * 20_000 + '"}')))

    [message] = slack.messages
    assert [button["text"]["text"] for button in slack.buttons(message)] == ["Deny"]
    assert "too long to be approved here" in slack.texts(message)


async def test_a_button_says_who_pressed_it_and_what_it_was_shown(talk: Talk) -> None:
    message = await talk.ask()

    await talk.slack.press(message, "Approve", user=ALICE)

    [said] = talk.judge.said
    assert (said.request_id, said.verb, said.by, said.via, said.expect_digest, said.for_run) == (
        REQUEST,
        Verb.APPROVE,
        ALICE,
        "marketing",
        DIGEST,
        False,
    )
    assert not talk.slack.whispers


async def test_an_approval_for_the_run_says_so(talk: Talk) -> None:
    await talk.slack.press(await talk.ask(), "Approve for this run", user=ALICE)

    assert talk.judge.said[0].for_run


async def test_who_is_not_allowed_is_told_and_only_they_see_it(talk: Talk) -> None:
    await talk.slack.press(await talk.ask(), "Approve", user=MALLORY)

    assert talk.judge.won is None
    [whisper] = talk.slack.whispers
    assert (whisper["user"], whisper["channel"]) == (MALLORY, CHANNEL)
    assert "may not approve" in whisper["text"]


async def test_a_denial_asks_for_a_note(talk: Talk) -> None:
    await talk.slack.press(await talk.ask(), "Deny", user=ALICE)
    assert not talk.judge.said

    await talk.slack.fill_in("not before &lt;Monday&gt;", user=ALICE)

    [said] = talk.judge.said
    assert (said.verb, said.note, said.by, said.via) == (Verb.DENY, "not before <Monday>", ALICE, "marketing")


async def test_a_note_may_be_left_out(talk: Talk) -> None:
    await talk.slack.press(await talk.ask(), "Deny", user=ALICE)
    await talk.slack.fill_in(None, user=ALICE)

    assert [(said.verb, said.note) for said in talk.judge.said] == [(Verb.DENY, "")]


async def test_a_reply_in_the_thread_answers_a_question(talk: Talk) -> None:
    talk.judge.request = question()

    await talk.slack.reply(await talk.ask(), "The second &amp; last", user=MALLORY)

    [said] = talk.judge.said
    assert (said.verb, said.text, said.by, said.via) == (Verb.ANSWER, "The second & last", MALLORY, "marketing")


async def test_a_choice_is_a_button(talk: Talk) -> None:
    talk.judge.request = question(choices=("red", "blue\u202e", "x" * 400))
    message = await talk.ask()
    assert [button["text"]["text"] for button in talk.slack.buttons(message)] == ["red", "blue<U+202E>"]

    await talk.slack.press(message, "red", user=ALICE)

    assert talk.judge.said[0].text == "red"


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B0X"},
        {"subtype": "message_changed"},
        {"thread_ts": None},
        {"channel": "C0OTHER"},
        {"text": "  "},
        {"user": None},
        {"type": "reaction_added"},
    ],
)
async def test_what_is_no_reply_of_a_person_in_its_thread_answers_nothing(talk: Talk, changes: dict[str, Any]) -> None:
    talk.judge.request = question()

    await talk.slack.reply(await talk.ask(), "hello", **changes)

    assert not talk.judge.said


async def test_a_reply_below_an_approval_decides_nothing(talk: Talk) -> None:
    await talk.slack.reply(await talk.ask(), "approve")

    assert not talk.judge.said


async def test_a_message_of_another_app_that_looks_like_ours_is_not_answered(talk: Talk) -> None:
    talk.judge.request = question()
    message = await talk.ask()
    message["bot_id"] = "B0EVIL"

    await talk.slack.reply(message, "hello")

    assert not talk.judge.said


async def test_the_end_takes_the_place_of_the_buttons(talk: Talk) -> None:
    talk.judge.request = question(choices=("red",))
    message = await talk.ask()
    await talk.it.tell_end(
        delivery(to(talk.slack), talk.judge.request, reference=f"{CHANNEL} {message['ts']}"), "answered by alice at 11:41"
    )

    assert talk.slack.buttons(message) == []
    assert "answered by alice at 11:41" in talk.slack.texts(message)
    await talk.slack.reply(message, "thanks!")
    assert not talk.judge.said


async def test_an_end_whose_message_is_unknown_is_looked_for(slack: SlackServer, it: SlackChannel) -> None:
    await it.deliver(delivery(to(slack)))

    await it.tell_end(delivery(to(slack)), "denied by bob")

    assert "denied by bob" in slack.texts(slack.messages[0])


async def test_a_crash_between_the_message_and_its_record_posts_no_second_one(slack: SlackServer, it: SlackChannel) -> None:
    first = await it.deliver(delivery(to(slack)))
    for n in range(450):  # the channel is a busy one
        slack.messages.append(
            {
                "ts": slack._ts(),
                "text": str(n),
                "metadata": {"event_type": "smallchain_request", "event_payload": {"delivery": str(n), "reminder": 0}},
            }
        )

    again = await it.deliver(delivery(to(slack), attempt=2))

    assert again == first
    assert len([message for message in slack.messages if "blocks" in message]) == 1


async def test_a_second_attempt_posts_what_never_arrived(slack: SlackServer, it: SlackChannel) -> None:
    assert isinstance(await it.deliver(delivery(to(slack), attempt=2)), Delivered)

    assert len(slack.messages) == 1


async def test_a_reminder_is_told_in_the_thread_once(slack: SlackServer, it: SlackChannel) -> None:
    first = await it.deliver(delivery(to(slack)))
    assert isinstance(first, Delivered)
    for attempt in (1, 2):
        found = await it.deliver(delivery(to(slack), reminder=1, attempt=attempt, reference=first.reference))
        assert found == first

    assert [message.get("thread_ts") for message in slack.messages] == [None, slack.messages[0]["ts"]]
    assert slack.texts(slack.messages[1]) == "Still open: May publish_post run?"


async def test_of_fifty_that_press_at_once_one_wins_and_the_others_are_told_who(talk: Talk) -> None:
    message = await talk.ask()

    await asyncio.gather(*(talk.slack.press(message, "Approve", user=ALICE) for _ in range(50)))

    assert len(talk.judge.said) == 50
    assert len(talk.slack.whispers) == 49
    assert {whisper["text"] for whisper in talk.slack.whispers} == {f"already decided: approve by {ALICE} (marketing)"}


async def test_what_could_not_be_heard_is_not_acknowledged(talk: Talk) -> None:
    message = await talk.ask()
    talk.busy = True
    button = talk.slack.buttons(message)[0]
    payload = {"type": "block_actions", "user": {"id": ALICE}, "channel": {"id": CHANNEL}, "trigger_id": "x", "actions": [button]}
    unheard = await talk.slack.send("interactive", payload, acknowledged=False)
    await talk.turned_away.wait()

    talk.busy = False
    await talk.slack.press(message, "Approve", user=ALICE)

    assert not talk.slack.acks[unheard].done()
    assert len(talk.judge.said) == 1


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "block_actions"},
        {
            "type": "block_actions",
            "actions": [{"action_id": "smallchain:0", "value": "{"}],
            "user": {"id": ALICE},
            "channel": {"id": CHANNEL},
        },
        {"type": "block_actions", "actions": [{"action_id": "other", "value": "x"}], "user": {"id": ALICE}, "channel": {"id": CHANNEL}},
        {"type": "view_submission", "view": {"callback_id": "smallchain", "private_metadata": "[]"}, "user": {"id": ALICE}},
        {"type": "view_submission", "view": {"callback_id": "theirs"}, "user": {"id": ALICE}},
        {"type": "shortcut"},
    ],
)
async def test_an_envelope_of_another_form_is_passed_over(talk: Talk, payload: dict[str, Any]) -> None:
    await talk.slack.send("interactive", payload)
    await talk.slack.press(await talk.ask(), "Approve", user=ALICE)

    assert len(talk.judge.said) == 1


async def test_a_button_of_one_channel_pressed_in_another_is_not_heard(talk: Talk) -> None:
    button = talk.slack.buttons(await talk.ask())[0]
    payload = {"type": "block_actions", "user": {"id": ALICE}, "channel": {"id": "C0OTHER"}, "trigger_id": "x", "actions": [button]}

    await talk.slack.send("interactive", payload)

    assert not talk.judge.said


@pytest.mark.slow
async def test_a_socket_that_ends_is_opened_again(talk: Talk) -> None:
    message = await talk.ask()
    await talk.slack.hang_up()
    await talk.slack.connected(2)

    await talk.slack.press(message, "Approve", user=ALICE)

    assert talk.judge.won is not None


@pytest.mark.parametrize(
    ("fault", "for_now", "after", "words"),
    [
        ("channel_not_found", False, None, "look at `to`"),
        ("not_in_channel", False, None, "/invite"),
        ("invalid_auth", False, None, "look at `token`"),
        ("something_new", False, None, "something_new"),
        ("internal_error", True, None, "internal_error"),
        ((429, {"Retry-After": "7"}), True, 7, "ratelimited"),
        (503, True, None, ""),
    ],
)
async def test_what_slack_refuses_says_whether_trying_again_helps(
    slack: SlackServer, it: SlackChannel, fault: Any, for_now: bool, after: int | None, words: str
) -> None:
    slack.fail["chat.postMessage"] = [fault]

    found = await it.deliver(delivery(to(slack)))

    assert isinstance(found, Undelivered)
    assert (found.for_now, found.retry_after) == (for_now, timedelta(seconds=after) if after else None)
    assert words in found.message
    assert "xox" not in found.message
    assert not slack.messages


async def test_a_slack_that_is_not_there_is_a_reason_to_try_again(it: SlackChannel) -> None:
    async with SlackServer() as gone:
        there = to(gone)

    found = await it.deliver(delivery(there))

    assert isinstance(found, Undelivered)
    assert found.for_now


async def test_the_check_asks_slack_who_we_are(slack: SlackServer, it: SlackChannel) -> None:
    assert await it.check(to(slack)) == ""

    slack.fail["auth.test"] = ["token_revoked"]
    assert "make a new token" in await it.check(to(slack))
    assert [method for method, _ in slack.calls] == ["auth.test", "auth.test"]


async def test_without_an_app_token_nothing_is_heard_and_nothing_waits(slack: SlackServer, it: SlackChannel) -> None:
    judge = Judge()
    none = channel("slack", CHANNEL, token=BOT_TOKEN, parameters={"base_url": slack.base_url})
    unknown = channel("slack", CHANNEL, token=BOT_TOKEN, parameters={"base_url": slack.base_url, "app_token": {"env": "GONE"}})

    async with asyncio.timeout(5):
        await it.listen([none, unknown], judge.hear)

    assert not slack.connections


async def test_no_token_and_no_ticket_is_ever_logged(slack: SlackServer, it: SlackChannel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="smallchain")
    slack.fail["apps.connections.open"] = ["invalid_auth"]
    slack.fail["chat.postMessage"] = ["fatal_error"]
    listening = asyncio.create_task(it.listen([to(slack)], Judge().hear))
    await it.deliver(delivery(to(slack)))
    while not any("connect" in record.getMessage() for record in caplog.records):
        await asyncio.sleep(0.01)

    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    told_there = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("smallchain"))
    assert not {word for word in ("xoxb", "xapp", "ticket") if word in told_there}
