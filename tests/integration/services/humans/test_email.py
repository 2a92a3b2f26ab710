"""Email against real servers on the loopback: SMTP out, IMAP in, and what happens when either breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from smallchain.model.delivery import ChannelInUse, Delivered, Heard, Said, Undelivered, Verb
from smallchain.model.errors import Busy
from smallchain.services.humans.email import EmailChannel
from support.mailserver import PASSWORD, MailServer
from support.people import NOW, Judge, channel, delivery, told

ALICE = "alice@example.com"
CODE = "K7Q2M9XD"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as running:
        yield running


@pytest.fixture
def it() -> EmailChannel:
    return EmailChannel(now=lambda: NOW)


def to(server: MailServer, *, token: str | None = PASSWORD, **parameters: Any) -> ChannelInUse:
    whole = {"smtp": server.smtp, "imap": server.imap, "sender": "agents@example.com", "security": "none", "poll": "10ms"} | parameters
    return channel("email", "team@example.com", allowed=(ALICE,), token=token, parameters=whole)


def reply(to_message: EmailMessage, text: str, *, sender: str = ALICE) -> EmailMessage:
    """What a mail program makes of a reply."""
    message = EmailMessage(policy=SMTP.clone(max_line_length=998))
    message["From"], message["To"], message["Subject"] = sender, to_message["From"], f"Re: {to_message['Subject']}"
    message["Message-ID"] = "<reply@example.com>"
    message["In-Reply-To"] = message["References"] = str(to_message["Message-ID"])
    quoted = "\n".join(f"> {line}" for line in str(to_message.get_content()).splitlines())
    message.set_content(f"{text}\n\nOn Mon, 23 Nov 2026 at 12:00, agents@example.com wrote:\n{quoted}\n")
    return message


class Talk:
    """The channel listens, and the judge hears; it knows the code, as the engine does."""

    def __init__(self, server: MailServer, it: EmailChannel) -> None:
        self.server, self.it = server, it
        self.judge = Judge(told(), to(server))
        self.busy = 0

    async def hear(self, said: Said) -> Heard:
        if self.busy:
            self.busy -= 1
            raise Busy("the disk is full")
        if said.code is not None and said.code != CODE:
            return Heard(False, "the code is not that of this request")
        return await self.judge.hear(said)

    async def ask(self) -> EmailMessage:
        """Send the judge's request; the message that arrived."""
        found = await self.it.deliver(delivery(to(self.server), self.judge.request))
        assert isinstance(found, Delivered)
        return self.server.received[-1]


@pytest.fixture
async def talk(server: MailServer, it: EmailChannel) -> AsyncIterator[Talk]:
    made = Talk(server, it)
    listening = asyncio.create_task(it.listen([to(server)], made.hear))
    yield made
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_request_is_sent_to_its_address_with_the_password_of_the_channel(server: MailServer, it: EmailChannel) -> None:
    found = await it.deliver(delivery(to(server)))

    [message] = server.received
    assert isinstance(found, Delivered)
    assert found.reference == message["Message-ID"]
    assert server.recipients == [["team@example.com"]]
    assert server.logins == ["agents@example.com"]
    assert f"approve {CODE}" in str(message.get_content())


async def test_without_a_token_nobody_logs_in(server: MailServer, it: EmailChannel) -> None:
    assert isinstance(await it.deliver(delivery(to(server, token=None))), Delivered)
    assert server.logins == []


async def test_a_crash_between_sending_and_its_record_sends_the_same_message_again(server: MailServer, it: EmailChannel) -> None:
    first = await it.deliver(delivery(to(server)))
    second = await it.deliver(delivery(to(server), attempt=2))

    assert first == second
    assert len({str(message["Message-ID"]) for message in server.received}) == 1


async def test_a_reply_with_the_code_approves_and_is_marked_as_read(talk: Talk) -> None:
    number = talk.server.arrive(reply(await talk.ask(), f"approve {CODE}\nwell done"))

    await talk.server.until(lambda: number in talk.server.seen)

    assert talk.judge.won is not None
    assert (talk.judge.won.verb, talk.judge.won.by, talk.judge.won.via, talk.judge.won.note) == (
        Verb.APPROVE,
        ALICE,
        "marketing",
        "well done",
    )
    assert len(talk.server.received) == 1


async def test_a_reply_without_the_code_or_with_a_wrong_one_is_told_so(talk: Talk) -> None:
    message = await talk.ask()
    for text in ("approve", "approve AAAABBBB"):
        number = talk.server.arrive(reply(message, text))
        await talk.server.until(lambda number=number: number in talk.server.seen)

    assert talk.judge.won is None
    refusals = talk.server.received[1:]
    assert [str(each["To"]) for each in refusals] == [ALICE, ALICE]
    assert "needs the code" in str(refusals[0].get_content())
    assert "not that of this request" in str(refusals[1].get_content())
    assert {str(each["Auto-Submitted"]) for each in refusals} == {"auto-replied"}
    assert {str(each["In-Reply-To"]) for each in refusals} == {"<reply@example.com>"}


async def test_a_stranger_decides_nothing_and_hears_nothing(talk: Talk) -> None:
    message = await talk.ask()
    number = talk.server.arrive(reply(message, f"approve {CODE}", sender="mallory@example.com"))
    await talk.server.until(lambda: number in talk.server.seen)

    assert not talk.judge.said
    assert len(talk.server.received) == 1


async def test_who_writes_in_somebodys_name_does_not_fill_their_mailbox(talk: Talk) -> None:
    message = await talk.ask()
    for _ in range(12):
        talk.server.arrive(reply(message, "hello"))
    await talk.server.until(lambda: len(talk.server.seen) == 12)

    assert len(talk.server.received) == 1 + 5


async def test_who_comes_too_late_is_told_who_won(talk: Talk) -> None:
    message = await talk.ask()
    await talk.judge.hear(Said(talk.judge.request.request_id, Verb.DENY, "bob", "terminal"))
    number = talk.server.arrive(reply(message, f"approve {CODE}"))
    await talk.server.until(lambda: number in talk.server.seen)

    assert "already decided: deny by bob" in str(talk.server.received[-1].get_content())


async def test_a_reply_is_heard_again_until_it_was_recorded(talk: Talk) -> None:
    message = await talk.ask()
    talk.busy = 2
    number = talk.server.arrive(reply(message, "deny"))

    await talk.server.until(lambda: number in talk.server.seen)

    assert talk.busy == 0
    assert [said.verb for said in talk.judge.said] == [Verb.DENY]


@pytest.mark.parametrize("command", ["UID SEARCH", "UID FETCH 1 (BODY", "UID STORE", "SELECT"])
async def test_a_connection_that_ends_is_made_again_and_nothing_is_lost_or_decided_twice(talk: Talk, command: str) -> None:
    message = await talk.ask()
    talk.server.break_after = command
    number = talk.server.arrive(reply(message, "deny"))

    await talk.server.until(lambda: number in talk.server.seen)

    assert talk.judge.won is not None
    assert {said.verb for said in talk.judge.said} == {Verb.DENY}


async def test_a_message_that_is_too_large_or_none_at_all_is_passed_over(talk: Talk) -> None:
    message = await talk.ask()
    talk.server.arrive(reply(message, "deny " + "x" * 300_000))
    talk.server.arrive(b"\xff\x00 no message")
    last = talk.server.arrive(reply(message, "deny\nthis one"))

    await talk.server.until(lambda: last in talk.server.seen)

    assert [said.note for said in talk.judge.said] == ["this one"]


@pytest.mark.parametrize(
    ("answer", "for_now"),
    [("451 try later", True), ("421 going down", True), ("550 no such user", False), ("554 spam", False)],
)
async def test_what_the_server_answers_says_whether_trying_again_helps(
    server: MailServer, it: EmailChannel, answer: str, for_now: bool
) -> None:
    server.answers = [answer]

    found = await it.deliver(delivery(to(server)))

    assert isinstance(found, Undelivered)
    assert found.for_now is for_now
    assert answer in found.message


async def test_a_wrong_password_is_said_without_it(server: MailServer, it: EmailChannel) -> None:
    wrong = to(server, token="a-wrong-password")

    found = await it.deliver(delivery(wrong))

    assert isinstance(found, Undelivered)
    assert not found.for_now
    assert "look at `user` and `token`" in found.message
    assert "a-wrong-password" not in found.message + await it.check(wrong)


async def test_nobody_there_is_a_reason_to_try_again(it: EmailChannel) -> None:
    async with MailServer() as gone:
        there = to(gone)

    found = await it.deliver(delivery(there))

    assert isinstance(found, Undelivered)
    assert found.for_now


async def test_a_server_without_tls_gets_no_password_when_tls_was_asked_for(server: MailServer, it: EmailChannel) -> None:
    for security in ("starttls", "tls"):
        found = await it.deliver(delivery(to(server, security=security)))
        assert isinstance(found, Undelivered)
    assert server.logins == []
    assert not server.received


async def test_the_check_logs_in_at_both_and_sends_nothing(server: MailServer, it: EmailChannel) -> None:
    assert await it.check(to(server)) == ""
    assert not server.received
    assert "can't be opened" in await it.check(to(server, mailbox="Elsewhere"))


async def test_no_password_is_ever_logged(server: MailServer, it: EmailChannel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = to(server, token="a-wrong-password")
    listening = asyncio.create_task(it.listen([wrong], Judge().hear))
    await server.until(lambda: any(command.startswith("LOGIN") for command in server.asked))
    while not any("the mailbox of channel" in record.getMessage() for record in caplog.records):
        await asyncio.sleep(0.01)

    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert "a-wrong-password" not in "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("smallchain"))


async def test_without_a_mailbox_nothing_is_heard_and_nothing_waits(it: EmailChannel) -> None:
    deaf = channel("email", "team@example.com", token=None, parameters={"smtp": "localhost:25", "sender": "a@example.com"})

    async with asyncio.timeout(5):
        await it.listen([deaf], Judge().hear)


async def test_fifty_replies_decide_once(talk: Talk) -> None:
    message = await talk.ask()
    for n in range(50):
        talk.server.arrive(reply(message, f"approve {CODE}\n{n}"))

    await talk.server.until(lambda: len(talk.server.seen) == 50)

    assert len(talk.judge.said) == 50
    assert talk.judge.won is talk.judge.said[0]
