"""What the outside says about tool calls: signed callbacks, and what a person brings by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from smallchain.engine.kind import Transact
from smallchain.engine.ports import Secrets
from smallchain.engine.toolcall import handing
from smallchain.engine.toolcall.handing import Brought, Taken, Word
from smallchain.model import callback, codes
from smallchain.model.callback import Key, Reply
from smallchain.model.errors import BadInput
from smallchain.store import callbacks, runs, toolcalls
from smallchain.store.contract import Store, Tx

_STATUS = {Word.TAKEN: 200, Word.AGAIN: 200, Word.EARLY: 425, Word.LATE: 409, Word.GONE: 410}


def key_of(house_key: bytes, idempotency_key: str, tool: str, /) -> Key:
    """The key that signs the result of a call: another after a person said "run it again"."""
    return callback.key_for(codes.callback_key_of(house_key, idempotency_key), tool)


class ToolCallbacks:
    """Callbacks about tool calls; a `Subject` of the callback listener."""

    def __init__(self, store: Store, transact: Transact, secrets: Secrets, *, key: bytes) -> None:
        self._store = store
        self._transact = transact
        self._secrets = secrets
        self._key = key

    async def keys(self, about: str, /) -> Sequence[Key]:
        """The one key of a call that is handed out, was, or will be."""

        def look(tx: Tx) -> Sequence[Key]:
            call = toolcalls.find(tx, about)
            if call is None or handing.spec_of(tx, runs.get(tx, call.run_id), call) is None:
                return ()
            return (key_of(self._key, call.idempotency_key, call.tool),)

        return await self._store.read(look)

    async def take(self, about: str, body: Any, /, *, by: Key) -> Reply:
        """Take what the key's holder brings."""
        brought = _read(body)
        await self.learn(about)
        taken = await self._transact(lambda tx: handing.bring(tx, toolcalls.get(tx, about), brought, self._secrets, by=by.holder))
        return Reply(_STATUS[taken.word], {"counted": taken.word in (Word.TAKEN, Word.AGAIN), "sentence": taken.sentence})

    async def learn(self, call_id: str, /) -> None:
        """Resolve the secrets that the tool was given, so that they are known and masked in what comes back, in whichever life that is."""
        for reference in await self._store.read(lambda tx: _references(tx, call_id)):
            with contextlib.suppress(BadInput):
                await self._secrets.resolve(reference)

    def bring(self, tx: Tx, call_id: str, brought: Brought, /, *, by: str) -> Taken:
        """Take what a person brings by hand, in a transaction of theirs; `learn` comes first."""
        return handing.bring(tx, toolcalls.get(tx, call_id), brought, self._secrets, by=by)


def _read(body: Any) -> Brought:
    match body:
        case {"result": result, **rest} if not rest:
            return Brought(result=result)
        case {"error": str(error), **rest} if not rest:
            return Brought(error=error)
    raise BadInput('the body is neither {"result": ...} nor {"error": "TEXT"}')


def _references(tx: Tx, call_id: str) -> list[dict[str, Any]]:
    call = toolcalls.find(tx, call_id)
    if call is None or callbacks.find(tx, call_id) is None:
        return []
    spec = handing.spec_of(tx, runs.get(tx, call.run_id), call)
    given = [*spec.headers.values(), spec.secret] if spec is not None else []
    return [each.model_dump(exclude_none=True) for each in given if each is not None and not isinstance(each, str)]
