"""What was said in a run, as rows: messages, the calls in them, their results; who said it, what it cost, and what we added.

The one rule: a sentence that this program put into a context is marked as ours, and nothing that was said can look like such a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from smallchain.model.money import NANO
from smallchain.protocol.text import cut, one_line, sanitised, visible, visible_json, width
from smallchain_tui.viewmodel.document import read
from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.line import Line, Span, cell, to_right, wrapped
from smallchain_tui.viewmodel.rows import Item, moment, money, number, sequence, text
from smallchain_tui.viewmodel.words import clock, count, span

KINDS = {"system": "muted", "user": "accent", "llm": "strong", "call": "key", "result": "", "ours": "ours"}
"""What a row can be, and its style."""


@dataclass(frozen=True, slots=True)
class Said:
    """One row. `key` names it as long as the run is looked at; `words` is all that was said, raw."""

    key: str
    seq: int
    time: datetime | None
    kind: str
    who: str
    words: str
    note: str
    cost_nanousd: int | None
    template: str
    attempt: int | None
    phase: str
    call: Item | None
    message: Item

    @property
    def hidden(self) -> int:
        """How many characters of it are written out, not shown."""
        return sanitised(self.words)


@dataclass(frozen=True, slots=True)
class Conversation:
    """All rows of a run, oldest first, and what its model calls came to."""

    rows: tuple[Said, ...] = ()
    calls: int = 0
    cost_nanousd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def total(self) -> str:
        """What the conversation came to, in words."""
        tokens = f"{self.input_tokens:,} tokens in, {self.output_tokens:,} out"
        return f"{count(len(self.rows), 'row')}  {count(self.calls, 'model call')}  {tokens}  {exact_dollars(self.cost_nanousd)}"


def conversation(transcript: Item, related: Item) -> Conversation:
    """From `/v1/transcript` and the `related` of `/v1/describe/run`."""
    toolcalls = {text(call, "asked_id"): call for call in _items(related, "toolcalls")}
    attempts = {number(call, "attempt"): call for call in _items(related, "modelcalls")}
    rows: list[Said] = []
    for message in _items(transcript, "messages"):
        rows += _rows(message, toolcalls, attempts)
    return Conversation(
        tuple(rows),
        len(attempts),
        sum(money(call, "cost_usd") for call in attempts.values()),
        sum(number(call, "input_tokens") for call in attempts.values()),
        sum(number(call, "output_tokens") for call in attempts.values()),
    )


def head(said: Said, cells: int, glyphs: Glyphs) -> Line:
    """The row on one line: its number, time, kind, what it says at the beginning, and at the end what it cost."""
    style = KINDS.get("ours" if said.template else said.kind, "")
    cost = exact_dollars(said.cost_nanousd) if said.cost_nanousd is not None else ""
    notes = one_line("  ".join(part for part in (said.note, f"sanitised: {said.hidden}" if said.hidden else "") if part))
    with_cost = cells >= 70
    room = cells - 5 - 10 - 8 - (11 if with_cost else 0)
    noted = cell(notes, min(width(notes), room * 2 // 3), "ours" if said.template else "muted")
    what = room - (width(noted[0]) + 2 if noted[0] else 0)
    spans: list[Span] = [
        to_right(str(said.seq) if said.seq else "", 4, "muted"),
        (" ", ""),
        (clock(said.time), "muted"),
        ("  ", ""),
        cell("ours" if said.template and said.kind == "user" else said.kind, 7, style),
        (" ", ""),
        *_what(said, what, glyphs, style if said.template else ""),
    ]
    if noted[0]:
        spans += [("  ", ""), noted]
    if with_cost:
        spans.append(to_right(cost, 11, "number"))
    return tuple(spans)


def body(said: Said, cells: int) -> list[Line]:
    """All that was said, wrapped, behind a bar."""
    bar: Span = ("     | ", "muted")
    lines = [part for line in visible(said.words, multiline=True).split("\n") for part in wrapped(line.expandtabs(4), cells - 7)]
    return [(bar, (line, "ours" if said.template else "")) for line in lines]


def exact_dollars(nanousd: int) -> str:
    """Money of single calls: four places where two would say nothing; exact enough to add up by eye."""
    if abs(nanousd) < NANO // 10 and nanousd % (NANO // 100):
        return f"${nanousd / NANO:.4f}" if abs(nanousd) >= NANO // 10_000 else f"${nanousd / NANO:.6f}"
    return f"${nanousd / NANO:,.2f}"


def _rows(message: Item, toolcalls: Mapping[str, Item], attempts: Mapping[int, Item]) -> Iterable[Said]:
    template = text(message, "template") or ("ours" if message.get("ours") is True else "")
    content = _content(message.get("content"))
    said = Said(
        key=str(number(message, "seq")),
        seq=number(message, "seq"),
        time=moment(message, "time"),
        kind=text(message, "role") or "?",
        who=text(message, "tool"),
        words=content,
        note=f"ours: template {template}" if template else "",
        cost_nanousd=None,
        template=template,
        attempt=number(message, "attempt") or None,
        phase="",
        call=None,
        message=message,
    )
    if said.kind == "tool":
        yield replace(said, kind="result", call=toolcalls.get(text(message, "tool_call_id")))
        return
    if said.kind != "assistant":
        yield said
        return
    calls = _items(message, "tool_calls")
    spent = money(message, "cost_usd") if message.get("cost_usd") is not None else None
    asked = f"asks for {', '.join(text(call, 'name') for call in calls)}" if calls else ""
    note = _of_attempt(message, attempts.get(said.attempt or 0))
    yield replace(said, kind="llm", who=text(message, "model"), words=content or asked, note=said.note or note, cost_nanousd=spent)
    for place, call in enumerate(calls):
        name, item = text(call, "name"), toolcalls.get(text(call, "id"))
        made = replace(said, key=f"{said.seq}/{place}", kind="call", who=name, words=f"{name}({_arguments(call)})")
        yield replace(made, note=_of_call(item), phase=text(item or {}, "phase"), call=item)


def _of_attempt(message: Item, attempt: Item | None) -> str:
    parts = [text(message, "model")]
    if attempt is not None:
        begun, ended = moment(attempt, "started_at"), moment(attempt, "finished_at")
        if begun and ended:
            seconds = (ended - begun).total_seconds()
            parts.append(f"{seconds:.1f}s" if seconds < 60 else span(ended - begun))
        if tokens := number(attempt, "input_tokens") + number(attempt, "output_tokens"):
            parts.append(f"{tokens:,} tok")
    finish = text(message, "finish_reason")
    return "  ".join(part for part in (*parts, finish if finish not in ("", "stop", "tool_calls") else "") if part)


def _of_call(item: Item | None) -> str:
    if item is None:
        return ""
    child = text(item, "child")
    return "  ".join(part for part in (f"-> {child}" if child else "", text(item, "phase")) if part)


def _what(said: Said, cells: int, glyphs: Glyphs, style: str) -> list[Span]:
    """The middle of a row: of a call its state, its name and its arguments, of anything else how it begins."""
    if said.kind != "call":
        return [cell(one_line(_beginning(said)), cells, style)]
    sign: Span = (f"{glyphs.of(said.phase)} " if said.phase else "", colour_of(said.phase))
    name = cut(one_line(said.who), max(cells - 2, 8))
    rest = cells - width(sign[0]) - width(name)
    return [sign, (name, "key"), cell("  " + in_short(said.words[len(said.who) + 1 : -1]), rest, "muted") if rest > 0 else ("", "")]


def _beginning(said: Said) -> str:
    words = said.words.strip()[:2000]
    first = next((line for line in words.split("\n") if line.strip()), "")
    more = said.words.strip().count("\n")
    led = f"{said.who}: {first}" if said.kind == "result" and said.who else first or "(nothing)"
    return f"{led}  (+{more} lines)" if more else led


def _arguments(call: Item) -> str:
    value = call.get("arguments")
    return value if isinstance(value, str) else visible_json(value)


def in_short(arguments: Any) -> str:
    """Arguments on one line, to recognise them by: `title=AI news  dry_run=false`."""
    value = read(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(value, dict):
        return one_line(arguments if isinstance(arguments, str) else visible_json(value))
    return "  ".join(one_line(f"{key}={each if isinstance(each, str) else visible_json(each)}"[:2000]) for key, each in value.items())


def _content(value: Any) -> str:
    """A message's content: a text, or parts of which the texts are taken and the others shown as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(
            str(part["text"]) if isinstance(part, dict) and isinstance(part.get("text"), str) else visible_json(part) for part in value
        )
    return visible_json(value)


def _items(item: Item, name: str) -> Sequence[Item]:
    return [each for each in sequence(item, name) if isinstance(each, dict)]
