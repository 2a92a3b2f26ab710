"""Tools that are one HTTP request: `executor: {http: {method: GET, url: ...}}`.

The one rule: what the model writes is the body or the query, never the address, and a secret goes to nobody but the host it was
written for.
"""

from __future__ import annotations

import asyncio
import codecs
import importlib
import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from smallchain.model.artifact import Artifact, plain_media_type
from smallchain.model.canonical import canonical
from smallchain.model.durations import show_duration
from smallchain.model.errors import BadInput
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.model.toolspec import ToolSpec
from smallchain.services.tools.outbound import Answer, Lost, NotSent, Outbound, fault_in_place, retry_after

if TYPE_CHECKING:
    from yarl import URL

HARMLESS = ("GET", "HEAD")
"""What reads and changes nothing (RFC 9110, section 9.2.1): its arguments go into the query, and its redirects are followed."""
MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_TEXTUAL = ("json", "xml", "javascript", "x-www-form-urlencoded", "yaml", "csv", "graphql", "ndjson")


class HttpExecutor:
    """Implements `Executor` and `Checked`."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def execute(self, start: Start, /) -> Outcome:
        """Send the request once, with the redirects of what is harmless, all within the attempt's time-out."""
        spec = start.executor["http"]
        try:
            url, body, headers = await _request(start, spec)
        except BadInput as error:
            return Outcome(OutcomeKind.NOT_STARTED, f"could not be sent: {error}; nothing was sent")
        return await self._follow(start, spec, url, body, headers)

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Whether an address that stands in the URL is one that it may speak to; a name is looked at when it is spoken to."""
        spec = tool.executor.http if tool.executor is not None else None
        return fault_in_place(spec.url, spec.allow) if spec is not None else ""

    def fence(self, tool: ToolSpec, /) -> str:
        """Nothing of it runs here."""
        spec = tool.executor.http if tool.executor is not None else None
        return ", ".join(["public addresses", *(spec.allow if spec is not None else ())])

    async def _follow(self, start: Start, spec: Mapping[str, Any], url: URL, body: bytes | None, headers: dict[str, str]) -> Outcome:
        method, first = spec["method"], url
        clock = asyncio.get_running_loop().time
        until = clock() + start.timeout.total_seconds()
        for hop in range(MOST_REDIRECTS + 1):
            within = timedelta(seconds=max(0.0, until - clock()))
            try:
                answer = await self._outbound.send(method, url, headers=headers, body=body, allow=spec.get("allow", ()), within=within)
            except NotSent as error:
                if hop:
                    return Outcome(OutcomeKind.FAILED, f"a redirect could not be followed: {error}")
                return Outcome(OutcomeKind.NOT_STARTED, f"could not be sent: {error}; nothing was sent")
            except Lost as error:
                return _late(start, spec) if error.late else Outcome(_unknown(method), f"sent, and no answer came: {error}")
            location = answer.headers.get("location", "") if answer.status in _REDIRECTS else ""
            if not location or method not in HARMLESS:
                return _outcome(method, url, answer)
            following = _following(url, location)
            why = _why_not_followed(first, url, following)
            if why or following is None:
                return Outcome(OutcomeKind.FAILED, f"HTTP {answer.status}: it redirects to {location[:200]}, which is not followed: {why}")
            if following.origin() != url.origin():
                headers = {name: value for name, value in headers.items() if name not in start.headers}
            url = following
        return Outcome(OutcomeKind.FAILED, f"redirected more than {MOST_REDIRECTS} times")


async def _request(start: Start, spec: Mapping[str, Any]) -> tuple[URL, bytes | None, dict[str, str]]:
    """Where to, what, and under which headers; raises BadInput for arguments that JSON does not hold."""
    yarl: Any = await asyncio.to_thread(importlib.import_module, "yarl")
    try:
        url = yarl.URL(spec["url"])
    except ValueError as error:
        raise BadInput(f"the URL is none: {error}") from error
    headers = {"User-Agent": "smallchain", "Accept": "*/*", "Idempotency-Key": start.idempotency_key}
    given, body, kind = spec.get("body"), None, ""
    if spec["method"] in HARMLESS and given is None:
        canonical(start.arguments)  # says what is none
        url = url.extend_query(_pairs(start.arguments))
    elif isinstance(given, str):
        body, kind = given.encode(), "text/plain; charset=utf-8"
    else:
        body, kind = canonical(start.arguments if given is None else given).encode(), "application/json"
    if kind:
        headers["Content-Type"] = kind
    theirs = {name.lower() for name in start.headers}
    return url, body, {name: value for name, value in headers.items() if name.lower() not in theirs} | start.headers


def _pairs(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Arguments as a query: a list is its name again and again, what JSON nests is JSON, and null is left out."""
    found = []
    for name, value in arguments.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                found.append((name, each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)))
    return found


def _following(url: URL, location: str) -> URL | None:
    try:
        return url.join(type(url)(location))
    except ValueError:
        return None


def _why_not_followed(first: URL, url: URL, following: URL | None) -> str:
    """Why a redirect leads nowhere; empty when it is followed. Where it leads is looked at again, as any address is."""
    if following is None or following.scheme not in _PORTS or not following.raw_host:
        return "it is not of http or https"
    if url.scheme == "https" and following.scheme == "http":
        return "it leaves TLS"
    if following.user is not None or following.password is not None:
        return "it holds a name to log in with"
    if following.port not in (_PORTS[following.scheme], first.port):
        return f"it leads to port {following.port}"
    return ""


def _unknown(method: str) -> OutcomeKind:
    return OutcomeKind.FAILED if method in HARMLESS else OutcomeKind.UNKNOWN


def _late(start: Start, spec: Mapping[str, Any]) -> Outcome:
    kind = OutcomeKind.TIMED_OUT if spec["method"] in HARMLESS else OutcomeKind.UNKNOWN
    return Outcome(kind, f"timed out: it was sent, and no whole answer came within {show_duration(start.timeout)}")


def _outcome(method: str, url: URL, answer: Answer) -> Outcome:
    said = _status(answer.status)
    kind = OutcomeKind.SUCCEEDED if answer.status < 300 else OutcomeKind.FAILED
    artifacts: tuple[Artifact, ...] = ()
    if method == "HEAD":
        text = "\n".join(f"{name}: {value}" for name, value in sorted(answer.headers.items()))
    elif not answer.body:
        text = ""
    else:
        read = _read(answer)
        media_type = plain_media_type(answer.headers.get("content-type", ""))
        if read is None:
            artifacts = (Artifact(url.name or url.raw_host or "answer", media_type, answer.body),)
        size = f"the first {len(answer.body)} bytes" if answer.cut else f"{len(answer.body)} bytes"
        text = read if read is not None else f"({media_type.partition(';')[0]}, {size})"
    if kind is OutcomeKind.SUCCEEDED and method != "HEAD" and text.strip():
        return Outcome(kind, text, cut=answer.cut, artifacts=artifacts)
    parts = [f"HTTP {said}" if kind is OutcomeKind.FAILED else said, text]
    wait = retry_after(answer) if kind is OutcomeKind.FAILED else None
    return Outcome(kind, "\n".join(part for part in parts if part), cut=answer.cut, artifacts=artifacts, retry_after=wait)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _read(answer: Answer) -> str | None:
    """The body as a text, or None when it is none."""
    essence, _, rest = answer.headers.get("content-type", "").lower().partition(";")
    charset = rest.partition("charset=")[2].strip(' "').partition(";")[0]
    textual = essence.strip().startswith("text/") or any(word in essence for word in _TEXTUAL)
    try:
        name = codecs.lookup(charset or "utf-8").name
        text = answer.body.decode(name, "replace" if textual or answer.cut else "strict")
    except (LookupError, UnicodeError, ValueError):
        if not textual:
            return None
        text = answer.body.decode("utf-8", "replace")
    if "\0" in text and not textual:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
