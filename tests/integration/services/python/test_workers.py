"""A person's code hangs, crashes, prints, leaks and changes; whoever called it hears of it in a sentence, and nothing else happens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.code import Fault, FaultKind, Function
from smallchain.services.python.workers import Workers

SOON = timedelta(seconds=20)
CODE = """
import os, sys, time, json

calls = 0

def add(a, b):
    return {"sum": a + b}

def count():
    global calls
    calls += 1
    return [calls, os.getpid()]

async def later(text):
    import asyncio
    await asyncio.sleep(0)
    return text

def prints():
    print("x" * 100_000)
    os.write(1, b"raw")
    sys.stderr.write("y" * 100_000)
    return "printed"

def reads():
    return sys.stdin.read()

def raises():
    raise ValueError("no such\\nthing")

class Busy(Exception):
    status = 429
    retry_after = 7

def hostile():
    raise ValueError("a\\0b\\ud800c" + "x" * 10_000)

def busy():
    raise Busy("come back")

def hangs():
    sys.stderr.write("about to hang")
    sys.stderr.flush()
    while True:
        pass

def dies():
    sys.stderr.write("Segmentation fault, as it were")
    sys.stderr.flush()
    os._exit(3)

def forks_and_dies():
    if os.fork():
        os._exit(4)
    time.sleep(1000)

def ends():
    sys.exit("enough")

def starts_another(path):
    import subprocess
    child = subprocess.Popen(["sleep", "1000"])
    open(path, "w").write(str(child.pid))
    time.sleep(1000)

def environ():
    return dict(os.environ)

def no_json():
    return {"now": object()}

def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found

def large(n):
    return "x" * n

value = 3
"""


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    found = Workers(at_most=2)
    yield found
    await found.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


async def call(workers: Workers, folder: Path, name: str, *arguments: Any, timeout: timedelta = SOON) -> Any:
    return await workers.call(Function("contexts", name, str(folder)), list(arguments), timeout=timeout)


def cached_in(folder: Path) -> list[Path]:
    return list(folder.rglob("__pycache__"))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_function_gets_its_arguments_and_gives_its_result(workers: Workers, folder: Path) -> None:
    assert await call(workers, folder, "mine:add", 3, 4) == {"sum": 7}
    assert await call(workers, folder, "mine:later", "ü \u2028") == "ü \u2028"


async def test_calls_one_after_another_share_a_process_and_what_it_holds(workers: Workers, folder: Path) -> None:
    first, second = await call(workers, folder, "mine:count"), await call(workers, folder, "mine:count")

    assert (first[0], second[0]) == (1, 2)
    assert first[1] == second[1] != os.getpid()


async def test_what_it_prints_is_no_answer_and_what_it_reads_is_empty(workers: Workers, folder: Path) -> None:
    assert await call(workers, folder, "mine:prints") == "printed"
    assert await call(workers, folder, "mine:reads") == ""
    assert await call(workers, folder, "mine:add", 1, 1) == {"sum": 2}


async def test_an_exception_is_told_by_its_last_line_and_its_place(workers: Workers, folder: Path) -> None:
    fault = await call(workers, folder, "mine:raises")

    line = CODE.splitlines().index('    raise ValueError("no such\\nthing")') + 1
    assert fault == Fault(FaultKind.RAISED, f"mine:raises failed: ValueError: no such thing ({folder}/mine.py:{line})")


async def test_an_exception_may_say_its_status_and_when_to_come_back(workers: Workers, folder: Path) -> None:
    fault = await call(workers, folder, "mine:busy")

    assert (fault.status, fault.retry_after) == (429, timedelta(seconds=7))


async def test_what_it_says_is_bounded_and_can_be_stored(workers: Workers, folder: Path) -> None:
    fault = await call(workers, folder, "mine:hostile")

    assert fault.message.startswith("mine:hostile failed: ValueError: a\ufffdb?c")
    assert len(fault.message) < 1000


async def test_a_hang_is_ended_and_the_next_call_works(workers: Workers, folder: Path) -> None:
    fault = await call(workers, folder, "mine:hangs", timeout=timedelta(milliseconds=300))

    assert fault.kind is FaultKind.TOO_LATE
    assert "mine:hangs gave no answer within" in fault.message
    assert "about to hang" in fault.message
    assert await call(workers, folder, "mine:add", 1, 2) == {"sum": 3}


async def test_a_crash_is_told_with_its_last_words(workers: Workers, folder: Path) -> None:
    fault = await call(workers, folder, "mine:dies")

    assert fault.message == "mine:dies gave no answer: its process ended (exit code 3); its last words: Segmentation fault, as it were"
    assert await call(workers, folder, "mine:add", 1, 2) == {"sum": 3}


async def test_leaving_the_interpreter_is_an_exception_like_others(workers: Workers, folder: Path) -> None:
    assert (await call(workers, folder, "mine:ends")).message.startswith("mine:ends failed: SystemExit: enough")


async def test_what_it_started_ends_with_it(workers: Workers, folder: Path, tmp_path: Path) -> None:
    fault = await call(workers, folder, "mine:starts_another", str(tmp_path / "pid"), timeout=timedelta(seconds=2))

    assert fault.kind is FaultKind.TOO_LATE
    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(10):
        while is_running(pid):
            await asyncio.sleep(0.01)


async def test_a_cancelled_caller_ends_the_call(workers: Workers, folder: Path, tmp_path: Path) -> None:
    task = asyncio.create_task(call(workers, folder, "mine:starts_another", str(tmp_path / "pid")))
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        while is_running(int((tmp_path / "pid").read_text())):
            await asyncio.sleep(0.01)


async def test_a_crash_is_seen_although_what_it_forked_holds_its_pipes(workers: Workers, folder: Path) -> None:
    fault = await call(workers, folder, "mine:forks_and_dies")

    assert fault.message.startswith("mine:forks_and_dies gave no answer: its process ended (exit code 4)")


async def test_a_process_that_nobody_uses_is_ended(folder: Path) -> None:
    workers = Workers(unused=timedelta())
    _, pid = await call(workers, folder, "mine:count")
    watch = asyncio.create_task(workers.watch(unheard))

    async with asyncio.timeout(20):
        while is_running(pid):
            await asyncio.sleep(0.01)

    watch.cancel()
    assert (await call(workers, folder, "mine:count"))[0] == 1
    await workers.close()


async def unheard() -> None:
    raise AssertionError("an unused process is no news")


async def test_closing_does_not_wait_for_a_hang(folder: Path) -> None:
    workers = Workers()
    task = asyncio.create_task(call(workers, folder, "mine:hangs"))
    while not workers._all:
        await asyncio.sleep(0.01)

    async with asyncio.timeout(10):
        await workers.close()

    assert (await task).kind is not FaultKind.RAISED


async def test_its_environment_is_short_and_holds_nothing_of_the_daemons(
    workers: Workers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-daemon")

    assert set(await call(workers, folder, "mine:environ")) <= {"PATH", "HOME", "LANG", "LC_CTYPE", "PYTHONUNBUFFERED"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine:no_json", "mine:no_json gave no answer: it returned dict, which is not JSON"),
        ("mine:deep", "mine:deep gave no answer: it returned list, which is not JSON"),
        ("mine:nothing", "mine:nothing can't be loaded: AttributeError"),
        ("mine:value", "mine:value can't be loaded: TypeError: mine:value is not a function"),
        ("other:add", "other:add can't be loaded: ModuleNotFoundError: No module named 'other'"),
        ("mime", "no entry point 'mime' of smallchain.contexts is installed"),
    ],
)
async def test_what_cannot_be_called_or_answered_is_said(workers: Workers, folder: Path, name: str, said: str) -> None:
    fault = await call(workers, folder, name)

    assert isinstance(fault, Fault)
    assert fault.message.startswith(said)


async def test_an_answer_has_a_largest_size(workers: Workers, folder: Path) -> None:
    assert len(await call(workers, folder, "mine:large", 1 << 20)) == 1 << 20
    assert "larger than 32 MiB" in (await call(workers, folder, "mine:large", 33 << 20)).message


async def test_a_module_that_is_broken_is_told_with_its_line_and_heals(workers: Workers, folder: Path) -> None:
    (folder / "broken.py").write_text("def f():\n    return 1\n  x = 2\n")
    function = Function("contexts", "broken:f", str(folder))

    fault = await workers.check(function)

    assert fault is not None
    assert fault.kind is FaultKind.NOT_LOADED
    assert f"IndentationError: unindent does not match any outer indentation level ({folder}/broken.py:3)" in fault.message
    (folder / "broken.py").write_text("def f():\n    return 1\n")
    assert await workers.check(function) is None


async def test_a_changed_file_is_seen_at_the_next_call(workers: Workers, folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "words.py").write_text("WORD = 'old'")
    (folder / "outer.py").write_text("from inner.words import WORD\ndef f():\n    return WORD\n")
    assert await call(workers, folder, "outer:f") == "old"

    (folder / "inner" / "words.py").write_text("WORD = 'newer'")

    assert await call(workers, folder, "outer:f") == "newer"
    assert not cached_in(folder), "the folder is a person's: nothing is written into it"


async def test_the_watch_tells_of_a_change_and_of_a_file_that_was_missing(workers: Workers, folder: Path) -> None:
    changes: asyncio.Queue[str] = asyncio.Queue()

    async def changed() -> None:
        changes.put_nowait("changed")

    await call(workers, folder, "mine:add", 1, 2)
    assert await workers.check(Function("contexts", "missing:f", str(folder))) is not None
    while not changes.empty():
        changes.get_nowait()
    watch = asyncio.create_task(workers.watch(changed))

    (folder / "missing.py").write_text("def f(): pass")

    async with asyncio.timeout(20):
        await changes.get()
    assert await workers.check(Function("contexts", "missing:f", str(folder))) is None
    (folder / "mine.py").write_text(CODE + "\n# changed\n")
    await call(workers, folder, "mine:add", 1, 2)
    (folder / "mine.py").write_text(CODE + "\n# changed again\n")
    async with asyncio.timeout(20):
        await changes.get()
    watch.cancel()


async def test_no_more_processes_are_at_work_than_there_are_places(workers: Workers, folder: Path) -> None:
    answers = await asyncio.gather(*(call(workers, folder, "mine:count") for _ in range(8)))

    assert len({pid for _, pid in answers}) <= 2
    assert sum(1 for count, _ in answers if count) == 8


async def test_folders_do_not_share_modules(workers: Workers, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.py").write_text(f"def f(): return {name!r}")

    assert [await call(workers, tmp_path / name, "same:f") for name in ("one", "two", "three", "one")] == ["one", "two", "three", "one"]


async def test_a_folder_that_is_gone_is_said(workers: Workers, tmp_path: Path) -> None:
    fault = await call(workers, tmp_path / "gone", "mine:add")

    assert fault.kind is FaultKind.NOT_LOADED
    assert "No such file or directory" in fault.message
