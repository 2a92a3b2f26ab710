"""`demo`: the main job in a minute, offline: a daemon on a temporary folder, and scripted agents.

On a terminal the dashboard opens on a newsroom at work; elsewhere a team's events are printed, and its answer.

The one rule: it leaves nothing behind, neither a process nor a file, however it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from smallchain.cli import daemon
from smallchain.cli.commands.kinds import columns_of
from smallchain.cli.commands.wait import await_ends, ended
from smallchain.cli.console import flush, note, out
from smallchain.cli.render import Item, pretty_event, table, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError, Terminal
from smallchain.protocol.client import Client, path_of
from smallchain.protocol.faults import EXIT_FAILED, EXIT_TIMED_OUT
from smallchain.protocol.text import visible
from smallchain.settings import Settings

DESCRIPTION = """\
See it work: a daemon of its own on a temporary folder. On a terminal the dashboard opens on a newsroom at work, in which
things wait for you to decide them; `--plain`, and without a terminal, the events of a team that writes and publishes a
post are printed. The models are scripted: nothing leaves this machine, no key is needed, and nothing stays behind."""
EXAMPLES = """
smallchain demo
smallchain demo --plain
"""
_TIMEOUT_S = 120.0
_LEAVES_WITHIN_S = 5.0
_GO_ON = """
That was the `scripted` model. With a real one:

  export OPENAI_API_KEY=...            # any OpenAI-compatible endpoint: export OPENAI_BASE_URL=http://127.0.0.1:8000/v1
  smallchain apply -f smallchain.yaml  # with `provider: openai` and a `model` in it; starts the daemon
  smallchain get events --pretty --follow
  smallchain get runs
  smallchain-tui                       # the dashboard"""


def add_arguments(parser: ArgumentParser) -> None:
    """The one flag."""
    parser.add_argument("--plain", action="store_true", help="print what happens, on a terminal too")


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "run the demo"


def execute(arguments: Namespace, session: Session) -> int:
    """Show it."""
    watched = not arguments.plain and _is_on_a_terminal(session)
    scene = scene_file("newsroom" if watched else "delegation")
    with _hangups_end_it(), _temporary_folder() as folder:
        settings = Settings.read(
            {"TMPDIR": tempfile.gettempdir()},
            config_dir=folder / "config",
            state_dir=folder / "state",
        )
        settings.config_dir.mkdir(mode=0o700)
        out("Smallchain demo: " + ("a newsroom at work, in the dashboard." if watched else "a team of agents writes and publishes a post."))
        out("The model is `scripted`: its replies come from a file, offline. All else is real: daemon, database, tools.")
        out(visible(f"The scene: {scene}\n", multiline=True))
        flush()
        client = Client(settings)
        pid = daemon.start(settings, _environment(session))
        try:
            names = _begin(client, scene)
            if watched:
                return _dashboard(settings, session)
            runs = _play(client, names)
        finally:
            _stop(client, pid)
    return _tell_end(runs)


def scene_file(name: str) -> Path:
    """A scene of the installed package; the delegation example may be in the source tree beside it."""
    packaged = Path(__file__).parents[1] / "scenes" / f"{name}.yaml"
    in_tree = Path(__file__).parents[3] / "examples" / "04-delegation" / "smallchain.yaml"
    for path in (packaged, in_tree) if name == "delegation" else (packaged,):
        if path.is_file():
            return path
    raise Terminal(f"the scene {packaged} is not there", hint="install smallchain again")


def _is_on_a_terminal(session: Session) -> bool:
    given = session.environ.get("TERM", "dumb") != "dumb"
    return given and all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _begin(client: Client, scene: Path) -> list[str]:
    """The names of the scene's runs, which have begun."""
    source = {"source": "demo", "folder": os.fspath(scene.parent), "text": scene.read_text(encoding="utf-8"), "shown": "demo"}
    made = client.post(path_of("apply"), {"sources": [source], "prune": False, "accept_deletes": False, "dry_run": False})
    names = [text_of(run.get("name")) for run in made.get("runs") or ()]
    if not names:
        raise SmallchainError("the daemon began no run for the scene", hint="is its version that of this program?")
    return names


def _dashboard(settings: Settings, session: Session) -> int:
    """The dashboard, until the person leaves it."""
    paths = ["--config-dir", os.fspath(settings.config_dir), "--state-dir", os.fspath(settings.state_dir)]
    given = ("SMALLCHAIN_SOCKET", "SMALLCHAIN_CONFIG_DIR", "SMALLCHAIN_STATE_DIR")
    environ = {name: value for name, value in session.environ.items() if name not in given}
    # -P: no module of the folder we are in is taken for one of ours
    with subprocess.Popen([sys.executable, "-P", "-m", "smallchain_tui", *paths], env=environ) as process:
        try:
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code:
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        note(f"smallchain: the dashboard ended {how}; `smallchain demo --plain` needs none")
        return EXIT_FAILED
    out(_GO_ON)
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the dashboard, politely first: it has a terminal to put in order."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LEAVES_WITHIN_S)
    process.kill()


def _play(client: Client, names: list[str]) -> list[dict[str, object]]:
    runs = await_ends(client, names, timeout_s=_TIMEOUT_S, after=0, tell=_tell, on_interrupt=_ends_with_us)
    out("")
    for line in table(columns_of("runs"), client.items("runs")):
        out(line)
    return runs


def _tell(event: Item) -> None:
    out(pretty_event(event))
    flush()


def _ends_with_us(run: Item) -> None:
    note("smallchain: interrupted; the demo's daemon stops, and nothing stays behind")


def _tell_end(runs: list[dict[str, object]]) -> int:
    code = 0
    for run in runs:
        if run.get("status") == "Succeeded":
            out("\nThe answer:\n" + visible(text_of(run.get("output")), multiline=True))
        else:
            code = EXIT_FAILED if ended(run) else EXIT_TIMED_OUT
            why = text_of(run.get("error") or run.get("detail"))
            out("\n" + visible(f"The run '{text_of(run.get('name'))}' is {text_of(run.get('status'))}: {why}"))
    out(_GO_ON)
    return code


def _environment(session: Session) -> dict[str, str]:
    """The caller's environment without what would lead the daemon out of its folder."""
    return {name: value for name, value in session.environ.items() if not name.startswith("SMALLCHAIN_")}


def _stop(client: Client, pid: int) -> None:
    """End the demo's daemon, politely first."""
    with suppress(SmallchainError):
        client.post("/v1/stop", {"now": True})
    if not _gone_soon(pid):
        for signum in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
            if _gone_soon(pid):
                break


def _gone_soon(pid: int) -> bool:
    import time

    until = time.monotonic() + 10
    while time.monotonic() < until:
        if daemon.gone(pid):
            return True
        time.sleep(0.05)
    return False


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="smallchain-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _hangups_end_it() -> Iterator[None]:
    """A closed terminal or a `kill` ends the demo as an interrupt does: through its `finally`s."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
