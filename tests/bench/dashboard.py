"""The dashboard as a person has it: the program in a pseudo-terminal, beside a Textual app that shows one word.

A key's time is from its bytes going into the terminal until what it drew comes out: a sign is typed into the command line, again and again,
while events come. Nothing is measured from within.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.processes import PATIENCE_S, Kernel
from bench.report import Figure, Target, percentile
from support.daemon import Daemon, a_folder, end, program

_ROWS, _COLUMNS = 45, 160
_SIGN = "¤"
"""What is typed: nothing else on the screen holds it."""
_PLAIN = (
    "from textual.app import App\nfrom textual.widgets import Static\nclass A(App):\n def compose(self): yield Static('hello')\nA().run()"
)
_PLAIN_IS = "a Textual app that shows one word"


class Screen:
    """A program in a pseudo-terminal, and what it has written since something was looked for."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", _ROWS, _COLUMNS, 0, 0))
        more = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, env={**environ, **more}, start_new_session=True, close_fds=True
        )
        os.close(theirs)
        self._seen = b""

    @property
    def kernel(self) -> Kernel:
        """What the kernel says of it."""
        return Kernel(self.process.pid)

    def until(self, *texts: str) -> float:
        """Read until one of these was written; the moment. Raises TimeoutError."""
        wanted = [text.encode() for text in texts]
        give_up = time.monotonic() + PATIENCE_S
        while not any(text in self._seen for text in wanted):
            left = give_up - time.monotonic()
            if left <= 0 or not select.select([self._ours], [], [], left)[0]:
                raise TimeoutError(f"{texts} never came; the end was {self._seen[-2000:]!r}")
            self._seen = self._seen[-(1 << 20) :] + self._read()
        return time.perf_counter()

    def rest(self, seconds: float) -> None:
        """Read whatever comes for so long, and forget it."""
        end_at = time.monotonic() + seconds
        while (left := end_at - time.monotonic()) > 0:
            if select.select([self._ours], [], [], left)[0]:
                self._read()
        self._seen = b""

    def forget(self) -> None:
        """What was written so far counts no more."""
        self._seen = b""

    def type(self, text: str) -> float:
        """Press keys; the moment."""
        at = time.perf_counter()
        os.write(self._ours, text.encode())
        return at

    def close(self) -> None:
        """End it."""
        end(self.process)
        os.close(self._ours)

    def _read(self) -> bytes:
        try:
            return os.read(self._ours, 1 << 16)
        except OSError as error:
            raise TimeoutError(f"the program has ended: {self._seen[-2000:]!r}") from error


class Events:
    """The server of events as a process."""

    def __init__(self, path: Path) -> None:
        words = [sys.executable, "-m", "bench.eventserver", str(path)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def tell(self, rate: int, count: int) -> None:
        """Begin to tell so many events at so many a second."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{rate} {count}\n")
        self._process.stdin.flush()

    def told(self) -> None:
        """Wait until that is done."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "told\n"

    def close(self) -> None:
        """End it."""
        end(self._process)


def dashboard(*, paints: int, idle_s: float, keys: int, rate: int, most: int) -> Iterator[Figure]:
    """First paint, idle processor time, keys at so many events a second, and memory after `most` events."""
    with a_folder() as folder:
        daemon = Daemon(folder)  # its folders and environment; nothing of it is started
        events = Events(folder / "events.sock")
        try:
            where = ["--socket", str(folder / "events.sock")]
            yield from _first_paint(paints, where, daemon.environ)
            yield from _idle(idle_s, where, daemon.environ)
            yield from _busy(keys, rate, most, where, daemon.environ, events)
        finally:
            events.close()


def _first_paint(repeats: int, where: Sequence[str], environ: Mapping[str, str]) -> Iterator[Figure]:
    ours, theirs = [], []
    for _ in range(repeats + 1):  # the first one compiles
        with _plain(environ) as plain:
            theirs.append(1000 * (plain.until("hello") - plain.began))
        with _screen(where, environ) as screen:
            ours.append(1000 * (screen.until("Runs") - screen.began))
    yield Figure(
        "dashboard", "first_paint_ms", "ms", ours[1:], baseline=theirs[1:], baseline_is=_PLAIN_IS, target=Target("value", "<=", 500)
    )


def _idle(seconds: float, where: Sequence[str], environ: Mapping[str, str]) -> Iterator[Figure]:
    with _plain(environ) as plain:
        plain.until("hello")
        theirs = _percent(plain, seconds)
    with _screen(where, environ) as screen:
        screen.until("connected")
        ours = _percent(screen, seconds)
    target = Target("value", "<=", 2)
    yield Figure("dashboard", "idle_cpu", "%", [ours], at={"seconds": seconds}, baseline=[theirs], baseline_is=_PLAIN_IS, target=target)


def _busy(keys: int, rate: int, most: int, where: Sequence[str], environ: Mapping[str, str], events: Events) -> Iterator[Figure]:
    with _screen(where, environ) as screen:
        screen.until("connected")
        screen.rest(2.0)
        empty_mib = screen.kernel.rss_kib / 1024
        quiet = _key_times(screen, keys)
        screen.rest(0.5)
        begun, cpu = time.perf_counter(), screen.kernel.cpu_s
        events.tell(rate, rate * 3600)
        busy = _key_times(screen, keys)
        share = 100 * (screen.kernel.cpu_s - cpu) / (time.perf_counter() - begun)
    at = {"events_a_second": rate, "keys": keys}
    beside = "the same while nothing comes"
    yield Figure("dashboard", "key_p50_ms", "ms", [percentile(busy, 0.5)], at=at, baseline=[percentile(quiet, 0.5)], baseline_is=beside)
    p95, target = [percentile(busy, 0.95)], Target("value", "<=", 100)
    yield Figure("dashboard", "key_p95_ms", "ms", p95, at=at, baseline=[percentile(quiet, 0.95)], baseline_is=beside, target=target)
    yield Figure("dashboard", "busy_cpu", "%", [share], at=at)
    events.close()
    yield from _full(most, where, environ, empty_mib)


def _full(most: int, where: Sequence[str], environ: Mapping[str, str], empty_mib: float) -> Iterator[Figure]:
    path = Path(where[1])
    path.unlink(missing_ok=True)
    events = Events(path)
    try:
        with _screen(where, environ) as screen:
            screen.until("connected")
            screen.rest(1.0)
            events.tell(4000, most - 500)
            screen.until(f"#{most}.")
            screen.rest(2.0)
            full_mib = screen.kernel.rss_kib / 1024
    finally:
        events.close()
    at, target = {"events": most}, Target("value", "<=", 120)
    yield Figure(
        "dashboard", "rss_mib", "MiB", [full_mib], at=at, baseline=[empty_mib], baseline_is="the same with 500 events", target=target
    )


def _key_times(screen: Screen, count: int) -> list[float]:
    """From a key to its echo in the command line, in ms; the line is emptied before it is full."""
    found: list[float] = []
    typed = 0
    screen.forget()
    screen.type(":")
    screen.until("run NAME")
    for _ in range(count):
        typed += 1
        screen.forget()
        begun = screen.type(_SIGN)
        found.append(1000 * (screen.until(_SIGN * typed) - begun))
        screen.rest(0.05)
        if typed == 40:
            screen.type("\x15")  # ctrl+u
            screen.rest(0.3)
            typed = 0
    screen.type("\x1b")
    screen.rest(0.5)
    return found


def _percent(screen: Screen, seconds: float) -> float:
    """Processor time while nothing happens, in percent of one core; the beginning is left out."""
    screen.rest(2.0)
    cpu, begun = screen.kernel.cpu_s, time.perf_counter()
    screen.rest(seconds)
    return 100 * (screen.kernel.cpu_s - cpu) / (time.perf_counter() - begun)


@contextmanager
def _screen(where: Sequence[str], environ: Mapping[str, str]) -> Iterator[Screen]:
    screen = Screen([*program("smallchain-tui"), *where], environ)
    try:
        yield screen
    finally:
        screen.close()


@contextmanager
def _plain(environ: Mapping[str, str]) -> Iterator[Screen]:
    screen = Screen([sys.executable, "-c", _PLAIN], environ)
    try:
        yield screen
    finally:
        screen.close()
