"""What a person reads before deciding: arguments, what hides in them, why it is asked, what happened before, what comes of it.

The one rule: whatever a model, a tool or a file said is made visible here, and stands after a bar or in its own pane, not among our words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from smallchain.model.outcomes import decided
from smallchain.protocol.text import mixed_script_words, one_line, sanitised, visible
from smallchain_tui.viewmodel.arguments import compared, texts_in, written
from smallchain_tui.viewmodel.rows import RequestRow, moment
from smallchain_tui.viewmodel.words import age, clock, span

_MOST_WORDS = 5


class Row(NamedTuple):
    """A line, already visible: what stands before it, its text, and the name of its colour."""

    gutter: str
    text: str
    colour: str = ""


def argument_rows(arguments: Any, *, exact: bool = False) -> list[Row]:
    """The arguments as numbered lines of YAML; `exact`: each text as Python writes it. What is no object is shown as it came."""
    if isinstance(arguments, Mapping):
        text = _exactly(arguments) if exact else written(dict(arguments))
    elif arguments is None:
        return [Row("  ", "no arguments", "muted")]
    else:
        text = repr(arguments) if exact else visible(str(arguments), multiline=True)
    lines = text.splitlines() or [""]
    wide = len(str(len(lines)))
    return [Row(f"{number:>{wide}}  ", line) for number, line in enumerate(lines, 1)]


def fields_word(arguments: Any) -> str:
    """How much there is: `5 fields, 1.9 kB`."""
    if not isinstance(arguments, Mapping):
        return ""
    size = len(written(dict(arguments)).encode())
    shown = f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB"
    return f"{len(arguments)} {'field' if len(arguments) == 1 else 'fields'}, {shown}"


def hiding(row: RequestRow) -> str:
    """What cannot be seen in a request: `sanitised: 3`, `mixed alphabets: pаypal`; empty where nothing hides."""
    texts = texts_in([row.question, row.why, row.arguments, list(row.choices), row.tool, row.path])
    told = []
    if hidden := sum(map(sanitised, texts)):
        told.append(f"sanitised: {hidden} (r writes it out)")
    if mixed := list(dict.fromkeys(word for text in texts for word in mixed_script_words(text))):
        told.append(f"mixed alphabets: {', '.join(mixed[:_MOST_WORDS])}")
    return "  ".join(told)


def waiting(row: RequestRow, now: datetime) -> str:
    """`waits 4m, expires in 55m, then deny`."""
    told = [f"waits {age(row.created_at, now)}"]
    if row.expires_at is not None:
        left = row.expires_at - now
        told.append(
            f"expires in {span(left)}, then {row.on_expiry or 'the model is told'}" if left.total_seconds() > 0 else "its time is over"
        )
    return ", ".join(told)


def diff_rows(before: Mapping[str, Any], after: Mapping[str, Any], *, title: str) -> list[Row]:
    """What differs between two sets of arguments, line by line."""
    lines = compared(written(dict(before)), written(dict(after)))
    if not lines:
        return [Row("", f"{title}: nothing differs", "muted")]
    colours = {"-": "removed", "+": "added", "~": "muted", " ": ""}
    return [Row("", title, "muted"), *(Row(f"{line.sign} ", line.text, colours[line.sign]) for line in lines)]


def difference_rows(row: RequestRow, *, exact: bool = False) -> list[Row]:
    """What changed of a tool's description and schema: lines that went and came, each with its sign."""
    rows = [Row("", ""), Row("", "what changes of its description and its schema", "muted")]
    for line in row.difference:
        sign, rest = line[:1], line[1:]
        colour = {"-": "removed", "+": "added"}.get(sign, "")
        rows.append(Row(f"{sign if colour else ' '} ", ascii(rest) if exact else one_line(rest), colour))
    return rows


def context_rows(row: RequestRow, before: Sequence[RequestRow] | None, *, outcomes: bool = True, local: bool = False) -> list[Row]:
    """Why it is asked, what each answer leads to, and what was decided before (None: not known) about the same tool in the same run."""
    rows: list[Row] = []
    wide = 0
    if row.why:
        rows += [Row("", "why, in the model's words", "muted"), *_barred(row.why), Row("", "")]
    rows.append(Row("", "why it is asked" if row.rule else "who asks", "muted"))
    rows += [Row("  ", one_line(row.rule))] if row.rule else []
    rows.append(Row("  ", one_line(row.path or row.run), "muted"))
    if row.outcomes and outcomes:
        rows += [Row("", ""), Row("", "what comes of it", "muted")]
        wide = max(len("nobody"), *(len(verb) for verb in row.outcomes))
        rows += [Row(f"  {one_line(verb).replace('_', ' '):<{wide}}  ", one_line(what)) for verb, what in row.outcomes.items()]
    if row.expires_at is not None:
        lead = f"  {'nobody':<{wide}}  " if outcomes else "  nobody: "
        rows.append(Row(lead, f"at {clock(row.expires_at, local=local)}: {one_line(row.on_expiry) or 'the model is told'}"))
    rows += _history(row, before, local=local) if before is not None else []
    rows += _told(row)
    return rows


def grant_rows(tool: str, run: str) -> list[Row]:
    """What `always in this run` would write down, where it is listed, when it ends, and how it is taken back."""
    return [
        Row("", "this would be written down", "muted"),
        Row("| ", f"{one_line(tool)} runs in run {one_line(run)!r} without being asked about, whatever its arguments", "waiting"),
        Row("", ""),
        Row("listed   ", "smallchain get grants"),
        Row("ends     ", "with the run; no deny rule gives way to it"),
        Row("revoked  ", "smallchain revoke ID, from the next call on"),
    ]


def choice_lines(labels: Sequence[str], chosen: int | None) -> list[Row]:
    """Numbered answers; the chosen one is marked by a sign, not by colour alone."""
    return [
        Row(f"{'>' if index == chosen else ' '} {index + 1}  ", one_line(label), "waiting bold" if index == chosen else "")
        for index, label in enumerate(labels[:9])
    ]


def _history(row: RequestRow, before: Sequence[RequestRow], *, local: bool) -> list[Row]:
    same = [each for each in before if each.id != row.id and each.tool == row.tool and each.run_id == row.run_id and not each.is_open]
    if not row.tool:
        return []
    counts: dict[str, int] = {}
    for each in same:
        counts[_verdict(each)] = counts.get(_verdict(each), 0) + 1
    told = ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing decided yet"
    rows = [Row("", ""), Row("", f"this tool in this run: {told}", "muted")]
    for each in same[-3:]:
        note = f": {one_line(each.note, cells=60)}" if each.note else ""
        rows.append(Row("  ", f"{clock(each.answered_at, local=local)} {_verdict(each)} by {one_line(each.answered_by) or 'nobody'}{note}"))
    return rows


def _told(row: RequestRow) -> list[Row]:
    deliveries = row.item.get("deliveries")
    if not isinstance(deliveries, list) or not deliveries:
        return []
    rows = [Row("", ""), Row("", "where it was told", "muted")]
    for each in deliveries[:5]:
        if isinstance(each, Mapping):
            at = clock(moment(each, "delivered_at"))
            rows.append(Row("  ", one_line(f"{each.get('channel')}: {each.get('phase')} {at} {each.get('detail') or ''}".rstrip())))
    return rows


def _verdict(row: RequestRow) -> str:
    if row.phase == "answered" and isinstance(row.answer, dict):
        return decided(row.answer)
    return row.phase


def _barred(text: str) -> list[Row]:
    return [Row("| ", line) for line in visible(text, multiline=True).split("\n")]


def _exactly(value: Any, indent: str = "") -> str:
    if isinstance(value, Mapping):
        return (
            "\n".join(f"{indent}{_ascii(name)}: {_exactly(inner, indent + '  ').lstrip()}" for name, inner in value.items())
            or f"{indent}{{}}"
        )
    if isinstance(value, list):
        return "\n" + "\n".join(f"{indent}- {_exactly(inner, indent + '  ').lstrip()}" for inner in value) if value else "[]"
    return _ascii(value)


def _ascii(value: Any) -> str:
    return ascii(value) if isinstance(value, str) else str(value)
