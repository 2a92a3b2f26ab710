"""The client of the daemon's socket: HTTP/1.1 over a Unix socket, plain dicts, the standard library only.

The one rule: an act is never done twice. Each carries an Idempotency-Key that its retries repeat, and a stream of events
goes on after the last one seen, whatever broke in between.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from smallchain import __version__
from smallchain.model.errors import Busy, Refused, SmallchainError, Unreachable
from smallchain.protocol.faults import from_wire
from smallchain.protocol.http1 import Broken, Response, send
from smallchain.settings import Settings, client_socket

Query = Mapping[str, str | int | bool | Sequence[str] | None]

_TIMEOUT_S = 30.0
_SILENCE_S = 45.0
"""Without a line for so long (the daemon sends a comment every 15 s), a stream counts as broken."""
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_LARGEST_ANSWER = 256 * 2**20
_LONGEST_LINE = 8 * 2**20
_LARGEST_PAGE = 1000


def path_of(*parts: str) -> str:
    """A route's path: `path_of("transcript", "my run/writer-1")`; a name keeps its slashes."""
    return "/v1/" + "/".join(quote(part, safe="/") for part in parts)


class Client:
    """One daemon, found by its settings or by its socket's path. A connection lives as long as one request."""

    def __init__(self, where: Settings | str | Path, /, *, timeout_s: float = _TIMEOUT_S, via: str = "") -> None:
        """`via`: the program that a person decides with, as it is kept beside the decision (`dashboard`); empty: the command."""
        self._where = where
        self._timeout_s = timeout_s
        self._via = via

    @property
    def socket_path(self) -> Path:
        """Where the daemon is looked for now; a restart may move it."""
        return client_socket(self._where) if isinstance(self._where, Settings) else Path(self._where)

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """The answer's JSON object. Raises the daemon's error, or Unreachable, or Busy when it does not answer in time."""
        return self._object(self._exchange("GET", path + _query(query), None, {}))

    def download(self, path: str) -> bytes:
        """The answer's bytes, whatever they are; raises as `get` does."""
        return self._exchange("GET", path, None, {})

    def items(self, kind: str, query: Query | None = None) -> list[dict[str, Any]]:
        """The items of a list route, all its pages."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            items, following = self.page(kind, query if after is None else {**(query or {}), "after": after})
            found += items
            if following is None or following <= (after or ""):
                return found
            after = following

    def page(self, kind: str, query: Query | None = None) -> tuple[list[dict[str, Any]], str | None]:
        """One page of a list route, and the `after` of the next one; None when it is the last."""
        answer = self.get(path_of(kind), query)
        found, following = answer.get("items"), answer.get("next")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise SmallchainError(f"the daemon's list of {kind} is none", hint="is its version that of this program?")
        return found, following if isinstance(following, str) else None

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Do an act, once: if the connection breaks, it is asked for again under the same key."""
        headers = {"Idempotency-Key": os.urandom(16).hex(), "Content-Type": "application/json"}
        return self._object(self._exchange("POST", path, json.dumps(body or {}).encode(), headers))

    def listening(self) -> bool:
        """Whether a daemon accepts connections."""
        try:
            self._connect(1.0).close()
        except Unreachable:
            return False
        return True

    def last_seq(self) -> int:
        """The number of the newest event, 0 when there is none."""
        return max((_seq(event) for event in self.items("events", {"tail": 1})), default=0)

    def events(
        self,
        *,
        after: int = 0,
        run: str | None = None,
        follow: bool = False,
        deadline: float | None = None,
        on_lost: Callable[[SmallchainError], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Events later than `after`, oldest first, each once.

        Following never gives up once it has begun: it looks for the daemon again and tells `on_lost` once a loss. It ends
        at `deadline` (of the monotonic clock). Without `follow`, those that are kept, and no more.
        """
        return self._followed(after, run, deadline, on_lost) if follow else self._kept(after, run)

    def _kept(self, after: int, run: str | None) -> Iterator[dict[str, Any]]:
        while page := self.items("events", {"after": after, "run": run, "limit": _LARGEST_PAGE}):
            for event in page:
                if _seq(event) > after:
                    after = _seq(event)
                    yield event
                else:
                    return  # a daemon that does not move on must not hold us for ever

    def _followed(
        self, after: int, run: str | None, deadline: float | None, on_lost: Callable[[SmallchainError], None] | None
    ) -> Iterator[dict[str, Any]]:
        begun, losses = False, 0
        while deadline is None or time.monotonic() < deadline:
            try:
                for event in self._stream(after, run, deadline):
                    begun = True
                    if event is None:  # the daemon is there
                        losses = 0
                    elif _seq(event) > after:
                        losses, after = 0, _seq(event)
                        yield event
                cause: SmallchainError = Unreachable("the daemon ended the stream of events")
            except (Unreachable, Busy) as error:
                if not begun:
                    raise
                cause = error
            if losses == 1 and on_lost is not None:
                on_lost(cause)
            pause = _BACKOFF_S[min(losses, len(_BACKOFF_S) - 1)]
            losses += 1
            time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))

    def _stream(self, after: int, run: str | None, deadline: float | None) -> Iterator[dict[str, Any] | None]:
        """One connection's events; None for each sign that the daemon is there. Ends when the stream or the time does."""
        with self.stream(after=after, run=run) as stream:
            yield from stream.events(deadline)

    def stream(self, *, after: int, run: str | None = None) -> Stream:
        """One connection that follows events later than `after`, for whoever finds the daemon again by themselves. To be closed.

        Raises Unreachable or Busy without a daemon.
        """
        return Stream(self._connect(self._timeout_s), self.socket_path, after, run, timeout_s=self._timeout_s)

    def _object(self, data: bytes) -> dict[str, Any]:
        answer = _json(data)
        if not isinstance(answer, dict):
            raise SmallchainError(f"what answers at {self.socket_path} sends no JSON object", hint="is it smallchaind?")
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        for attempt in (1, 2):
            try:
                stream = self._connect(self._timeout_s)
            except Unreachable as error:
                if attempt == 1:
                    raise
                raise Unreachable(
                    f"the daemon at {self.socket_path} went away before it answered",
                    hint="whether it was done is unknown: look once it is back" if body else "",
                ) from error
            try:
                send(stream, method, path, _headers() | self._told() | headers, body)
                response = Response(stream, timeout_s=self._timeout_s)
                data = response.read(_LARGEST_ANSWER + 1)
            except TimeoutError as error:
                raise Busy(
                    f"the daemon at {self.socket_path} did not answer within {self._timeout_s:g} s",
                    hint="whether it was done is unknown: look with `smallchain status`" if body else "try again",
                ) from error
            except (Broken, OSError) as error:
                if attempt == 1:
                    continue
                raise Unreachable(
                    f"the daemon at {self.socket_path} broke the connection twice: {error or type(error).__name__}",
                    hint="`smallchain logs` may say why",
                ) from error
            finally:
                stream.close()
            if len(data) > _LARGEST_ANSWER:
                raise SmallchainError(f"the daemon's answer is over {_LARGEST_ANSWER >> 20} MiB", hint="ask for less")
            if response.status >= 300:
                raise from_wire(response.status, _json(data))
            return data
        raise AssertionError("unreachable: the second attempt returns or raises")

    def _told(self) -> dict[str, str]:
        return {"Smallchain-Via": self._via} if self._via else {}

    def _connect(self, timeout_s: float) -> socket.socket:
        path = self.socket_path
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(timeout_s)
        try:
            stream.connect(os.fspath(path))
        except OSError as error:
            stream.close()
            raise _no_daemon(path, error) from error
        listener = struct.unpack("3i", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if os.geteuid() not in (0, listener) and listener != 0:
            stream.close()
            raise Refused(f"uid {listener} listens at {path}, which is neither us nor root", hint="see --socket")
        return stream


class Stream:
    """One connection's events, in order. Another thread may `close` it: whoever reads then sees it end."""

    def __init__(self, stream: socket.socket, path: Path, after: int, run: str | None, *, timeout_s: float) -> None:
        self._stream = stream
        self._path = path
        self._target = path_of("events", "stream") + _query({"after": after, "run": run})
        self._after = after
        self._timeout_s = timeout_s

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    def close(self) -> None:
        """End it, from whatever thread."""
        with suppress(OSError):  # it has ended by itself
            self._stream.shutdown(socket.SHUT_RDWR)

    def events(self, deadline: float | None = None) -> Iterator[dict[str, Any] | None]:
        """The events; None for each sign that the daemon is there. Ends when the stream or the time does; raises Unreachable."""
        try:
            send(self._stream, "GET", self._target, _headers() | {"Accept": "text/event-stream", "Last-Event-ID": str(self._after)})
            response = Response(self._stream, timeout_s=self._timeout_s)
            if response.status >= 500:
                raise Unreachable(f"the daemon answers with HTTP status {response.status}")
            if response.status != 200:
                raise from_wire(response.status, _json(response.read(_LARGEST_ANSWER)))
            yield None
            yield from _stream_events(response, self._stream, deadline)
        except (Broken, OSError) as error:
            raise Unreachable(f"the stream of events from {self._path} broke: {error}") from error


def _stream_events(response: Response, stream: socket.socket, deadline: float | None) -> Iterator[dict[str, Any] | None]:
    """Server-sent events (WHATWG HTML, section 9.2) as far as ours go; None for a comment or what is no event of ours."""
    data: list[bytes] = []
    while True:
        left = _SILENCE_S if deadline is None else min(_SILENCE_S, deadline - time.monotonic())
        if left <= 0:
            return
        stream.settimeout(left)
        line = response.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            return  # the end; half an event is none
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line:
            event = _json(b"\n".join(data)) if data else None
            data = []
            yield event if isinstance(event, dict) else None


def _no_daemon(path: Path, error: OSError) -> SmallchainError:
    if isinstance(error, PermissionError):
        return Unreachable(f"the socket {path} is not ours to open", hint="it is for its daemon's own user and root")
    if isinstance(error, TimeoutError | BlockingIOError):
        return Busy(f"the daemon at {path} accepts no connection", hint="try again")
    return Unreachable(f"no daemon listens at {path}", hint="start one with `smallchain start`")


def _headers() -> dict[str, str]:
    return {"User-Agent": f"smallchain/{__version__}", "Smallchain-Actor": _actor(), "Accept": "application/json"}


def _actor() -> str:
    """Who acts, as people know them; a name that no header can hold gives way to the uid."""
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    return name if name.isascii() and name.isprintable() and 0 < len(name) <= 64 else f"uid {os.getuid()}"


def _query(query: Query | None) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        if value is None:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
        else:
            pairs.extend((name, one) for one in value)
    return "?" + urlencode(pairs, quote_via=quote) if pairs else ""


def _json(data: bytes) -> Any:
    """The value, or None when there is none (no JSON, or nested beyond reason)."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _seq(event: Mapping[str, Any]) -> int:
    seq = event.get("seq")
    return seq if isinstance(seq, int) else 0
