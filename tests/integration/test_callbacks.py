"""The callback listener over a real socket: whatever is sent, it answers in words or closes, and only what is signed is taken."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from smallchain.model.callback import HEADER, Key, Reply, key_for, sign
from smallchain.model.errors import BadInput, Busy
from smallchain.settings import Callbacks
from smallchaind import callbacks
from smallchaind.callbacks import CallbackListener
from support.people import NOW, REQUEST, SECRET

OTHER = REQUEST[:-1] + "c"
KEY = key_for(SECRET, "marketing")
DENY = b'{"verb":"deny","by":"alice"}'


class Things:
    """What callbacks are about here: two requests, each with a key of its own; the first result of each is kept."""

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}
        self.busy = False

    async def keys(self, about: str) -> Sequence[Key]:
        return {REQUEST: (key_for(SECRET, "sales"), KEY), OTHER: (key_for(b"x" * 32, "marketing"),)}.get(about, ())

    async def take(self, about: str, body: Any, *, by: Key) -> Reply:
        if self.busy:
            raise Busy("the daemon is stopping")
        if not isinstance(body, dict) or "verb" not in body:
            raise BadInput("verb: Field required")
        if about in self.taken:
            return Reply(409, {"sentence": "too late"})
        self.taken[about] = (body, by.holder)
        return Reply(200, {"sentence": "taken"})


@dataclass
class Listening:
    port: int
    things: Things
    answers: list[bytes] = field(default_factory=list)

    async def send(self, raw: bytes, *, then_close: bool = False) -> tuple[int, dict[str, Any]]:
        """Send bytes as they are; the status and the body of the answer, or 0 when there is none."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(raw)
            if then_close:
                writer.write_eof()
            data = await reader.read()
        except ConnectionError:
            return 0, {}
        finally:
            writer.close()
        if not data:
            return 0, {}
        while data.startswith(b"HTTP/1.1 100"):
            data = data.partition(b"\r\n\r\n")[2]
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else {}

    async def post(
        self, body: bytes = DENY, *, about: str = REQUEST, key: Key = KEY, late: float = 0, **headers: str | None
    ) -> tuple[int, dict[str, Any]]:
        """A request as a good sender makes it, but for what is changed."""
        return await self.send(request(body, port=self.port, about=about, key=key, late=late, **headers))


def request(
    body: bytes = DENY,
    *,
    port: int,
    about: str = REQUEST,
    key: Key = KEY,
    late: float = 0,
    method: str = "POST",
    target: str | None = None,
    **headers: str | None,
) -> bytes:
    signed = sign(key.secret, about, body, at=NOW + timedelta(seconds=late))
    fields = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "Content-Length": str(len(body)), HEADER: signed}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[misc]
    head = f"{method} {target or f'/callbacks/requests/{about}'} HTTP/1.1\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None) + "\r\n").encode("latin-1") + body


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    bound = callbacks.bind(0)
    port = bound.getsockname()[1]
    things = Things()
    hosts = callbacks.hosts(Callbacks(port, "https://answers.example"))
    task = asyncio.create_task(CallbackListener({"requests": things}, hosts=hosts, now=lambda: NOW).serve(bound))
    yield Listening(port, things)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_signed_is_taken_and_the_key_tells_whose_it_is(listening: Listening) -> None:
    assert await listening.post() == (200, {"sentence": "taken"})

    assert listening.things.taken == {REQUEST: ({"verb": "deny", "by": "alice"}, "marketing")}


async def test_it_is_taken_once_and_the_second_is_told(listening: Listening) -> None:
    await listening.post()

    assert await listening.post() == (409, {"sentence": "too late"})


async def test_of_fifty_that_race_one_is_taken(listening: Listening) -> None:
    found = await asyncio.gather(*(listening.post(json.dumps({"verb": "deny", "by": str(n)}).encode()) for n in range(50)))

    assert sorted(status for status, _ in found) == [200] + [409] * 49


async def test_a_body_that_was_changed_or_written_again_is_not_taken(listening: Listening) -> None:
    signed = sign(KEY.secret, REQUEST, DENY, at=NOW)

    for body in (DENY.replace(b"alice", b"alicf"), json.dumps(json.loads(DENY)).encode()):
        status, _ = await listening.post(body, **{HEADER: signed})
        assert status == 401
    assert not listening.things.taken


@pytest.mark.parametrize("late", [301, -301, 10**8])
async def test_a_time_too_far_away_is_not_taken(listening: Listening, late: float) -> None:
    assert (await listening.post(late=late))[0] == 401


@pytest.mark.parametrize("header", [None, "", "t=soon,v1=" + "0" * 64, "v1=" + "0" * 64])
async def test_without_a_signature_that_is_one_nothing_is_taken(listening: Listening, header: str | None) -> None:
    assert (await listening.post(**{HEADER: header}))[0] == 401


async def test_two_signatures_are_none(listening: Listening) -> None:
    raw = request(port=listening.port).replace(b"\r\n\r\n", f"\r\n{HEADER}: t=1,v1={'0' * 64}\r\n\r\n".encode(), 1)

    assert (await listening.send(raw))[0] == 401


async def test_a_key_of_one_thing_opens_no_other(listening: Listening) -> None:
    assert (await listening.post(about=OTHER, key=KEY))[0] == 401
    signed_for_another = sign(KEY.secret, OTHER, DENY, at=NOW)
    assert (await listening.post(**{HEADER: signed_for_another}))[0] == 401
    assert not listening.things.taken


async def test_what_is_not_there_is_not_found(listening: Listening) -> None:
    assert (await listening.post(about=REQUEST[:-1] + "0"))[0] == 404


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//callbacks/requests/" + REQUEST,
        "/callbacks//requests/" + REQUEST,
        "/callbacks/requests/" + REQUEST + "/",
        "/callbacks/requests/%2e%2e/" + REQUEST,
        "/callbacks/requests/../requests/" + REQUEST,
        "/callbacks/requests/" + REQUEST + "%00",
        "/callbacks/requests/" + REQUEST + "%ff",
        "/callbacks/requests/" + REQUEST + "?token=x",
        "/callbacks/requests/" + REQUEST.upper(),
        "/callbacks/calls/" + REQUEST,
        "/v1/status",
        "http://127.0.0.1/callbacks/requests/" + REQUEST,
        "*",
    ],
)
async def test_only_the_exact_paths_lead_anywhere(listening: Listening, target: str) -> None:
    assert (await listening.send(request(port=listening.port, target=target)))[0] == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "post", "Post"])
async def test_only_post_is_a_method(listening: Listening, method: str) -> None:
    assert (await listening.send(request(port=listening.port, method=method)))[0] == 405
    assert not listening.things.taken


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost.evil.example", "127.0.0.1:1"])
async def test_another_host_is_not_answered_for(listening: Listening, host: str) -> None:
    assert (await listening.post(Host=host))[0] == 421


@pytest.mark.parametrize("host", ["localhost:PORT", "answers.example", "Answers.Example"])
async def test_the_hosts_that_lead_here_are(listening: Listening, host: str) -> None:
    assert (await listening.post(Host=host.replace("PORT", str(listening.port))))[0] == 200


@pytest.mark.parametrize("kind", [None, "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
async def test_only_json_is_a_content_type(listening: Listening, kind: str | None) -> None:
    assert (await listening.post(Content_Type=kind))[0] == 415


async def test_a_compressed_body_is_never_opened(listening: Listening) -> None:
    bomb = gzip.compress(b"0" * (1 << 24))

    assert (await listening.post(bomb, Content_Encoding="gzip"))[0] == 415


async def test_a_body_over_one_mebibyte_is_too_large_whether_it_says_so_or_not(listening: Listening) -> None:
    large = b'"' + b"x" * callbacks.LARGEST_BODY + b'"'
    assert (await listening.post(large))[0] == 413

    head = request(b"", port=listening.port, Content_Length=None, Transfer_Encoding="chunked")
    assert (await listening.send(head + b"100001\r\n" + b"x" * 0x100001 + b"\r\n0\r\n\r\n"))[0] == 413


async def test_a_body_in_chunks_is_taken_as_one(listening: Listening) -> None:
    head = request(DENY, port=listening.port, Content_Length=None, Transfer_Encoding="chunked").removesuffix(DENY)
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in DENY)

    assert (await listening.send(head + chunks + b"0\r\n\r\n"))[0] == 200


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "5, 6"])
async def test_a_length_that_is_none_is_refused(listening: Listening, length: str) -> None:
    assert (await listening.post(Content_Length=length))[0] == 400
    assert not listening.things.taken


async def test_half_a_request_is_none(listening: Listening) -> None:
    for raw in (request(port=listening.port)[:-1], request(port=listening.port)[:40]):
        assert (await listening.send(raw, then_close=True))[0] in (0, 400)
    assert not listening.things.taken


async def test_a_length_that_cuts_the_body_is_not_signed(listening: Listening) -> None:
    assert (await listening.post(Content_Length=str(len(DENY) - 1)))[0] == 401


async def test_who_waits_for_a_hundred_is_told_to_go_on(listening: Listening) -> None:
    assert (await listening.post(Expect="100-continue"))[0] == 200


@pytest.mark.slow
async def test_who_sends_nothing_or_never_ends_is_told_that_it_was_too_slow(listening: Listening) -> None:
    waits = request(port=listening.port, Content_Length="500")
    endless = request(b"", port=listening.port, Content_Length=None, Transfer_Encoding="chunked") + b"1\r\nx\r\n"

    found = await asyncio.gather(listening.send(b""), listening.send(waits), listening.send(endless))

    assert [status for status, _ in found] == [408, 408, 408]


@pytest.mark.parametrize(
    "raw", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"POST / HTTP/2.0\r\n\r\n", b"POST /callbacks HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_of_ours_is_refused(listening: Listening, raw: bytes) -> None:
    assert (await listening.send(raw, then_close=True))[0] in (0, 400, 421)
    assert (await listening.post())[0] == 200


async def test_a_head_without_an_end_is_too_large(listening: Listening) -> None:
    assert (await listening.send(b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000))[0] in (400, 431)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 2000, b'{"a":NaN}', b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":"\\ud800"}', b"\xff", b'{"a":' + b"9" * 5000 + b"}"],
)
async def test_json_that_means_two_things_or_nothing_is_told_to_its_sender(listening: Listening, body: bytes) -> None:
    status, told = await listening.post(body)

    assert status == 422
    assert told["error"]["message"]


async def test_a_sender_of_nonsense_is_heard_five_times_and_its_thing_stays_open(listening: Listening) -> None:
    assert [(await listening.post(b"{}"))[0] for _ in range(6)] == [422] * 5 + [429]
    assert (await listening.post())[0] == 429
    assert not listening.things.taken


async def test_while_the_daemon_is_busy_the_sender_tries_again(listening: Listening) -> None:
    listening.things.busy = True
    assert (await listening.post())[0] == 503

    listening.things.busy = False
    assert (await listening.post())[0] == 200


async def test_who_forwards_says_nothing_to_us(listening: Listening) -> None:
    assert (await listening.post(X_Forwarded_For="10.0.0.1", X_Forwarded_Host="evil.example", Forwarded="for=1.1.1.1"))[0] == 200


async def test_too_many_connections_are_told_to_wait(listening: Listening) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", listening.port) for _ in range(64)]
    while (found := (await listening.post())[0]) == 200:
        listening.things.taken.clear()

    assert found == 503
    for _, writer in idle:
        writer.close()


async def test_a_second_request_on_a_connection_is_not_read(listening: Listening) -> None:
    both = request(port=listening.port) + request(port=listening.port, about=OTHER, key=key_for(b"x" * 32, "marketing"))

    assert (await listening.send(both))[0] == 200
    assert set(listening.things.taken) == {REQUEST}
