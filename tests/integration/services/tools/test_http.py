"""The HTTP executor against real servers on the loopback: what is sent, what every answer becomes, and where nothing is ever sent."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from smallchain.model.artifact import LARGEST
from smallchain.model.errors import BadInput
from smallchain.model.manifest import parse_manifest
from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.model.toolspec import ToolSpec
from smallchain.services.tools.http import MOST_REDIRECTS, HttpExecutor
from smallchain.services.tools.outbound import Outbound
from support.starts import a_start
from support.webserver import Bytes, Request, WebServer, answers, ok

LOOPBACK = ["127.0.0.1"]


async def send(url: str, arguments: dict[str, Any] | None = None, *, executor: HttpExecutor | None = None, **words: Any) -> Outcome:
    """One attempt; words of a start (`timeout`, `headers`) are taken out of those of the spec."""
    changes = {name: words.pop(name) for name in ("timeout", "resolved") if name in words}
    if "resolved" in changes:
        changes["headers"] = changes.pop("resolved")
    spec = {"method": "POST", "url": url, "allow": LOOPBACK} | words
    return await (executor or HttpExecutor(Outbound())).execute(a_start({"http": spec}, arguments, **changes))


# ---- what is sent


async def test_arguments_are_json_in_the_body_under_the_calls_key() -> None:
    async with WebServer(lambda asked: ok("taken")) as server:
        outcome = await send(f"{server.url}/orders", {"what": "\N{SNOWMAN}", "n": [1, None]}, resolved={"Authorization": "Bearer x"})

    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "taken")
    (asked,) = server.requests
    assert (asked.method, asked.target) == ("POST", "/orders")
    assert asked.json == {"what": "\N{SNOWMAN}", "n": [1, None]}
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["idempotency-key"] == "key-1"
    assert asked.headers["authorization"] == "Bearer x"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"] == "smallchain"


async def test_arguments_of_get_are_its_query_and_never_its_address() -> None:
    async with WebServer(lambda asked: ok()) as server:
        arguments = {"q": "a&b=c#d/../e", "tags": ["x", "y"], "deep": {"a": 1}, "yes": True, "none": None, "n": 1.5}
        await send(f"{server.url}/search?fixed=1", arguments, method="GET")

    (asked,) = server.requests
    assert asked.target.startswith("/search?fixed=1&q=a%26b%3Dc%23d/../e&tags=x&tags=y&deep=")
    assert asked.target.endswith("&yes=true&n=1.5")
    assert asked.body == b""


@pytest.mark.parametrize(
    ("body", "sent", "kind"), [("plain", b"plain", "text/plain; charset=utf-8"), ({"a": 1}, b'{"a":1}', "application/json")]
)
async def test_a_body_that_is_written_is_sent_in_place_of_the_arguments(body: Any, sent: bytes, kind: str) -> None:
    async with WebServer(lambda asked: ok()) as server:
        await send(server.url, {"ignored": 1}, body=body, method="PUT")

    assert (server.requests[0].body, server.requests[0].headers["content-type"]) == (sent, kind)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WebServer(lambda asked: ok("through a proxy")) as proxy, WebServer(lambda asked: ok("direct")) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        outcome = await send(server.url)

    assert outcome.text == "direct"
    assert proxy.connections == 0


# ---- what an answer becomes


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (ok("hello"), OutcomeKind.SUCCEEDED, "hello"),
        (answers(204), OutcomeKind.SUCCEEDED, "204 No Content"),
        (answers(201, '{"id": 7}', content_type="application/json"), OutcomeKind.SUCCEEDED, '{"id": 7}'),
        (answers(404, "no such order", content_type="text/plain"), OutcomeKind.FAILED, "HTTP 404 Not Found\nno such order"),
        (answers(500), OutcomeKind.FAILED, "HTTP 500 Internal Server Error"),
        (answers(599, "odd"), OutcomeKind.FAILED, "HTTP 599\nodd"),
        (answers(302, location="/elsewhere"), OutcomeKind.FAILED, "HTTP 302 Found"),
        (ok("gr\xfc\xdfe".encode("latin-1"), content_type="text/plain; charset=latin-1"), OutcomeKind.SUCCEEDED, "gr\xfc\xdfe"),
        (ok(b"a\xff\0b", content_type="text/plain; charset=nonsense"), OutcomeKind.SUCCEEDED, "a\ufffd\ufffdb"),
        (ok(gzip.compress(b"packed"), content_encoding="gzip"), OutcomeKind.SUCCEEDED, "packed"),
        (ok(zlib.compress(b"packed"), content_encoding="deflate"), OutcomeKind.SUCCEEDED, "packed"),
    ],
)
async def test_an_answer_is_told_in_words(answer: Bytes, kind: OutcomeKind, text: str) -> None:
    async with WebServer(lambda asked: answer) as server:
        outcome = await send(server.url)

    assert (outcome.kind, outcome.text) == (kind, text)


async def test_what_is_no_text_is_an_artifact() -> None:
    data = b"\x89PNG\r\n\x1a\n\0\xff"
    async with WebServer(lambda asked: ok(data, content_type="image/png")) as server:
        outcome = await send(f"{server.url}/charts/one.png?secret=1", method="GET")

    assert outcome.text == "(image/png, 10 bytes)"
    (artifact,) = outcome.artifacts
    assert (artifact.name, artifact.media_type, artifact.data) == ("one.png", "image/png", data)


async def test_head_answers_its_headers() -> None:
    async with WebServer(lambda asked: Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-Kind: a\r\nConnection: close\r\n\r\n")) as server:
        outcome = await send(server.url, method="HEAD")

    assert outcome.text == "200 OK\nconnection: close\ncontent-length: 12\nx-kind: a"


async def test_retry_after_is_kept_of_what_failed() -> None:
    async with WebServer(lambda asked: answers(429, retry_after="7")) as server:
        outcome = await send(server.url)

    assert (outcome.kind, outcome.retry_after) == (OutcomeKind.FAILED, timedelta(seconds=7))


async def test_no_more_is_kept_than_an_artifact_holds_however_it_is_packed() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    plain = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * (LARGEST + 100_000)
    for answer in (ok(bomb, content_encoding="gzip", content_type="image/png"), Bytes(plain)):
        async with WebServer(lambda asked, answer=answer: answer) as server:  # type: ignore[misc]
            outcome = await send(server.url)

        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert outcome.cut
        assert len(outcome.artifacts[0].data if outcome.artifacts else outcome.text) == LARGEST


@pytest.mark.parametrize("coding", ["br", "gzip", "x" * 500])
async def test_a_compression_that_nobody_asked_for_or_that_is_broken_is_not_guessed_at(coding: str) -> None:
    async with WebServer(lambda asked: ok("no gzip at all", content_encoding=coding)) as server:
        outcome = await send(server.url)

    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "answered 200, and broke off" in outcome.text


# ---- what is not known


async def test_nothing_was_sent_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await send(f"http://127.0.0.1:{taken.getsockname()[1]}/")

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "Connection refused" in outcome.text
    assert outcome.text.endswith("; nothing was sent")


async def test_nothing_was_sent_to_a_name_that_leads_nowhere() -> None:
    outcome = await send("http://nothing.invalid/")

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert outcome.text.startswith("could not be sent: nothing.invalid can't be resolved")


@pytest.mark.parametrize(
    "answer",
    [
        Bytes(),
        Bytes(reset=True),
        Bytes(b"no http\r\n\r\n"),
        Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Bytes(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    ],
)
@pytest.mark.parametrize(
    ("method", "kind"),
    [("POST", OutcomeKind.UNKNOWN), ("PUT", OutcomeKind.UNKNOWN), ("DELETE", OutcomeKind.UNKNOWN), ("GET", OutcomeKind.FAILED)],
)
async def test_what_became_of_a_request_without_a_whole_answer_is_not_known(answer: Bytes, method: str, kind: OutcomeKind) -> None:
    async with WebServer(lambda asked: answer) as server:
        outcome = await send(server.url, method=method)

    assert outcome.kind is kind
    assert outcome.text.startswith("sent, and no answer came: ")
    assert len(server.requests) == 1, "it is sent once"


@pytest.mark.parametrize(("method", "kind"), [("POST", OutcomeKind.UNKNOWN), ("GET", OutcomeKind.TIMED_OUT)])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
async def test_an_answer_that_does_not_come_in_time_ends_the_wait(method: str, kind: OutcomeKind, begun: bytes) -> None:
    async with WebServer(lambda asked: Bytes(begun, silence=True)) as server:
        outcome = await send(server.url, method=method, timeout=timedelta(seconds=0.2))

    assert (outcome.kind, outcome.text) == (kind, "timed out: it was sent, and no whole answer came within 200ms")


async def test_cancelling_ends_the_connection() -> None:
    async with WebServer(lambda asked: Bytes(silence=True)) as server:
        task = asyncio.create_task(send(server.url))
        await server.came()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# ---- where nothing is ever sent


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "0", "①②⑦.0.0.1"]
)
async def test_this_machine_is_closed_in_every_form_of_its_name(host: str) -> None:
    async with WebServer(lambda asked: ok()) as server:
        outcome = await send(f"http://{host}:{server.port}/", allow=[])

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert server.connections == 0


class Changing:
    """A name that leads elsewhere each time it is asked about."""

    def __init__(self, *addresses: Sequence[str]) -> None:
        self.left = list(addresses)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return self.left.pop(0)


async def test_what_was_looked_at_is_what_is_connected_to() -> None:
    changing = Changing(LOOPBACK, ["169.254.169.254"])
    async with WebServer(lambda asked: ok("here")) as server:
        outcome = await send(f"http://rebinding.example:{server.port}/", executor=HttpExecutor(Outbound(changing)))

    assert outcome.text == "here"
    assert server.requests[0].headers["host"] == f"rebinding.example:{server.port}"
    assert changing.left == [["169.254.169.254"]], "it was resolved once"


async def test_one_closed_address_among_open_ones_closes_the_name() -> None:
    mixed = Changing(["93.184.216.34", "127.0.0.1"])

    outcome = await send("http://mixed.example/", executor=HttpExecutor(Outbound(mixed)), allow=[])

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "mixed.example (127.0.0.1) is not on the public internet" in outcome.text


# ---- redirects


def leads(target: str, status: int = 302) -> Bytes:
    return answers(status, location=target)


async def test_redirects_of_get_are_followed_and_keep_their_headers_on_the_same_host() -> None:
    def brain(asked: Request) -> Bytes:
        return ok("there") if asked.target == "/b" else leads("/b")

    async with WebServer(brain) as server:
        outcome = await send(f"{server.url}/a", method="GET", resolved={"Authorization": "Bearer canary"})

    assert outcome.text == "there"
    assert [asked.headers.get("authorization") for asked in server.requests] == ["Bearer canary"] * 2


async def test_headers_of_the_tool_go_to_no_other_host() -> None:
    async with WebServer(lambda asked: ok("there") if asked.target == "/b" else leads(f"http://localhost:{server.port}/b")) as server:
        outcome = await send(f"{server.url}/a", method="GET", resolved={"Authorization": "Bearer canary", "X-Key": "canary"})

    assert outcome.text == "there"
    assert "canary" in str(server.requests[0].headers)
    assert "canary" not in str(server.requests[1].headers)


async def test_redirects_of_what_changes_something_are_not_followed() -> None:
    async with WebServer(lambda asked: leads("/b", 307)) as server:
        outcome = await send(f"{server.url}/a")

    assert (outcome.kind, len(server.requests)) == (OutcomeKind.FAILED, 1)


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "unix:/run/docker.sock",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:1/",
        "http://ann:b@127.0.0.1/",
        "http://[::1",
    ],
)
async def test_a_redirect_elsewhere_is_refused(target: str) -> None:
    async with WebServer(lambda asked: leads(target)) as server:
        outcome = await send(server.url, method="GET")

    assert outcome.kind is OutcomeKind.FAILED
    assert "which is not followed" in outcome.text
    assert server.connections == 1


async def test_a_redirect_to_a_closed_address_is_refused() -> None:
    async with WebServer(lambda asked: leads(f"http://127.0.0.2:{server.port}/")) as server:
        outcome = await send(server.url, method="GET")

    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.text == "a redirect could not be followed: 127.0.0.2 is not on the public internet, and `allow` does not name it"


async def test_redirects_without_end_end() -> None:
    async with WebServer(lambda asked: leads("/again")) as server:
        outcome = await send(server.url, method="GET")

    assert outcome.text == f"redirected more than {MOST_REDIRECTS} times"
    assert server.connections == MOST_REDIRECTS + 1


# ---- before it is used


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://example.com/", ""),
        ("http://localhost/", ""),
        ("http://127.0.0.1:8080/", "127.0.0.1 is not on the public internet, and `allow` does not name it; write `allow: [127.0.0.1]`"),
        ("http://[::1]/", "::1 is not on the public internet, and `allow` does not name it; write `allow: [::1]`"),
    ],
)
async def test_an_address_that_is_closed_is_told_before_the_first_call(url: str, fault: str) -> None:
    tool = ToolSpec.model_validate({"name": "t", "executor": {"http": {"url": url}}})

    assert await HttpExecutor(Outbound()).check(tool, folder="") == fault


@pytest.mark.parametrize(
    "words",
    [
        "headers: {Host: a}",
        "headers: {Content-Length: '1'}",
        "headers: {'a b': c}",
        'headers: {A: "b\\r\\nC: d"}',
        "allow: ['*.example.com']",
        "allow: [10.0.0.1/8]",
    ],
)
def test_headers_and_addresses_that_mean_something_else_are_refused(words: str) -> None:
    text = f"tools: [{{name: t, executor: {{http: {{url: 'http://a.example', {words}}}}}}}]"

    with pytest.raises(BadInput):
        parse_manifest(text.encode(), file="x.yaml")
