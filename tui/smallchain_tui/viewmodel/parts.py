"""A thing of the daemon as parts to look at: what it is in one line, and documents with a title each; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smallchain.model.sizes import rough_size
from smallchain.protocol.text import one_line
from smallchain_tui.viewmodel.budgets import Budget, one_budget
from smallchain_tui.viewmodel.conversation import exact_dollars
from smallchain_tui.viewmodel.document import read
from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.line import Line, Span, wrapped
from smallchain_tui.viewmodel.raising import how_raised
from smallchain_tui.viewmodel.rows import Item, moment, money, number, sequence, text
from smallchain_tui.viewmodel.starts import schedule_lines
from smallchain_tui.viewmodel.words import clock, span

_TITLES = {"mcp_tools": "Tools"}


@dataclass(frozen=True, slots=True)
class Part:
    """One document. `raw`: the text it was read from, which is what is copied and exported; `why_empty` stands where there is nothing."""

    title: str
    value: Any = None
    raw: str | None = None
    why_empty: str = ""

    @property
    def shown(self) -> Any:
        """The value, or why there is none."""
        return self.value if self.value not in (None, "") else self.why_empty or "(empty)"


@dataclass(frozen=True, slots=True)
class Thing:
    """`name` is what the breadcrumb says. In a wide terminal the part `beside` stands next to the first one."""

    name: str
    facts: tuple[Line, ...]
    parts: tuple[Part, ...]
    item: Item
    run: str = ""
    beside: int = 1


def of_text(title: str, words: str, why_empty: str = "") -> Part:
    """A text, read as JSON where it is some."""
    return Part(title, read(words), words, why_empty)


def toolcall(described: Item, glyphs: Glyphs, *, now: datetime) -> Thing:
    """From `/v1/describe/toolcall`."""
    item, related = _of(described, "item"), _of(described, "related")
    phase = text(item, "phase")
    arguments = item.get("arguments")
    begun, ended = moment(item, "created_at"), moment(item, "finished_at")
    facts: list[Span] = [
        (f"{glyphs.of(phase)} {one_line(phase)}", colour_of(phase)),
        ("  ", ""),
        (one_line(text(item, "tool")), "strong"),
        (f"  run {one_line(text(item, 'run'))}  turn {number(item, 'turn')}", ""),
        (f"  attempts {number(item, 'attempts')}  effects {one_line(text(item, 'effects'))}", "muted"),
        (f"  {clock(begun)}  {span((ended or now) - begun)}" if begun else "", "muted"),
    ]
    lines: list[Line] = [tuple(facts)]
    if detail := text(item, "detail"):
        lines.append(((one_line(detail), "waiting"),))
    if child := text(item, "child"):
        lines.append((("delegated to ", "muted"), (one_line(child), "strong"), (" (enter opens it)", "muted")))
    attempts = [dict(each) for each in sequence(related, "attempts") if isinstance(each, dict)]
    return Thing(
        text(item, "tool"),
        tuple(lines),
        (
            Part(
                "Arguments", read(arguments) if isinstance(arguments, str) else arguments, arguments if isinstance(arguments, str) else None
            ),
            of_text("Result", text(item, "result"), "no result yet" if ended is None else "the result is empty"),
            Part("Attempts", attempts, why_empty="no attempt yet"),
            Part("All", dict(item)),
        ),
        item,
        run=text(item, "run"),
    )


def message(said: Item, exchange: Item | None, run: str, *, why_no_exchange: str = "") -> Thing:
    """From a message of `/v1/transcript`, and the model call it came from (`/v1/exchange`), where it came from one."""
    template = text(said, "template")
    facts: list[Span] = [
        (one_line(text(said, "role") or "?"), "strong"),
        (f"  message {number(said, 'seq')} of run {one_line(run)}", ""),
        (f"  {clock(moment(said, 'time'))}", "muted"),
        (f"  {one_line(text(said, 'tool'))}" if text(said, "tool") else "", "key"),
    ]
    lines: list[Line] = [tuple(facts)]
    if said.get("ours") is True:
        lines.append(
            ((f"ours: this program added it, from template {one_line(template)}" if template else "ours: this program added it", "ours"),)
        )
    content = said.get("content")
    calls = [_call(each) for each in sequence(said, "tool_calls") if isinstance(each, dict)]
    parts = [of_text("Said", content) if isinstance(content, str) else Part("Said", content, why_empty="no text")]
    if calls:
        parts.append(Part("Calls", calls))
    if exchange is not None:
        lines.append(_of_exchange(exchange))
        parts += [of_text("Request", text(exchange, "request"), "none was made"), of_text("Reply", text(exchange, "reply"), "none came")]
    elif why_no_exchange:
        parts.append(Part("Request", why_empty=why_no_exchange))
    parts.append(Part("All", dict(said)))
    return Thing(f"message {number(said, 'seq')}", tuple(lines), tuple(parts), said, run=run)


def exchange(found: Item) -> Thing:
    """From `/v1/exchange`: one model call."""
    parts = (
        of_text("Request", text(found, "request"), "none was made"),
        of_text("Reply", text(found, "reply"), "none came yet"),
        Part("Call", {name: value for name, value in found.items() if name not in ("request", "reply")}),
    )
    return Thing(f"model call {number(found, 'attempt')}", (_of_exchange(found),), parts, found, run=text(found, "run"))


def event(described: Item) -> Thing:
    """From `/v1/describe/event`."""
    item = _of(described, "item")
    level = text(item, "level")
    style = {"WARNING": "waiting", "ERROR": "failed"}.get(level, "muted")
    facts: Line = (
        (one_line(level), style),
        (f"  {one_line(text(item, 'reason'))}", "key"),
        (f"  {one_line(text(item, 'time'))}", "muted"),
        (f"  run {one_line(text(item, 'run'))}" if text(item, "run") else "", ""),
    )
    parts = (Part("Message", text(item, "message"), text(item, "message")), Part("All", dict(item)))
    return Thing(f"event {one_line(text(item, 'id'))}", (facts,), parts, item, run=text(item, "run"))


def resource(
    kind: str, described: Item, glyphs: Glyphs, *, now: datetime, cells: int = 100, local: bool = False, content: str = ""
) -> Thing:
    """From `/v1/describe/<kind>`: whatever has no screen of its own. `content`: what an artifact holds, where it is a text."""
    item, related = _of(described, "item"), _of(described, "related")
    status = text(item, "status") or text(item, "phase")
    facts: Line = (
        (f"{glyphs.of(status)} {one_line(status)}" if status else "", colour_of(status)),
        (f"  {one_line(kind)} ", "muted"),
        (one_line(text(item, "name")), "strong"),
        (f"  {one_line(text(item, 'detail'))}" if text(item, "detail") else "", ""),
        (f"  {one_line(text(item, 'file'))}:{number(item, 'line')}" if text(item, "file") and number(item, "line") else "", "muted"),
    )
    spec = item.get("spec")
    parts = [of_text("Content", content)] if content else []
    parts += [Part("Written", spec)] if isinstance(spec, dict) else []
    if kind == "mcp_server":
        said = "\n".join(map(str, sequence(item, "stderr")))
        parts.append(Part("Stderr", said, said, why_empty="it has said nothing on its stderr"))
    titles = _TITLES | ({"runs": "Stand still at it"} if kind == "budget" else {})
    parts += [Part(titles.get(name, name.replace("_", " ").capitalize()), found) for name, found in related.items() if found]
    parts.append(Part("All", dict(item)))
    lines = [facts, *_around(item)]
    if kind == "budget":
        budget = Budget.of(item)
        lines += [
            *one_budget(budget, cells, glyphs, now=now, local=local),
            *(((line, "muted"),) for line in wrapped(how_raised(budget), cells)),
        ]
    elif kind == "schedule":
        lines += schedule_lines(item, now=now, local=local)
    run = text(item, "run") if kind != "budget" else ""
    return Thing(text(item, "name"), tuple(lines), tuple(parts), item, run=run)


def _around(item: Item) -> list[Line]:
    """What is around a tool when it runs; how an MCP server stands in this life of the daemon; what an artifact is."""
    lines: list[Line] = []
    if fence := text(item, "fence"):
        lines.append((("fence  ", "muted"), (one_line(fence), "")))
    if "restarts" in item:
        process = f"pid {number(item, 'pid')}" if number(item, "pid") else "no process"
        protocol = f"  protocol {one_line(text(item, 'protocol'))}" if text(item, "protocol") else ""
        tools = f"  tools {len(sequence(item, 'tools'))}"
        lines.append(((f"{process}  restarts {number(item, 'restarts')}{protocol}{tools}", ""),))
    if "size_bytes" in item:
        what = f"{rough_size(number(item, 'size_bytes'))}  {one_line(text(item, 'media_type'))}"
        save = f"  smallchain get artifacts {one_line(text(item, 'id')[-8:])} --save FILE"
        lines.append(((what, ""), (f"  of tool {one_line(text(item, 'tool'))}", "key"), (save, "muted")))
    return lines


def _of_exchange(found: Item) -> Line:
    tokens = f"{number(found, 'input_tokens'):,} in, {number(found, 'output_tokens'):,} out"
    begun, ended = moment(found, "started_at"), moment(found, "finished_at")
    return (
        (f"model call {number(found, 'attempt')}", "strong"),
        (f"  {one_line(text(found, 'llm'))} {one_line(text(found, 'model'))}", "key"),
        (f"  {one_line(text(found, 'outcome') or 'out')}  {tokens}", "muted"),
        (f"  {(ended - begun).total_seconds():.1f}s" if begun and ended else "", "muted"),
        (f"  {exact_dollars(money(found, 'cost_usd'))}" if found.get("cost_usd") is not None else "  not priced", "number"),
        (f"  {one_line(text(found, 'error'))}" if text(found, "error") else "", "failed"),
    )


def _call(call: Item) -> Item:
    arguments = call.get("arguments")
    return {**call, "arguments": read(arguments) if isinstance(arguments, str) else arguments}


def _of(described: Item, name: str) -> Item:
    found = described.get(name)
    return found if isinstance(found, dict) else {}


def calls(described: Item) -> Sequence[Item]:
    """The tool calls of a described run."""
    return [each for each in sequence(_of(described, "related"), "toolcalls") if isinstance(each, dict)]


def steps(described: Item) -> Sequence[Item]:
    """The steps of a described run's plan."""
    return [each for each in sequence(_of(described, "item"), "plan") if isinstance(each, dict)]


def work(described: Item) -> Sequence[Item]:
    """What a described run has begun beside itself."""
    return [each for each in sequence(_of(described, "related"), "work") if isinstance(each, dict)]
