"""Telling a person who does not look: the bell, the window's title, the desktop's own notifications, a command of theirs.

The one rule: what reaches the terminal here is one line of visible text inside our own escape, and the command is words, run without a
shell, that gets ids alone. It is a courtesy: when it fails, nothing else does.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable

from smallchain.protocol.text import one_line
from smallchain_tui.options import Notify
from smallchain_tui.viewmodel import notices
from smallchain_tui.viewmodel.notices import Notice, Notices, Of
from smallchain_tui.viewmodel.state import State

LONGEST_LINE = 200
"""Cells of a line in a notification."""
_COMMAND_S = 30.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SAVE_TITLE, RESTORE_TITLE = "\x1b[22;2t", "\x1b[23;2t"


class Herald:
    """Tells what `notices` finds. `write` puts a sequence into the terminal, `toast` a line over the screen that takes no focus."""

    def __init__(self, wanted: Notify, *, write: Callable[[str], None], toast: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._write = write
        self._toast = toast
        self._notices = Notices()
        self._title = ""
        self._running: threading.Thread | None = None

    def look(self, state: State, now: float) -> None:
        """What waits and what failed, as it stands; `now` in seconds of a monotonic clock."""
        if not state.loaded:
            return
        failed = [row.item for row in state.runs.values() if row.status == "Failed"]
        requests = [row.item for row in state.requests.values()]
        self._retitle(len(requests), len(failed))
        self._notices, notice = self._notices.look(requests, failed, now)
        if notice is not None:
            self.tell(notice)

    @property
    def waits(self) -> bool:
        """Whether something is held back until the next notice."""
        return bool(self._notices.waiting)

    def tell(self, notice: Notice) -> None:
        """In all the ways that are wanted."""
        line = one_line(f"{notice.title}: {notice.line}", cells=LONGEST_LINE)
        self._toast(line)
        if self._wanted.bell:
            self._write("\a")
        if self._wanted.osc == "9":
            self._write(f"\x1b]9;{line}\a")
        elif self._wanted.osc == "777":
            self._write(f"\x1b]777;notify;smallchain;{line}\a")
        if self._wanted.command:
            self._run(notice)

    def close(self) -> None:
        """Leave the window's title as it was."""
        if self._title:
            self._write(RESTORE_TITLE)

    def _retitle(self, requests: int, failed: int) -> None:
        title = notices.title(requests, failed)
        if self._wanted.title and title != self._title:
            self._write(f"{'' if self._title else SAVE_TITLE}\x1b]2;{title}\a")
            self._title = title

    def _run(self, notice: Notice) -> None:
        """Run the command, one at a time; while one runs, the next notice goes without."""
        if self._running is not None and self._running.is_alive():
            return
        ids = {of: " ".join(id for id in notice.ids(of) if _ID.fullmatch(id)) for of in Of}
        environ = os.environ | {"SMALLCHAIN_REQUESTS": ids[Of.REQUEST], "SMALLCHAIN_FAILED_RUNS": ids[Of.FAILURE]}
        self._running = threading.Thread(target=_carry_out, args=(self._wanted.command, environ), name="notify", daemon=True)
        self._running.start()


def _carry_out(command: tuple[str, ...], environ: dict[str, str]) -> None:
    silent = subprocess.DEVNULL
    try:
        subprocess.run(command, env=environ, stdin=silent, stdout=silent, stderr=silent, timeout=_COMMAND_S, check=False)
    except (OSError, ValueError, subprocess.SubprocessError):
        return  # a courtesy that failed
