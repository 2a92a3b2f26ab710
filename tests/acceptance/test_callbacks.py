"""The callback listener of the daemon as a process: closed unless a port is named, and never a way to the control API."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from support.daemon import Daemon


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listened(pid: int) -> list[str]:
    """The TCP addresses a process listens on, as the kernel writes them (proc(5): state 0A)."""
    inodes = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


def status(port: int, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body=b"{}", headers={"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_no_port_is_open_unless_one_is_named(daemon: Daemon) -> None:
    daemon.start()

    assert listened(daemon.pid) == []


def test_a_named_port_is_open_on_the_loopback_and_leads_to_callbacks_alone(daemon: Daemon) -> None:
    port = free_port()
    daemon.environ["SMALLCHAIN_CALLBACKS"] = str(port)

    daemon.start()

    assert listened(daemon.pid) == [f"0100007F:{port:04X}"]
    assert status(port, "GET", "/v1/status") == 405
    assert status(port, "POST", "/v1/stop") == 404
    assert status(port, "POST", "/callbacks/requests/01936d1e-5c7a-7abc-8def-0123456789ab") == 404
    assert daemon.client().get("/v1/status")["pid"] == daemon.pid
    assert daemon.terminate() == 0


def test_a_port_that_is_taken_is_said_at_the_start(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        daemon.spawn("--callbacks", str(holder.getsockname()[1]))

        assert daemon.ended() == 1
        assert "callbacks can't be heard on port" in daemon.last_words()


def test_what_is_no_port_or_address_is_a_usage_error(daemon: Daemon) -> None:
    for words in (["--callbacks", "70000"], ["--callbacks", "8000", "--callbacks-url", "ftp://x"], ["--callbacks-url", "https://x"]):
        daemon.spawn(*words)

        assert daemon.ended() == 2
