"""Scroll bars without the half blocks that Textual draws at their ends, for terminals that have ASCII alone."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBar, ScrollBarRender


class AsciiScrollBarRender(ScrollBarRender):
    """Whole cells of colour only."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * len(ScrollBarRender.VERTICAL_BARS)
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * len(ScrollBarRender.HORIZONTAL_BARS)


def draw(*, ascii: bool) -> None:
    """Choose how all scroll bars of this process are drawn."""
    ScrollBar.renderer = AsciiScrollBarRender if ascii else ScrollBarRender
