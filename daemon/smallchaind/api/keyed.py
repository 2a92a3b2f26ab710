"""Changes under an idempotency key: the first answer is stored in the transaction of the change, and repeated to a repeated request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header, Request

from smallchain.model.canonical import canonical, digest
from smallchain.model.errors import BadInput
from smallchain.store import idempotency
from smallchain.store.contract import Tx
from smallchaind.compose import House

Answer = dict[str, Any]
_KEY = "Made by the client, one for each act: the first answer under it is kept for 24 h, and repeated to a request that comes again"


def headers(
    idempotency_key: Annotated[str | None, Header(max_length=200, description=_KEY)] = None,
    smallchain_actor: Annotated[str | None, Header(description="Who acts: the name that is told and kept")] = None,
) -> None:
    """What goes with every act, for the document; `act` and `actor` read them."""


async def act(house: House, request: Request, work: Callable[[Tx], Answer]) -> Answer:
    """Carry out a change once for its key; a request without a key is carried out each time it comes."""
    key = _key(request)
    asked = await _asked(request)

    def whole(tx: Tx) -> Answer:
        before = idempotency.recall(tx, key, asked=asked) if key else None
        if before is not None:
            return dict(json.loads(before))
        answer = work(tx)
        if key:
            idempotency.keep(tx, key, asked=asked, answer=canonical(answer))
        return answer

    return await house.driver.transact(whole)


async def recall(house: House, request: Request) -> Answer | None:
    """The stored answer to a request that is carried out in more than one transaction, or None."""
    key = _key(request)
    if not key:
        return None
    asked = await _asked(request)
    before = await house.database.read(lambda tx: idempotency.recall(tx, key, asked=asked))
    return dict(json.loads(before)) if before is not None else None


async def keep(house: House, request: Request, answer: Answer) -> Answer:
    """Store the answer of such a request; it is idempotent by itself, so a death in between does no harm."""
    key = _key(request)
    if key:
        asked = await _asked(request)

        def store(tx: Tx) -> None:
            if idempotency.recall(tx, key, asked=asked) is None:
                idempotency.keep(tx, key, asked=asked, answer=canonical(answer))

        await house.database.write(store)
    return answer


def actor(request: Request) -> str:
    """Who acts: the name that the client gives (the socket lets in nobody but our own user and root)."""
    name = request.headers.get("smallchain-actor", "")
    return "".join(char for char in name if char.isprintable())[:63].strip() or "somebody"


def way(request: Request) -> str:
    """Through what somebody acts: the command, unless the dashboard says that it is it."""
    return "dashboard" if request.headers.get("smallchain-via") == "dashboard" else "terminal"


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if len(key) > 200 or not key.isprintable():
        raise BadInput("the Idempotency-Key is longer than 200 characters or not printable")
    return key


async def _asked(request: Request) -> str:
    body = (await request.body()).decode("utf-8", "replace")
    return digest({"method": request.method, "path": request.url.path, "body": body})
