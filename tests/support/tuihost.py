"""An app around one widget, with the dashboard's own stylesheet and colours, and a clock that tests move; and what is on its screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from textual.app import App, ComposeResult
from textual.widget import Widget

import smallchain_tui
from smallchain_tui import themes
from support.tuirows import BEGIN

W = TypeVar("W", bound=Widget)


class Host(App[None], Generic[W]):
    """Shows one widget on the whole screen; `messages` are those it posted."""

    CSS_PATH = str(Path(smallchain_tui.__file__).with_name("style.tcss"))
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, make: Callable[[Host[W]], W]) -> None:
        super().__init__()
        self.seconds = 0.0
        self.messages: list[Any] = []
        self.widget = make(self)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(themes.variables(themes.DARK))

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_mount(self) -> None:
        self.widget.focus()

    def clock(self) -> float:
        """Seconds, as a monotonic clock gives them."""
        return self.seconds

    def now(self) -> datetime:
        """The time of day."""
        return BEGIN


def screen_text(app: App[Any]) -> list[str]:
    """What is on the screen, line by line, without spaces at the ends."""
    strips = app.screen._compositor.render_strips(app.screen.size)
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]
