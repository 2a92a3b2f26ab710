"""Fields in which a person writes: an answer, a note, arguments, and the word that lets something of HIGH risk run.

The one rule: what is pasted is made visible before it stands there, and a word that confirms is typed: it cannot be pasted.
"""

from __future__ import annotations

from textual import events
from textual.widgets import Input, TextArea

from smallchain.protocol.text import is_plain, visible


class TextField(TextArea):
    """Lines of text; Enter is a new line, and ctrl+s and Esc are the screen's."""

    DEFAULT_CSS = """
    TextField { background: $ground; color: $ink; border: none; padding: 0; height: 1fr; }
    TextField:focus { border: none; background: $raised; }
    """

    def __init__(self, text: str = "", *, placeholder: str = "", numbers: bool = False, id: str | None = None) -> None:
        super().__init__(
            harmless(text),
            id=id,
            soft_wrap=True,
            tab_behavior="focus",
            show_line_numbers=numbers,
            placeholder=placeholder,
            highlight_cursor_line=False,
        )

    async def _on_paste(self, event: events.Paste) -> None:
        """What is pasted stands there as it can be seen."""
        event.prevent_default()
        await super()._on_paste(events.Paste(harmless(event.text)))

    def fill(self, text: str) -> None:
        """Have this text, unless it has it."""
        if self.text != harmless(text):
            self.load_text(harmless(text))


class WordField(Input):
    """One word that has to be typed letter by letter."""

    DEFAULT_CSS = """
    WordField { border: none; height: 1; padding: 0; background: $raised; color: $ink; width: 1fr; }
    WordField:focus { border: none; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, select_on_focus=False, max_length=80)

    def _on_paste(self, event: events.Paste) -> None:
        """Nothing is taken from a paste."""
        event.prevent_default()

    def action_paste(self) -> None:
        """Nor from the clipboard of the dashboard."""


def harmless(text: str) -> str:
    """The text, with all written out that a terminal would act on or not show."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if is_plain(text) else visible(text, multiline=True)
