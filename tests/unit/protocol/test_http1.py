"""HTTP read strictly: what is right is read whole however it is cut, and what is hostile ends, soon and told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallchain.model.errors import Busy, Unreachable
from smallchain.protocol import client as client_module
from smallchain.protocol.client import Client
from smallchain.protocol.http1 import Broken, Response, send

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answered(*parts: bytes, then: bytes = b"") -> Iterator[socket.socket]:
    """A socket from which these bytes come, part by part; `then` again and again, for as long as anybody reads."""
    ours, theirs = socket.socketpair()

    def talk() -> None:
        with theirs, suppress(OSError):
            for part in parts:
                theirs.sendall(part)
            while then:
                theirs.sendall(then)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        with ours:
            yield ours
    finally:
        thread.join(30)


def read(*parts: bytes, most: int = 2**20) -> tuple[int, bytes]:
    with answered(*parts) as stream:
        response = Response(stream, timeout_s=20)
        return response.status, response.read(most)


RIGHT = [
    (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    (OK + b"content-length:5\r\nX-Y: \t z \r\n\r\nhello and more", b"hello"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n", b"hello"),
    (OK + b"\r\nhello", b"hello"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    (b"HTTP/1.0 200\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    (OK + b"Content-Length: 0\r\n\r\n", b""),
]


@given(st.sampled_from(RIGHT), st.lists(st.integers(0, 120), max_size=6))
@settings(max_examples=80, deadline=None)
def test_an_answer_is_read_whole_however_it_is_cut(case: tuple[bytes, bytes], cuts: list[int]) -> None:
    data, body = case
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    assert read(*(data[a:b] for a, b in pairwise(places))) == (200, body)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 2", "closed the connection in the status line"),
        (b"SSH-2.0-OpenSSH_9\r\n", "is no HTTP"),
        (b"HTTP/2 200\r\n\r\n", "is no HTTP"),
        (b"HTTP/1.1 99 No\r\n\r\n", "is no HTTP"),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "does not end in CR LF"),
        (OK + b"no colon\r\n\r\n", "is no header"),
        (OK + b"A: 1\r\n folded\r\n\r\n", "is no header"),
        (OK + b"Content-Length : 1\r\n\r\nx", "is no header"),
        (OK + b"A: \x00\r\n\r\n", "is no header"),
        (OK + b"Content-Length: 5\r\n", "closed the connection"),
        (OK + b"Content-Length: 5\r\n\r\nhell", "ended 1 bytes early"),
        (OK + b"Content-Length: -1\r\n\r\n", "Content-Length is none"),
        (OK + b"Content-Length: 0x5\r\n\r\nhello", "Content-Length is none"),
        (OK + b"Content-Length: 5, 5\r\n\r\nhello", "Content-Length is none"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "Content-Length is none"),
        (OK + b"Content-Length: " + b"9" * 400 + b"\r\n\r\nx", "Content-Length is none"),
        (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "two ways"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\nx", "one that is unknown"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "no chunk's size"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nhe\r\n", "no chunk's size"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nx", "no chunk's size"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", "a chunk's end"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe", "ended 3 bytes early"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", "closed the connection"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", "closed the connection"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "interim"),
    ],
)
def test_what_is_not_exactly_http_is_broken(data: bytes, told: str) -> None:
    with pytest.raises(Broken, match=told):
        read(data)


@pytest.mark.parametrize(
    ("begins", "then"),
    [
        (b"", b"x" * 4096),
        (OK + b"A: ", b"x" * 4096),
        (OK, b"A: x\r\n" * 100),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * 4096),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: x\r\n" * 100),
        (b"", b"HTTP/1.1 102 Wait\r\n\r\n" * 100),
    ],
    ids=["status", "header", "headers", "chunk size", "trailers", "interim"],
)
def test_what_never_ends_is_ended_after_a_few_kilobytes(begins: bytes, then: bytes) -> None:
    with answered(begins, then=then) as stream, pytest.raises(Broken):
        Response(stream, timeout_s=20).read(2**20)


def test_a_body_without_end_is_read_no_further_than_asked() -> None:
    with answered(OK + b"\r\n", then=b"x" * 65536) as stream:
        assert 100_000 < len(Response(stream, timeout_s=20).read(100_000)) <= 100_000 + 65536


def test_a_head_that_drips_is_given_up_in_all() -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while not stop.wait(0.01):
                theirs.sendall(b"H")

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    with ours, theirs:
        with pytest.raises(TimeoutError):
            Response(ours, timeout_s=0.1)
        stop.set()
        thread.join()
    assert time.monotonic() - begun < 10


def test_lines_come_as_soon_as_they_are_whole_whatever_the_chunks() -> None:
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n2\r\nc\n\r\n1\r\nd\r\n0\r\n\r\n"
    with answered(data) as stream:
        response = Response(stream, timeout_s=20)
        assert [response.readline(100) for _ in range(4)] == [b"a\n", b"bc\n", b"d", b""]


def test_a_line_without_end_is_broken() -> None:
    with answered(OK + b"\r\n", then=b"x" * 4096) as stream, pytest.raises(Broken, match="more than 10000 bytes"):
        Response(stream, timeout_s=20).readline(10_000)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_an_answer_or_broken(data: bytes) -> None:
    for start in (b"", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"):
        with suppress(Broken):
            read(start + data)


@pytest.mark.parametrize(("target", "value"), [("/a b", "x"), ("/a\r\nX: y", "x"), ("a", "x"), ("/é", "x"), ("/", "x\r\nY: z"), ("/", "")])
def test_nothing_is_smuggled_into_a_request(target: str, value: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(ValueError):
            send(ours, "GET", target, {"X": value})
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def test_a_request_is_what_it_should_be() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, "POST", "/v1/x?y=1", {"X": "a b"}, b"{}")
        head, _, body = theirs.recv(4096).partition(b"\r\n\r\n")

    assert head.split(b"\r\n")[0] == b"POST /v1/x?y=1 HTTP/1.1"
    assert {b"Host: smallchain", b"X: a b", b"Content-Length: 2", b"Connection: close"} <= set(head.split(b"\r\n"))
    assert body == b"{}"


# The client, before a hostile server


@contextmanager
def hostile(path: Path, talk: Callable[[socket.socket], None]) -> Iterator[Client]:
    """A client of a server that reads a request and then does as it likes with each connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    stream, _ = listener.accept()
                    with stream, suppress(OSError):
                        if not stream.recv(65536):
                            return
                        talk(stream)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Client(path, timeout_s=20)
        finally:
            with socket.socket(socket.AF_UNIX) as last:  # it sends nothing: the end
                last.connect(str(path))
            thread.join(30)


def endless_header(stream: socket.socket) -> None:
    stream.sendall(OK)
    while True:
        stream.sendall(b"A: " + b"x" * 1000 + b"\r\n")


def bad_chunk(stream: socket.socket) -> None:
    stream.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x")


def lying_length(stream: socket.socket) -> None:
    stream.sendall(OK + b"Content-Length: 4000000000\r\n\r\n{}")


@pytest.mark.parametrize("talk", [endless_header, bad_chunk, lying_length])
def test_a_hostile_server_is_told_and_not_believed(tmp_path: Path, talk: Callable[[socket.socket], None]) -> None:
    with hostile(tmp_path / "h.sock", talk) as client:
        with pytest.raises(Unreachable, match="broke the connection twice"):
            client.get("/v1/status")
        with suppress(Unreachable):
            assert list(client.events(follow=True, deadline=time.monotonic() + 0.2)) == []


def test_an_answer_larger_than_any_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LARGEST_ANSWER", 2**20)

    def pour(stream: socket.socket) -> None:
        stream.sendall(OK + b"\r\n")
        while True:
            stream.sendall(b" " * 65536)

    with hostile(tmp_path / "h.sock", pour) as client, pytest.raises(Exception, match="over 1 MiB"):
        client.get("/v1/status")


def test_a_server_that_stops_in_the_middle_is_given_up(tmp_path: Path) -> None:
    go_on = threading.Event()

    def stall(stream: socket.socket) -> None:
        stream.sendall(OK + b"Content-Length: 10\r\n\r\n{")
        go_on.wait(30)

    with hostile(tmp_path / "h.sock", stall):
        with pytest.raises(Busy, match=r"within 0\.1 s"):
            Client(tmp_path / "h.sock", timeout_s=0.1).get("/v1/status")
        go_on.set()
