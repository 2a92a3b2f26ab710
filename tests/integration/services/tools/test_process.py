"""Child processes, real ones: fed, watched, bounded and ended, and nothing outlives its call."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.bash import BashExecutor
from smallchain.services.tools.process import (
    STDERR_KEPT,
    STDOUT_KEPT,
    Command,
    Ended,
    NotStarted,
    Patience,
    end_leftovers,
    run_process,
)
from support.lifelines import Lifeline
from support.programs import needed
from support.starts import a_start

SHORT = Patience(grace=timedelta(milliseconds=300), drain=timedelta(milliseconds=300))
REPOSITORY = Path(__file__).parents[4]


async def run(command: str, /, **changes: Any) -> Outcome:
    return await BashExecutor(sandbox=Sandbox(unfenced_as_root=True), patience=SHORT).execute(
        a_start({"local_bash": {"command": command}}, **changes)
    )


async def run_bare(script: str, *, folder: Path, timeout_s: float = 20, marks: dict[str, str] | None = None) -> Ended:
    env = {"PATH": os.defpath, **(marks or {})}
    command = Command(argv=["sh", "-c", script], folder=folder, env=env, timeout=timedelta(seconds=timeout_s), marks=marks)
    end = await run_process(command, patience=SHORT)
    assert isinstance(end, Ended)
    return end


# how it ended


@pytest.mark.parametrize(
    ("command", "kind", "text", "exit_code"),
    [
        ("echo hi; echo", OutcomeKind.SUCCEEDED, "hi", 0),
        ("true", OutcomeKind.SUCCEEDED, "(no output)", 0),
        ("echo careful >&2", OutcomeKind.SUCCEEDED, "(no output; on standard error:)\ncareful", 0),
        ("echo out; echo err >&2; exit 3", OutcomeKind.FAILED, "exit code 3\nstandard error:\nerr\nstandard output:\nout", 3),
        ("exit 255", OutcomeKind.FAILED, "exit code 255", 255),
        ("kill -SEGV $$", OutcomeKind.KILLED, "killed by SIGSEGV: it crashed", None),
        ("bash -c 'kill -KILL $$' 2>/dev/null", OutcomeKind.KILLED, "killed by SIGKILL (exit code 137)", 137),
        ("kill -TERM $$", OutcomeKind.KILLED, "killed by SIGTERM", None),
        ("bash -c 'kill -TERM $$'", OutcomeKind.FAILED, "exit code 143 (as after SIGTERM)", 143),
        ("echo MemoryError >&2; exit 1", OutcomeKind.OUT_OF_MEMORY, "ran out of memory", 1),
        ("exec 1>&- 2>&-; exit 4", OutcomeKind.FAILED, "exit code 4", 4),
        ("exec 0<&-; echo unread", OutcomeKind.SUCCEEDED, "unread", 0),
    ],
)  # fmt: skip
async def test_each_way_to_end_has_its_own_words(command: str, kind: OutcomeKind, text: str, exit_code: int | None) -> None:
    outcome = await run(command)

    assert outcome.kind is kind
    assert outcome.text.startswith(text)
    assert outcome.exit_code == exit_code


async def test_a_program_that_hangs_is_timed_out_with_what_it_had_printed() -> None:
    outcome = await run("echo so far; echo trouble >&2; sleep 60", timeout=timedelta(milliseconds=500))

    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.text == "timed out after 500ms, and was ended\nstandard error:\ntrouble\nstandard output:\nso far"


async def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    async with Lifeline(tmp_path) as lifeline:
        end = await run_bare(f"trap '' TERM; {lifeline.hold}; while :; do sleep 1; done", folder=tmp_path, timeout_s=0.5)

        await lifeline.started()
        await lifeline.ended()
    assert end.timed_out
    assert end.code == -signal.SIGKILL


async def test_a_program_may_use_sigterm_to_say_goodbye(tmp_path: Path) -> None:
    end = await run_bare("trap 'echo bye; exit 5' TERM; sleep 60 & wait", folder=tmp_path, timeout_s=0.5)

    assert (end.timed_out, end.code, end.stdout) == (True, 5, "bye\n")


async def test_a_missing_program_or_folder_starts_nothing(tmp_path: Path) -> None:
    here = {"env": {"PATH": os.defpath}, "timeout": timedelta(seconds=5)}

    no_program = await run_process(Command(argv=["no-such-program"], folder=tmp_path, **here))
    no_folder = await run_process(Command(argv=["true"], folder=tmp_path / "gone", **here))
    bad_env = await run_process(Command(argv=["true"], folder=tmp_path, env={"PATH": os.defpath, "A=B": "x\0"}, timeout=here["timeout"]))

    assert no_program == NotStarted("there is no program 'no-such-program'")
    assert no_folder == NotStarted(f"there is no folder '{tmp_path / 'gone'}'")
    assert isinstance(bad_env, NotStarted)
    outcome = await run("echo hi", folder=str(tmp_path / "gone"))
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "nothing ran" in outcome.text


async def test_arguments_that_are_no_json_start_nothing() -> None:
    outcome = await BashExecutor(sandbox=Sandbox(unfenced_as_root=True)).execute(
        a_start({"local_bash": {"command": "true"}}, {"a": "\ud800"})
    )

    assert outcome.kind is OutcomeKind.NOT_STARTED


# what it printed


async def test_a_flood_is_drained_and_its_beginning_kept() -> None:
    outcome = await run("echo first; head -c 50000000 /dev/zero | tr '\\0' x; echo last >&2")

    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.cut
    assert outcome.text.startswith("first\nxxx")
    assert len(outcome.text) == STDOUT_KEPT


async def test_the_end_of_standard_error_is_kept() -> None:
    outcome = await run("(echo first; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last) >&2; exit 1")

    assert outcome.cut
    assert outcome.text.endswith("xxx\nlast")
    assert len(outcome.text) < STDERR_KEPT + 100


async def test_a_program_that_prints_without_end_is_ended() -> None:
    outcome = await run("yes")

    assert outcome.kind is OutcomeKind.FLOODED
    assert outcome.text.startswith("printed more than 256 MiB, and was ended")
    assert outcome.cut


async def test_bytes_that_are_no_text_are_replaced() -> None:
    assert (await run(r"printf 'a\xff\xfe\x00b'")).text == "a\ufffd\ufffd\ufffdb"


async def test_a_cut_halves_no_character() -> None:
    outcome = await run("printf x; for i in {1..9000}; do printf '%s' €€€€€€€€€€; done")

    assert set(outcome.text) == {"x", "€"}
    assert outcome.cut


# what is left of it: nothing


async def test_a_grandchild_that_holds_the_output_ends_with_its_parent(tmp_path: Path) -> None:
    async with Lifeline(tmp_path) as lifeline:
        before = time.monotonic()
        outcome = await run(f"{lifeline.hold}; sleep 60 & echo done")

        await lifeline.started()
        await lifeline.ended()
    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "done", exit_code=0)
    assert time.monotonic() - before < 20


async def test_a_time_out_ends_the_group_and_not_the_process_alone(tmp_path: Path) -> None:
    async with Lifeline(tmp_path) as lifeline:
        end = await run_bare(f"{lifeline.hold}; sleep 60 & sleep 60", folder=tmp_path, timeout_s=0.5)

        await lifeline.started()
        await lifeline.ended()
    assert (end.timed_out, end.code) == (True, -signal.SIGTERM)


async def test_a_descendant_in_a_session_of_its_own_ends_too(tmp_path: Path) -> None:
    async with Lifeline(tmp_path) as lifeline:
        outcome = await run(f"read -r line < <(setsid sh -c '{lifeline.hold}; echo $$; exec sleep 60 > /dev/null 2>&1'); echo done")

        await lifeline.started()
        await lifeline.ended()
    assert outcome.text == "done"


async def test_cancelling_ends_the_whole_tree_and_removes_the_job_folder(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    command = "trap '' TERM; {hold}; setsid sleep 60 & (trap '' TERM; sleep 60) & sleep 60"
    async with Lifeline(tmp_path) as lifeline:
        start = a_start({"local_bash": {"command": command.format(hold=lifeline.hold)}})
        attempt = asyncio.create_task(BashExecutor(sandbox=Sandbox(unfenced_as_root=True), jobs=jobs, patience=SHORT).execute(start))
        await lifeline.started()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

        assert os.listdir(jobs) == []
        await lifeline.ended()


async def test_cancelling_twice_leaves_nothing_either(tmp_path: Path) -> None:
    async with Lifeline(tmp_path) as lifeline:
        attempt = asyncio.create_task(run(f"setsid sh -c '{lifeline.hold}; exec sleep 60' & trap '' TERM; sleep 60"))
        await lifeline.started()
        attempt.cancel()
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

        await lifeline.ended()


DAEMON = """
import asyncio, os, sys
from datetime import timedelta
from pathlib import Path
from smallchain.services.tools.process import Command, run_process

asyncio.run(run_process(Command(
    argv=["sh", "-c", sys.argv[1]], folder=Path("/"), env={"PATH": os.defpath, "MARK": sys.argv[2]}, timeout=timedelta(seconds=60),
)))
"""


def a_daemon(script: str, *, mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DAEMON, script, mark], cwd=REPOSITORY)


async def test_kill_9_of_the_daemon_ends_the_process(tmp_path: Path) -> None:
    needed("setpriv", package="util-linux")
    async with Lifeline(tmp_path) as lifeline:
        with a_daemon(f"{lifeline.hold}; exec sleep 60", mark="x") as daemon:
            await lifeline.started()
            daemon.kill()

        await lifeline.ended()


async def test_what_a_killed_daemon_left_behind_is_found_by_its_marks(tmp_path: Path) -> None:
    mark = f"test-{tmp_path}"
    async with Lifeline(tmp_path) as lifeline:
        with a_daemon(f"{lifeline.hold}; sleep 60 & wait", mark=mark) as daemon:
            await lifeline.started()
            daemon.kill()

        end_leftovers({"MARK": mark})
        await lifeline.ended()
    assert end_leftovers({"MARK": mark}) == 0


async def test_open_files_do_not_grow(tmp_path: Path) -> None:
    await run_bare("true", folder=tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await run_bare("echo x; sleep 60 &", folder=tmp_path)
        await run_bare("sleep 60", folder=tmp_path, timeout_s=0.05)

    assert len(os.listdir("/proc/self/fd")) == before


# what it is given


async def test_the_environment_is_short_and_holds_nothing_of_the_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-of-the-daemon")
    start = a_start({"local_bash": {"command": "env"}}, {"title": "canary-of-the-model"}, env={"TOKEN": "t", "SMALLCHAIN_RUN_ID": "forged"})

    outcome = await BashExecutor(sandbox=Sandbox(unfenced_as_root=True)).execute(start)

    seen = dict(line.split("=", 1) for line in outcome.text.splitlines())
    assert set(seen) - {"_", "PWD", "SHLVL", "OLDPWD"} == {
        "PATH", "HOME", "LANG", "TOKEN", "SMALLCHAIN_CALL_ID", "SMALLCHAIN_RUN_ID", "SMALLCHAIN_IDEMPOTENCY_KEY",
        "SMALLCHAIN_ATTEMPT", "SMALLCHAIN_DEADLINE", "SMALLCHAIN_ON_THIS_MACHINE",
    }  # fmt: skip
    assert seen["SMALLCHAIN_CALL_ID"] == start.call_id
    assert seen["SMALLCHAIN_RUN_ID"] == "run-1"
    assert seen["SMALLCHAIN_DEADLINE"] == "2026-01-02T03:04:35+00:00"
    assert "canary" not in outcome.text


async def test_arguments_stand_in_no_command_line() -> None:
    start = a_start({"local_bash": {"command": "tr '\\0' ' ' < /proc/$$/cmdline"}}, {"title": "canary"})

    assert "canary" not in (await BashExecutor(sandbox=Sandbox(unfenced_as_root=True)).execute(start)).text


async def test_it_leads_a_session_and_its_files_are_private() -> None:
    assert (await run("umask; [ $(ps -o sid= -p $$) = $$ ] && echo leads")).text == "0077\nleads"
