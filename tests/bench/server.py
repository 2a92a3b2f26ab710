"""The benchmark's model: a loopback chat-completions server with replies made before the first request, and no latency.

An agent of N turns asks for `add` N times and then is done; which turn a request is, its own messages tell. Prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import sys


def _reply(turn: int, last: int) -> bytes:
    call = {"id": f"call_{turn}", "type": "function", "function": {"name": "add", "arguments": json.dumps({"a": turn, "b": 1})}}
    asks = turn < last
    message = {"role": "assistant", "content": None, "tool_calls": [call]} if asks else {"role": "assistant", "content": "done"}
    body = json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if asks else "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class _Model(asyncio.Protocol):
    def __init__(self, replies: list[bytes]) -> None:
        self._replies = replies
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self._held) < whole:
                return
            turn = self._held[end:whole].count(b'"role":"assistant"')
            self._held = self._held[whole:]
            self._transport.write(self._replies[min(turn, len(self._replies) - 1)])  # type: ignore[attr-defined]


async def main() -> None:
    """Serve agents of the number of turns given as the first argument, until ended."""
    turns = int(sys.argv[1])
    replies = [_reply(turn, turns) for turn in range(turns + 1)]
    server = await asyncio.get_running_loop().create_server(lambda: _Model(replies), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
