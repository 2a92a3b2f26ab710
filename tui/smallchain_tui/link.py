"""The one way to the daemon: requests in threads of their own, so that the screen never waits for a socket.

The one rule: nothing is changed without a live connection, and never in `--read-only`; what was refused is not kept to be sent later.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from smallchain.model.errors import Refused, SmallchainError
from smallchain.protocol.client import Client, Query, path_of
from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow

MOST_RUNS = 2000
"""Runs that have ended are shown up to about so many, the newest; those that live all are."""
_PAGE = 500
_AT_ONCE = 4

T = TypeVar("T")


class Link:
    """Asks and acts. `why_not` says why nothing may be changed now, None while it may."""

    def __init__(self, client: Client, *, why_not: Callable[[], str | None]) -> None:
        self._client = client
        self._why_not = why_not
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """The answer of a GET; `path` as `path_of` makes it. Raises SmallchainError: the daemon's, or Unreachable, or Busy."""
        return await self._in_thread(lambda: self._client.get(path, query))

    async def items(self, kind: str, query: Query | None = None) -> list[dict[str, Any]]:
        """The items of a list route. Raises SmallchainError."""
        return await self._in_thread(lambda: self._client.items(kind, query))

    async def runs(self, *, ids: Iterable[str] | None = None) -> tuple[list[RunRow], bool]:
        """Runs, and whether these are all: those of these ids; else all that live, and of the others the newest. Raises SmallchainError."""
        if ids is not None:
            found = await self._in_thread(lambda: self._client.items("runs", {"name": sorted(ids)}))
            return [RunRow.of(item) for item in found], False
        rows = {row.id: row for row in map(RunRow.of, await self._in_thread(lambda: self._client.items("runs", {"live": True})))}
        before: str | None = None
        while True:
            query = {"newest": True} if before is None else {"before": before}
            items, before = await self._in_thread(lambda query=query: self._client.page("runs", query))  # type: ignore[misc]
            for row in map(RunRow.of, items):
                rows.setdefault(row.id, row)
            if before is None or not items or len(rows) >= MOST_RUNS:
                return list(rows.values()), before is None

    async def requests(self) -> list[RequestRow]:
        """The open requests, oldest first. Raises SmallchainError."""
        return [RequestRow.of(item) for item in await self.items("requests")]

    async def request(self, ref: str) -> RequestRow:
        """One request, open or not, with all that was told. Raises SmallchainError."""
        answer = await self.get(path_of("describe", "request", ref))
        item = answer.get("item")
        return RequestRow.of(item if isinstance(item, dict) else {})

    async def events(self, *, after: int = 0, run: str | None = None, limit: int = _PAGE) -> list[EventRow]:
        """Events later than `after`, oldest first, at most `limit` (1000). Raises SmallchainError."""
        return [EventRow.of(item) for item in await self.items("events", {"after": after, "run": run, "limit": limit})]

    async def describe(self, kind: str, ref: str) -> dict[str, Any]:
        """`{"item": ..., "related": {...}}` of one thing. Raises SmallchainError."""
        return await self.get(path_of("describe", kind, ref))

    async def download(self, path: str) -> bytes:
        """The bytes of a route that answers with no JSON. Raises SmallchainError."""
        return await self._in_thread(lambda: self._client.download(path))

    async def check(self, ref: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Whether arguments could take the place of a waiting call's: `fault`, `changes`. Decides nothing. Raises SmallchainError."""
        return await self._in_thread(lambda: self._client.post(path_of("check", ref), {"arguments": dict(arguments)}))

    async def act(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A POST, done once. Raises Refused without sending anything while nothing may be changed, and what the daemon raises."""
        why = self._why_not()
        if why is not None:
            raise Refused(why)
        return await self._in_thread(lambda: self._client.post(path, body))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """The result of blocking work. Its thread is a daemon of its own: a socket that hangs never keeps the program from ending."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, failed = None, None
            try:
                result = work()
            except SmallchainError as error:
                failed = error
            except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
                failed = error  # type: ignore[assignment]
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, failed)

        async with self._places:
            threading.Thread(target=run, name="link", daemon=True).start()
            return await done
