"""A daemon's answers about one run that delegated, asked and spent: for tests of the screens of a run and of the things in it."""

from __future__ import annotations

import json
from typing import Any

from support.dashboard import request, run, serve
from support.fakedaemon import FakeDaemon
from support.tuirows import call_item

NAME = "blog-7"
CHILD = f"{NAME}/writer-1"
REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Create a blog post"}]}
REPLY = '{"choices": [{"message": {"content": "The draft is done."}}]}'


def message(seq: int, role: str, content: Any, **fields: Any) -> dict[str, Any]:
    """A message of a transcript."""
    nothing = dict.fromkeys(("tool_call_id", "tool", "template", "attempt", "finish_reason", "llm", "model", "cost_usd"))
    time = f"2026-11-23T08:59:{seq:02d}.000000Z"
    return {"seq": seq, "time": time, "role": role, "content": content, "tool_calls": [], "ours": False} | nothing | fields


def modelcall(attempt: int, **fields: Any) -> dict[str, Any]:
    """A model call of a described run."""
    times = {"started_at": "2026-11-23T08:59:02.000000Z", "finished_at": "2026-11-23T08:59:04.900000Z"}
    told = {"turn": attempt, "attempt": attempt, "llm": "fast", "model": "gpt-4o", "outcome": "replied", "error": None}
    return told | {"input_tokens": 600, "output_tokens": 11, "cached_tokens": 0, "cost_usd": "0.0018"} | times | fields


def messages() -> list[dict[str, Any]]:
    """What was said: a question, two calls, a result, a sentence of ours, an answer."""
    calls = [
        {"id": "call_w", "name": "delegate_to_writer", "arguments": '{"message": "write it"}'},
        {"id": "call_p", "name": "publish_post", "arguments": '{"title": "AI news", "dry_run": false}'},
    ]
    by_model = {"attempt": 1, "llm": "fast", "model": "gpt-4o", "finish_reason": "tool_calls", "cost_usd": "0.0018"}
    return [
        message(1, "system", "You are the manager."),
        message(2, "user", "Create a blog post and promote it"),
        message(3, "assistant", "First the draft, then the post.", tool_calls=calls, **by_model),
        message(4, "tool", "the draft\nof two lines", tool="delegate_to_writer", tool_call_id="call_w"),
        message(5, "user", "You have 2 turns left.", ours=True, template="turns_left"),
    ]


def calls() -> list[dict[str, Any]]:
    """One that made a child, one that waits for an approval."""
    return [
        call_item("0199-writer", NAME, tool="delegate_to_writer", asked_id="call_w", child=CHILD, run_id=f"id-of-{NAME}"),
        call_item(
            "0199-publish",
            NAME,
            tool="publish_post",
            asked_id="call_p",
            phase="awaiting_approval",
            arguments={"title": "AI news", "dry_run": False},
            result=None,
            finished_at=None,
            run_id=f"id-of-{NAME}",
        ),
    ]


def blog(fake: FakeDaemon, **fields: Any) -> list[dict[str, Any]]:
    """Let a fake daemon have the run and its child; returns its list of runs, which may be changed."""
    detail = "for an approval of publish_post"
    parent = run(NAME, "Waiting", detail=detail, agent="manager", cost_usd="0.20", tree_cost_usd="0.28", turns=3, **fields)
    more = {"parent": NAME, "parent_id": f"id-of-{NAME}", "root": NAME, "root_id": f"id-of-{NAME}", "depth": 1}
    child = run(CHILD, "Succeeded", agent="writer", cost_usd="0.08", output="the draft", **more)
    runs = [parent, child]
    serve(fake, runs=runs, requests=[request("request-1", NAME, toolcall_id="0199-publish")])
    related: dict[str, Any] = {
        "toolcalls": calls(),
        "children": [child],
        "requests": [],
        "events": [],
        "pins": [],
        "modelcalls": [modelcall(1)],
    }
    answers: dict[str, Any] = {
        f"/v1/describe/run/{NAME}": {"item": parent, "related": related},
        f"/v1/transcript/{NAME}": {"run": parent, "messages": messages()},
        f"/v1/describe/run/{CHILD}": {"item": child, "related": {"toolcalls": [], "modelcalls": []}},
        f"/v1/transcript/{CHILD}": {"run": child, "messages": [message(1, "user", "write it")]},
        "/v1/toolcalls": {"items": calls(), "next": None},
        "/v1/budgets": {"items": []},
        "/v1/spend": {"items": [{"kind": "spend", "hour": "2026-11-23T08:00:00Z", "llm": "fast", "agent": "manager", "run": NAME, "calls": 1, "cost_usd": "0.20"}]},
        "/v1/describe/toolcall/0199-publish": {"item": calls()[1], "related": {"attempts": []}},
        f"/v1/exchange/{NAME}": modelcall(1) | {"run": NAME, "request": json.dumps(REQUEST), "reply": REPLY},
    }  # fmt: skip
    for path, answer in answers.items():
        fake.answers["GET", path] = answer
    return runs
