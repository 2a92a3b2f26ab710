"""A daemon's socket that tells events at a rate and nothing else: `python -m bench.eventserver SOCKET`.

It says of itself what the dashboard asks for, has some runs, and streams `first` events at once. A line `RATE COUNT` on its standard input
lets it tell so many more at so many a second; each time it is done, it writes a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smallchain import __version__

FIRST = 500
RUNS = 20
_TICK_S = 0.02


def event(seq: int) -> dict[str, Any]:
    """An event as large as the daemon's are; its sentence begins with its number."""
    run = f"run-{seq % RUNS}"
    return {
        "kind": "event",
        "name": "ToolCallStarted",
        "id": str(seq),
        "seq": seq,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        "level": "INFO",
        "reason": "ToolCallStarted",
        "object": {"kind": "toolcall", "name": "search", "id": f"0199aaaa-0000-7000-8000-{seq // 3:012d}"},
        "message": f"#{seq}. Agent 'researcher' is using tool: search_serper",
        "run": run,
        "run_id": f"0199bbbb-0000-7000-8000-{seq % RUNS:012d}",
    }


def run(number: int) -> dict[str, Any]:
    """A run that goes on."""
    id, name = f"0199bbbb-0000-7000-8000-{number:012d}", f"run-{number}"
    made = "2026-11-23T09:00:00.000000Z"
    told = {
        "kind": "run",
        "name": name,
        "id": id,
        "run": name,
        "run_id": id,
        "root": name,
        "root_id": id,
        "parent": None,
        "parent_id": None,
    }
    how = {
        "status": "Running",
        "phase": "calling_model",
        "paused": False,
        "detail": "calling the model",
        "agent": "researcher",
        "task": "t",
    }
    more = {"output": "", "error": "", "llm": "fast", "depth": 0, "turns": 3, "priority": 0, "cost_usd": "0.41", "tree_cost_usd": "0.41"}
    return {**told, **how, **more, "due_at": None, "created_at": made, "started_at": made, "finished_at": None, "file": ""}


class Server:
    """One socket; each stream gets each event once."""

    def __init__(self) -> None:
        self.last = FIRST
        self.changed = asyncio.Condition()

    async def tell(self, rate: float, count: int) -> None:
        """So many events more, spread over time as evenly as ticks allow."""
        begun, told, loop = asyncio.get_running_loop().time(), 0, asyncio.get_running_loop()
        while told < count:
            due = min(count, int((loop.time() - begun) * rate))
            if due > told:
                async with self.changed:
                    self.last += due - told
                    self.changed.notify_all()
                told = due
            await asyncio.sleep(_TICK_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode()
            url = urlsplit(line.split(" ")[1])
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/v1/events/stream":
                await self.stream(writer, int(asked.get("after", "0")))
            else:
                body = json.dumps(self.answer(url.path, asked)).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()

    async def stream(self, writer: asyncio.StreamWriter, after: int) -> None:
        """Events for ever, and a sign of life at the beginning."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: here\n\n")
        while True:
            seqs = range(after + 1, self.last + 1)
            writer.write("".join(f"id: {seq}\nevent: event\ndata: {json.dumps(event(seq))}\n\n" for seq in seqs).encode())
            await writer.drain()
            after = max(after, self.last if seqs else after)
            async with self.changed:
                while self.last <= after:
                    await self.changed.wait()

    def answer(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        """What is there."""
        if path == "/v1/status":
            return {"version": __version__, "pid": 1, "runs": {}, "stopping": False}
        if path == "/v1/runs":
            return {"items": [run(number) for number in range(RUNS)], "next": None}
        if path == "/v1/events":
            tail, after = int(asked.get("tail", "0")), int(asked.get("after", "0"))
            first = max(after + 1, self.last - tail + 1) if tail else after + 1
            last = min(self.last, first + int(asked.get("limit", "1000")) - 1)
            return {"items": [event(seq) for seq in range(first, last + 1)], "last": self.last}
        return {"items": [], "next": None}


async def main(path: str) -> None:
    """Serve until the standard input ends."""
    server, loop = Server(), asyncio.get_running_loop()
    listening = await asyncio.start_unix_server(server.serve, path)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    while line := await lines.readline():
        rate, count = line.split()
        await server.tell(float(rate), int(count))
        print("told", flush=True)
    listening.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
