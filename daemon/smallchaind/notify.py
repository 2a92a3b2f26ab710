"""What a supervisor of ours is told, in the protocol of sd_notify (https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).

A datagram of `NAME=VALUE` lines to the socket that NOTIFY_SOCKET names; where it names none, or nobody listens, nothing is said.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"


def tell(state: str, environ: Mapping[str, str]) -> None:
    """Say a state; a name that begins with `@` is one of Linux's abstract sockets."""
    name = environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return
    address = f"\0{name[1:]}" if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), address)
    except OSError as error:
        log.warning("the supervisor at NOTIFY_SOCKET could not be told %s: %s", state, error)
