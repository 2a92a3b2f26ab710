"""An MCP server in one file: a notebook that forgets when it ends. It speaks JSON-RPC, a message a line, over its input and output."""

from __future__ import annotations

import json
import sys
from typing import Any

notes: dict[str, str] = {}
TOOLS = [
    {
        "name": "add_note",
        "description": "Write a note.",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
    {"name": "read_notes", "description": "All notes, oldest first.", "inputSchema": {"type": "object", "properties": {}}},
    {"name": "tear_out", "description": "Throw all notes away.", "inputSchema": {"type": "object", "properties": {}}},
]


def call(name: str, arguments: dict[str, Any], key: str) -> str:
    """Do what a tool does; `key` is the same for all attempts of one call."""
    match name:
        case "add_note":
            notes.setdefault(key, arguments["text"])
            return f"there are {len(notes)} notes"
        case "read_notes":
            return "\n".join(notes.values()) or "(no notes)"
        case "tear_out":
            notes.clear()
            return "all gone"
        case _:
            raise ValueError(f"there is no tool {name}")


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request."""
    match method:
        case "initialize":
            info = {"name": "notebook", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            key = params.get("_meta", {}).get("smallchain/idempotency_key", str(len(notes)))
            return {"content": [{"type": "text", "text": call(params["name"], params.get("arguments", {}), key)}]}
        case _:
            return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        print(
            json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message["method"], message.get("params", {}))}), flush=True
        )
