"""What the ways to reach people ask of the database."""

from __future__ import annotations

from collections.abc import Sequence

from smallchain.engine.human.kind import told_of
from smallchain.model import codes
from smallchain.model.delivery import Told
from smallchain.services.humans.inbox import MOST
from smallchain.store import deliveries, requests
from smallchain.store.contract import Store, Tx


class People:
    """Requests as they are told. `key` is the house's."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = key
        self._told: dict[requests.Mark, Told] = {}
        """The newest open requests as they were when last asked for: one is told again only where its row has changed."""

    async def waiting(self) -> Sequence[Told]:
        """The newest open requests, as many as the inbox folder shows."""
        known = self._told

        def look(tx: Tx) -> dict[requests.Mark, Told]:
            if not known:
                return {requests.mark_of(request): told_of(tx, request) for request in requests.newest_open(tx, MOST)}
            return {mark: known.get(mark) or told_of(tx, requests.get(tx, mark[0])) for mark in requests.marks_of_open(tx, MOST)}

        self._told = await self._store.read(look)
        return list(self._told.values())

    async def known(self, request_id: str) -> tuple[bytes, Sequence[str]] | None:
        """The key of a request's callbacks, and the channels it was told on."""

        def look(tx: Tx) -> tuple[bytes, Sequence[str]] | None:
            if requests.find(tx, request_id) is None:
                return None
            told = [row.channel for row in deliveries.of_request(tx, request_id)]
            return codes.callback_key_of(self._key, request_id), told

        return await self._store.read(look)
