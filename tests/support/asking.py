"""A file whose model calls a tool that may need an approval; for tests of rules and people."""

from __future__ import annotations

import json
from typing import Any

RUN = "monday"
PARAMETERS = {"type": "object", "properties": {"title": {"type": "string"}, "amount": {"type": "number"}}, "required": ["title"]}
Words = dict[str, Any]


def publish(**words: Any) -> Words:
    """A tool that the gate carries out, with whatever rules."""
    return {"name": "publish", "executor": {"python": {"command": "unused"}}, "parameters": PARAMETERS} | words


def text(*tools: Words, replies: list[Words], agent: Words | None = None, **top: Any) -> str:
    """A file with a scripted model, an agent with these tools, and a run."""
    listed = [each["name"] for each in tools]
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": replies}],
            "agents": [{"name": "publisher", "tools": listed} | (agent or {})],
            "tools": list(tools),
            "tasks": [{"name": "write", "agent": "publisher", "user_message": "go"}],
            "runs": [{"name": RUN, "task": "write"}],
        }
        | top
    )


def asks(*arguments: Words, says: str = "the draft is ready") -> list[Words]:
    """A model that calls `publish` with these arguments, in one reply, and then is done."""
    return [{"content": says, "tool_calls": [{"name": "publish", "arguments": each} for each in arguments]}, {"content": "done"}]


TITLE = {"title": "Agents"}
