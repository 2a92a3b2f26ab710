"""A raw HTTP client: what the model's server can do by itself, so that it is known never to be what is measured.

Arguments: URL, connections, seconds. Each connection has one request out at a time. Prints requests a second.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from urllib.parse import urlsplit

_BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "system", "content": "count"}, {"role": "user", "content": "agent:raw:"}]})
_REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY.encode())


def main() -> None:
    """Ask as fast as answers come."""
    host, connections, seconds = urlsplit(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    poll = select.epoll()
    sockets = {}
    for _ in range(connections):
        each = socket.create_connection((host.hostname or "", host.port or 0))
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[each.fileno()] = (each.recv, each.send)
        poll.register(each, select.EPOLLIN)
    for _, send in sockets.values():
        send(_REQUEST)
    answers, began = 0, time.perf_counter()
    until = began + seconds
    while time.perf_counter() < until:
        for number, _ in poll.poll():
            receive, send = sockets[number]
            receive(65536)  # an answer is small enough to come whole, and none is asked for before it came
            send(_REQUEST)
            answers += 1
    print(round(answers / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
