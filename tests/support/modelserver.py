"""A real OpenAI-compatible server on the loopback: what it says is a function of the request alone, whoever crashed in between.

In a test: `async with ModelServer(brain) as server: ... server.base_url ... server.requests`. As a process of its own:
`python tests/support/modelserver.py --port 0 --script FILE`, which prints its base URL on the first line.

Every request is logged before it is answered, in memory and, with `--log FILE`, as a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

Fault = Literal["reset", "reset_mid_body", "half_body", "silence", "garbage"]
"""How a connection ends instead of an answer: reset at once; reset, or closed, in the middle of the body; nothing at all until
the other side hangs up; bytes that are no HTTP."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came. `in_flight` counts the requests without an answer at that moment, this one included."""

    number: int
    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    in_flight: int

    @property
    def json(self) -> dict[str, Any]:
        """The body as the object it is."""
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a chat-completions request."""
        messages: list[dict[str, Any]] = self.json["messages"]
        return messages

    @property
    def system(self) -> str:
        """The system prompt, empty when there is none."""
        return next((_text(message) for message in self.messages if message["role"] in ("system", "developer")), "")

    @property
    def turn(self) -> int:
        """From 1: the replies the history holds, and this one."""
        return 1 + len([message for message in self.messages if message["role"] == "assistant"])

    def line(self) -> str:
        """The request as a line of the log; keys are told by their last four characters."""
        headers = dict(self.headers)
        if "authorization" in headers:
            headers["authorization"] = f"...{headers['authorization'][-4:]}"
        said = {"number": self.number, "at": self.at, "method": self.method, "path": self.path, "in_flight": self.in_flight}
        return json.dumps({**said, "headers": headers, "body": self.body.decode("utf-8", "replace")})


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. A `body` that is an object is sent as JSON. `delay` is the seconds until the first byte."""

    status: int = 200
    body: bytes | str | dict[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    fault: Fault | None = None


Brain = Callable[[Asked], Answer]


def says(content: str | None = None, *calls: dict[str, Any], model: str = "loopback", delay: float = 0.0) -> Answer:
    """A completion with a content, tool calls (of `call`), or both; usage counts words."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = list(calls)
    words = len((content or "").split()) + sum(len(each["function"]["arguments"].split()) + 1 for each in calls)
    body = {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words},
    }
    return Answer(body=body, delay=delay)


def call(call_id: str, name: str, /, **arguments: Any) -> dict[str, Any]:
    """A tool call of a completion."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def fails(status: int, message: str = "an injected error", *, headers: Mapping[str, str] | None = None, code: str = "") -> Answer:
    """An error in OpenAI's form."""
    error = {"message": message, "type": code or "error", "code": code or None}
    return Answer(status=status, body={"error": error}, headers=headers or {})


def calculator_brain(asked: Asked) -> Answer:
    """Plays both agents of the calculator sample: the assistant that delegates, and the operator that adds.

    The assistant asks for 3 + 4 and 5 + 3 in one reply, then for the sum of the results, then answers with the last number.
    """
    results = [_text(message) for message in asked.messages if message["role"] == "tool"]
    if "calculator operator" in asked.system:
        if results:
            return says(_last_number(results[-1]) or results[-1])
        task = next(_text(message) for message in reversed(asked.messages) if message["role"] == "user")
        a, b = (_number(text) for text in _NUMBER.findall(task)[:2])
        return says(None, call(f"add_{a}_{b}", "add", a=a, b=b))
    delegate = "delegate_to_calculator_operator"
    if not results:
        first = call("first", delegate, message="add 3 and 4")
        return says("I add both pairs first.", first, call("second", delegate, message="add 5 and 3"))
    numbers = [_last_number(text) for text in results]
    if None in numbers or len(numbers) not in (2, 3):
        return fails(400, f"the calculator brain cannot go on from these results: {results}")
    if len(numbers) == 2:
        return says(None, call("third", delegate, message=f"add {numbers[0]} and {numbers[1]}"))
    return says(numbers[2])


def scripted_brain(script: Mapping[str, Any]) -> Brain:
    """The brain a JSON script describes: `{"rules": [{"when": {...}, "reply": {...}}]}`; the first rule that matches answers.

    `when` may name `system`, `last`, `any` (texts that must occur there) and `turn` (from 1). `reply` may hold `content`,
    `tool_calls` (`{name, arguments, id}`), `delay` (seconds), `status`, `error`, `headers`, `body`, `fault`.
    """
    rules: list[dict[str, Any]] = script["rules"]

    def brain(asked: Asked) -> Answer:
        for rule in rules:
            if _matches(rule.get("when") or {}, asked):
                return _ruled(rule["reply"], asked)
        return fails(400, f"no rule matches; the last message is: {_text(asked.messages[-1])[:200]}")

    return brain


class ModelServer:
    """Serves a brain on 127.0.0.1 from entering to leaving; `brain` may be exchanged at any time."""

    def __init__(self, brain: Brain, *, port: int = 0, log: Path | None = None, latency: float = 0.0) -> None:
        self.brain = brain
        self.latency = latency
        self.requests: list[Asked] = []
        """The requests of models, in the order they came; `checks` has those that ask for the list of models."""
        self.checks: list[Asked] = []
        self.paths: tuple[str, ...] = ("/chat/completions",)
        """How the paths end that the brain answers."""
        self.connections = 0
        self._port = port
        self._log_path = log
        self._log: TextIO | None = None
        self._in_flight = 0
        self._arrived = asyncio.Condition()
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """What goes into `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def most_in_flight(self) -> int:
        """The most requests there were without an answer at one moment."""
        return max((asked.in_flight for asked in self.requests), default=0)

    async def arrived(self, count: int, *, timeout: float = 10.0) -> list[Asked]:
        """The requests, as soon as there are so many; raises TimeoutError."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def __aenter__(self) -> ModelServer:
        if self._log_path is not None:
            self._log = self._log_path.open("a", buffering=1, encoding="utf-8")
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=64 * 1024 * 1024, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()
        if self._log is not None:
            self._log.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._serve(reader, writer):
                    pass
        except asyncio.CancelledError:
            # Leaving the server ends its connections; on 3.11 a handler that ends as cancelled is reported as an error.
            writer.transport.abort()
        finally:
            self._handlers.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is over."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await _read_body(reader, headers)
        self._in_flight += 1
        try:
            answer = await self._answer(method, path, headers, body)
            latency = self.latency + answer.delay
            if latency:
                await asyncio.sleep(latency)
            return await _send(answer, reader, writer)
        finally:
            self._in_flight -= 1

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        about_models = method == "GET" and path.split("?")[0].endswith("/models")
        kept = self.checks if about_models else self.requests
        asked = Asked(len(kept) + 1, time.time(), method, path, headers, body, self._in_flight)
        async with self._arrived:
            kept.append(asked)
            self._arrived.notify_all()
        if self._log is not None:
            self._log.write(asked.line() + "\n")
        if about_models:
            return self.models(asked)
        return self.routed(asked)

    def routed(self, asked: Asked) -> Answer:
        """The answer to all else; a server of something other than models has its own."""
        if asked.method != "POST" or not asked.path.split("?")[0].endswith(self.paths):
            return fails(404, f"nothing is at {asked.method} {asked.path}")
        return self.brain(asked)

    def models(self, asked: Asked) -> Answer:
        """The answer to the list of models; tests set another in its place."""
        return Answer(body={"object": "list", "data": [{"id": "loopback", "object": "model", "created": 0, "owned_by": "tests"}]})


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        chunks = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            chunks.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(chunks)
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def _send(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    if answer.fault == "reset":
        _reset(writer)
        return False
    if answer.fault == "silence":
        await reader.read()
        return False
    if answer.fault == "garbage":
        writer.write(b"\x00\x01 this is not HTTP \xff\r\n\r\n")
        await writer.drain()
        return False
    body = answer.body
    if isinstance(body, dict):
        body = json.dumps(body)
    data = body.encode() if isinstance(body, str) else body
    kind = "application/json" if isinstance(answer.body, dict) else "text/plain; charset=utf-8"
    headers = {"content-type": kind, **{name.lower(): value for name, value in answer.headers.items()}}
    headers["content-length"] = str(len(data))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    cut = data[: len(data) // 2] if answer.fault else data
    writer.write(f"HTTP/1.1 {answer.status} Because\r\n{head}\r\n".encode("latin-1") + cut)
    await writer.drain()
    if answer.fault == "reset_mid_body":
        _reset(writer)
    return answer.fault is None


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST instead of FIN."""
    import socket
    import struct

    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _last_number(text: str) -> str | None:
    found = _NUMBER.findall(text)
    return found[-1] if found else None


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return content or ""


def _matches(when: Mapping[str, Any], asked: Asked) -> bool:
    return (
        when.get("system", "") in asked.system
        and when.get("last", "") in _text(asked.messages[-1])
        and ("any" not in when or any(when["any"] in _text(message) for message in asked.messages))
        and when.get("turn", asked.turn) == asked.turn
    )


def _ruled(reply: Mapping[str, Any], asked: Asked) -> Answer:
    delay = float(reply.get("delay", 0.0))
    headers = reply.get("headers", {})
    if "error" in reply:
        said = fails(int(reply.get("status", 500)), str(reply["error"]), headers=headers)
        return Answer(said.status, said.body, headers, delay, reply.get("fault"))
    if "body" in reply:
        return Answer(int(reply.get("status", 200)), reply["body"], headers, delay, reply.get("fault"))
    calls = [
        call(each.get("id") or f"call_{asked.turn}_{number}", each["name"], **each.get("arguments", {}))
        for number, each in enumerate(reply.get("tool_calls", ()), 1)
    ]
    said = says(reply.get("content"), *calls)
    return Answer(int(reply.get("status", 200)), said.body, headers, delay, reply.get("fault"))


async def _run(options: argparse.Namespace) -> None:
    brain = calculator_brain if options.script is None else scripted_brain(json.loads(options.script.read_text()))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ModelServer(brain, port=options.port, log=options.log, latency=options.latency) as server:
        print(server.base_url, flush=True)
        await stop.wait()


def main(words: list[str] | None = None) -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="a loopback OpenAI-compatible server for tests")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--script", type=Path, help="rules as JSON; without it the calculator sample is played")
    parser.add_argument("--log", type=Path, help="append a line of JSON a request")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    asyncio.run(_run(parser.parse_args(words)))


if __name__ == "__main__":
    main(sys.argv[1:])
