"""A question of a model: its choices under digits, a free text below, ctrl+s sends; Enter is a new line.

The one rule: what is sent is the text that stands in the field; a digit only puts a choice there.
"""

from __future__ import annotations

from collections.abc import Sequence

from smallchain_tui.screens.request import RequestScreen
from smallchain_tui.viewmodel.decision import Decision, Stage
from smallchain_tui.widgets.textfield import TextField, harmless


class QuestionScreen(RequestScreen):
    """Answer in one of the offered ways, or in words of one's own."""

    text_title = "Your answer"

    def labels(self) -> Sequence[str]:
        """The choices that the model offers."""
        return self.row.choices if self.row is not None else ()

    def chosen(self, decision: Decision) -> int | None:
        """The one whose words stand in the field."""
        choices = [harmless(choice) for choice in self.labels()]
        return choices.index(decision.text) if decision.text in choices else None

    def choose(self, index: int) -> None:
        """Put a choice into the field."""
        labels = self.labels()
        if self.heard("request.choose") is not None and index < len(labels):
            self.query_one("#text", TextField).fill(labels[index])

    def wants_text(self, decision: Decision) -> bool:
        """Always."""
        return True

    def begun(self, edit: str) -> None:
        """Where nothing is offered, one can write at once."""
        super().begun(edit)
        self.remove_class("-no-text")
        self.rest()

    def rest(self) -> None:
        """Letters go to the answer, where there are no choices for digits."""
        if self.labels() or self.decision is None or self.decision.is_over:
            super().rest()
        else:
            self.call_after_refresh(self.query_one("#text").focus)

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """How it is sent."""
        send = self.app.keys.shown("deciding.send")
        ready = bool(decision.text.strip()) and self.app.may_act() is None
        choose = f"1-{min(9, len(self.labels()))} choose   tab write   " if self.labels() else ""
        return [
            (f" {send} ", "$accent-text bold reverse" if ready else "$muted"),
            (" send the answer   ", "$ink" if ready else "$muted"),
            (f"{choose}esc later", "$muted"),
        ]

    def doing(self, decision: Decision) -> str:
        """In words."""
        return "send the answer"

    def quiet_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The command that does the same, once something is written."""
        if decision.stage is Stage.OPENED and decision.text.strip():
            from smallchain_tui import twins

            return [("same: ", "$muted"), (twins.answer(decision.subject.id, decision.text, note=decision.note), "$running")]
        return [("", "")]
