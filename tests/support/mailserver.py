"""Mail on the loopback: aiosmtpd takes what is sent, and a small IMAP4rev1 server holds the mailbox that replies arrive in.

In a test: `async with MailServer() as server: ... server.received ... server.arrive(raw)`. The IMAP part knows what a client of
ours says (RFC 3501) and answers BAD to all else.
"""

from __future__ import annotations

import asyncio
import email
import re
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PASSWORD = "the-mail-password"


class MailServer:
    """One mailbox. `answers` are given to the next messages in place of 250; `break_after` ends IMAP connections at a command."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.logins: list[str] = []
        self.answers: list[str] = []
        self.mailbox: dict[int, bytes] = {}
        self.seen: set[int] = set()
        self.break_after = ""
        self.asked: list[str] = []
        self.smtp = self.imap = ""
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> MailServer:
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"authenticator": self._authenticate, "auth_require_tls": False, "enable_SMTPUTF8": True}
        smtp = await loop.create_server(lambda: SMTP(self, hostname="loopback", loop=loop, **options), "127.0.0.1", 0)
        imap = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._servers = [smtp, imap]
        self.smtp, self.imap = (f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in self._servers)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in self._servers:
            server.close()
        for writer in list(self._open):
            writer.close()
        await asyncio.sleep(0)

    def arrive(self, raw: bytes | EmailMessage) -> int:
        """A message arrives in the mailbox; its UID."""
        number = len(self.mailbox) + 1
        self.mailbox[number] = raw if isinstance(raw, bytes) else raw.as_bytes()
        return number

    async def until(self, truth: Any) -> None:
        """Wait until something holds after a command or a message."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(truth)

    # ---- SMTP

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """aiosmtpd's hook for a message."""
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        self.recipients.append(envelope.rcpt_tos)
        await self._tell()
        return "250 taken"

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    # ---- IMAP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        writer.write(b"* OK loopback\r\n")
        try:
            while line := await reader.readline():
                tag, _, command = line.decode().strip().partition(" ")
                self.asked.append(command)
                if self.break_after and command.startswith(self.break_after):
                    self.break_after = ""
                    break
                for answer in self._imap(command):
                    writer.write(
                        answer
                        if answer.startswith(b"* ") or not answer.startswith((b"OK", b"NO", b"BAD"))
                        else tag.encode() + b" " + answer + b"\r\n"
                    )
                await self._tell()
                if command == "LOGOUT":
                    break
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def _imap(self, command: str) -> list[bytes]:
        if command == "CAPABILITY":
            return [b"* CAPABILITY IMAP4rev1\r\n", b"OK done"]
        if command.startswith("LOGIN "):
            return [b"OK done"] if command.endswith(f'"{PASSWORD}"') else [b"NO wrong password for " + command.split()[-1].encode()]
        if command in ('SELECT "INBOX"', "SELECT INBOX"):
            return [f"* {len(self.mailbox)} EXISTS\r\n".encode(), b"OK [READ-WRITE] done"]
        if command.startswith("SELECT "):
            return [b"NO there is no such folder"]
        if command in ("NOOP", "LOGOUT"):
            return [b"OK done"]
        if command == "UID SEARCH UNSEEN":
            unseen = " ".join(str(number) for number in sorted(set(self.mailbox) - self.seen))
            return [f"* SEARCH {unseen}\r\n".encode(), b"OK done"]
        if found := re.fullmatch(r"UID FETCH (\d+) \(RFC822\.SIZE\)", command):
            number = int(found[1])
            return [f"* {number} FETCH (UID {number} RFC822.SIZE {len(self.mailbox[number])})\r\n".encode(), b"OK done"]
        if found := re.fullmatch(r"UID FETCH (\d+) \(BODY\.PEEK\[\]\)", command):
            raw = self.mailbox[int(found[1])]
            head = f"* {found[1]} FETCH (UID {found[1]} BODY[] {{{len(raw)}}}\r\n".encode()
            return [head + raw + b")\r\n", b"OK done"]
        if found := re.fullmatch(r"UID STORE (\d+) \+FLAGS\.SILENT \(\\Seen\)", command):
            self.seen.add(int(found[1]))
            return [b"OK done"]
        return [b"BAD what is that"]

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
