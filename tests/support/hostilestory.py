"""Agents, tools and tasks in which every text that somebody else writes is hostile; the runs that they make are the same each time."""

from __future__ import annotations

from typing import Any

from support.hostile import HOSTILE, HOSTILE_LINES

SHOWN = ("\\x1b", "\\u001b", "\\e", "\\x1B", "<U+")
"""How hostile text looks once it is harmless, in tables, JSON and YAML."""
TOOL = "import sys; sys.stdout.buffer.write(b'\\x1b[2J\\xff\\x00\\x9b good\\rbad \\xe2\\x80\\xae'); print(text)"
LOUD = "import sys; sys.stderr.write('\\x1b]52;c;aGk=\\x07 \\u202e no'); sys.exit(3)"
SAID = {"text": HOSTILE_LINES}
STORY: dict[str, Any] = {
    "llms": [
        {
            "name": "script",
            "provider": "scripted",
            "replies": [
                {"when": {"agent": "talker"}, "reply": {"content": HOSTILE_LINES}},
                {"when": {"agent": "refused"}, "reply": {"error": {"status": 400, "message": HOSTILE_LINES}}},
                {"when": {"agent": "slow"}, "reply": {"content": "late", "delay": "1h"}},
                {
                    "when": {"agent": "user 東京", "turn": 1},
                    "reply": {
                        "content": HOSTILE_LINES,
                        "tool_calls": [
                            {"name": "echo", "arguments": SAID},
                            {"name": "loud", "arguments": SAID},
                            {"name": HOSTILE, "arguments": SAID},
                            {"name": "echo", "arguments": f'{{"text": "\\ud800 {{"}} {HOSTILE}'},
                            {"name": "echo", "arguments": '{"text": "half \\ud800"}'},
                            {"name": "delegate_to_talker", "arguments": {"message": HOSTILE}},
                        ],
                    },
                },
                {"when": {"agent": "user 東京", "turn": 2}, "reply": {"content": HOSTILE}},
                {
                    "when": {"agent": "doubter", "turn": 1},
                    "reply": {"tool_calls": [{"name": "hang", "arguments": SAID} for _ in range(4)]},
                },
                {"when": {"agent": "doubter"}, "reply": {"content": "done"}},
                {
                    "when": {"agent": "asker", "turn": 1},
                    "reply": {
                        "content": HOSTILE_LINES,
                        "tool_calls": [
                            {"name": "echo", "arguments": SAID | {HOSTILE: HOSTILE}},
                            {"name": "ask_human", "arguments": {"question": HOSTILE_LINES, "choices": [HOSTILE]}},
                        ],
                    },
                },
                {"when": {"agent": "asker"}, "reply": {"content": HOSTILE}},
            ],
        },
        {"name": "away", "provider": "scripted", "replies": [{"error": {"status": 401, "message": HOSTILE}}]},
        {"name": "closed", "provider": "openai", "model": HOSTILE, "base_url": "http://127.0.0.1:9/v1"},
    ],
    "agents": [
        {
            "name": "user 東京",
            "llm": "script",
            "description": HOSTILE,
            "system_prompt": HOSTILE,
            "tools": ["echo", "loud", {"agent": "talker"}],
        },
        {"name": "talker", "llm": "script", "description": HOSTILE},
        {"name": "refused", "llm": "script"},
        {"name": "slow", "llm": "script"},
        {"name": "doubter", "llm": "script", "tools": ["hang"]},
        {"name": "asker", "llm": "script", "tools": [{"tool": "echo", "approval": "required"}, "ask_human"]},
        {"name": "locked out", "llm": "away"},
        {"name": "caller", "llm": "closed", "system_prompt": HOSTILE},
    ],
    "tools": [
        {
            "name": name,
            "description": HOSTILE_LINES,
            "parameters": {"type": "object", "properties": {"text": {"type": "string", "description": HOSTILE}}, "required": ["text"]},
            "executor": {"python": {"code": code}},
            "effects": effects,
        }
        for name, code, effects in (("echo", TOOL, "none"), ("loud", LOUD, "none"), ("hang", "import time; time.sleep(600)", "once"))
    ],
    "tasks": [
        {"name": task, "agent": agent, "user_message": HOSTILE_LINES}
        for task, agent in (
            ("work", "user 東京"),
            ("talk", "talker"),
            ("fail", "refused"),
            ("wait", "slow"),
            ("doubt", "doubter"),
            ("ask", "asker"),
            ("out", "locked out"),
            ("call", "caller"),
        )
    ],
    "schedules": [{"name": "東京 newyear", "task": "talk", "cron": "0 0 1 1 *", "time_zone": "Asia/Tokyo", "misfire": "skip"}],
}
