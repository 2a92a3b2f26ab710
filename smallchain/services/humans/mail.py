"""A request as an email, and a reply read back; no connection is opened here.

The one rule: a reply is hostile until it is whole: who wrote it has to be named in the YAML, it has to lead back to a message of
ours, and nothing but its first line is taken for a command.
"""

from __future__ import annotations

import email
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime
from typing import Any

from smallchain.model.channelspec import EmailParameters
from smallchain.model.delivery import UNPROVEN, ChannelInUse, Delivery, Said, Told, Verb
from smallchain.model.human import RequestKind
from smallchain.model.ids import is_id
from smallchain.protocol.text import one_line
from smallchain.services.humans import words
from smallchain.services.humans.answers import LONGEST_NOTE, LONGEST_TEXT

LARGEST = 256 << 10
_MOST_SHOWN = 50_000
_POLICY = SMTP.clone(max_line_length=998)
"""Long enough that no id is folded or encoded (RFC 5322, 2.1.1)."""

_OURS = re.compile(r"<([a-z_]{3,20})\.([0-9a-f-]{36})\.([0-9a-f]{16})\.([0-9a-f-]{36})(?:\.[a-z0-9]{1,20})?@")
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]\\]+@[^\s<>,;:\"()\[\]\\]+")
_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})
_ROBOTS = frozenset({"mailer-daemon", "postmaster", "noreply", "no-reply"})
_SEPARATOR = re.compile(r"(?i)\s*(?:-{2,}\s*\w[\w .]*\s*-{2,}|_{10,}|(?:from|von|de)\s?:\s.*)")
_ATTRIBUTION = re.compile(r"[@0-9]")
_APPROVE = re.compile(r"approve\b[\s:]*([A-Za-z0-9][A-Za-z0-9 -]{3,19})?")
_COMMANDS: Mapping[str, Verb] = {
    "deny": Verb.DENY,
    "answer": Verb.ANSWER,
    "happened": Verb.HAPPENED,
    "did not happen": Verb.DID_NOT_HAPPEN,
    "run again": Verb.RUN_AGAIN,
    "resume": Verb.RESUME,
    "cancel": Verb.CANCEL,
}


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply from somebody who may answer. `said` None: it says nothing that can be taken, and `fault` tells them why."""

    channel: ChannelInUse
    request_id: str
    by: str
    message_id: str
    subject: str
    said: Said | None
    fault: str = ""


def message_id(delivery: Delivery, /, suffix: str = "") -> str:
    """The same for each attempt, so that a message that was sent twice is one; a reply to it leads back to the request."""
    domain = _parameters(delivery.channel).sender.rpartition("@")[2]
    told = delivery.told
    return f"<{told.kind}.{told.request_id}.{_tag(delivery.channel.name)}.{delivery.id}{f'.{suffix}' if suffix else ''}@{domain}>"


def request_mail(delivery: Delivery, /, *, now: datetime) -> EmailMessage:
    """The message that tells a request, or reminds of it."""
    reminder = delivery.reminder
    mail = _mail(delivery, f"reminder{reminder}" if reminder else "", now=now)
    mail["Subject"] = ("Still open: " if reminder else "") + _subject(delivery.told)
    _write(mail, _body(delivery))
    return mail


def end_mail(delivery: Delivery, sentence: str, /, *, now: datetime) -> EmailMessage:
    """The message that it is over."""
    mail = _mail(delivery, "closed", now=now)
    mail["Subject"] = f"Closed: {_subject(delivery.told)}"
    _write(mail, f"{one_line(sentence)}\n\nThere is nothing left to answer.\n")
    return mail


def refusal(answered: Answered, sentence: str, /, *, now: datetime) -> EmailMessage:
    """What is told to somebody whose reply was not taken."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = _parameters(answered.channel).sender
    mail["To"] = answered.by
    mail["Subject"] = one_line(f"Not taken: {answered.subject}", cells=200)
    mail["Date"] = format_datetime(now.astimezone(UTC))
    if answered.message_id:
        mail["In-Reply-To"] = mail["References"] = answered.message_id
    mail["Auto-Submitted"] = "auto-replied"
    _write(mail, f"{sentence}\n")
    return mail


def read(raw: bytes, /, channels: Sequence[ChannelInUse], *, at: datetime) -> Answered | None:
    """What a message says; None when it is not for us to answer: from a stranger, from a program, or about nothing of ours."""
    try:
        mail = email.message_from_bytes(raw, policy=default)
        return _read(mail, channels, at) if isinstance(mail, EmailMessage) else None
    except (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError):
        return None  # the parser of the standard library gives up in many ways on what is no message


def text_above_quote(text: str) -> str:
    """What a person wrote themselves: above the quoted message; below it where they wrote there."""
    lines = text.replace("\r\n", "\n").split("\n")
    end = next(
        (n for n, line in enumerate(lines) if line.startswith(">") or line in ("-- ", "--") or _SEPARATOR.fullmatch(line)), len(lines)
    )
    above = _without_attribution(lines[:end])
    if above:
        return above
    return "\n".join(line for line in lines[end:] if not line.startswith(">")).split("\n-- \n")[0].strip()


def _without_attribution(lines: list[str]) -> str:
    """Without the last lines where they introduce what is quoted: up to three, ending in a colon, with a date or an address."""
    kept = "\n".join(lines).strip().split("\n")
    if kept[-1].rstrip().endswith(":"):
        start = len(kept) - 1
        while start > 0 and len(kept) - start < 3 and kept[start - 1].strip():
            start -= 1
        for begin in range(len(kept) - 1, start - 1, -1):
            if _ATTRIBUTION.search(" ".join(kept[begin:])) and (begin == 0 or begin == start or not kept[begin - 1].strip()):
                return "\n".join(kept[:begin]).strip()
    return "\n".join(kept).strip()


def _read(mail: EmailMessage, channels: Sequence[ChannelInUse], at: datetime) -> Answered | None:
    if _from_a_program(mail):
        return None
    written = [str(value) for name, value in mail.raw_items() if name.lower() == "from"]  # parsed, it is the first address alone
    senders = {found.lower() for value in written for found in _ADDRESS.findall(value)}
    if len(senders) != 1:  # also where a display name looks like another address
        return None
    [by] = senders
    found = next((match for match in map(_OURS.search, _ids(mail)) if match), None)
    if found is None or not is_id(found[2]):
        return None
    channel = next((each for each in channels if _tag(each.name) == found[3]), None)
    if channel is None:
        return None
    by = next((name for name in channel.allowed or (channel.to,) if name.lower() == by), "")
    if not by:
        return None
    said, fault = _said(mail, found[1], found[2], channel, by, at)
    subject = one_line(str(mail.get("Subject", "")), cells=200)
    reply_to = str(mail.get("Message-ID", "")).strip()
    return Answered(channel, found[2], by, reply_to if re.fullmatch(r"<[\x21-\x7e]{1,900}>", reply_to) else "", subject, said, fault)


def _from_a_program(mail: EmailMessage) -> bool:
    """Bounces and automatic replies (RFC 3834, RFC 3464)."""
    submitted = str(mail.get("Auto-Submitted", "no")).split(";")[0].strip().lower()
    local = str(mail.get("From", "")).rpartition("<")[2].partition("@")[0].strip().lower()
    return (
        submitted != "no"
        or str(mail.get("Precedence", "")).strip().lower() in _BULK
        or str(mail.get("Return-Path", "x")).strip() == "<>"
        or "X-Autoreply" in mail
        or "X-Autorespond" in mail
        or "List-Id" in mail
        or mail.get_content_type() == "multipart/report"
        or local in _ROBOTS
    )


def _ids(mail: EmailMessage) -> list[str]:
    """The messages it answers, the nearest first."""
    references = str(mail.get("References", "")).split()
    return [*str(mail.get("In-Reply-To", "")).split(), *reversed(references)][:100]


def _said(mail: EmailMessage, kind: str, request_id: str, channel: ChannelInUse, by: str, at: datetime) -> tuple[Said | None, str]:
    part = mail.get_body(("plain",))
    if part is None:
        return None, "The reply has no plain text. Send it again as plain text."
    text = text_above_quote(str(part.get_content()))
    if not text:
        return None, "The reply is empty above the quoted message."
    first, _, rest = text.partition("\n")
    first, rest = first.strip(), rest.strip()

    def say(verb: Verb, **more: Any) -> tuple[Said, str]:
        return Said(request_id, verb, by, channel.name, at=at, **more), ""

    if kind == RequestKind.QUESTION:
        answer = re.sub(r"(?i)^answer\b[\s:]*", "", text) or text
        return say(Verb.ANSWER, text=answer[:LONGEST_TEXT])
    approve = _APPROVE.fullmatch(first.rstrip(".!").strip().lower())
    if approve is not None:
        if not approve[1]:
            return None, "An approval needs the code of the message: write `approve CODE` in the first line."
        return say(Verb.APPROVE, note=rest[:LONGEST_NOTE], code=re.sub(r"[ -]", "", approve[1]).upper())
    for command, verb in _COMMANDS.items():
        if first.lower() == command or first.lower().startswith((f"{command} ", f"{command}:", f"{command},", f"{command}.")):
            same_line = first[len(command) + 1 :].strip()
            code = None
            if verb not in UNPROVEN:
                code, _, same_line = same_line.partition(" ")
                if not code:
                    return None, f"That answer needs the code of the message: write `{command} CODE` in the first line."
            more = f"{same_line.strip()}\n{rest}".strip()
            if verb in (Verb.HAPPENED, Verb.ANSWER):
                return say(verb, text=more[:LONGEST_TEXT], code=code)
            return say(verb, note=more[:LONGEST_NOTE], code=code)
    return None, "The first line of the reply is none of the answers that the message lists."


def _mail(delivery: Delivery, suffix: str, *, now: datetime) -> EmailMessage:
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = mail["Reply-To"] = _parameters(delivery.channel).sender
    mail["To"] = delivery.channel.to
    mail["Date"] = format_datetime(now.astimezone(UTC))
    mail["Message-ID"] = message_id(delivery, suffix)
    if suffix:
        mail["In-Reply-To"] = mail["References"] = message_id(delivery)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    return mail


def _write(mail: EmailMessage, text: str) -> None:
    mail.set_content(text.encode("utf-8", "replace").decode(), cte="quoted-printable")


def _subject(told: Told) -> str:
    return one_line(f"{words.title(told)} (run {told.run})" if told.run else words.title(told), cells=200)


def _body(delivery: Delivery) -> str:
    told = delivery.told
    lines = [words.title(told), ""]
    lines += [f"{name}: {value}" for name, value in words.facts(told)]
    for part in words.parts(told, most=_MOST_SHOWN):
        lines += ["", f"{part.heading}:", *(f"  | {line}" for line in part.text.split("\n"))]
    lines += ["", "What each answer leads to:", *(f"  {line}" for line in words.outcomes(told)), ""]
    return "\n".join([*lines, *_how(delivery)]) + "\n"


def _how(delivery: Delivery) -> list[str]:
    """How to answer, at the end; lines with a gutter before them were written by models and tools."""
    if _parameters(delivery.channel).imap is None:
        return ["Replies to this message are not read. Answer with `smallchain inbox` on the machine it comes from."]
    verbs = words.verbs(delivery.told, most=_MOST_SHOWN)
    if Verb.ANSWER in verbs:
        return ["To answer, reply to this message. What you write above the quoted message is the answer."]
    offers: Mapping[Verb, Callable[[], str]] = {
        Verb.APPROVE: lambda: f"approve {delivery.code}",
        Verb.DENY: lambda: "deny                (what follows is your note)",
        Verb.HAPPENED: lambda: f"happened {delivery.code}   (what follows is what came out of it)",
    }
    lines = [f"  {offers[verb]() if verb in offers else str(verb).replace('_', ' ') + ' ' + delivery.code}" for verb in verbs]
    if not words.shown_whole(delivery.told, most=_MOST_SHOWN):
        lines.append("The arguments are too long to be approved here.")
    return ["To answer, reply to this message, with one of these as the first line:", *lines]


def _tag(channel: str) -> str:
    """The channel in a message's id."""
    return hashlib.sha256(channel.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _parameters(channel: ChannelInUse) -> EmailParameters:
    return EmailParameters.model_validate(channel.parameters)
