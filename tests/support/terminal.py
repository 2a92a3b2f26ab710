"""A program in a real terminal: tmux draws what it writes, keys go in as a person types them, and every byte it wrote is kept.

The one rule: each terminal is a tmux server of its own, with its socket in a folder of its own, and is ended with the test.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from support.daemon import PATIENCE_S
from support.programs import needed

_LOOK_S = 0.05
TERM = "tmux-256color"
"""What a terminal calls itself, unless a test says otherwise."""
_CONF = """\
set -g remain-on-exit on
set -g status off
set -g default-terminal {term}
set -s escape-time 0
set -s set-clipboard off
"""


class Terminal:
    """A terminal of some size in which one program runs."""

    def __init__(
        self,
        folder: Path,
        words: Sequence[str],
        *,
        environ: Mapping[str, str],
        columns: int = 160,
        lines: int = 45,
        term: str = TERM,
        name: str = "terminal",
    ) -> None:
        self._tmux = [needed("tmux"), "-S", str(folder / f"{name}.tmux"), "-f", str(folder / f"{name}.conf")]
        # the terminal's own size holds, not that of the one in which the tests run
        self._environ = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES", "TMUX", "TMUX_PANE")}
        self._written = folder / f"{name}.bytes"
        self._code = folder / f"{name}.code"
        (folder / f"{name}.conf").write_text(_CONF.format(term=term), encoding="ascii")
        go = folder / f"{name}.go"
        os.mkfifo(go)
        self._go = os.open(go, os.O_RDWR)
        try:  # the shell waits for a line, so that the program begins when all that it writes is kept
            command = f"read -r _ < {shlex.quote(str(go))}; {shlex.join(words)}; echo $? > {shlex.quote(str(self._code))}; read -r _"
            self._do("new-session", "-d", "-x", str(columns), "-y", str(lines), "-s", "s", f"exec sh -c {shlex.quote(command)}")
            self._do("pipe-pane", "-t", "s", f"exec cat >> {shlex.quote(str(self._written))}")
            os.write(self._go, b"go\n")
        except BaseException:
            self.close()
            raise

    # ---- what a person does

    def press(self, *keys: str) -> None:
        """Keys by tmux's names (`Enter`, `Escape`, `C-c`, `a`), one after the other."""
        self._do("send-keys", "-t", "s", *keys)

    def type(self, text: str) -> None:
        """Text, letter by letter."""
        self._do("send-keys", "-t", "s", "-l", text)

    def paste(self, text: str) -> None:
        """Text as a terminal pastes it: in one piece, bracketed where the program has asked for that."""
        self._do("set-buffer", "-b", "p", text)
        self._do("paste-buffer", "-p", "-d", "-b", "p", "-t", "s")

    def resize(self, columns: int, lines: int) -> None:
        """Another size."""
        self._do("resize-window", "-t", "s", "-x", str(columns), "-y", str(lines))

    # ---- what a person sees

    def screen(self) -> str:
        """The screen as it is now, without colours."""
        return self._do("capture-pane", "-p", "-t", "s")

    def shows(self, *words: str, within: float = PATIENCE_S) -> str:
        """The screen, once all of these words are on it."""
        return self.until(lambda screen: all(word in screen for word in words), f"showed {words}", within=within)

    def until(self, seen: Callable[[str], object], what: str, *, within: float = PATIENCE_S) -> str:
        """The screen, once something is seen on it."""
        until = time.monotonic() + within
        while True:
            screen = self.screen()
            if seen(screen):
                return screen
            assert time.monotonic() < until, f"it never {what} in {within:g} s; the screen was\n{screen}"
            time.sleep(_LOOK_S)

    def title(self) -> str:
        """The window's title."""
        return self._do("display-message", "-p", "-t", "s", "#{pane_title}").rstrip("\n")

    def written(self) -> bytes:
        """Everything that the program wrote to the terminal so far."""
        return self._written.read_bytes() if self._written.exists() else b""

    # ---- its end

    def ended(self, *, within: float = PATIENCE_S) -> int:
        """The program's exit code, once it has ended."""
        until = time.monotonic() + within
        while not (self._code.exists() and self._code.read_text(encoding="ascii").strip()):
            assert time.monotonic() < until, f"it did not end in {within:g} s; the screen was\n{self.screen()}"
            time.sleep(_LOOK_S)
        return int(self._code.read_text(encoding="ascii"))

    def pid(self) -> int:
        """Of the shell in the pane."""
        return int(self._do("display-message", "-p", "-t", "s", "#{pane_pid}"))

    def close(self) -> None:
        """End the server, and with it the program."""
        subprocess.run([*self._tmux, "kill-server"], env=self._environ, capture_output=True, timeout=PATIENCE_S, check=False)
        os.close(self._go)

    def _do(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words], env=self._environ, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, f"tmux {words[0]}: {done.stderr}"
        return done.stdout


_SEQUENCES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    rb"|\x1b\][0-9]+;[^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC
    rb"|\x1b[()][0-9A-B]|\x1b[=>78cDEHMNO]"
    rb"|\x1bP[^\x1b]*\x1b\\\\"
)


def sequences(written: bytes) -> list[bytes]:
    """The control sequences in what a program wrote, in order."""
    return _SEQUENCES.findall(written)


def texts(written: bytes) -> bytes:
    """What a program wrote, without its control sequences."""
    return _SEQUENCES.sub(b"", written)
