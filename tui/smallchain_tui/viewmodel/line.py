"""A line of a pane as spans of text, each with a style by name; and long text broken into lines by cells.

The one rule: a span's text went through `protocol.text` before it came here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from smallchain.protocol.text import cut, pad, width
from smallchain_tui.viewmodel import glyphs

Span = tuple[str, str]
"""Text, and the name of its style (`STYLES`); the empty name is plain text."""
Line = tuple[Span, ...]

STYLES = ("ink", "muted", "strong", "accent", "ours", "key", "number", "hit", *glyphs.colours())


def text_of(line: Line) -> str:
    """The line without its styles."""
    return "".join(text for text, _ in line)


def cell(text: str, cells: int, style: str = "") -> Span:
    """A cell of a table: exactly so wide, cut where it is longer."""
    return (pad(cut(text, cells), cells), style) if cells > 0 else ("", style)


def to_right(text: str, cells: int, style: str = "") -> Span:
    """A cell whose text stands at its right end, as figures do."""
    short = cut(text, cells)
    return " " * (cells - width(short)) + short, style


def columns(*cells: Span, gap: str = "  ") -> Line:
    """Cells side by side; those of no width leave no gap."""
    spans: list[Span] = []
    for each in cells:
        if each[0]:
            spans += [(gap, ""), each] if spans else [each]
    return tuple(spans)


def flow(groups: Iterable[Line], cells: int, *, gap: str = "  ") -> list[Line]:
    """Groups of spans one after the other, on as many lines as it takes; a group is never broken."""
    lines: list[list[Span]] = []
    left = 0
    for group in groups:
        size = width(text_of(group))
        if not size:
            continue
        if lines and size + len(gap) <= left:
            lines[-1] += [(gap, ""), *group]
            left -= size + len(gap)
        else:
            lines.append([*group])
            left = cells - size
    return [tuple(line) for line in lines]


def wrapped(text: str, cells: int) -> Iterator[str]:
    """One line of text as lines that are at most so wide, broken at spaces where there are any; nothing is left out."""
    cells = max(cells, 8)
    while width(text) > cells:
        fits = cells if text.isascii() else _fitting(text, cells)
        at = text.rfind(" ", cells // 3, fits + 1)
        at = at + 1 if at >= 0 else max(fits, 1)
        yield text[:at].rstrip(" ")
        text = text[at:]
    yield text


def marked(line: Line, words: str, style: str = "hit") -> Line:
    """The line with each occurrence of the words in another style, whatever their case."""
    words, whole = words.casefold(), text_of(line)
    folded = whole.casefold()
    if not words or len(folded) != len(whole) or words not in folded:
        return line
    places: list[tuple[int, int]] = []
    at = folded.find(words)
    while at >= 0:
        places.append((at, at + len(words)))
        at = folded.find(words, at + len(words))
    return tuple(_restyled(line, places, style))


def _restyled(line: Line, places: Iterable[tuple[int, int]], style: str) -> Iterator[Span]:
    hits = iter([*places, (1 << 60, 1 << 60)])
    begin, end = next(hits)
    at = 0
    for text, own in line:
        done = 0
        while done < len(text):
            while end <= at + done:
                begin, end = next(hits)
            inside = begin <= at + done
            stop = min(len(text), (end if inside else begin) - at)
            yield text[done:stop], style if inside else own
            done = stop
        at += len(text)


def _fitting(text: str, cells: int) -> int:
    """How many of the first characters fit into so many cells."""
    for count, char in enumerate(text):
        cells -= width(char)
        if cells < 0:
            return count
    return len(text)
