"""What each type of channel takes: the form of its `to`, and its `parameters`, checked when they are written.

The one rule: what can be known to be wrong offline is an error with a line, not a message that never arrives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from smallchain.model.fields import Duration, Flag, Secret, Section, Url, fault
from smallchain.model.ids import did_you_mean

CHANNEL_TYPES = ("terminal", "slack", "email", "webhook")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_SERVER = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?):([1-9][0-9]{0,4})")
_SLACK_ID = re.compile(r"[CDG][A-Z0-9]{5,20}")


def is_address(text: str) -> bool:
    """Whether a text is a plain email address (RFC 5321's dot-atoms; no display name, no quotes)."""
    return _ADDRESS.fullmatch(text) is not None


def host_and_port(text: str) -> tuple[str, int]:
    """The parts of `host:port`."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def _address(value: str) -> str:
    if not is_address(value):
        raise fault(f"{value[:80]!r} is not an email address", hint="write it as name@example.com")
    return value


def _server(value: str) -> str:
    found = _SERVER.fullmatch(value)
    if found is None or int(found[2]) > 65535:
        raise fault(f"{value[:80]!r} is not a server", hint="write it as mail.example.com:587")
    return value


Address = Annotated[str, AfterValidator(_address)]
Server = Annotated[str, AfterValidator(_server)]
Security = Literal["tls", "starttls", "none"]


class TerminalParameters(Section):
    """Of `type: terminal`: none."""


class WebhookParameters(Section):
    """Of `type: webhook`."""

    plain_http: Flag = Field(False, description="Post over http:// to another machine; everybody between can read it, and answer")


class SlackParameters(Section):
    """Of `type: slack`."""

    app_token: Secret | None = Field(
        None, description="A reference to the app-level token (xapp-...), which hears answers; without it none come"
    )
    base_url: Url = Field("https://slack.com/api/", description="Of the Web API")


class EmailParameters(Section):
    """Of `type: email`. The channel's `token` is the password for both servers."""

    smtp: Server = Field(description="host:port of the server that takes messages")
    sender: Address = Field(description="The address messages come from, and replies go to")
    user: str | None = Field(None, min_length=1, max_length=200, description="Who logs in; the sender when not given and there is a token")
    security: Security = Field("starttls", description="Of both servers: tls, starttls, or none (this machine only)")
    imap: Server | None = Field(None, description="host:port of the mailbox with the replies; without it none are read")
    imap_security: Security | None = Field(None, description="Of `imap`, where it differs; tls when its port is 993")
    mailbox: str = Field(
        "INBOX", min_length=1, max_length=100, pattern=r'^[^\x00-\x1f\x7f"\\*%]+$', description="The folder replies arrive in"
    )
    poll: Duration = Field("30s", description="How often the mailbox is looked at")


class _Type(NamedTuple):
    parameters: type[Section]
    needs: tuple[str, ...]
    forgeable: bool = False
    """Whether anybody can write in another's name there."""


_TYPES: Mapping[str, _Type] = {
    "terminal": _Type(TerminalParameters, ()),
    "webhook": _Type(WebhookParameters, ("to", "token")),
    "slack": _Type(SlackParameters, ("to", "token")),
    "email": _Type(EmailParameters, ("to",), forgeable=True),
}


def is_forgeable(type: str) -> bool:
    """Whether who writes on a channel of this type is only claimed, so that an approval has to repeat the request's one-time code."""
    return type not in _TYPES or _TYPES[type].forgeable  # of a type that a package brings, nothing is known


def check_parameters(type: str, value: Any, context: Any) -> Any:
    """The parameters of a type in their normal form; raises a fault with the first that is wrong. A package's own are checked by it."""
    if type not in _TYPES:
        return value
    model = _TYPES[type].parameters
    try:
        return model.model_validate(value, context=context).model_dump(mode="json", exclude_defaults=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"] if not str(step).startswith("<"))
    ctx = first.get("ctx", {})
    match first["type"]:
        case "extra_forbidden":
            known = ", ".join(model.model_fields) or "none"
            near = did_you_mean(str(first["loc"][-1]), model.model_fields)
            raise fault(f"`{where[:60]}` is no parameter of a {type} channel", hint=near or f"its parameters: {known}")
        case "missing":
            raise fault(f"`{where}` is missing, which a {type} channel needs")
        case "manifest":
            raise fault(f"`{where}` {ctx['text']}", hint=ctx["hint"])
        case _:
            message = str(first["msg"])
            raise fault(f"`{where}`: {message[:1].lower()}{message[1:]}")


def check_whole(type: str, to: str | None, has_token: bool, allowed: tuple[str, ...], parameters: Mapping[str, Any]) -> None:
    """Check what a channel of a type needs beside its parameters; raises a fault."""
    if type not in _TYPES:
        return
    given = {"to": to is not None, "token": has_token}
    for name in _TYPES[type].needs:
        if not given[name]:
            raise fault(f"`{name}` is missing, which a {type} channel needs", hint=_HINTS[type, name])
    match type:
        case "terminal" if to is not None or has_token:
            raise fault(f"`{'to' if to is not None else 'token'}` is nothing that a terminal channel takes")
        case "webhook":
            _check_hook(to or "", plain=parameters.get("plain_http") is True)
        case "slack" if not _SLACK_ID.fullmatch(to or ""):
            raise fault(f"`to`: {(to or '')[:40]!r} is not the id of a Slack channel", hint=_HINTS[type, "to"])
        case "email":
            for address in (to or "", *allowed):
                if not is_address(address):
                    raise fault(f"{address[:80]!r} is not an email address", hint="write it as name@example.com")
            mail = EmailParameters.model_validate(parameters)
            if mail.imap is not None and not has_token:
                raise fault("`token` is missing, with which the mailbox of `imap` is opened", hint="a reference to the password")
            _check_mail(mail)


_HINTS: Mapping[tuple[str, str], str] = {
    ("webhook", "to"): "the URL that requests are posted to",
    ("webhook", "token"): "a reference to the key that signs what is posted, as {env: HOOK_KEY}",
    ("slack", "to"): "the id of a channel, as C0123ABC; it stands at the end of its details in Slack",
    ("slack", "token"): "a reference to the bot token (xoxb-...), as {env: SLACK_TOKEN}",
    ("email", "to"): "the address that requests are sent to",
}


def _check_hook(to: str, *, plain: bool) -> None:
    try:
        parts = urlsplit(to)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not any(c.isspace() for c in to)
    except ValueError:
        usable = False
    if not usable:
        raise fault(f"`to`: {to[:80]!r} is not a URL", hint="it begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise fault("`to` holds a name or password in clear text", hint="the channel's `token` signs what is posted")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not plain:
        raise fault(
            "`to` posts the key of the answer in clear over the network",
            hint="write https://, or `parameters: {plain_http: true}` where everybody between may answer",
        )


def _check_mail(found: EmailParameters) -> None:
    for server, security in ((found.smtp, found.security), (found.imap, security_of_imap(found))):
        if server is not None and security == "none" and host_and_port(server)[0] not in LOOPBACK:
            raise fault(f"`security: none` is for servers on this machine; {server} is not", hint="tls or starttls")


def security_of_imap(found: EmailParameters) -> Security:
    """How the mailbox is spoken to."""
    if found.imap_security is not None:
        return found.imap_security
    return "tls" if found.imap is not None and host_and_port(found.imap)[1] == 993 else found.security
