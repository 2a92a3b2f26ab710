"""The Unix socket: bound by us with its mode set before it has a name, open to our own user and root alone, patient with nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from smallchain.model.errors import Busy, Refused
from smallchain.settings import Settings, private_folder

log = logging.getLogger(__name__)

_HEAD_S = 5.0
"""A request's head has to arrive within this."""
_TICK_S = 1.0


class Peer(H11Protocol):
    """HTTP/1.1 for whoever may connect: the kernel's word on who that is (SO_PEERCRED, unix(7)), and a deadline for each head."""

    _late: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Turn away other users."""
        super().connection_made(transport)
        peer: socket.socket = transport.get_extra_info("socket")
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (os.getuid(), 0):
            log.warning("turned away a connection of uid %s", uid)
            self._refused = True
            transport.abort()
            return
        self._late = self.loop.call_later(_HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        """Take bytes; each new head has its deadline, from its first byte."""
        if self._refused:
            return
        before = self.cycle
        if self._late is None and (before is None or before.response_complete):
            self._late = self.loop.call_later(_HEAD_S, self.transport.close)
        super().data_received(data)
        if self.cycle is not before and self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the deadline."""
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, as the daemon has its own, and without looking ten times a second whether it is to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def end(self) -> None:
        """Accept nothing more, and let `serve` return."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        """Keep the date of the answers right until told to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _TICK_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server(app: Any) -> Server:
    """An HTTP server for the app, to be served on a socket of ours."""
    config = uvicorn.Config(
        app,
        http=Peer,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=256,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=64 << 10,
    )
    return Server(config)


def bind(settings: Settings) -> socket.socket:
    """The listening socket, 0600 in a 0700 folder; its path is written down for clients.

    A stale socket is replaced; anything else of that name is refused, and one that somebody answers on is not stolen.
    """
    path = settings.socket_path
    private_folder(path.parent)
    _make_room(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    os.fchmod(listening.fileno(), 0o600)  # before it has a name: there is no moment with another mode
    listening.bind(str(path))
    listening.listen(128)
    listening.setblocking(False)
    note = settings.socket_file
    draft = note.with_name(".socket.tmp")
    draft.write_text(f"{path}\n", encoding="utf-8")
    os.replace(draft, note)
    return listening


def unbind(settings: Settings, listening: socket.socket) -> None:
    """Close the socket and take its name away."""
    listening.close()
    settings.socket_path.unlink(missing_ok=True)


def _make_room(path: Path) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Refused(f"{path} is in the way and is not a socket", hint="remove it, or choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise Busy(f"the socket {path} can't be taken: {error}") from error
    raise Busy(f"another daemon answers on {path}", hint="choose another --socket, or stop that daemon")
