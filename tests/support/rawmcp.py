"""An MCP server without the SDK, which does all that a server should not: `python rawmcp.py FILE [MODE]`.

`FILE` is JSON: `{"tools": [...]}`; it is read anew each time the tools are listed. MODE is how it begins: `silent` answers nothing, `dies`
ends at once, `stubborn` ignores SIGTERM and the end of its input, `noisy` prints what is no message. What it does when a tool is called
goes by the tool's name.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FILE, MODE = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\nnot really").decode()


def send(**message: Any) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(*texts: str, **more: Any) -> dict[str, Any]:
    """A result that is text."""
    return {"content": [{"type": "text", "text": each} for each in texts], **more}


def call(id: Any, params: dict[str, Any]) -> None:
    """Do what the tool's name says."""
    name, arguments = params["name"], params.get("arguments") or {}
    match name:
        case "die":
            sys.stderr.write("my last words\n")
            os._exit(3)
        case "hang":
            return
        case "huge":
            sys.stdout.write(f'{{"jsonrpc": "2.0", "id": {id}, "result": {{"content": [{{"type": "text", "text": "')
            for _ in range(50):
                sys.stdout.write("x" * (1 << 20))
            sys.stdout.write('"}]}}\n')
            sys.stdout.flush()
        case "lie":
            send(id=id + 1000, result=text("for somebody else"))
            send(id=str(id) + "x", result=text("for nobody"))
        case "flood":
            for _ in range(200):
                sys.stderr.write("noise " * 10_000 + "\n")
            send(id=id, result=text("said much"))
        case "storm":
            for number in range(20_000):
                send(method="notifications/message", params={"level": "info", "data": number})
            send(id=id, result=text("told much"))
        case "change":
            FILE.write_text(json.dumps({"tools": arguments["tools"]}))
            send(method="notifications/tools/list_changed")
            send(id=id, result=text("changed"))
        case "ask":
            send(id="mine", method=arguments["method"], params=arguments.get("params", {}))
            answer = json.loads(sys.stdin.readline())
            send(id=id, result=text(json.dumps(answer)))
        case "meta":
            send(id=id, result=text(json.dumps(params.get("_meta"))))
        case "env":
            send(id=id, result=text(json.dumps(dict(os.environ))))
        case "look":
            seen = {
                "folder": os.getcwd(),
                "home": sorted(os.listdir(os.environ["HOME"])),
                "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.exists("/sys/class/net") else ["lo"],
                "processes": sum(name.isdigit() for name in os.listdir("/proc")),
                "root": os.access("/root", os.R_OK),
            }
            send(id=id, result=text(json.dumps(seen)))
        case "nonsense":
            send(id=id, result={"content": "no list"})
        case "error":
            send(id=id, error={"code": -32602, "message": "unknown \x1b[2J tool"})
        case "fail":
            send(id=id, result=text("it went wrong", isError=True))
        case "child":
            started = subprocess.Popen(["sleep", "600"], start_new_session=True)
            send(id=id, result=text(str(started.pid)))
        case "kinds":
            content = [
                {"type": "text", "text": "first"},
                {"type": "image", "data": PIXEL, "mimeType": "image/png"},
                {"type": "audio", "data": PIXEL, "mimeType": "audio/wav"},
                {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "inside"}},
                {"type": "resource", "resource": {"uri": "file:///b.bin", "blob": PIXEL}},
                {"type": "resource_link", "name": "more", "uri": "file:///c.txt"},
                {"type": "image", "data": "no base64!", "mimeType": "image/png"},
            ]
            send(id=id, result={"content": content, "structuredContent": {"a": 1}})
        case _:
            send(id=id, result=text(json.dumps(arguments)))


def main() -> None:
    """Answer until the input ends."""
    if MODE == "dies":
        sys.stderr.write("no \x1b[31mconfiguration\n")
        sys.exit(7)
    if MODE == "silent":
        time.sleep(600)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "noisy":
        sys.stdout.write("Starting server...\n\n{not json\n")
        sys.stdout.flush()
    while line := sys.stdin.readline():
        message = json.loads(line)
        match message.get("method"):
            case "initialize":
                version = message["params"]["protocolVersion"]
                info = {"name": "raw", "version": "1"}
                send(
                    id=message["id"],
                    result={"protocolVersion": version, "capabilities": {"tools": {"listChanged": True}}, "serverInfo": info},
                )
            case "tools/list":
                send(id=message["id"], result={"tools": json.loads(FILE.read_text())["tools"]})
            case "tools/call":
                call(message["id"], message["params"])
            case "ping":
                send(id=message["id"], result={})
    if MODE == "stubborn":
        time.sleep(600)


if __name__ == "__main__":
    main()
