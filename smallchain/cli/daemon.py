"""The daemon as a process: started in a session of its own, waited for until it is ready, and watched until it is gone.

The one rule: whoever starts it hears when it accepts connections, or why it never will, with the log's last lines.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smallchain.cli.console import note
from smallchain.model.errors import Busy, SmallchainError, Terminal, Unreachable
from smallchain.protocol.client import Client
from smallchain.protocol.faults import EXIT_TRY_AGAIN
from smallchain.protocol.text import visible
from smallchain.settings import Settings

READY_WITHIN_S = 20.0
_LOOK_S = 0.1
_LAST_LINES = 10


def start(settings: Settings, environ: Mapping[str, str], *, flags: Sequence[str] = ()) -> int:
    """Start the daemon, with more `flags` of its own, and return its pid once it is ready; if another one was faster, 0.

    Raises Terminal with the log's last lines when it ends instead, Busy when it takes longer than 20 s.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = settings.daemon_log
    words = ["--config-dir", os.fspath(settings.config_dir), "--state-dir", os.fspath(settings.state_dir), "--print-ready", *flags]
    if settings.socket_given:
        words += ["--socket", os.fspath(settings.socket_path)]
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        begins = os.fstat(said).st_size
        process = subprocess.Popen(
            [sys.executable, "-m", "smallchaind", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd="/",  # the caller's folder stays free, and no module in it is taken for one of ours
            env=dict(environ),
            umask=0o077,
            start_new_session=True,
        )
    finally:
        os.close(said)
    assert process.stdout is not None
    with process.stdout as pipe:
        spoke = _ready(pipe.fileno())
    if spoke is None:
        process.returncode = 0  # it goes on without us: nobody is to wait for it, nor to warn that nobody did
        raise Busy(
            f"smallchaind (pid {process.pid}) is not ready after {READY_WITHIN_S:g} s",
            hint=f"it may still come: see `smallchain status` and {log}",
        )
    if not spoke:
        return _ended(process.wait(), settings, begins)
    process.returncode = 0
    note(f"started smallchaind (pid {process.pid})")
    return process.pid


def await_end(client: Client, pid: int, *, tell: Callable[[str], None]) -> None:
    """Return when the daemon of this pid is gone; `tell` hears what it waits for, each time that changes."""
    told: list[str] = []
    while not gone(pid):
        try:
            waiting = sentences(client.get("/v1/status").get("waiting_for"))
        except Unreachable:
            waiting = told  # it has closed its socket and is about to end
        except Busy:
            waiting = told
        for sentence in waiting:
            if sentence not in told:
                tell(sentence)
        told = waiting
        time.sleep(_LOOK_S)


def gone(pid: int) -> bool:
    """Whether no process of this pid runs (a dead one that nobody has waited for counts as gone)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return not _signalled(pid)
    return state in "ZX"


def sentences(told: Any) -> list[str]:
    """What an answer lists as sentences, without what is none."""
    return [one for one in told if isinstance(one, str)] if isinstance(told, list) else []


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _ready(descriptor: int) -> bool | None:
    """True once a whole line came, False when the pipe was closed before, None when the time is up."""
    until = time.monotonic() + READY_WITHIN_S
    data = b""
    while (left := until - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        part = os.read(descriptor, 4096)
        if not part:
            return False
        data += part
        if b"\n" in data:
            return True
    return None


def _ended(code: int, settings: Settings, begins: int) -> int:
    """It ended before it was ready: because another daemon holds the folder, which is as good, or for a reason to tell."""
    client = Client(settings)
    until = time.monotonic() + READY_WITHIN_S
    while code == EXIT_TRY_AGAIN and time.monotonic() < until:
        if client.listening():
            return 0
        time.sleep(_LOOK_S)
    lines = last_lines(settings.daemon_log, _LAST_LINES, begins=begins)
    for line in lines:
        note(visible(f"  {line}"))
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
    error: type[SmallchainError] = Busy if code == EXIT_TRY_AGAIN else Terminal
    raise error(f"smallchaind ended {how} before it was ready", hint=f"its log is {settings.daemon_log}")


def last_lines(log: Path, count: int, *, begins: int = 0) -> list[str]:
    """The last lines of a file from an offset on, at most 64 KiB of them."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(begins, size - 65536))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-count:] if count else []
