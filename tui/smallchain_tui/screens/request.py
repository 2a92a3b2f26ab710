"""What waits for a person and is no approval: its answers as a list, each with what comes of it; a digit chooses, ctrl+s sends.

The one rule: to choose is not to send, and the answers are the daemon's own: a kind that comes later is answered here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from smallchain.protocol.text import visible
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.asked import AskedScreen
from smallchain_tui.viewmodel.asking import Row, argument_rows, choice_lines, context_rows, difference_rows
from smallchain_tui.viewmodel.decision import Decision, Stage
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.reader import Reader
from smallchain_tui.widgets.textfield import TextField


class RequestScreen(AskedScreen):
    """Settle, loop, quarantine, budget, a changed tool: whatever has verbs."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("request")]
    scopes: ClassVar[tuple[str, ...]] = ("app", "anywhere", "deciding", "request")
    text_title = "What became of it"

    def parts(self) -> ComposeResult:
        """What is asked, the answers, and a text where an answer has one."""
        with Pane(id="asked-pane"):
            yield Reader(id="asked")
        with Pane(id="choices-pane"):
            yield Reader(id="choices")
        with Pane(id="text-pane"):
            yield TextField(id="text")

    # ---- what a question does otherwise

    def labels(self) -> Sequence[str]:
        """The answers, as they are listed."""
        if self.row is None:
            return ()
        return [f"{verb.replace('_', ' ')}: {what}" for verb, what in self.row.outcomes.items()]

    def chosen(self, decision: Decision) -> int | None:
        """Which of them is chosen."""
        verbs = [str(verb) for verb in decision.subject.verbs]
        return verbs.index(decision.verdict.verb) if decision.verdict is not None and decision.verdict.verb in verbs else None

    def choose(self, index: int) -> None:
        """Choose one."""
        key = self.heard("request.choose")
        if key is not None and index < len(key.before.subject.verbs):
            self.step(key.before.choose(key.before.subject.verbs[index], key.at))

    def wants_text(self, decision: Decision) -> bool:
        """Whether what is chosen needs words."""
        return decision.verdict is not None and decision.subject.needs_text(decision.verdict.verb)

    def before_asked(self) -> list[Row]:
        """What stands above the question."""
        return []

    # ---- shown

    def on_mount(self) -> None:
        """Titles."""
        self.query_one("#choices-pane", Pane).title("Answers")
        self.query_one("#text-pane", Pane).title(self.text_title)
        self.add_class("-no-text")

    def begun(self, edit: str) -> None:
        """What was written before stands there again."""
        if self.decision is not None:
            self.query_one("#text", TextField).fill(self.decision.text)

    def show_row(self) -> None:
        """The question in the words it came in, the arguments it is about, the context."""
        row = self.row
        if row is None or not self.is_mounted:
            return
        rows = self.before_asked()
        rows += [
            Row("| ", line, "strong") for line in (ascii(row.question) if self.exact else visible(row.question, multiline=True)).split("\n")
        ]
        if row.difference:
            rows += difference_rows(row, exact=self.exact)
        elif row.arguments is not None and row.kind not in ("question", "budget"):
            rows += [Row("", ""), Row("", "with these arguments", "muted"), *argument_rows(row.arguments, exact=self.exact)]
        rows += [Row("", ""), *context_rows(row, None, outcomes=False, local=self.app.options.local_time)]
        if not row.run:  # no model asks, and none is told
            self.query_one("#note", TextField).placeholder = "a note: it is kept"
        self.query_one("#asked", Reader).show(rows)
        self.query_one("#asked-pane", Pane).title(row.kind.replace("_", " ").capitalize())
        self._feet()

    def paint(self) -> None:
        """The choice is marked."""
        super().paint()
        if not self.is_mounted or self.row is None:
            return
        labels = self.labels()
        decision = self.decision
        self.set_class(not labels, "-no-choices")
        self.query_one("#choices", Reader).show(choice_lines(labels, self.chosen(decision) if decision is not None else None))
        if decision is not None:
            self.set_class(not self.wants_text(decision), "-no-text")

    def _feet(self) -> None:
        reader = self.query_one("#asked", Reader)
        seen = reader.foot()
        self.query_one("#asked-pane", Pane).foot(f"{seen}  {self.app.keys.shown('deciding.page')}: on" if seen else "")

    def on_reader_moved(self, event: Reader.Moved) -> None:
        """The foot counts lines."""
        event.stop()
        if self.is_mounted:
            self._feet()

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """Choose, then send."""
        send = self.app.keys.shown("deciding.send")
        if self.chosen(decision) is None and len(decision.subject.verbs) > 1:
            return [
                (f" 1-{len(decision.subject.verbs)} ", "$accent-text bold reverse"),
                (" choose what you answer; nothing is sent by it", "$ink"),
            ]
        return [
            (f" {send} ", "$accent-text bold reverse"),
            (f" {self.doing(decision) or 'send the answer'}   ", "$ink"),
            ("tab note   esc later", "$muted"),
        ]

    def quiet_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The command that does the same, once something is chosen."""
        if decision.stage is Stage.OPENED and decision.verdict is not None:
            return [("same: ", "$muted"), (self.twin(decision.request()), "$running")]
        return [("", "")]

    # ---- keys

    def action_choose(self) -> None:
        """A digit."""
        digit = self._key.name if self._key is not None else ""
        if digit.isdecimal():
            self.choose(int(digit) - 1)
            if self.decision is not None and self.wants_text(self.decision):
                self.remove_class("-no-text")
                self.call_after_refresh(self.query_one("#text").focus)

    def written(self, field: str, text: str) -> None:
        """Words of the answer."""
        super().written(field, text)
        if field == "text" and self.decision is not None:
            self.step(self.decision.write(self.app.monotonic(), text=text))

    def out(self) -> bool:
        """Esc leaves the text first, then what was chosen."""
        if super().out():
            return True
        if self.focused is not None:
            self.set_focus(None)
            return True
        return False
