"""Telling somebody who does not look: what reaches the terminal is ours, and what runs gets ids and no shell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from smallchain_tui.notify import Herald
from smallchain_tui.options import Notify
from smallchain_tui.viewmodel.rows import RequestRow
from smallchain_tui.viewmodel.state import State

ID = "01936d1e-0000-7000-8000-00000000000a"


class Terminal:
    """What was written, and what was toasted."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.toasts: list[str] = []

    def herald(self, **wanted: Any) -> Herald:
        return Herald(Notify(**wanted), write=self.written.append, toast=self.toasts.append)


def asking(tool: str = "publish_post", run: str = "blog-7", id: str = ID) -> State:
    """A state in which something waits."""
    state = State()
    state.take_runs([], whole=True)
    state.take_requests([RequestRow.of({"id": id, "kind": "approval", "phase": "open", "tool": tool, "run": run})])
    return state


def nothing() -> State:
    state = State()
    state.take_runs([], whole=True)
    return state


def test_a_request_rings_once_and_is_named_in_the_toast_and_counted_in_the_title() -> None:
    terminal = Terminal()
    herald = terminal.herald()
    herald.look(nothing(), 0.0)
    herald.look(asking(), 1.0)
    herald.look(asking(), 99.0)

    assert terminal.written.count("\a") == 1
    assert terminal.toasts == ["smallchain: asks: publish_post (blog-7)"]
    assert terminal.written[-2] == "\x1b]2;(1) smallchain\a"


def test_each_way_can_be_off() -> None:
    terminal = Terminal()
    herald = terminal.herald(bell=False, title=False)
    herald.look(nothing(), 0.0)
    herald.look(asking(), 1.0)

    assert (terminal.written, len(terminal.toasts)) == ([], 1)


def test_hostile_names_end_no_escape_of_ours_and_begin_none() -> None:
    for osc, begin in (("9", "\x1b]9;smallchain: asks: "), ("777", "\x1b]777;notify;smallchain;smallchain: asks: ")):
        terminal = Terminal()
        herald = terminal.herald(bell=False, title=False, osc=osc)
        herald.look(nothing(), 0.0)
        herald.look(asking(tool="x\x07\x1b]52;c;aGk=\x07\x9c", run="\x1b\\y\u202e"), 1.0)

        (sequence,) = terminal.written
        assert sequence.startswith(begin)
        assert sequence.endswith("\a")
        assert sequence[len(begin) : -1].isprintable()


def test_the_title_is_given_back_at_the_end() -> None:
    terminal = Terminal()
    herald = terminal.herald()
    herald.look(nothing(), 0.0)
    herald.close()

    assert terminal.written[0].startswith("\x1b[22;2t")
    assert terminal.written[-1] == "\x1b[23;2t"


def test_a_command_gets_ids_in_its_environment_and_no_shell_sees_it(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = "import os, sys; open(sys.argv[1], 'w').write(repr((sys.argv[2], os.environ['SMALLCHAIN_REQUESTS'])))"
    herald = Terminal().herald(command=(sys.executable, "-c", code, str(said), "$(id); *"))
    herald.look(nothing(), 0.0)
    herald.look(asking(tool="$(touch x)"), 1.0)
    assert herald._running is not None
    herald._running.join(20)

    assert said.read_text() == repr(("$(id); *", ID))


def test_an_id_that_is_none_is_not_given_on(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['SMALLCHAIN_REQUESTS'])"
    herald = Terminal().herald(command=(sys.executable, "-c", code, str(said)))
    herald.look(nothing(), 0.0)
    herald.look(asking(id="$(reboot)\n"), 1.0)
    assert herald._running is not None
    herald._running.join(20)

    assert said.read_text() == ""


def test_a_command_that_is_not_there_harms_nothing() -> None:
    herald = Terminal().herald(command=("/nonexistent/notify",))
    herald.look(nothing(), 0.0)
    herald.look(asking(), 1.0)
    assert herald._running is not None
    herald._running.join(20)

    assert not herald._running.is_alive()
