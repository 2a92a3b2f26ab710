"""The three looks: dark, light, and the terminal's own sixteen colours. Each names a colour for each state.

The one rule: text has a contrast of 4.5:1 (WCAG 2.2, 1.4.3) against all it can stand on; a test computes it for the first two. In the
third, people have chosen the colours themselves.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

DARK = "smallchain-dark"
LIGHT = "smallchain-light"
ANSI = "smallchain-ansi"
NAMES = (DARK, LIGHT, ANSI)

TEXTS = (
    "ink",
    "muted",
    "accent-text",
    "waiting",
    "running",
    "asleep",
    "over",
    "paused",
    "pending",
    "failed",
    "done",
    "added",
    "removed",
)
"""Variables that colour text."""
GROUNDS = ("ground", "raised", "cursor", "cursor-blurred", "marked")
"""Variables that text stands on."""

_DARK = {
    "ink": "#d8dee9",
    "muted": "#93a1b5",
    "faint": "#2f3b4d",
    "accent-text": "#6cb6ff",
    "waiting": "#ffc857",
    "running": "#5fd7ff",
    "asleep": "#b9a5ff",
    "over": "#ff9f68",
    "paused": "#a3aebf",
    "pending": "#a9b8c9",
    "failed": "#ff8585",
    "done": "#7ddc94",
    "added": "#7ddc94",
    "removed": "#ff8585",
    "ground": "#0e131b",
    "raised": "#151c27",
    "cursor": "#22344d",
    "cursor-blurred": "#1a2433",
    "marked": "#2b2a16",
}
_LIGHT = {
    "ink": "#1d2733",
    "muted": "#4d5a6a",
    "faint": "#c3ccd7",
    "accent-text": "#0a53a8",
    "waiting": "#764700",
    "running": "#005a75",
    "asleep": "#5a3fb0",
    "over": "#8f3600",
    "paused": "#4d5866",
    "pending": "#4a5666",
    "failed": "#a81021",
    "done": "#13602a",
    "added": "#13602a",
    "removed": "#a81021",
    "ground": "#fbfcfd",
    "raised": "#eef2f6",
    "cursor": "#d3e3f8",
    "cursor-blurred": "#e6ecf4",
    "marked": "#f6eec9",
}
_ANSI = {
    "ink": "ansi_default",
    "muted": "ansi_default",
    "faint": "ansi_bright_black",
    "accent-text": "ansi_blue",
    "waiting": "ansi_yellow",
    "running": "ansi_cyan",
    "asleep": "ansi_magenta",
    "over": "ansi_yellow",
    "paused": "ansi_default",
    "pending": "ansi_default",
    "failed": "ansi_red",
    "done": "ansi_green",
    "added": "ansi_green",
    "removed": "ansi_red",
    "ground": "ansi_default",
    "raised": "ansi_default",
    "cursor": "ansi_default",
    "cursor-blurred": "ansi_default",
    "marked": "ansi_default",
}


def variables(name: str) -> dict[str, str]:
    """The colours of a theme by their names; those of the dark one for a theme that is not ours."""
    return {LIGHT: _LIGHT, ANSI: _ANSI}.get(name, _DARK)


def themes() -> list[Theme]:
    """All three, to be registered."""
    return [_theme(DARK, _DARK, dark=True), _theme(LIGHT, _LIGHT, dark=False), _theme(ANSI, _ANSI, dark=True, ansi=True)]


def _theme(name: str, colours: dict[str, str], *, dark: bool, ansi: bool = False) -> Theme:
    # What Textual's own stylesheet names in its ANSI themes has to be there too.
    theirs = BUILTIN_THEMES["ansi-dark"].variables if ansi else {}
    cursor = {
        "block-cursor-background": colours["cursor"],
        "block-cursor-foreground": colours["ink"],
        "footer-background": colours["ground"],
        "border": colours["faint"],
        "border-blurred": colours["faint"],
        "scrollbar": colours["faint"],
        "scrollbar-background": colours["ground"],
    }
    if ansi:
        cursor["block-cursor-background"], cursor["block-cursor-foreground"] = "ansi_white", "ansi_black"
    return Theme(
        name=name,
        primary=colours["accent-text"],
        secondary=colours["running"],
        accent=colours["accent-text"],
        warning=colours["waiting"],
        error=colours["failed"],
        success=colours["done"],
        foreground=colours["ink"],
        background=colours["ground"],
        surface=colours["ground"],
        panel=colours["raised"],
        boost=colours["raised"],
        dark=dark,
        ansi=ansi,
        variables={**theirs, **cursor, **colours},
    )
