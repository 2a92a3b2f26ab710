"""A framed part of a screen with a title, and a line at its foot; the frame says which one has the focus, without colour too."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content

from smallchain.protocol.text import one_line


class Pane(Vertical):
    """A frame around one widget. Titles are raw text, and made visible here."""

    DEFAULT_CSS = """
    Pane { border: round $faint; padding: 0; border-title-color: $muted; border-subtitle-color: $muted; }
    Pane:focus-within { border: heavy $accent-text; border-title-color: $accent-text; border-title-style: bold; }
    .-ascii Pane, .-ascii Pane:focus-within { border: ascii $faint; }
    """

    def title(self, text: str) -> None:
        """What stands in the upper edge."""
        self.border_title = Content(f" {one_line(text)} ")

    def foot(self, text: str) -> None:
        """What stands in the lower edge."""
        self.border_subtitle = Content(f" {one_line(text)} ") if text else ""
