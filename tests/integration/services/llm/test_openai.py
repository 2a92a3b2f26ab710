"""The official package against a real server on the loopback: exact bytes, one request a call, every fault a value in words."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from smallchain.model.llm import Endpoint, Failure, FailureKind, ModelRequest, Reply
from smallchain.services.llm.openai import OpenAIProvider
from support.modelserver import Answer, Asked, ModelServer, call, fails, says

BODY = b'{"model":"x",  "messages":[{"role":"user","content":"\xc3\xbc"}], "temperature":0.0,"odd":[1,2]}'
KEY = "sk-test-1234567890"


@pytest.fixture
async def provider() -> AsyncIterator[OpenAIProvider]:
    made = OpenAIProvider()
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda asked: says("15")) as running:
        yield running


def endpoint(base_url: str | None, *, key: str | None = KEY, timeout: float = 20) -> Endpoint:
    return Endpoint("openai", "x", base_url, key, timedelta(seconds=timeout))


def request(body: bytes = BODY) -> ModelRequest:
    return ModelRequest(body, "run", "assistant", 0, 1)


async def failure(provider: OpenAIProvider, server: ModelServer, answer: Answer, *, timeout: float = 20) -> Failure:
    server.brain = lambda asked: answer
    found = await provider.complete(endpoint(server.base_url, timeout=timeout), request())
    assert isinstance(found, Failure)
    assert len(server.requests) == 1
    return found


async def test_the_bytes_are_sent_exactly_with_the_key(provider: OpenAIProvider, server: ModelServer) -> None:
    found = await provider.complete(endpoint(server.base_url), request())

    assert isinstance(found, Reply)
    assert found.content == "15"
    [asked] = server.requests
    assert asked.body == BODY
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["content-type"] == "application/json"


async def test_a_base_url_with_a_slash_at_its_end_is_the_same_place(provider: OpenAIProvider, server: ModelServer) -> None:
    await provider.complete(endpoint(server.base_url + "/"), request())

    assert server.requests[0].path == "/v1/chat/completions"


async def test_no_key_means_no_authorization(provider: OpenAIProvider, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    found = await provider.complete(endpoint(server.base_url, key=None), request())

    assert isinstance(found, Reply)
    assert "authorization" not in server.requests[0].headers


async def test_the_environment_replaces_neither_key_nor_address(
    provider: OpenAIProvider, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer other")
    await provider.complete(endpoint(server.base_url), request())

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_tool_calls_come_back_with_the_text_beside_them(provider: OpenAIProvider, server: ModelServer) -> None:
    server.brain = lambda asked: says("both", call("1", "add", a=3, b=4), call("2", "add", a=5, b=3))
    found = await provider.complete(endpoint(server.base_url), request())

    assert isinstance(found, Reply)
    assert [each.id for each in found.calls] == ["1", "2"]
    assert found.content == "both"


async def test_calls_share_connections_and_fly_at_the_same_time(provider: OpenAIProvider, server: ModelServer) -> None:
    def brain(asked: Asked) -> Answer:
        return says("x", delay=0.05 if asked.number <= 20 else 0)

    server.brain = brain
    await asyncio.gather(*(provider.complete(endpoint(server.base_url), request()) for _ in range(20)))
    for _ in range(20):
        await provider.complete(endpoint(server.base_url), request())

    assert server.most_in_flight == 20
    assert server.connections == 20


async def test_a_reply_tells_that_nothing_is_left_and_for_how_long(provider: OpenAIProvider, server: ModelServer) -> None:
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-tokens": "9"}
    body = says("done").body
    server.brain = lambda asked: Answer(body=body, headers=spent if asked.number == 1 else {})
    first, second = [await provider.complete(endpoint(server.base_url), request()) for _ in range(2)]

    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert (first.held_for, second.held_for) == (timedelta(minutes=6), None)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
async def test_a_passing_error_is_sent_once_and_is_transient(provider: OpenAIProvider, server: ModelServer, status: int) -> None:
    found = await failure(provider, server, fails(status, "busy", headers={"retry-after": "7"}))

    assert (found.kind, found.status, found.message) == (FailureKind.TRANSIENT, status, "busy")
    assert found.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (fails(401, "bad key"), FailureKind.UNUSABLE),
        (fails(403, "bad key"), FailureKind.UNUSABLE),
        (fails(429, "no money", code="insufficient_quota"), FailureKind.UNUSABLE),
        (fails(400, "bad request"), FailureKind.REFUSED),
        (fails(404, "no such model"), FailureKind.REFUSED),
        (fails(400, "too long", code="context_length_exceeded"), FailureKind.OVERFLOW),
    ],
)
async def test_a_lasting_error_is_told_apart(provider: OpenAIProvider, server: ModelServer, answer: Answer, kind: FailureKind) -> None:
    assert (await failure(provider, server, answer)).kind is kind


async def test_a_redirect_is_not_followed(provider: OpenAIProvider, server: ModelServer) -> None:
    found = await failure(provider, server, Answer(307, headers={"location": "http://127.0.0.1:9/v1/chat/completions"}))

    assert found.kind is FailureKind.UNUSABLE
    assert "redirects" in found.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(body="<html><body>hello</body></html>", headers={"content-type": "text/html"}), "HTML page"),
        (Answer(body='{"choices": [{"message": {"content": "hel'), "cut off"),
        (Answer(body=""), "empty body"),
        (Answer(body={"choices": None}), "no choices"),
        (Answer(body="[]"), "a list"),
    ],
)
async def test_a_200_that_is_no_reply_is_transient(provider: OpenAIProvider, server: ModelServer, answer: Answer, words: str) -> None:
    found = await failure(provider, server, answer)

    assert found.kind is FailureKind.TRANSIENT
    assert words in found.message


@pytest.mark.parametrize("fault", ["reset", "reset_mid_body", "half_body", "garbage"])
async def test_a_broken_connection_is_transient_and_not_tried_again(provider: OpenAIProvider, server: ModelServer, fault: Any) -> None:
    found = await failure(provider, server, Answer(body=says("x" * 1000).body, fault=fault))

    assert found.kind is FailureKind.TRANSIENT
    assert found.message.startswith(server.base_url.removesuffix("/v1") + ": ")
    assert "broke before the reply was whole" in found.message
    assert "xxx" in found.raw or fault != "half_body"


@pytest.mark.parametrize("fault", ["reset", "reset_mid_body", "half_body", "garbage"])
async def test_a_broken_exchange_is_let_go_of_at_once(provider: OpenAIProvider, server: ModelServer, fault: Any) -> None:
    gc.collect()
    gc.disable()  # so that what stands in a circle stays
    try:
        await failure(provider, server, Answer(body=says("x" * 1000).body, fault=fault))
        left = [each for each in gc.get_objects() if isinstance(each, aiohttp.ClientResponse)]
    finally:
        gc.enable()

    assert not left


async def test_what_came_before_the_deadline_is_kept(provider: OpenAIProvider) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + f'{{"half of": "{KEY}'.encode())
        await writer.drain()
        await reader.read()
        writer.close()

    running = await asyncio.start_server(half, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        found = await provider.complete(endpoint(f"http://127.0.0.1:{port}/v1", timeout=0.5), request())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.TRANSIENT
    assert found.raw == '{"half of": "[secret]'


async def test_a_stream_that_was_not_asked_for_is_read_when_it_is_whole(provider: OpenAIProvider, server: ModelServer) -> None:
    chunk = '{"choices":[{"index":0,"delta":{"content":"15"},"finish_reason":"stop"}]}'
    server.brain = lambda asked: Answer(body=f"data: {chunk}\n\ndata: [DONE]\n\n", headers={"content-type": "text/event-stream"})
    found = await provider.complete(endpoint(server.base_url), request())

    assert isinstance(found, Reply)
    assert found.content == "15"


async def test_a_query_and_headers_of_an_endpoint_go_with_every_request(provider: OpenAIProvider, server: ModelServer) -> None:
    azure = f"{server.base_url}/deployments/x?api-version=2024-10-21"
    headers = {"api-key": KEY, "X-Team": "ops"}
    where = Endpoint("openai", "x", azure, None, timedelta(seconds=20), headers=headers, hidden=(KEY,))
    server.brain = lambda asked: fails(400, f"no such thing, {KEY}")
    found = await provider.complete(where, request())
    await provider.check(where)

    assert isinstance(found, Failure)
    assert found.message == "no such thing, [secret]"
    assert server.requests[0].path == "/v1/deployments/x/chat/completions?api-version=2024-10-21"
    assert server.checks[0].path == "/v1/deployments/x/models?api-version=2024-10-21"
    for asked in (server.requests[0], server.checks[0]):
        assert (asked.headers["api-key"], asked.headers["x-team"]) == (KEY, "ops")
        assert "authorization" not in asked.headers


@pytest.mark.parametrize("headers", [{"a b": "x"}, {"Content-Length": "3"}, {"x": "two\nlines"}, {"x": ""}, {"x": " y"}, {"x": "ü"}])
async def test_headers_that_no_request_can_carry_make_the_model_unusable(
    provider: OpenAIProvider, server: ModelServer, headers: dict[str, str]
) -> None:
    where = Endpoint("openai", "x", server.base_url, None, timedelta(seconds=20), headers=headers)
    found = await provider.complete(where, request())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNUSABLE
    assert "header" in found.message
    assert server.requests == []


async def test_silence_ends_at_the_deadline(provider: OpenAIProvider, server: ModelServer) -> None:
    found = await failure(provider, server, Answer(fault="silence"), timeout=0.2)

    assert found.kind is FailureKind.TRANSIENT
    assert found.message == f"no reply from {server.base_url.removesuffix('/v1')} within 200ms"


async def test_the_deadline_is_of_the_whole_reply_however_it_drips(provider: OpenAIProvider) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        while await reader.read(4096):
                            pass
        writer.close()

    listener = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        found = await provider.complete(endpoint(f"http://127.0.0.1:{port}/v1", timeout=0.3), request())

    assert isinstance(found, Failure)
    assert "within 300ms" in found.message


async def test_a_refused_connection_is_transient_with_its_cause(provider: OpenAIProvider) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = await provider.complete(endpoint(f"http://127.0.0.1:{port}/v1"), request())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.TRANSIENT
    assert "no connection" in found.message
    assert f"127.0.0.1:{port}" in found.message


async def test_tls_that_fails_is_transient_and_says_so(provider: OpenAIProvider) -> None:
    async def answer_in_plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer_in_plain_text, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        found = await provider.complete(endpoint(f"https://127.0.0.1:{port}/v1"), request())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.TRANSIENT
    assert "TLS failed" in found.message


async def test_a_reply_larger_than_any_is_given_up(provider: OpenAIProvider, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b" " * (40 * 1024 * 1024))
    found = await failure(provider, server, Answer(body=bomb, headers={"content-encoding": "gzip"}))

    assert found.kind is FailureKind.TRANSIENT
    assert "larger than 32 MiB" in found.message


async def test_a_compressed_reply_is_read(provider: OpenAIProvider, server: ModelServer) -> None:
    packed = gzip.compress(json.dumps(says("15").body).encode())
    server.brain = lambda asked: Answer(body=packed, headers={"content-encoding": "gzip"})
    found = await provider.complete(endpoint(server.base_url), request())

    assert isinstance(found, Reply)
    assert found.content == "15"


async def test_a_key_that_the_endpoint_repeats_stays_out_of_what_is_kept(provider: OpenAIProvider, server: ModelServer) -> None:
    found = await failure(provider, server, fails(401, f"unknown key {KEY}"))

    assert found.message == "unknown key [secret]"
    assert KEY not in found.raw


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "ftp://x/v1", "http://", "http://[::1", "http://x:99999/v1"])
async def test_an_address_that_is_none_makes_the_model_unusable(provider: OpenAIProvider, base_url: str) -> None:
    found = await provider.complete(endpoint(base_url), request())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNUSABLE


@pytest.mark.parametrize("key", ["", "sk-line\n", "sk ü", " sk"])
async def test_a_key_that_no_header_can_carry_is_unusable_and_not_shown(provider: OpenAIProvider, server: ModelServer, key: str) -> None:
    found = await provider.complete(endpoint(server.base_url, key=key), request())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNUSABLE
    assert "the API key" in found.message
    assert not key or key not in found.message
    assert server.requests == []


async def test_certificates_that_cannot_be_read_make_the_model_unusable(
    provider: OpenAIProvider, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    found = await provider.complete(endpoint(server.base_url), request())
    monkeypatch.delenv("SSL_CERT_FILE")
    again = await provider.complete(endpoint(server.base_url), request())

    assert isinstance(found, Failure)
    assert "SSL_CERT_FILE" in found.message
    assert isinstance(again, Reply)


async def test_a_cancelled_call_leaves_the_provider_usable(provider: OpenAIProvider, server: ModelServer) -> None:
    server.brain = lambda asked: Answer(fault="silence")
    asked = asyncio.create_task(provider.complete(endpoint(server.base_url), request()))
    await server.arrived(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    server.brain = lambda asked: says("15")

    assert isinstance(await provider.complete(endpoint(server.base_url), request()), Reply)


async def test_a_check_asks_for_the_models_and_is_content(provider: OpenAIProvider, server: ModelServer) -> None:
    assert await provider.check(endpoint(server.base_url)) is None
    assert [(asked.method, asked.path) for asked in server.checks] == [("GET", "/v1/models")]
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (fails(401, "bad key"), FailureKind.UNUSABLE),
        (fails(403, "not you"), FailureKind.UNUSABLE),
        (fails(403, "Missing scopes: api.model.read"), None),
        (fails(404, "no list here"), None),
        (fails(500, "oops"), None),
        (Answer(body="<html>"), None),
        (Answer(fault="reset"), FailureKind.TRANSIENT),
        (Answer(fault="silence"), FailureKind.TRANSIENT),
    ],
)
async def test_a_check_speaks_against_an_endpoint_only_for_keys_and_network(
    provider: OpenAIProvider, server: ModelServer, answer: Answer, kind: FailureKind | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "models", lambda asked: answer)
    found = await provider.check(endpoint(server.base_url, timeout=0.5))

    assert (found.kind if found else None) is kind


async def test_a_provider_works_again_after_closing(provider: OpenAIProvider, server: ModelServer) -> None:
    await provider.complete(endpoint(server.base_url), request())
    await provider.close()

    assert isinstance(await provider.complete(endpoint(server.base_url), request()), Reply)


async def test_a_proxy_of_the_environment_is_asked_and_gets_the_whole_address(
    provider: OpenAIProvider, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
    found = await provider.complete(endpoint("http://model.example/v1"), request())

    assert isinstance(found, Reply)
    assert server.requests[0].path == "http://model.example/v1/chat/completions"


async def test_a_host_that_needs_no_proxy_is_asked_itself(
    provider: OpenAIProvider, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert isinstance(await provider.complete(endpoint(server.base_url), request()), Reply)
