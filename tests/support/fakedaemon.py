"""A daemon that answers what a test tells it to, over a real Unix socket; for the client and the tables alone.

It keeps the contract's shape: JSON answers, an event stream that resumes after a number, idempotency keys. Its faults are on
demand: it hangs up before answering, and cuts streams after so many bytes.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


Answer = dict[str, Any] | Callable[[Request], tuple[int, Any]]


@dataclass
class FakeDaemon:
    """Listens at `path` between `start` and `stop`; may be started again, as a daemon may."""

    path: Path
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """By method and path without its query."""
    anything: Answer | None = None
    """The answer to all that `answers` does not name, events included."""
    events: list[dict[str, Any]] = field(default_factory=list)
    cuts: deque[int] = field(default_factory=deque)
    """After how many bytes each next stream is cut off; streams beyond stay open."""
    hangups: int = 0
    """How many of the next acts are done, and their connection closed without an answer."""
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.open: set[socket.socket] = set()
        self.stopping = False
        self.kept: dict[str, tuple[int, Any]] = {}

    def __enter__(self) -> FakeDaemon:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        self.stopping = False
        self.path.unlink(missing_ok=True)
        self.server = _Server(str(self.path), self)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self.server.shutdown()
        self.thread.join()
        for stream in list(self.open):
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        self.server.server_close()
        self.path.unlink(missing_ok=True)

    def tell(self, **fields: Any) -> dict[str, Any]:
        """Append an event; whoever follows gets it."""
        with self.changed:
            seq = len(self.events) + 1
            event = {"kind": "event", "seq": seq, "id": str(seq), "name": str(seq), "level": "INFO", "reason": "Said"}
            event |= {"time": f"2026-11-23T09:00:{seq % 60:02d}.000000Z", "message": f"event {seq}", "object": {}, "run": None}
            self.events.append(event | fields)
            self.changed.notify_all()
        return self.events[-1]

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests for one route, in the order they came."""
        return [request for request in self.requests if (request.method, request.path) == (method, path)]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, path: str, daemon: FakeDaemon) -> None:
        self.fake = daemon
        super().__init__(path, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no fault."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def setup(self) -> None:
        super().setup()
        self.server.fake.open.add(self.connection)

    def finish(self) -> None:
        self.server.fake.open.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        request = self._read()
        fake = self.server.fake
        told = fake.anything is not None or ("GET", request.path) in fake.answers
        if request.path == "/v1/events/stream" and not told:
            self._stream(request)
        elif request.path == "/v1/events" and not told:
            after, tail = int(request.query.get("after", ["0"])[0]), int(request.query.get("tail", ["0"])[0])
            found = [event for event in fake.events if event["seq"] > after]
            self._send(200, {"items": (found[-tail:] if tail else found)[: int(request.query.get("limit", ["1000"])[0])]})
        else:
            self._send(*self._answer(request))

    def do_POST(self) -> None:
        request, fake = self._read(), self.server.fake
        key = request.headers["idempotency-key"]
        if key not in fake.kept:
            fake.kept[key] = self._answer(request)
        if fake.hangups:
            fake.hangups -= 1
            self.close_connection = True
            return
        self._send(*fake.kept[key])

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(parts.path), parse_qs(parts.query), headers, body)
        self.server.fake.requests.append(request)
        return request

    def _answer(self, request: Request) -> tuple[int, Any]:
        answer = self.server.fake.answers.get((request.method, request.path), self.server.fake.anything)
        if answer is None:
            return 404, {"error": {"code": "unknown", "message": f"no route {request.path}", "hint": "", "problems": []}}
        return answer(request) if callable(answer) else (200, answer)

    def _send(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, request: Request) -> None:
        fake = self.server.fake
        after = int(request.headers.get("last-event-id", request.query.get("after", ["0"])[0]))
        left = fake.cuts.popleft() if fake.cuts else None
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            with fake.changed:
                while not fake.stopping and not (later := [event for event in fake.events if event["seq"] > after]):
                    fake.changed.wait()
                if fake.stopping:
                    return
                event = later[0]
            after = event["seq"]
            data = f": \n\nid: {after}\nevent: event\ndata: {json.dumps(event)}\n\n".encode()
            if left is not None and len(data) >= left:
                self._chunk(data[:left])
                return  # cut off: no last chunk, as when a process dies
            if left is not None:
                left -= len(data)
            self._chunk(data)

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
