"""What a person does to a run, or with a task: the ways to do it, what each does, the command that does the same, before and after.

The one rule: Enter and Esc do nothing to a run. What ends or repeats something is never chosen beforehand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static, TextArea

from smallchain.model.errors import Busy, SmallchainError, Unconfirmed, Unreachable
from smallchain.protocol.client import path_of
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.deciding import DecidingScreen, visibly
from smallchain_tui.viewmodel.acts import OnRun, ways
from smallchain_tui.viewmodel.asking import Row, choice_lines
from smallchain_tui.viewmodel.decision import Decision, Stage, Verdict
from smallchain_tui.viewmodel.state import Changed
from smallchain_tui.viewmodel.words import count, dollars
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.reader import Reader
from smallchain_tui.widgets.textfield import TextField

_TITLES = {"start": "Run a task"}
_PLACEHOLDERS = {
    "task": "the task's name",
    "message": "said instead of the task's own message; may be left empty",
    "name": "the run's name; TASK-n where it is left empty",
    "priority": "a whole number; higher goes first",
    "at": "the number of the last message that is kept",
}


class ActScreen(DecidingScreen):
    """One act: `pause`, `resume`, `cancel`, `retry`, `fork` on a run; `start`, for which `run` is the name of a task."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("act"), *bindings("request")]
    scopes: ClassVar[tuple[str, ...]] = ("app", "anywhere", "deciding", "act", "request")

    note_hint = "a note: it is kept, and told with the act"

    def __init__(self, verb: str, run: str = "", *, at: int = 0) -> None:
        super().__init__()
        self.verb, self.run_name = verb, run
        self._at = at
        self._chosen = 0
        self._listed: list[str] = []

    def crumbs(self) -> tuple[str, ...]:
        """Where one is."""
        return ("smallchain", *((self.run_name,) if self.run_name else ()), self.verb)

    @property
    def title_words(self) -> str:
        """What is asked."""
        return _TITLES.get(self.verb, f"{self.verb.capitalize()} run {self.run_name}?")

    # ---- composed

    def _subject(self, *, confirm: bool = False) -> OnRun:
        run = self.app.state.run_named(self.run_name)
        return OnRun(run.id if run is not None else self.run_name, self.run_name or "TASK", ways(self.verb, run, confirm=confirm))

    def parts(self) -> ComposeResult:
        """The ways, the fields of the one that has some, and what there is to know before."""
        with Pane(id="ways-pane"):
            yield Reader(id="ways")
        fields = next((way.fields for way in self._subject().ways if way.fields), ())
        known = {"at": str(self._at or ""), "task": self.run_name}
        for name in fields:
            with Horizontal(classes="field"):
                yield Static(f" {name:<9}", markup=False)
                yield TextField(known.get(name, ""), id=f"field-{name}", placeholder=_PLACEHOLDERS[name])

    def on_mount(self) -> None:
        """Show the ways."""
        self.query_one("#ways-pane", Pane).title(self.title_words)
        subject = self._subject()
        if self.verb in ("pause", "resume") and subject.ways and subject.ways[0].verb == self.verb:
            self._chosen = 1
        if not subject.ways:
            self.fault = self._why_no_way()
            self._show(None)
            self.paint()
            return
        self._open(subject)

    def _why_no_way(self) -> str:
        run = self.app.state.run_named(self.run_name)
        if run is None:
            return f"there is no run {self.run_name!r} any more"
        return f"run {run.name!r} is {run.status}: nothing to {self.verb}"

    def _open(self, subject: OnRun) -> None:
        def opened() -> None:
            now = self.app.monotonic()
            self.step(Decision(self._filled(subject), quiet_since=now, since=now))
            self._show(self.decision)
            fields = list(self.query(".field TextField").results(TextField))
            if fields:
                fields[0].focus()
            self.paint()

        self.call_after_refresh(opened)

    def state_changed(self, changed: Changed) -> None:
        """A lost connection arms the keys anew."""
        self.lost_or_found()
        self.paint()

    # ---- shown

    def head(self) -> None:
        """The run as it stands: its status, its descendants, what it has cost."""
        run = self.app.state.run_named(self.run_name)
        if run is None:
            self.said("#ask", (self.title_words, "$ink bold"))
            return
        below = sum(row.id != run.id and row.name.startswith(f"{run.name}/") and not row.is_over for row in self.app.state.runs.values())
        first = [(f"{self.app.glyphs.of(run.status)} {run.name}", "$ink bold"), (f"   {run.status}   {run.detail}", "$muted")]
        second = [(f"{count(below, 'live descendant')}   " if below else "", "$waiting bold")]
        second.append((f"{dollars(run.tree_cost_nanousd)} so far   agent {run.agent}   task {run.task}", "$muted"))
        self.query_one("#ask", Static).update(Content.assemble(*visibly(first), "\n", *visibly(second)))

    def _show(self, decision: Decision | None) -> None:
        subject = decision.subject if decision is not None else None
        rows: list[Row] = []
        if isinstance(subject, OnRun):
            labels = [way.label for way in subject.ways]
            rows = choice_lines(labels, self._index(subject)) if len(labels) > 1 else [Row("  ", labels[0])]
        if self._listed:
            rows += [Row("", ""), *(Row("| ", line, "waiting") for line in self._listed)]
        self.query_one("#ways", Reader).show(rows)

    def _index(self, subject: OnRun) -> int | None:
        return self._chosen - 1 if self._chosen else None

    def _verb(self) -> str | None:
        subject = self.decision.subject if self.decision is not None else None
        if not isinstance(subject, OnRun):
            return None
        return str(self._chosen) if self._chosen else "1" if len(subject.ways) == 1 else None

    def paint(self) -> None:
        """The ways, too."""
        super().paint()
        if self.is_mounted and self.is_attached:
            self._show(self.decision)

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """Do it, or not."""
        keys, verb = self.app.keys, self._verb()
        if verb is None:
            return [
                (f" 1-{len(decision.subject.verbs)} ", "$accent-text bold reverse"),
                (" choose how; nothing is done by it   ", "$ink"),
                ("esc: do not", "$muted"),
            ]
        if isinstance(decision.subject, OnRun) and decision.subject.way(verb).fields:
            return [
                (f" {keys.shown('deciding.send')} ", "$accent-text bold reverse"),
                (f" {self.verb}   ", "$ink"),
                ("tab next field   esc: do not", "$muted"),
            ]
        return [*self.keys_line(("act.go", f"{self.verb.capitalize()}")), ("[No: enter, n, esc]", "$ink bold")]

    def quiet_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The command that does the same."""
        verb = self._verb()
        if decision.stage is not Stage.OPENED or verb is None or not isinstance(decision.subject, OnRun):
            return [("", "")]
        if fault := decision.subject.fault(verb):
            return [(fault, "$muted")]
        return [("same: ", "$muted"), (decision.subject.twin(decision.subject.request(decision, Verdict(verb))), "$running")]

    def why_word(self, decision: Decision) -> str:
        """Why a word is typed."""
        return "what was done is done again"

    def doing(self, decision: Decision) -> str:
        """In words."""
        return f"{self.verb} {self.run_name}".strip()

    # ---- keys

    def action_choose(self) -> None:
        """A digit chooses a way."""
        key = self.heard("request.choose")
        if key is None or not key.name.isdecimal() or int(key.name) > len(key.before.subject.verbs):
            return
        self._chosen = int(key.name)
        self.step(key.before.other(key.at))
        self.paint()

    def action_go(self) -> None:
        """Do it, by the way that is chosen."""
        verb = self._verb()
        if verb is None:
            self.tell("choose how first")
        else:
            self.verdict(Verdict(verb), "act.go")

    def action_send(self) -> None:
        """Send what is filled in; keep a note; confirm a word."""
        decision, verb = self.decision, self._verb()
        if decision is None or verb is None or decision.stage is not Stage.OPENED or not isinstance(decision.subject, OnRun):
            super().action_send()
            return
        key = self.heard("deciding.send")
        if key is None:
            return
        if fault := decision.subject.fault(verb):
            self.step(replace(decision, notice=fault))
        elif decision.subject.way(verb).fields:
            self.step(replace(key.before, verdict=Verdict(verb)).send(key.at, why_not=self.app.may_act()))

    def action_no(self) -> None:
        """Do nothing: the default."""
        if self.decision is None or self.decision.stage in (Stage.OPENED, Stage.ENDED, Stage.UNKNOWN):
            self.app.go_back()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """A field is filled in."""
        if event.text_area.id != "note" and self.decision is not None and isinstance(self.decision.subject, OnRun):
            event.stop()
            self.step(replace(self.decision, subject=self._filled(self.decision.subject), notice=""))

    def _filled(self, subject: OnRun) -> OnRun:
        fields = [(field.id or "").removeprefix("field-") for field in self.query(".field TextField")]
        texts = [field.text.strip() for field in self.query(".field TextField").results(TextField)]
        return replace(subject, values=tuple(zip(fields, texts, strict=True)))

    # ---- sent

    async def carry_out(self, decision: Decision) -> None:
        """Do it; where the daemon wants a confirmation, what it lists is shown, and a word has to be typed."""
        act, now = decision.request(), self.app.monotonic
        try:
            answer = await self.app.link.act(path_of(act.verb, act.ref) if act.ref else path_of(act.verb), act.body)
        except Unconfirmed as error:
            self._listed = [error.message, *(problem.message for problem in error.problems)]
            self._go(
                replace(decision.refused("look at what would be done again, and choose anew", now()), subject=self._subject(confirm=True))
            )
        except (Unreachable, Busy) as error:
            self._go(decision.refused(f"whether it was done is not known: {error.message}", now()))
        except SmallchainError as error:
            self._go(decision.refused(f"{error.message}{f' ({error.hint})' if error.hint else ''}", now()))
        else:
            sentence = self._sentence(answer)
            self._go(decision.answered(sentence, now()))
            self.app.tell(sentence, twin=decision.subject.twin(act) if isinstance(decision.subject, OnRun) else "")
        self.app.state.stale_all = self.app.state.stale_requests = True

    def _go(self, decision: Decision) -> None:
        if self.is_attached:
            self._chosen = 0 if decision.stage is Stage.OPENED else self._chosen
            self.step(decision)

    def _sentence(self, answer: dict[str, object]) -> str:
        run, runs = answer.get("run"), answer.get("runs")
        if isinstance(run, dict):
            return f"run {run.get('name')} was started"
        done = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}.get(self.verb, "changed")
        return f"{count(len(runs), 'run')} {done}" if isinstance(runs, list) else "done"


def act_screen(verb: str, run: str = "", *, at: int = 0) -> ActScreen:
    """The screen of an act; `at`: the message that a fork begins with."""
    return ActScreen(verb, run, at=at)
