"""Every OpenAI-compatible endpoint: the prepared bytes go out once, through the official package, within one deadline.

Failures are values in words, and the key never stands in what comes back.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smallchain.model.durations import show_duration
from smallchain.model.llm import Endpoint, Failure, FailureKind, ModelRequest, Reply
from smallchain.services.llm import ratelimits, wordings
from smallchain.services.llm.classify import classify
from smallchain.services.llm.translate import translate

if TYPE_CHECKING:
    from smallchain.services.llm.wire import Answer, Route, Session

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_CHECK_AT_MOST = timedelta(seconds=15)
_MOST_ROUTES = 256
_SHORTEST_SECRET = 8
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, section 5.6.2
_NOT_OURS_TO_SET = frozenset({"accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding"})


class OpenAIProvider:
    """Implements `Provider`. Close it before its event loop ends."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._routes: dict[tuple[str, str | None, tuple[tuple[str, str], ...]], Route] = {}
        self._opening = asyncio.Lock()

    async def complete(self, endpoint: Endpoint, request: ModelRequest, /) -> Reply | Failure:
        """Send the request's bytes exactly, once, and translate what comes back."""
        way = await self._way(endpoint)
        if isinstance(way, Failure):
            return way
        from smallchain.services.llm import wire

        held = bytearray()
        answer = await _within(endpoint, endpoint.timeout, lambda: wire.send(*way, request.body, held))
        if isinstance(answer, Failure):
            came = _without_secrets(bytes(held), endpoint).decode("utf-8", "replace").replace("\0", "\ufffd")
            return replace(answer, raw=wordings.kept(came))
        body = _without_secrets(answer.body, endpoint)
        if 200 <= answer.status < 300:
            found = translate(body, asked=request.body)
            held_for = ratelimits.used_up(answer.headers, now=datetime.now(UTC))
            return replace(found, held_for=held_for) if isinstance(found, Reply) and held_for is not None else found
        return classify(answer.status, body, answer.headers, now=datetime.now(UTC))

    async def check(self, endpoint: Endpoint, /) -> Failure | None:
        """Ask for the list of models, which costs nothing; an endpoint without one has nothing against us."""
        way = await self._way(endpoint)
        if isinstance(way, Failure):
            return way
        from smallchain.services.llm import wire

        answer = await _within(endpoint, min(endpoint.timeout, _CHECK_AT_MOST), lambda: wire.receive(*way))
        if isinstance(answer, Failure):
            return answer
        if 200 <= answer.status < 300:
            return None
        body = _without_secrets(answer.body, endpoint)
        if answer.status == 403 and b"scope" in body.lower():
            # A restricted key may chat and not list models: "Missing scopes: api.model.read".
            return None
        failure = classify(answer.status, body, answer.headers, now=datetime.now(UTC))
        return failure if failure.kind is FailureKind.UNUSABLE else None

    async def close(self) -> None:
        """Close all connections."""
        self._routes.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _way(self, endpoint: Endpoint) -> tuple[Session, Route] | Failure:
        """The session, and the route for the endpoint's address and key; the first call imports the packages, in a thread."""
        base_url = endpoint.base_url or DEFAULT_BASE_URL
        key = (base_url, endpoint.api_key, tuple(endpoint.headers.items()))
        if self._session is not None and key in self._routes:
            return self._session, self._routes[key]
        fault = _fault_in_address(base_url) or _fault_in_key(endpoint.api_key) or _fault_in_headers(endpoint.headers)
        if fault is not None:
            return Failure(FailureKind.UNUSABLE, fault)
        wire = await asyncio.to_thread(importlib.import_module, "smallchain.services.llm.wire")
        async with self._opening:
            try:
                session = self._session = self._session or await wire.open_session()
            except OSError as error:
                words = error.strerror or str(error)
                return Failure(FailureKind.UNUSABLE, f"the certificates for TLS cannot be read: {words}; look at SSL_CERT_FILE")
            try:
                route = self._routes.get(key) or await wire.route_to(base_url, endpoint.api_key, endpoint.headers)
            except wire.Unsendable as error:
                return Failure(FailureKind.UNUSABLE, _told(f"{_shown(base_url)}: {error}", endpoint))
        if len(self._routes) >= _MOST_ROUTES:
            # Keys rotate: the oldest entry goes. It holds no connections of its own.
            del self._routes[next(iter(self._routes))]
        self._routes[key] = route
        return session, route


async def _within(endpoint: Endpoint, timeout: timedelta, ask: Callable[[], Awaitable[Answer]]) -> Answer | Failure:
    """The answer, or the failure to get one, within the time-out as a whole."""
    from smallchain.services.llm import wire

    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await ask()
    except TimeoutError:
        return Failure(FailureKind.TRANSIENT, f"no reply from {_where(endpoint)} within {show_duration(timeout)}", may_have_cost=True)
    except wire.Oversized as error:
        return Failure(FailureKind.TRANSIENT, f"{_where(endpoint)}: {error}", may_have_cost=True)
    except wire.Unsendable as error:
        return Failure(FailureKind.UNUSABLE, _told(f"{_where(endpoint)}: {error}", endpoint))
    except ConnectionError as error:
        broke = isinstance(error, ConnectionResetError)  # before that, nothing had gone out
        return Failure(FailureKind.TRANSIENT, _told(f"{_where(endpoint)}: {error}", endpoint), may_have_cost=broke)


def _where(endpoint: Endpoint) -> str:
    return _shown(endpoint.base_url or DEFAULT_BASE_URL)


def _told(sentence: str, endpoint: Endpoint) -> str:
    return _without_secrets(sentence.encode("utf-8", "replace"), endpoint).decode("utf-8", "replace")


def _without_secrets(body: bytes, endpoint: Endpoint) -> bytes:
    """What came, without the key that some gateways repeat in their errors."""
    for secret in (endpoint.api_key, *endpoint.hidden):
        if secret is not None and len(secret) >= _SHORTEST_SECRET:
            body = body.replace(secret.encode(), b"[secret]")
    return body


def _shown(base_url: str) -> str:
    """Scheme and host: no path, no query, no password."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _fault_in_address(base_url: str) -> str | None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    return None if usable else "`base_url` is not an address of the form http://host:port/path or https://host/path"


def _fault_in_key(key: str | None) -> str | None:
    if key is None or (key.isascii() and key.isprintable() and key == key.strip() and key):
        return None
    return "the API key is empty or holds characters that no HTTP header can (a space, a line break?)"


def _fault_in_headers(headers: Mapping[str, str]) -> str | None:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _NOT_OURS_TO_SET:
            return f"`headers` cannot hold {name[:60]!r}: it is no name of a header, or one that the connection sets itself"
        if not (value.isascii() and value.isprintable() and value == value.strip() and value):
            return f"the header {name!r} is empty or holds characters that no HTTP header can (a space at an end, a line break?)"
    return None
