"""An approval: the arguments, what an edit changes, why it is asked, and the verdict.

The one rule: what is approved is what stands here, by its digest; an edit is checked by the daemon itself before it can be approved.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.timer import Timer

from smallchain.model.delivery import Verb
from smallchain.model.errors import BadInput, SmallchainError
from smallchain.protocol.text import one_line
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.asked import AskedScreen
from smallchain_tui.viewmodel import arguments as args
from smallchain_tui.viewmodel.asking import Row, argument_rows, context_rows, diff_rows, fields_word, grant_rows
from smallchain_tui.viewmodel.decision import Decision, Stage, Verdict
from smallchain_tui.viewmodel.rows import RequestRow
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.reader import Reader
from smallchain_tui.widgets.textfield import TextField

_CHECK_AFTER_S = 0.4
PARTS = ("arguments", "diff", "context")


class ApprovalScreen(AskedScreen):
    """Whether a call may run."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("approval")]
    scopes: ClassVar[tuple[str, ...]] = ("app", "anywhere", "deciding", "approval")

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.part = "arguments"
        """Which part is in front where there is room for one; `diff` and `context` share the side where there is room for two."""
        self.before: list[RequestRow] | None = None
        """What was decided in this run, once that is known."""
        self.checked: tuple[str, str, tuple[str, ...]] | None = None
        """The text that was checked last, what is wrong with it, and what it changes."""
        self._checking: Timer | None = None
        self._begun_edit = ""

    def parts(self) -> ComposeResult:
        """Arguments, and beside them the diff or the context."""
        with Horizontal(id="panes"):
            with Pane(id="arguments-pane"):
                yield Reader(id="arguments")
                yield TextField(id="editor", numbers=True)
            with Pane(id="side-pane"):
                yield Reader(id="side")

    # ---- what is shown

    def begun(self, edit: str) -> None:
        """An edit that was not finished is offered; what was decided before is asked for."""
        self._begun_edit = edit
        if edit:
            self.tell(f"an edit of yours was kept: {self.app.keys.shown('approval.edit')} goes on with it")
        if self.row is not None and self.row.tool:
            self.run_worker(self._history(self.row.run_id), group="history", exit_on_error=False)

    async def _history(self, run_id: str) -> None:
        try:
            items = await self.app.link.items("requests", {"run": run_id, "all": True})
        except SmallchainError:
            return  # the decision does not need it
        self.before = [RequestRow.of(item) for item in items]
        self.show_row()

    def show_row(self) -> None:
        """Both panes."""
        row = self.row
        if row is None or not self.is_mounted:
            return
        edits = self.decision.edits if self.decision is not None else None
        shown = edits if edits is not None else row.arguments
        self.query_one("#arguments", Reader).show(argument_rows(shown, exact=self.exact))
        self.query_one("#side", Reader).show(self._side(row, edits))
        self._titles()

    def _side(self, row: RequestRow, edits: dict[str, Any] | None) -> list[Row]:
        decision = self.decision
        if decision is not None and decision.stage is Stage.CONFIRMING and decision.verdict is not None and decision.verdict.for_run:
            return grant_rows(row.tool, row.run)
        if self._shows_diff():
            return self._diff(row, edits)
        return context_rows(row, self.before, local=self.app.options.local_time)

    def _shows_diff(self) -> bool:
        decision = self.decision
        edited = decision is not None and (decision.edits is not None or decision.stage is Stage.EDITING)
        return self.part == "diff" or (edited and self.part == "arguments")

    def _diff(self, row: RequestRow, edits: dict[str, Any] | None) -> list[Row]:
        asked = row.arguments if isinstance(row.arguments, dict) else {}
        editing = self.decision is not None and self.decision.stage is Stage.EDITING
        if editing:
            try:
                return diff_rows(
                    asked, args.read(self.query_one("#editor", TextField).text), title="your edit against what the agent asked"
                )
            except BadInput as error:
                return [Row("", f"no arguments yet: {one_line(error.message)}", "waiting")]
        if edits is not None:
            return diff_rows(asked, edits, title="your edit against what the agent asked")
        last = next((each for each in reversed(self.before or ()) if self._is_like(each, row)), None)
        if last is not None:
            by = one_line(last.answered_by) or "nobody"
            return diff_rows(last.arguments, asked, title=f"this call against the last one of this tool here, decided by {by}")
        return [
            Row("", f"nothing to compare with: {self.app.keys.shown('approval.edit')} edits, and what you change is shown here", "muted")
        ]

    def _is_like(self, each: RequestRow, row: RequestRow) -> bool:
        return each.id != row.id and each.tool == row.tool and not each.is_open and isinstance(each.arguments, dict)

    def _titles(self) -> None:
        row, decision = self.row, self.decision
        if row is None:
            return
        pane, side = self.query_one("#arguments-pane", Pane), self.query_one("#side-pane", Pane)
        editing = decision is not None and decision.stage is Stage.EDITING
        edited = decision is not None and decision.edits is not None
        name = "Arguments: your edit" if editing else "Arguments: edited" if edited else "Arguments"
        pane.title(self._tabs("arguments", name))
        reader, foot = (
            self.query_one("#arguments", Reader),
            fields_word(decision.edits if decision is not None and edited else row.arguments),
        )
        seen = reader.foot()
        pane.foot(self._check_word() if editing else f"{seen}  {self.app.keys.shown('deciding.page')}: on  {foot}" if seen else foot)
        diff = self._shows_diff()
        side.title(self._tabs("diff" if diff else "context", "Diff" if diff else "Context"))
        side.foot(self.query_one("#side", Reader).foot())

    def _tabs(self, part: str, title: str) -> str:
        if self.has_class("-wide"):
            return title
        return f"{self.app.keys.shown('approval.turn')}: " + "  ".join(f"[{title}]" if name == part else name for name in PARTS)

    def on_reader_moved(self, event: Reader.Moved) -> None:
        """The feet count lines."""
        event.stop()
        self._titles()

    def paint(self) -> None:
        """The panes follow the decision."""
        super().paint()
        if self.is_mounted and self.row is not None:
            self._titles()

    def moved_on(self, old: Decision, new: Decision) -> None:
        """The editor stands in the place of the arguments while they are edited."""
        super().moved_on(old, new)
        self.set_class(new.stage is Stage.EDITING, "-editing")
        self.show_row()

    def rest(self) -> None:
        """While arguments are edited, letters go there."""
        if self.decision is not None and self.decision.stage is Stage.EDITING:
            self._editor().focus()
        else:
            super().rest()

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The verdicts."""
        if decision.stage is Stage.EDITING:
            good = self.checked is not None and not self.checked[1] and self.checked[0] == self._editor().text
            send = self.app.keys.shown("deciding.send")
            return [
                (f" {send} ", "$accent-text bold reverse" if good else "$muted"),
                (" take the edit   ", "$ink" if good else "$muted"),
                (f"esc drops it   {self.app.keys.shown('approval.editor')} in your editor", "$muted"),
            ]
        edited = " with your edit" if decision.edits is not None else " once"
        words = [("approval.approve", f"Approve{edited}"), ("approval.deny", "Deny, with a note"), ("approval.edit", "Edit")]
        if self.size.width >= 100:
            words += [("approval.always", "Always in this run..."), ("deciding.snooze", "Snooze")]
        return self.keys_line(*words)

    def quiet_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The command that does the same; while editing, what the check says."""
        if decision.stage is Stage.EDITING:
            return [(self._check_word(), "$waiting" if self.checked is not None and self.checked[1] else "$muted")]
        if decision.stage is Stage.OPENED:
            high = (
                f"HIGH risk: {self.app.keys.shown('approval.approve')} asks for the word {decision.subject.word}.   "
                if self._is_high()
                else ""
            )
            twin = self.twin(decision.subject.request(decision, Verdict(Verb.APPROVE)))
            return [(high, "$failed bold"), ("same: ", "$muted"), (twin, "$running")]
        return [("", "")]

    def _is_high(self) -> bool:
        return self.row is not None and self.row.risk.casefold() == "high"

    def doing(self, decision: Decision) -> str:
        """The verdict in words."""
        match decision.verdict:
            case Verdict(for_run=True):
                return "approve for the rest of this run"
            case Verdict(verb=Verb.APPROVE):
                return "approve with your edit" if decision.edits is not None else "approve once"
        return super().doing(decision)

    # ---- keys

    def action_approve(self) -> None:
        """Approve once."""
        self.verdict(Verdict(Verb.APPROVE), "approval.approve")

    def action_deny(self) -> None:
        """Deny; the note is written first."""
        self.verdict(Verdict(Verb.DENY), "approval.deny")

    def action_always(self) -> None:
        """Approve, and do not ask again in this run."""
        self.verdict(Verdict(Verb.APPROVE, for_run=True), "approval.always")

    def action_turn(self) -> None:
        """The next part."""
        order = PARTS if not self.has_class("-wide") else ("context", "diff")
        at = order.index(self.part) if self.part in order else 0
        self.part = order[(at + 1) % len(order)]
        self.set_class(self.part != "arguments", "-side")
        self.show_row()

    # ---- editing

    def _editor(self) -> TextField:
        return self.query_one("#editor", TextField)

    def action_edit(self) -> None:
        """Put other arguments in place."""
        if self.decision is None or self.row is None:
            return
        if self.decision.is_over:
            self.tell("it is decided")
            return
        edits = self.decision.edits
        before = edits if edits is not None else self.row.arguments if isinstance(self.row.arguments, dict) else {}
        self.part = "arguments"
        self.remove_class("-side")
        self.step(self.decision.edit(self.app.monotonic()))
        if self.decision.stage is Stage.EDITING:
            self._editor().fill(self._begun_edit or args.written(before))
            self.call_after_refresh(self._editor().focus)
            self._check_soon()

    def written(self, field: str, text: str) -> None:
        """Each pause is checked."""
        super().written(field, text)
        if field == "editor" and self.decision is not None and self.decision.stage is Stage.EDITING:
            self._begun_edit = text
            self._check_soon()
            self.show_row()

    def edit_text(self) -> str:
        """An edit that was not finished, or that was taken and not sent."""
        return self._begun_edit

    def _check_soon(self) -> None:
        if self._checking is not None:
            self._checking.stop()
        self._checking = self.set_timer(
            _CHECK_AFTER_S, lambda: self.run_worker(self.check(), group="check", exclusive=True, exit_on_error=False)
        )
        self.paint()

    async def check(self) -> bool:
        """Have the daemon say whether the edit could be approved; whether it could."""
        text = self._editor().text
        try:
            value = args.read(text)
            answer = await self.app.link.check(self.request_id, value)
        except SmallchainError as error:
            self.checked = (text, f"{error.message}{f' ({error.hint})' if error.hint else ''}", ())
        else:
            changes = answer.get("changes")
            self.checked = (text, str(answer.get("fault") or ""), tuple(map(str, changes)) if isinstance(changes, list) else ())
        self.paint()
        return self.checked is not None and not self.checked[1]

    def _check_word(self) -> str:
        if self.checked is None or self.checked[0] != self._editor().text:
            return "checking ..."
        _, fault, changes = self.checked
        return one_line(
            fault or (f"fits; {len(changes)} changed: {'; '.join(changes)}" if changes else "fits; nothing is changed"), cells=200
        )

    def action_send(self) -> None:
        """Take the edit, once it is checked; else what ctrl+s does everywhere."""
        if self.decision is not None and self.decision.stage is Stage.EDITING:
            self._key = None
            self.run_worker(self._accept(), group="check", exclusive=True, exit_on_error=False)
        else:
            super().action_send()

    async def _accept(self) -> None:
        text = self._editor().text
        if not await self.check() or self.checked is None or self.decision is None or self.row is None:
            return
        value = args.read(text)
        edits = value if value != self.row.arguments else None
        if edits is None:
            self._begun_edit = ""
        self.step(self.decision.accept(edits, self.checked[2] if edits is not None else (), self.app.monotonic()))
        self.keep_draft()

    def out(self) -> bool:
        """Esc drops an edit."""
        if self.decision is not None and self.decision.stage is Stage.EDITING:
            self._begun_edit = args.written(self.decision.edits) if self.decision.edits is not None else ""
            self.keep_draft()
        return super().out()

    def action_editor(self) -> None:
        """The edit in the person's own editor; the keys arm anew after it."""
        if self.decision is None or self.row is None or self.decision.is_over:
            return
        if self.decision.stage is Stage.OPENED:
            self.action_edit()
        if self.decision.stage is not Stage.EDITING:
            return
        field = self._editor()
        about = f"# {one_line(self.row.path or self.row.tool)}\n# save and close: you still have to take the edit and approve it\n"
        with self.app.suspend():
            text, fault = in_editor(about + field.text, os.environ)
        field.fill("\n".join(line for line in text.split("\n") if not line.startswith("# ")) if not fault else field.text)
        self.disturbed()
        self.tell(fault or "read from the editor", severity="error" if fault else "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Verdict keys are grey while letters are letters, and when it is over."""
        if action in ("approve", "deny", "always", "edit") and self.decision is not None:
            return None if self.decision.stage is not Stage.OPENED and self.decision.stage is not Stage.HELD else True
        return True


def in_editor(text: str, environ: Any) -> tuple[str, str]:
    """A text after a person has edited it in $VISUAL or $EDITOR (else `vi`), from a private file; and what went wrong, or nothing."""
    try:
        words = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
        with tempfile.TemporaryDirectory(prefix="smallchain-") as folder:
            path = os.path.join(folder, "arguments.yaml")
            with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(text)
            code = subprocess.run([*words, path], check=False).returncode
            with open(path, encoding="utf-8") as file:
                after = file.read()
    except (OSError, ValueError) as error:
        return text, f"the editor can't be used: {error}"
    return (after, "") if code == 0 else (text, f"the editor ended with {code}: the edit is as it was")
