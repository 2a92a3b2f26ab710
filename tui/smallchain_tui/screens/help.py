"""What the keys do on the screen that asked, what the signs mean, and how a filter is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from smallchain_tui.keymap import TITLES
from smallchain_tui.viewmodel import glyphs

if TYPE_CHECKING:
    from smallchain_tui.app import Dashboard

_FILTER = """\
blog            in any field            status=failed   in one field
"two words"     with a space            !done           what does not have it
cost>1  turns>=10                       ~blg7           letters in their order"""


class HelpScreen(ModalScreen[None]):
    """A page over the screen; any of esc, q and ? closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", show=False),
        Binding("j,down", "down", show=False),
        Binding("k,up", "up", show=False),
    ]
    app: Dashboard

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__()
        self._scopes = scopes

    def compose(self) -> ComposeResult:
        """The page."""
        with VerticalScroll(id="help"):
            yield Static(self._page(), id="help-page")

    def on_mount(self) -> None:
        """Keys scroll at once."""
        box = self.query_one("#help")
        box.border_title = Content(" Keys ")
        box.border_subtitle = Content(" esc closes ")
        box.focus()

    def action_down(self) -> None:
        """A line down."""
        self.query_one("#help").scroll_down(animate=False)

    def action_up(self) -> None:
        """A line up."""
        self.query_one("#help").scroll_up(animate=False)

    def _page(self) -> Content:
        from smallchain_tui.commands import MEANINGS  # which knows the screens, and so this one

        parts: list[Content] = []
        for scope in (*self._scopes[2:], *self._scopes[:2]):
            parts.append(Content.styled(TITLES[scope].upper() + "\n", "bold $accent-text"))
            for keys, what, _ in self.app.keys.lines([scope]):
                parts.append(Content.assemble((f"  {keys:<16}", "bold $ink"), (f"{what}\n", "$ink")))
            parts.append(Content("\n"))
        parts.append(Content.styled("SIGNS\n", "bold $accent-text"))
        for state in glyphs.states()[:9]:
            sign = self.app.glyphs.of(state.word)
            parts.append(Content.assemble((f"  {sign} {state.word:<12}", f"${state.colour}"), "\n"))
        parts.append(Content.styled("\nFILTERS\n", "bold $accent-text"))
        parts.append(Content(_FILTER + "\n\n"))
        parts.append(Content.styled(f"COMMANDS, AFTER {self.app.keys.shown('anywhere.command_line')}\n", "bold $accent-text"))
        parts += [Content.assemble((f"  {words:<28}", "bold $ink"), (f"{what}\n", "$ink")) for words, what in MEANINGS]
        off = self.app.keys.shown("app.toggle_mouse")
        parts.append(Content.styled("\nTHE MOUSE\n", "bold $accent-text"))
        parts.append(Content("  A click selects, a second one opens. To select text, hold shift (option on a Mac),\n"))
        parts.append(Content(f"  or turn the mouse off with {off}.\n"))
        return Content("").join(parts)
