"""The benchmark's model: a loopback chat-completions server with replies made before the first request.

An agent of N turns asks for a tool N times and then is done; which turn a request is, its own messages tell. A user message holds
`agent:NAME:`, so that the server knows who asks and can say how long each agent took from a reply to its next request.
It is one thread over epoll, so that it is never what is measured (`hammer.py` shows that). Prints its base URL.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import select
import socket
import time
from array import array
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_LARGEST_READ = 1 << 20


def cpu_s(pid: int) -> float:
    """The processor time of a process, of threads that have ended too, in seconds (the clock of clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def reply(turn: int, last: int, tool: str, arguments: dict[str, Any] | None = None) -> bytes:
    """The answer to the request of a turn, from 0; after `last` turns the agent is done. `arguments` None: two numbers."""
    given = {"a": turn, "b": 1} if arguments is None else arguments
    call = {"id": f"call_{turn + 1}", "type": "function", "function": {"name": tool, "arguments": json.dumps(given)}}
    asks = turn < last
    message = {"role": "assistant", "content": None, "tool_calls": [call]} if asks else {"role": "assistant", "content": "done"}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if asks else "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return _http(json.dumps(body).encode())


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Model:
    """The server; `serve` until ended. Times are those of the monotonic clock, which all processes of a machine share."""

    def __init__(self, *, turns: int, latency_s: float, tool: str, arguments: dict[str, Any] | None = None) -> None:
        self._replies = [reply(turn, turns, tool, arguments) for turn in range(turns + 1)]
        self._latency_s = latency_s
        self._poll = select.epoll()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.EPOLLIN)
        self._open: dict[int, socket.socket] = {}
        self._held: dict[int, bytes] = {}
        self._due: list[tuple[float, int, int, bytes, bytes]] = []
        self._order = 0
        self._answers: list[tuple[int, bytes, bytes]] = []  # sent together: waking the other side for each one costs more than the rest
        self._forget(0)

    @property
    def base_url(self) -> str:
        """What goes into `base_url`."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def serve(self) -> None:
        """Answer for ever."""
        listening = self._listener.fileno()
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else -1
            for number, _ in self._poll.poll(wait):
                if number == listening:
                    self._accept()
                else:
                    self._read(number)
            while self._due and self._due[0][0] <= time.monotonic():
                self._answers.append(heapq.heappop(self._due)[2:])
            for number, answer, agent in self._answers:
                self._send(number, answer, agent)
            self._answers.clear()

    def _forget(self, watched: int) -> None:
        self._requests = 0
        self._first_at = 0.0
        self._asked_at: dict[bytes, float] = {}
        self._replied_at: dict[bytes, float] = {}
        self._pauses = array("d")
        self._watched = watched
        self._cpu: list[tuple[int, float]] = []

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open[connection.fileno()] = connection
            self._held[connection.fileno()] = b""
            self._poll.register(connection, select.EPOLLIN)

    def _read(self, number: int) -> None:
        try:
            data = self._open[number].recv(_LARGEST_READ)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._poll.unregister(number)
            self._open.pop(number).close()
            del self._held[number]
            return
        if self._held[number]:
            data = self._held[number] + data
        end = data.find(b"\r\n\r\n") + 4
        if end >= 4:
            head = data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 : head.index(b"\r", at)]) if at >= 0 else 0
            if len(data) >= end + length:
                self._held[number] = b""
                self._answer(number, data, end)
                return
        self._held[number] = data

    def _answer(self, number: int, data: bytes, body: int) -> None:
        if data.startswith(b"GET "):
            self._open[number].sendall(_http(json.dumps(self._told(data.split(b" ", 2)[1].decode())).encode()))
            return
        now = time.monotonic()
        self._requests += 1
        at = data.find(b"agent:", body)
        agent = data[at : data.find(b":", at + 6)]
        last = data.rfind(b'"call_', body)
        turn = int(data[last + 6 : data.index(b'"', last + 6)]) if last >= 0 else 0
        before = self._replied_at.get(agent)
        if before is None:
            self._first_at = self._first_at or now
        else:
            self._pauses.append(now - before)
        self._asked_at[agent] = now
        if self._watched:
            self._cpu.append((turn, cpu_s(self._watched)))
        answer = self._replies[min(turn, len(self._replies) - 1)]
        if self._latency_s:
            self._order += 1
            heapq.heappush(self._due, (now + self._latency_s, self._order, number, answer, agent))
        else:
            self._answers.append((number, answer, agent))

    def _send(self, number: int, answer: bytes, agent: bytes) -> None:
        connection = self._open.get(number)
        if connection is not None:
            connection.send(answer)
            self._replied_at[agent] = time.monotonic()

    def _told(self, path: str) -> Any:
        """The bench asks: `/figures`, `/reset?watch=PID` (0: nobody), `/asked?agent=NAME`; clients ask for `/v1/models`."""
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/reset":
            self._forget(int(query.get("watch", 0)))
        if parts.path == "/asked":
            return self._asked_at.get(f"agent:{query['agent']}".encode(), 0.0)
        if parts.path == "/figures":
            pauses = list(self._pauses)
            return {"requests": self._requests, "first_at": self._first_at, "pauses_s": pauses, "cpu_at_turn": self._cpu}
        return {"object": "list", "data": []}


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds from a request to its reply")
    parser.add_argument("--tool", default="add")
    parser.add_argument("--arguments", type=json.loads, help="of each call, a JSON object; two numbers when not given")
    given = parser.parse_args()
    model = Model(turns=given.turns, latency_s=given.latency, tool=given.tool, arguments=given.arguments)
    print(model.base_url, flush=True)
    os.close(1)
    model.serve()


if __name__ == "__main__":
    main()
