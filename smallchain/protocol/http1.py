"""HTTP/1.1 (RFC 9112) for one request on a socket that is connected: strict, bounded, and quick to import.

The one rule: what is not exactly HTTP is Broken; nothing is guessed, and no line, head or answer grows without a bound. The
standard library's client reads the same with three times the imports (`ssl`, `email`), which every command would wait for.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping

_LONGEST_HEAD_LINE = 16 * 1024
_MOST_HEADERS = 100
_MOST_INTERIM = 8
_LONGEST_CHUNK_LINE = 1024
_AT_ONCE = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Broken(Exception):
    """The other end does not speak HTTP, or stopped in the middle of it."""


def send(stream: socket.socket, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> None:
    """Send a request. Raises ValueError for a target or header that would not be one, OSError when the socket does not take it."""
    if not _TARGET.fullmatch(target):
        raise ValueError(f"not a request target: {target!r}")
    fields = {"Host": "smallchain", "Connection": "close", "Accept-Encoding": "identity", **headers}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    for name, value in fields.items():
        if not _VALUE.fullmatch(value):
            raise ValueError(f"not a value for the header {name}: {value!r}")
    head = "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()), "\r\n"])
    stream.sendall(head.encode("ascii") + (body or b""))


class Response:
    """An answer. Its head is read when it is made, within `timeout_s` in all; each wait for its body is bounded by the socket's."""

    def __init__(self, stream: socket.socket, *, timeout_s: float) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._deadline: float | None = time.monotonic() + timeout_s
        for _ in range(_MOST_INTERIM):
            self.status = self._status()
            self._headers = self._head()
            if self.status >= 200:
                break
        else:
            raise Broken("interim answers without an end")
        self._deadline = None
        stream.settimeout(timeout_s)
        self._blocks = self._body()
        self._rest = bytearray()

    def read(self, most: int) -> bytes:
        """The body; stops soon after `most` bytes."""
        data = bytearray()
        for block in self._blocks:
            data += block
            if len(data) > most:
                break
        return bytes(data)

    def readline(self, most: int) -> bytes:
        """The body's next line with its newline, as soon as it is there; without one, or empty, at the end."""
        looked = 0
        while (end := self._rest.find(b"\n", looked)) < 0:
            looked = len(self._rest)
            if looked > most:
                raise Broken(f"a line of more than {most} bytes")
            block = next(self._blocks, b"")
            if not block:
                end = looked - 1
                break
            self._rest += block
        line = bytes(self._rest[: end + 1])
        del self._rest[: end + 1]
        return line

    def _status(self) -> int:
        line = self._line(_LONGEST_HEAD_LINE, "the status line")
        found = _STATUS_LINE.fullmatch(line)
        if found is None:
            raise Broken(f"it answers {line[:40]!r}, which is no HTTP")
        return int(found[1])

    def _head(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = []
        while line := self._line(_LONGEST_HEAD_LINE, "a header"):
            found = _HEADER.fullmatch(line)
            if found is None:
                raise Broken(f"{line[:40]!r} is no header")
            headers.append((found[1].lower(), found[2].strip(b" \t")))
            if len(headers) > _MOST_HEADERS:
                raise Broken(f"more than {_MOST_HEADERS} headers")
        return headers

    def _body(self) -> Iterator[bytes]:
        """The body's bytes as they come; the framing of RFC 9112, section 6.3, and whatever is ambiguous refused."""
        codings = [value.lower() for name, value in self._headers if name == b"transfer-encoding"]
        lengths = {value for name, value in self._headers if name == b"content-length"}
        if codings:
            if codings != [b"chunked"] or lengths:
                raise Broken("two ways to tell its length, or one that is unknown")
            return self._chunks()
        if not lengths:
            return iter(()) if self.status in (204, 304) else self._until_closed()
        if len(lengths) > 1 or not _LENGTH.fullmatch(length := lengths.pop()):
            raise Broken("its Content-Length is none")
        return self._exactly(0 if self.status in (204, 304) else int(length))

    def _exactly(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            block = self._some(left)
            if not block:
                raise Broken(f"it ended {left} bytes early")
            left -= len(block)
            yield block

    def _until_closed(self) -> Iterator[bytes]:
        while block := self._some(_AT_ONCE):
            yield block

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._line(_LONGEST_CHUNK_LINE, "a chunk's size")
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise Broken(f"{line[:40]!r} is no chunk's size")
            size = int(found[1], 16)
            if not size:
                self._head()  # trailers, which mean nothing to us
                return
            yield from self._exactly(size)
            if self._line(0, "a chunk's end"):
                raise Broken("a chunk is longer than its size")

    def _line(self, most: int, what: str) -> bytes:
        """The next line without its CR LF."""
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0:
            looked = len(self._buffer)
            if looked > most + 2:
                break
            if not self._fill():
                raise Broken(f"it closed the connection in {what}" if self._buffer else "it closed the connection")
        if end < 0 or end > most + 1:
            raise Broken(f"{what} is longer than {most} bytes")
        if self._buffer[end - 1 : end] != b"\r":
            raise Broken(f"{what} does not end in CR LF")
        line = bytes(self._buffer[: end - 1])
        del self._buffer[: end + 1]
        return line

    def _some(self, most: int) -> bytes:
        """Bytes that are there, or the next to come; none at the end."""
        if not self._buffer and not self._fill():
            return b""
        block = bytes(self._buffer[:most])
        del self._buffer[:most]
        return block

    def _fill(self) -> bool:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._stream.settimeout(left)
        data = self._stream.recv(_AT_ONCE)
        self._buffer += data
        return bool(data)
