"""One table of states: the word, its glyph in both sets, and the name of its colour. The word always stands beside the glyph.

The one rule: a glyph takes one cell in any font. No emoji, nothing that a terminal may draw as a picture.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """How one state looks. `colour` names a theme's variable (`$waiting`) and a style class of the widgets."""

    word: str
    glyph: str
    ascii: str
    colour: str


_STATES = (
    State("Waiting", "!", "!", "waiting"),
    State("Running", "●", "*", "running"),
    State("Sleeping", "z", "z", "asleep"),
    State("OverBudget", "$", "$", "over"),
    State("Paused", "‖", "-", "paused"),
    State("Pending", "○", "o", "pending"),
    State("Failed", "✗", "x", "failed"),
    State("Succeeded", "✓", "v", "done"),
    State("Cancelled", "⊘", "/", "paused"),
    # tool calls, by their phase
    State("pending", "○", "o", "pending"),
    State("awaiting_approval", "!", "!", "waiting"),
    State("ready", "○", "o", "pending"),
    State("executing", "●", "*", "running"),
    State("awaiting_answer", "!", "!", "waiting"),
    State("awaiting_callback", "z", "z", "asleep"),
    State("delegated", "»", ">", "running"),
    State("sleeping", "z", "z", "asleep"),
    State("in_doubt", "!", "!", "waiting"),
    State("succeeded", "✓", "v", "done"),
    State("failed", "✗", "x", "failed"),
    State("rejected", "⊘", "/", "paused"),
    State("cancelled", "⊘", "/", "paused"),
    State("timed_out", "✗", "x", "failed"),
    # requests to people, resources
    State("open", "!", "!", "waiting"),
    State("answered", "✓", "v", "done"),
    State("expired", "⊘", "/", "paused"),
    State("withdrawn", "⊘", "/", "paused"),
    State("Ready", "✓", "v", "done"),
    State("Error", "✗", "x", "failed"),
    State("Used up", "$", "$", "over"),
    # steps of a plan
    State("in_progress", "●", "*", "running"),
    State("done", "✓", "v", "done"),
    State("dropped", "⊘", "/", "paused"),
)
UNKNOWN = State("Unknown", "?", "?", "pending")
_BY_WORD = {state.word: state for state in _STATES}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The set in use: plain ASCII, or characters that every font has in one cell."""

    ascii: bool = False

    def of(self, word: str) -> str:
        """The glyph of a status or a phase; `?` for one that this program does not know."""
        state = _BY_WORD.get(word, UNKNOWN)
        return state.ascii if self.ascii else state.glyph

    @property
    def pointer(self) -> str:
        """Marks the row of the cursor, so that it is seen without colour."""
        return ">" if self.ascii else "›"

    @property
    def mark(self) -> str:
        """Marks a chosen row."""
        return "+" if self.ascii else "■"

    @property
    def between(self) -> str:
        """Stands between the parts of a line."""
        return "|" if self.ascii else "│"

    @property
    def crumb(self) -> str:
        """Stands between the steps of the breadcrumb."""
        return ">" if self.ascii else "›"

    @property
    def dot(self) -> str:
        """Stands between words that belong together."""
        return "-" if self.ascii else "·"

    @property
    def bar(self) -> str:
        """Begins a line that is to be seen."""
        return "|" if self.ascii else "▌"

    @property
    def levels(self) -> str:
        """From nothing to all, for charts of one line."""
        return " .:-=+*#" if self.ascii else " ▁▂▃▄▅▆▇█"

    @property
    def branches(self) -> tuple[str, str, str, str]:
        """For trees: a child, the last child, an ancestor that goes on, one that does not."""
        return ("|- ", "`- ", "|  ", "   ") if self.ascii else ("├─ ", "└─ ", "│  ", "   ")

    @property
    def folds(self) -> tuple[str, str]:
        """Before a part that is folded, and before one that can be."""
        return ("+", "-") if self.ascii else ("▸", "▾")

    @property
    def gauge(self) -> tuple[str, str, str]:
        """What is used of a bar, what is held of it, and what is left."""
        return ("#", "=", "-") if self.ascii else ("█", "▒", "░")


def colour_of(word: str) -> str:
    """The name of a state's colour."""
    return _BY_WORD.get(word, UNKNOWN).colour


def colours() -> tuple[str, ...]:
    """All names of colours, for themes and their test."""
    return tuple(dict.fromkeys(state.colour for state in (*_STATES, UNKNOWN)))


def states() -> tuple[State, ...]:
    """All states, for the help page and the tests."""
    return (*_STATES, UNKNOWN)
