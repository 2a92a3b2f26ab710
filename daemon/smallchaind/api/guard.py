"""What every request passes first: bounds on its body, strict JSON, JSON alone, and a no to changes while the daemon stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from smallchain.model import canonical
from smallchain.model.errors import BadInput, Busy, SmallchainError
from smallchain.protocol import faults
from smallchaind.compose import House

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_MOST = 16 << 20
_BODY_S = 30.0
_STILL_TAKEN = ("/v1/stop",)


class _TooLarge(BadInput):
    """The body is longer than is taken."""


class _NotJson(BadInput):
    """The body says that it is something else."""


class _Gone(BadInput):
    """Half a request is none."""


class Guard:
    """An ASGI middleware."""

    def __init__(self, app: App, house: House) -> None:
        self._app = app
        self._house = house

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            if self._house.stopping.is_set() and scope["path"] not in _STILL_TAKEN:
                raise Busy("the daemon is stopping", hint="try again when it has started")
            body = await _body(scope, receive)
        except _Gone:
            return
        except _TooLarge as error:
            await _answer(send, 413, error)
            return
        except _NotJson as error:
            await _answer(send, 415, error)
            return
        except TimeoutError:
            await _answer(send, 408, BadInput(f"the body did not arrive within {_BODY_S:.0f} s"))
            return
        except SmallchainError as error:
            await _answer(send, faults.http_status(error), error)
            return

        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _body(scope: Message, receive: Receive) -> bytes:
    headers = {name.lower(): value for name, value in scope["headers"]}
    if b"content-encoding" in headers:
        raise _NotJson("compressed bodies are not taken")
    body = b""
    async with asyncio.timeout(_BODY_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone("the client went away before its request was whole")
            body += message.get("body", b"")
            if len(body) > _MOST:
                raise _TooLarge(f"the body has more than {_MOST >> 20} MiB")
            if not message.get("more_body", False):
                break
    kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
    if body and kind != b"application/json":
        raise _NotJson("the body is not JSON: Content-Type must be application/json")
    if body:
        canonical.parse(body)
    return body or b"{}"


async def _answer(send: Send, status: int, error: SmallchainError) -> None:
    body = json.dumps(faults.to_wire(error)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
