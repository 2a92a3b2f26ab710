"""What the screens share on which a person decides: one machine (`viewmodel.decision`) between the keys and what is sent.

The one rule: a verdict comes from a key that this screen itself has heard. Every key counts as another key first; the action that the
key is bound to then takes the verdict instead. So no palette, command, click or paste ever reaches one.
"""

from __future__ import annotations

import time
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static, TextArea

from smallchain.protocol.text import one_line
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.base import BaseScreen
from smallchain_tui.viewmodel.decision import Decision, Ending, How, Stage, Verdict
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.reader import Reader
from smallchain_tui.widgets.textfield import TextField, WordField

TICK_S = 0.1
_KEEP_AFTER_S = 0.5
ENDED_COLOURS = {How.ACKED: "$done bold", How.CONFLICT: "$waiting bold", How.EXPIRED: "$paused bold", How.WITHDRAWN: "$paused bold"}


class _Key(NamedTuple):
    """A key that came: the decision before it and as one of the other keys leaves it, and when it was pressed."""

    name: str
    before: Decision
    after: Decision
    at: float


class DecidingScreen(BaseScreen):
    """A screen with a decision on it. A subclass opens the decision, paints it, and may carry it out in its own way."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("deciding")]
    AUTO_FOCUS = ""
    scopes: ClassVar[tuple[str, ...]] = ("app", "anywhere", "deciding")
    note_hint = "a note: it is kept, and the model is told"

    def __init__(self) -> None:
        super().__init__()
        self.decision: Decision | None = None
        self.fault = ""
        """Why there is nothing to decide."""
        self._key: _Key | None = None
        self._ready = False
        self._live = True
        self._keeping: Timer | None = None

    # ---- what a subclass says

    def body(self) -> ComposeResult:
        """Who asks for what; the parts of a subclass; a note; the verdict; what there is to say."""
        yield Static("", id="ask", markup=False)
        with Vertical(id="deciding"):
            yield from self.parts()
        with Pane(id="note-pane"):
            yield TextField(id="note", placeholder=self.note_hint)
        with Horizontal(id="word-line"):
            yield Static("", id="word-label", markup=False)
            yield WordField(id="word")
        yield Static("", id="verdict", markup=False)
        yield Static("", id="notice", markup=False)

    def parts(self) -> ComposeResult:
        """What stands between the head and the note."""
        raise NotImplementedError

    def head(self) -> None:
        """Show who asks for what."""

    def following(self) -> str:
        """What can be done once it is over."""
        return "esc back"

    async def carry_out(self, decision: Decision) -> None:
        """Send what was decided, and say what came of it. Runs to its end even when the screen is left."""
        raise NotImplementedError

    def keep_draft(self) -> None:
        """Keep what was begun."""

    # ---- the machine

    def on_mount(self) -> None:
        """Time passes for verdicts that are held."""
        self.query_one("#note-pane", Pane).title("Note")
        self.set_interval(TICK_S, self._tick)

    def step(self, new: Decision | None) -> None:
        """The decision goes on; what it says is to be sent is sent, once."""
        old, self.decision = self.decision, new
        if new is None or new == old or not self.is_attached:
            return
        if old is None or old.stage is not new.stage:
            self.moved_on(old or new, new)
        self.paint()
        if new.stage is Stage.SENT and old is not None and old.stage is Stage.HELD:
            self.app.run_worker(self.carry_out(new), group="decisions", exit_on_error=False)

    def _tick(self) -> None:
        if self.decision is None:
            return
        new = self.decision.tick(self.app.monotonic(), why_not=self.app.may_act())
        if new is not self.decision:
            self.step(new)
        elif self._is_ready() is not self._ready:
            self.paint()

    def _is_ready(self) -> bool:
        """Whether a verdict key would count."""
        return self.decision is not None and self.decision.armed(self.app.monotonic()) and self.app.may_act() is None

    def on_key(self, event: events.Key) -> None:
        """Each key is another key, until the action it is bound to says that it is a verdict."""
        if self.decision is None:
            return
        at = self.app.monotonic() - max(0.0, time.monotonic() - event.time)  # when it was pressed: it may have waited for us
        after = self.decision.other(at) if event.key != "escape" else self.decision
        self._key = _Key(event.key, self.decision, after, at)
        self.step(after)

    def on_paste(self) -> None:
        """A paste is no verdict, and takes a held one back."""
        self.disturbed()

    def on_click(self) -> None:
        """A click neither."""
        self.disturbed()

    def on_screen_resume(self) -> None:
        """Whatever was typed elsewhere was not meant for this."""
        self.disturbed()

    def disturbed(self) -> None:
        """Something happened that is no key of this screen: the keys arm anew."""
        if self.decision is not None:
            self.step(self.decision.other(self.app.monotonic()))

    def lost_or_found(self) -> None:
        """The keys arm anew when the daemon is lost, and when it is back."""
        live = self.app.state.connection.live
        if live is not self._live:
            self._live = live
            self.disturbed()

    def heard(self, id: str) -> _Key | None:
        """The key whose action (`id` in the key map) this is, once; None for one that no key of this screen has called, or that is late:
        under load, the next key may be here before the action of the last."""
        key, self._key = self._key, None
        if key is None or key.name not in self.app.keys.names(id):
            self.tell("only a key on this screen decides")
            return None
        if self.decision is not key.after:
            self.tell("that key did not count: something else came at the same moment; press it again")
            return None
        return key

    def verdict(self, verdict: Verdict, id: str) -> None:
        """A verdict key was pressed, that of an action of the key map."""
        key = self.heard(id)
        if key is not None:
            self.step(key.before.press(verdict, key.at, why_not=self.app.may_act()))

    def action_send(self) -> None:
        """Send, or keep, what is written."""
        key = self.heard("deciding.send")
        if key is not None:
            self.step(key.before.send(key.at, why_not=self.app.may_act()))

    def out(self) -> bool:
        """Esc backs out of what was begun first."""
        if self.decision is None or self.decision.stage in (Stage.OPENED, Stage.UNKNOWN, Stage.ENDED):
            return False
        self.step(self.decision.escape(self.app.monotonic()))
        return True

    def action_back(self) -> None:
        """Leave, but not while a verdict is on its way."""
        if self.decision is not None and self.decision.stage in (Stage.HELD, Stage.SENT):
            self.out()
            return
        super().action_back()

    def action_page(self, pages: float) -> None:
        """A page on, or back."""
        readers = [reader for reader in self.query(Reader) if reader.display and reader.size.height]
        if readers:
            readers[0].page(pages)

    # ---- words for a person

    def said(self, selector: str, *pieces: tuple[str, str]) -> None:
        """Put words into a place: texts, made visible, each with its style."""
        self.query_one(selector, Static).update(Content.assemble(*((one_line(text), style) for text, style in pieces)))

    def keys_line(self, *ids: tuple[str, str]) -> list[tuple[str, str]]:
        """Keys and what they do: bright while they count, grey while they arm or cannot be used."""
        ready = self._is_ready()
        pieces: list[tuple[str, str]] = []
        for id, word in ids:
            pieces += [
                (f" {self.app.keys.shown(id)} ", "$accent-text bold reverse" if ready else "$muted"),
                (f" {word}   ", "$ink" if ready else "$muted"),
            ]
        return pieces

    def ended(self, ending: Ending) -> list[tuple[str, str]]:
        """How it ended, and when."""
        at = f" at {ending.at[:19].replace('T', ' ')} UTC" if ending.at else ""
        note = f"  note: {ending.note}" if ending.note else ""
        return [(f" {ending.sentence}{at} ", ENDED_COLOURS[ending.how]), (note, "$ink")]

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """What is written is kept, a moment later."""
        event.stop()
        if self.decision is not None:
            self.written(event.text_area.id or "", event.text_area.text)
            if self._keeping is not None:
                self._keeping.stop()
            self._keeping = self.set_timer(_KEEP_AFTER_S, self.keep_draft)

    def written(self, field: str, text: str) -> None:
        """A field holds another text."""
        assert self.decision is not None
        if field == "note":
            self.step(self.decision.write(self.app.monotonic(), note=text))

    # ---- painting

    def moved_on(self, old: Decision, new: Decision) -> None:
        """The focus is where letters go, and nowhere else."""
        self.set_class(new.stage is Stage.CONFIRMING, "-confirming")
        self.set_class(new.is_over, "-over")
        word = self.query_one("#word", WordField)
        if new.stage is Stage.CONFIRMING:
            word.value = ""
            self.call_after_refresh(word.focus)
        elif new.stage is Stage.NOTING:
            if self.focused is not self.query_one("#note"):
                self.query_one("#note").focus()
        elif new.stage is not Stage.EDITING:
            self.rest()
        self.query_one("#note", TextField).disabled = new.is_over
        self.refresh_bindings()
        self.refresh_lines()

    def rest(self) -> None:
        """Put the focus where no letter is typed."""
        self.set_focus(None)

    def on_input_changed(self, event: WordField.Changed) -> None:
        """Letters of the word."""
        event.stop()
        if self.decision is not None and event.input.id == "word":
            self.step(self.decision.write(self.app.monotonic(), typed=event.value))

    def on_input_submitted(self, event: WordField.Submitted) -> None:
        """Enter approves nothing."""
        event.stop()
        self.tell(f"enter decides nothing: {self.app.keys.shown('deciding.send')} does")

    def on_descendant_focus(self) -> None:
        """Who goes to the note writes one."""
        decision = self.decision
        if decision is None or decision.stage is Stage.NOTING or self.focused is not self.query_one("#note"):
            return
        noting = decision.begin_note(self.app.monotonic())
        self.step(noting)
        if noting.stage is not Stage.NOTING:
            self.rest()

    def paint(self) -> None:
        """Head, verdict, notice."""
        if not self.is_mounted or not self.is_attached or self.query_one_optional("#verdict") is None:
            return
        self.head()
        self._ready = self._is_ready()
        decision = self.decision
        if decision is None:
            self.said("#verdict", (self.fault or "reading ...", "$failed" if self.fault else "$muted"))
            return
        self.query_one("#note-pane", Pane).foot(self._note_foot(decision))
        self.said("#verdict", *self.verdict_line(decision))
        why_not = self.app.may_act()
        if decision.notice:
            self.said("#notice", (decision.notice, "$waiting bold"))
        elif why_not and not decision.is_over:
            self.said("#notice", (f"{why_not}; what you write is kept", "$failed bold"))
        else:
            self.said("#notice", *self.quiet_line(decision))

    def quiet_line(self, decision: Decision) -> list[tuple[str, str]]:
        """What stands there while there is nothing to say."""
        return [("", "")]

    def verdict_line(self, decision: Decision) -> list[tuple[str, str]]:
        """What can be said, or what is being said."""
        send, back = self.app.keys.shown("deciding.send"), "esc"
        match decision.stage:
            case Stage.ENDED if decision.ending is not None:
                return [*self.ended(decision.ending), (f"   {self.following()}", "$muted")]
            case Stage.SENT:
                return [("sent; the daemon has not answered yet", "$running bold")]
            case Stage.UNKNOWN:
                return [("looking whether it arrived ...", "$waiting bold")]
            case Stage.HELD:
                return [(f" {self.doing(decision)} ... any key takes it back ", "$waiting bold reverse")]
            case Stage.CONFIRMING:
                subject = decision.subject
                self.said("#word-label", (f"{self.why_word(decision)}: type {subject.word} ", "$failed bold"))
                ready = decision.typed == subject.word
                return [
                    (f" {send} ", "$failed bold reverse" if ready else "$muted"),
                    (f" {self.doing(decision)}   ", "$ink" if ready else "$muted"),
                    (f"{back} back", "$muted"),
                ]
            case Stage.NOTING if decision.verdict is not None:
                return [
                    (f" {send} ", "$accent-text bold reverse"),
                    (f" {self.doing(decision)}, and the model is told the note   ", "$ink"),
                    (f"{back} back", "$muted"),
                ]
            case Stage.NOTING:
                return [
                    (f" {send} ", "$accent-text bold reverse"),
                    (" keep the note   ", "$ink"),
                    (f"{back} back; the note goes with either verdict", "$muted"),
                ]
        return self.open_line(decision)

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """What can be said now."""
        raise NotImplementedError

    def why_word(self, decision: Decision) -> str:
        """Why a word is typed before it is sent."""
        return "for the rest of this run" if decision.verdict is not None and decision.verdict.for_run else "HIGH risk"

    def doing(self, decision: Decision) -> str:
        """The verdict in words: `approve once`."""
        return decision.verdict.verb.replace("_", " ") if decision.verdict is not None else ""

    def _note_foot(self, decision: Decision) -> str:
        if decision.stage is Stage.NOTING:
            return "enter: a new line"
        return "tab: write it" if not decision.note else "it goes with either verdict"


def visibly(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Texts on a line, each made visible, with their styles."""
    return [(one_line(text), style) for text, style in pieces]
