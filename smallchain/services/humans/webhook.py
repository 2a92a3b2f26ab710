"""The `webhook` channel: a signed POST to a program of yours, and a signed callback with its answer.

The one rule: the address in the YAML is the only one that is spoken to; a redirect is a fault, not a way.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from smallchain.model import callback
from smallchain.model.callback import Key, Reply
from smallchain.model.delivery import VERBS, ChannelInUse, Delivered, Delivery, Heard, Said, Told, Undelivered
from smallchain.services.humans import answers

if TYPE_CHECKING:
    import aiohttp

WITHIN = timedelta(seconds=20)
_CONNECT_S = 10.0
_LONGEST_WAIT = timedelta(hours=1)
_FOR_NOW = frozenset({408, 425, 429})


class RequestCallbacks:
    """Takes callbacks about requests. `known` gives, for a request that is or was open, its key and the channels that it was told on."""

    def __init__(
        self,
        *,
        known: Callable[[str], Awaitable[tuple[bytes, Sequence[str]] | None]],
        hear: Callable[[Said], Awaitable[Heard]],
        now: Callable[[], datetime],
    ) -> None:
        self._known = known
        self._hear = hear
        self._now = now

    async def keys(self, about: str, /) -> Sequence[Key]:
        """A key for each channel the request was told on: what one was given does not speak for another."""
        found = await self._known(about)
        return [callback.key_for(found[0], channel) for channel in found[1]] if found else ()

    async def take(self, about: str, body: Any, /, *, by: Key) -> Reply:
        """Say it; whoever comes too late is told who won."""
        heard = await self._hear(answers.said(body, request_id=about, via=by.holder, at=self._now()))
        return Reply(200 if heard.counted else 409, {"counted": heard.counted, "sentence": heard.sentence, "facts": heard.facts})


class WebhookChannel:
    """Implements `engine.ports.Channel`. Close it before its event loop ends."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """POST the request; the receiver knows a repetition by its Idempotency-Key."""
        event = "reminder" if delivery.reminder else "request"
        return await self._post(
            delivery, f"{delivery.id}.{delivery.reminder}" if delivery.reminder else delivery.id, _body(delivery, event)
        )

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """POST that it is over."""
        body = {"event": "closed", "delivery": delivery.id, "request": {"id": delivery.told.request_id}, "sentence": sentence}
        await self._post(delivery, f"{delivery.id}.closed", body)

    async def listen(self, channels: Sequence[ChannelInUse], hear: Callable[[Said], Awaitable[Heard]], /) -> None:
        """Nothing: answers come through the callback listener."""

    async def check(self, channel: ChannelInUse, /) -> str:
        """Whether it could be signed; the address is tried by the first delivery, as there is nothing harmless to ask it."""
        if not channel.token:
            return f"channel {channel.name!r} has no `token`, which signs what is posted; write `token: {{env: NAME}}`"
        return ""

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, delivery: Delivery, key: str, value: dict[str, Any]) -> Delivered | Undelivered:
        channel = delivery.channel
        fault = await self.check(channel)
        if fault or channel.token is None:
            return Undelivered(fault, for_now=False)
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "User-Agent": "smallchain",
            callback.HEADER: callback.sign(channel.token.encode(), key, body, at=self._now()),
        }
        aiohttp = await asyncio.to_thread(importlib.import_module, "aiohttp")
        where = _shown(channel.to)
        try:
            session = await self._connections()
            async with asyncio.timeout(WITHIN.total_seconds()):
                response = await session.post(channel.to, data=body, headers=headers, allow_redirects=False)
        except TimeoutError:
            return Undelivered(f"no answer from {where} within {WITHIN.seconds} s", for_now=True)
        except aiohttp.InvalidURL:
            return Undelivered(f"`to` of channel {channel.name!r} is not a URL", for_now=False)
        except (aiohttp.ClientError, OSError) as error:
            return Undelivered(f"{where}: {_words(error)}", for_now=True)
        response.close()  # what it says in its body is nothing to us
        return self._judged(response.status, response.headers.get("Retry-After", ""), where)

    def _judged(self, status: int, retry_after: str, where: str) -> Delivered | Undelivered:
        if 200 <= status < 300:
            return Delivered()
        if 300 <= status < 400:
            return Undelivered(f"{where} answers {status}: redirects are not followed; write the address it leads to", for_now=False)
        for_now = status in _FOR_NOW or status >= 500
        return Undelivered(f"{where} answers {status}", for_now=for_now, retry_after=_wait(retry_after) if for_now else None)

    async def _connections(self) -> aiohttp.ClientSession:
        import aiohttp

        async with self._opening:
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
                    trust_env=True,
                )
            return self._session


def _body(delivery: Delivery, event: str) -> dict[str, Any]:
    found: dict[str, Any] = {"event": event, "delivery": delivery.id, "reminder": delivery.reminder, "request": _told(delivery.told)}
    if delivery.callback_url:
        found["answer"] = {
            "url": f"{delivery.callback_url.rstrip('/')}/{delivery.told.request_id}",
            "key": callback.key_for(delivery.callback_key, delivery.channel.name).secret.hex(),
            "header": callback.HEADER,
            "sign": "t=SECONDS,v1=HMAC-SHA256(key, request id + '.' + SECONDS + '.' + body), in hexadecimal",
            "verbs": [str(verb) for verb in VERBS[delivery.told.kind]],
            "allowed": list(delivery.channel.allowed),
            "body": {
                "verb": "one of verbs",
                "by": "who decided",
                "note": "optional",
                "text": "of an answer",
                "expect_digest": "request.digest",
            },
        }
    return found


def _told(told: Told) -> dict[str, Any]:
    return {
        "id": told.request_id,
        "kind": str(told.kind),
        "run": told.run,
        "path": told.path,
        "tool": told.tool,
        "question": told.question,
        "choices": list(told.choices),
        "arguments": told.arguments,
        "digest": told.digest,
        "risk": told.risk,
        "why": told.why,
        "outcomes": [{"verb": str(verb), "leads_to": sentence} for verb, sentence in told.outcomes],
        "opened_at": _time(told.opened_at),
        "expires_at": _time(told.expires_at) if told.expires_at else None,
        "on_expiry": told.on_expiry,
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _wait(header: str) -> timedelta | None:
    """Retry-After in seconds, as programs send it; a date is as none."""
    if not (header.isascii() and header.isdigit()):
        return None
    return min(timedelta(seconds=int(header[:9])), _LONGEST_WAIT)


def _shown(url: str) -> str:
    """Scheme and host: the path of a webhook is often its secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the webhook"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _words(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)
    return (cause.strerror if isinstance(cause, OSError) and cause.strerror else "") or type(error).__name__
