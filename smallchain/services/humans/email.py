"""The `email` channel: messages out through an SMTP server, replies in from a mailbox by IMAP.

The one rule: an address proves nothing (anybody can write one), so an approval has to repeat the code that only the message holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import importlib
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from smallchain.model.channelspec import EmailParameters, host_and_port, security_of_imap
from smallchain.model.delivery import ChannelInUse, Delivered, Delivery, Heard, Said, Undelivered
from smallchain.model.durations import parse_duration
from smallchain.model.errors import Transient
from smallchain.protocol.text import one_line
from smallchain.services.humans import mail
from smallchain.services.humans.mail import Answered

if TYPE_CHECKING:
    import aiosmtplib

log = logging.getLogger(__name__)

_WITHIN_S = 20.0
_MOST_AT_ONCE = 100
_MOST_REFUSALS = 5
_MOST_REMEMBERED = 1000
_LONGEST_PAUSE_S = 300.0
_SHORTEST_SECRET = 4
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")

Hear = Callable[[Said], Awaitable[Heard]]


class EmailChannel:
    """Implements `engine.ports.Channel`. Opens a connection for each message, and keeps one for each mailbox while it listens."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._refusals: dict[tuple[str, str], int] = {}

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """Send the message. A second attempt has the same Message-ID, by which mailboxes know it."""
        found = await self._send(delivery.channel, mail.request_mail(delivery, now=self._now()))
        return Delivered(delivery.reference or mail.message_id(delivery)) if isinstance(found, Delivered) else found

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """Send that it is over, as a reply to the first message."""
        found = await self._send(delivery.channel, mail.end_mail(delivery, sentence, now=self._now()))
        if isinstance(found, Undelivered):
            log.warning("the end of request %s could not be told: %s", delivery.told.request_id, found.message)

    async def listen(self, channels: Sequence[ChannelInUse], hear: Hear, /) -> None:
        """Look into each mailbox again and again; channels that share one share the look."""
        boxes: dict[tuple[Any, ...], list[ChannelInUse]] = {}
        for channel in channels:
            found = _parameters(channel)
            if found.imap is not None:
                boxes.setdefault((found.imap, found.user or found.sender, found.mailbox, channel.token), []).append(channel)
        async with asyncio.TaskGroup() as group:
            for shared in boxes.values():
                group.create_task(self._listen(shared, hear))

    async def check(self, channel: ChannelInUse, /) -> str:
        """Log in at both servers, and send nothing."""

        async def greet(client: aiosmtplib.SMTP) -> None:
            await client.noop()

        found = await self._at_smtp(channel, greet)
        if isinstance(found, Undelivered):
            return found.message
        if _parameters(channel).imap is not None:
            box = Mailbox(channel)
            try:
                await asyncio.to_thread(box.open)
            except (imaplib.IMAP4.error, OSError) as error:
                return box.words(error)
            finally:
                await asyncio.to_thread(box.close)
        return ""

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _send(self, channel: ChannelInUse, message: EmailMessage) -> Delivered | Undelivered:
        async def send(client: aiosmtplib.SMTP) -> None:
            await client.send_message(message, sender=_parameters(channel).sender, recipients=[str(message["To"])])

        return await self._at_smtp(channel, send)

    async def _at_smtp(self, channel: ChannelInUse, act: Callable[[aiosmtplib.SMTP], Awaitable[None]]) -> Delivered | Undelivered:
        missing = await asyncio.to_thread(_missing)
        if missing:
            return Undelivered(f"channel {channel.name!r} {missing}", for_now=False)
        import aiosmtplib

        found = _parameters(channel)
        host, port = host_and_port(found.smtp)
        client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            use_tls=found.security == "tls",
            start_tls=found.security == "starttls",
            username=(found.user or found.sender) if channel.token else None,
            password=channel.token,
            timeout=_WITHIN_S,
            tls_context=ssl.create_default_context() if found.security != "none" else None,
        )
        try:
            async with asyncio.timeout(2 * _WITHIN_S), client:
                await act(client)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            return Undelivered(f"{found.smtp} does not answer within {_WITHIN_S:.0f} s", for_now=True)
        except aiosmtplib.SMTPException as error:
            return _judged(channel, found.smtp, error)
        except ssl.SSLError as error:
            return Undelivered(f"{found.smtp}: TLS failed: {_tls(error)}", for_now=True)
        except OSError as error:
            return Undelivered(f"{found.smtp}: {error.strerror or type(error).__name__}", for_now=True)
        return Delivered()

    async def _listen(self, channels: Sequence[ChannelInUse], hear: Hear) -> None:
        box = Mailbox(channels[0])
        every = min(parse_duration(_parameters(channel).poll).total_seconds() for channel in channels)
        pause = every
        try:
            while True:
                try:
                    for number, raw in await asyncio.to_thread(box.fetch):
                        await self._take(raw, channels, hear)
                        await asyncio.to_thread(box.mark, number)
                    pause = every
                except (imaplib.IMAP4.error, OSError) as error:
                    log.warning("the mailbox of channel %r: %s", channels[0].name, box.words(error))
                    await asyncio.to_thread(box.close)
                    pause = min(max(2 * pause, every), _LONGEST_PAUSE_S)
                except Transient as error:
                    log.warning("a reply has to wait: %s", error)
                    await asyncio.to_thread(box.close)  # the next look begins with what was not marked
                await asyncio.sleep(pause)
        finally:
            box.abort()

    async def _take(self, raw: bytes, channels: Sequence[ChannelInUse], hear: Hear) -> None:
        """Hear one message; whoever may answer and is not heard is told why."""
        answered = mail.read(raw, channels, at=self._now())
        if answered is None:
            return
        if answered.said is None:
            await self._refuse(answered, answered.fault)
            return
        heard = await hear(answered.said)
        if not heard.counted and heard.facts.get("by") != answered.by:  # who won already reads their own answer twice after a crash
            await self._refuse(answered, heard.sentence)

    async def _refuse(self, answered: Answered, sentence: str) -> None:
        """Tell them; somebody who writes in their name must not make us fill their mailbox."""
        key = (answered.by, answered.request_id)
        if len(self._refusals) >= _MOST_REMEMBERED:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[key] = self._refusals.get(key, 0) + 1
        if self._refusals[key] > _MOST_REFUSALS:
            return
        await self._send(answered.channel, mail.refusal(answered, one_line(sentence), now=self._now()))


class Mailbox:
    """A mailbox by IMAP4rev1 (RFC 3501); blocking, for a thread, one call at a time. `abort` may come from anywhere."""

    def __init__(self, channel: ChannelInUse) -> None:
        self._channel = channel
        self._parameters = _parameters(channel)
        self._server: imaplib.IMAP4 | None = None
        self._looked_at: set[bytes] = set()
        self._over = False

    def open(self) -> imaplib.IMAP4:
        """Connect, log in, and open the folder, unless it is open."""
        if self._server is not None:
            return self._server
        found, host, port = self._parameters, *host_and_port(self._parameters.imap or "")
        security = security_of_imap(found)
        if security == "tls":
            server: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=_WITHIN_S)
        else:
            server = imaplib.IMAP4(host, port, timeout=_WITHIN_S)
        if self._over:
            _drop(server)
            raise imaplib.IMAP4.abort("nobody listens any more")
        self._server = server
        if security == "starttls":
            server.starttls(ssl.create_default_context())
        if self._channel.token:
            server.login(found.user or found.sender, self._channel.token)
        kind, data = server.select(f'"{found.mailbox}"')
        if kind != "OK":
            raise imaplib.IMAP4.error(f"the folder {found.mailbox!r} can't be opened: {_first(data)}")
        self._looked_at.clear()
        return server

    def fetch(self) -> list[tuple[bytes, bytes]]:
        """The unread messages that were not looked at on this connection, oldest first, each with its number."""
        server = self.open()
        server.noop()
        unread = _checked(server.uid("SEARCH", "UNSEEN"))
        numbers = [number for number in (unread[0] or b"").split() if number.isdigit() and number not in self._looked_at]
        found = []
        for number in numbers[:_MOST_AT_ONCE]:
            self._looked_at.add(number)
            size = _SIZE.search(repr(_checked(server.uid("FETCH", number.decode(), "(RFC822.SIZE)"))).encode())
            if size is None or int(size[1]) > mail.LARGEST:
                log.warning("a message in the mailbox of channel %r is too large to be an answer", self._channel.name)
                continue
            parts = _checked(server.uid("FETCH", number.decode(), "(BODY.PEEK[])"))
            found += [(number, part[1]) for part in parts if isinstance(part, tuple)]
        return found

    def mark(self, number: bytes) -> None:
        """Mark a message as read."""
        _checked(self.open().uid("STORE", number.decode(), "+FLAGS.SILENT", "(\\Seen)"))

    def close(self) -> None:
        """Log out, as far as there is somebody to say it to."""
        server, self._server = self._server, None
        if server is not None:
            try:
                server.logout()
            except (imaplib.IMAP4.error, OSError):
                _drop(server)

    def abort(self) -> None:
        """End the connection at once: a thread that waits on it goes on with an error."""
        self._over = True
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.socket().shutdown(socket.SHUT_RDWR)
            _drop(server)

    def words(self, error: Exception) -> str:
        """An error in words, without the password."""
        if isinstance(error, ssl.SSLError):
            return f"{self._parameters.imap}: TLS failed: {_tls(error)}"
        if isinstance(error, OSError):
            return f"{self._parameters.imap}: {error.strerror or type(error).__name__}"
        return f"{self._parameters.imap}: {_without(one_line(str(error), cells=200), self._channel.token)}"


def _drop(server: imaplib.IMAP4) -> None:
    with contextlib.suppress(OSError, ValueError):
        server.shutdown()


def _checked(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(f"the server says {_first(data)}")
    return data


def _first(data: Sequence[Any]) -> str:
    return data[0].decode("utf-8", "replace") if data and isinstance(data[0], bytes) else "no"


def _judged(channel: ChannelInUse, server: str, error: Any) -> Undelivered:
    """What an answer of the server says about trying again (RFC 5321, 4.2.1: 4yz is for now, 5yz for good)."""
    import aiosmtplib

    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Undelivered(f"{server} does not offer what `security` or `token` need: {one_line(str(error), cells=120)}", for_now=False)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = _without(one_line(str(error.message), cells=160), channel.token)
        hint = "; look at `user` and `token`" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else ""
        return Undelivered(f"{server} answers {error.code} {said}{hint}", for_now=400 <= error.code < 500)
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return Undelivered(f"{server}: TLS failed: {_tls(cause)}", for_now=True)
    return Undelivered(f"{server}: {_without(one_line(str(error), cells=160), channel.token)}", for_now=True)


def _tls(error: ssl.SSLError) -> str:
    return error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason or "the handshake"


def _without(text: str, secret: str | None) -> str:
    return text.replace(secret, "[secret]") if secret and len(secret) >= _SHORTEST_SECRET else text


def _parameters(channel: ChannelInUse) -> EmailParameters:
    return EmailParameters.model_validate(channel.parameters)


def _missing() -> str:
    """What to install; the first call imports the package, so it belongs into a thread."""
    try:
        importlib.import_module("aiosmtplib")
    except ImportError:
        return "needs `pip install 'smallchain[email]'`"
    return ""
