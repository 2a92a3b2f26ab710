"""MCP servers as a person has them: the installed programs, `kill -9`, and changed tools in the inbox."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from support.daemon import PATIENCE_S, Daemon
from support.mcpservers import raw, relist, tool


def file(command: tuple[str, ...], *replies: dict[str, Any], run: str = "monday", **words: Any) -> str:
    """A file with a server, an agent that uses it, and a run."""
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": [*replies, {"content": "done"}]}],
            "mcp_servers": [{"name": "raw", "command": list(command), "isolation": "none"} | words],
            "agents": [{"name": "assistant", "tools": [{"mcp": "raw"}]}],
            "tasks": [{"name": "sums", "agent": "assistant", "user_message": "go"}],
            "runs": [{"name": run, "task": "sums"}],
        }
    )


def asks(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def gone(pid: int) -> bool:
    """Whether a process has ended, within a while."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_killed_daemon_leaves_no_server_behind_and_the_next_one_ends_what_left_its_group(daemon: Daemon) -> None:
    daemon.drop("raw.yaml", file(raw(daemon.folder, "child"), asks("raw__child"), effects="none"))
    daemon.start()
    daemon.over("monday")
    (server,) = daemon.items("mcp_servers")
    (call,) = daemon.items("toolcalls")
    daemon.kill()

    assert gone(server["pid"])
    daemon.start()
    assert gone(int(call["result"]))


def test_a_server_is_shown_with_its_tools_and_its_last_lines(daemon: Daemon) -> None:
    daemon.drop("raw.yaml", file(raw(daemon.folder, tool("echo", "says \x1b[2J it again"), "flood"), asks("raw__flood")))
    daemon.start()
    daemon.over("monday")

    table = daemon.cli("get", "mcp_servers").stdout.splitlines()
    wide = daemon.cli("get", "mcp_servers", "-o", "wide").stdout.splitlines()
    described = daemon.cli("describe", "mcp_server", "raw").stdout
    (item,) = daemon.items("mcp_servers")

    assert table[0].split() == ["NAME", "TRANSPORT", "STATUS", "TOOLS", "RESTARTS", "DETAIL"]
    assert table[1].split() == ["raw", "stdio", "Ready", "2", "0", "-"]
    assert str(item["pid"]) in wide[1]
    assert item["tools"] == ["echo", "flood"]
    assert "\x1b" not in described
    assert "raw__echo" in described
    assert "accepted" in described
    assert "noise noise" in described
    assert daemon.cli("get", "tools").returncode == 0


def test_a_changed_tool_is_shown_in_the_inbox_as_a_difference_and_accepted_there(daemon: Daemon) -> None:
    command = raw(daemon.folder, tool("echo", "says it again"))
    daemon.drop("raw.yaml", file(command))
    daemon.start()
    daemon.over("monday")
    relist(daemon.folder, tool("echo", "says it again, to me as well"))
    daemon.drop("raw.yaml", file((*command, "again"), asks("raw__echo", a=1), run="tuesday"))
    request = daemon.until(lambda: next((each for each in daemon.items("requests") if each["kind"] == "tool_changed"), None))
    shown = daemon.cli("inbox").stdout

    assert "MCP server 'raw' changed its tool 'echo'" in shown
    assert "  | -says it again\n" in shown
    assert "  | +says it again, to me as well\n" in shown
    assert f"smallchain approve {request['id'][-8:]}" in shown
    done = daemon.cli("approve", request["id"][-8:], "--expect-digest", request["digest"][:16])
    assert done.returncode == 0, done.stderr
    assert "accepted raw__echo as it is now" in done.stdout
    daemon.over("tuesday")
    assert daemon.items("toolcalls")[-1]["result"] == '{"a": 1}'


def test_the_daemon_stops_its_servers_when_it_stops(daemon: Daemon) -> None:
    daemon.drop("raw.yaml", file((sys.executable, *raw(daemon.folder, "echo")[1:])))
    daemon.start()
    daemon.over("monday")
    (server,) = daemon.items("mcp_servers")

    assert daemon.terminate() == 0
    assert gone(server["pid"])
