"""Fifty approvers at once over every way there is: one wins, and each of the others is told who, where they answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import aiohttp

from smallchain.model import callback
from smallchain.model.delivery import Delivered, Said, Told, Verb
from smallchain.services.humans.email import EmailChannel
from smallchain.services.humans.inbox import Inbox
from smallchain.services.humans.inboxfile import name_of
from smallchain.services.humans.slack import SlackChannel
from smallchain.services.humans.webhook import RequestCallbacks
from smallchain.settings import Callbacks
from smallchaind import callbacks
from smallchaind.callbacks import CallbackListener
from support.mailserver import PASSWORD, MailServer
from support.people import DIGEST, NOW, REQUEST, SECRET, Judge, channel, delivery, told
from support.slackserver import APP_TOKEN, BOT_TOKEN, CHANNEL, SlackServer


class Key:
    """The one secret there is."""

    async def resolve(self, reference: object, /) -> str:
        return APP_TOKEN

    def forget(self) -> None:
        pass

    def mask(self, text: str, /) -> str:
        return text


async def test_of_fifty_approvers_on_every_channel_one_wins_and_forty_nine_are_told_who(tmp_path: Path) -> None:
    async with SlackServer() as slack, MailServer() as mail, aiohttp.ClientSession() as session:
        by_slack = channel(
            "slack",
            CHANNEL,
            name="slack",
            allowed=("U0456DEF",),
            token=BOT_TOKEN,
            parameters={"base_url": slack.base_url, "app_token": {"env": "X"}},
        )
        by_mail = channel(
            "email",
            "team@example.com",
            name="mail",
            allowed=("alice@example.com",),
            token=PASSWORD,
            parameters={"smtp": mail.smtp, "imap": mail.imap, "sender": "agents@example.com", "security": "none", "poll": "10ms"},
        )
        by_hook = channel("webhook", "https://hooks.example", name="hook")
        judge = Judge(told(), by_slack, by_mail, by_hook)
        bound = callbacks.bind(0)
        port = bound.getsockname()[1]

        async def known(request_id: str) -> tuple[bytes, Sequence[str]] | None:
            return SECRET, ("hook",)

        async def waiting() -> Sequence[Told]:
            return () if judge.won else (judge.request,)

        listener = CallbackListener(
            {"requests": RequestCallbacks(known=known, hear=judge.hear, now=lambda: NOW)},
            hosts=callbacks.hosts(Callbacks(port, "http://x")),
            now=lambda: NOW,
        )
        at_slack, at_mail = SlackChannel(secrets=Key()), EmailChannel(now=lambda: NOW)
        inbox = Inbox(tmp_path / "inbox", waiting=waiting, hear=judge.hear)
        running = [
            asyncio.create_task(each)
            for each in (listener.serve(bound), at_slack.listen([by_slack], judge.hear), at_mail.listen([by_mail], judge.hear))
        ]
        assert isinstance(await at_slack.deliver(delivery(by_slack)), Delivered)
        assert isinstance(await at_mail.deliver(delivery(by_mail)), Delivered)
        await inbox.look()
        file = tmp_path / "inbox" / name_of(judge.request)
        file.write_text(file.read_text().replace("\ndecision:", "\ndecision: approve", 1))
        await inbox.look()
        await slack.connected(1)

        async def over_http() -> tuple[int, str]:
            body = json.dumps({"verb": "approve", "by": "alice", "expect_digest": DIGEST}).encode()
            signed = callback.sign(callback.key_for(SECRET, "hook").secret, REQUEST, body, at=NOW)
            headers = {"Content-Type": "application/json", callback.HEADER: signed}
            async with session.post(f"http://127.0.0.1:{port}/callbacks/requests/{REQUEST}", data=body, headers=headers) as answer:
                return answer.status, (await answer.json())["sentence"]

        def reply(n: int) -> EmailMessage:
            message = EmailMessage(policy=SMTP.clone(max_line_length=998))
            message["From"], message["To"], message["Message-ID"] = "alice@example.com", "agents@example.com", f"<{n}@example.com>"
            message["In-Reply-To"] = str(mail.received[0]["Message-ID"])
            message.set_content("approve K7Q2M9XD\n")
            return message

        for n in range(5):
            mail.arrive(reply(n))
        http, shell, _, _ = await asyncio.gather(
            asyncio.gather(*(over_http() for _ in range(14))),
            asyncio.gather(*(judge.hear(Said(REQUEST, Verb.APPROVE, str(n), "terminal")) for n in range(15))),
            asyncio.gather(*(slack.press(slack.messages[0], "Approve", user="U0456DEF") for _ in range(15))),
            inbox.look(),
        )
        await mail.until(lambda: len(mail.seen) == 5)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await at_slack.close()

    assert len(judge.said) == 50
    assert judge.won is not None
    who = f"already decided: approve by {judge.won.by} ({judge.won.via})"
    late = tmp_path / "inbox" / "late" / file.name
    told_who = [sentence for status, sentence in http if status == 409]
    told_who += [heard.sentence for heard in shell if not heard.counted]
    told_who += [whisper["text"] for whisper in slack.whispers]
    told_who += [late.read_text().split("\n")[0].removeprefix('# too late: "').removesuffix('"')] if late.exists() else []
    told_by_mail = [str(each.get_content()).strip() for each in mail.received[1:]]
    if judge.won.by == "alice@example.com":
        assert len(told_who) == 45  # who won by mail is not told of their own answers
    else:
        assert len(told_who) + len(told_by_mail) == 49
    assert {*told_who, *told_by_mail} == {who}
