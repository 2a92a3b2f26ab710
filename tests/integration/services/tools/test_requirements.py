"""Packages for Python tools, by a real installer from a folder of wheels: built once, whole or not at all, and then only read."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from smallchain.model.toolcall import OutcomeKind
from smallchain.model.toolspec import ToolSpec
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.python import PythonExecutor
from smallchain.services.tools.requirements import KEPT_UNUSED, Requirements, interpreter
from support.starts import a_start
from support.wheels import a_wheel, led_to


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with `greeting` and what it needs."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    a_wheel(folder, "greeting", "1.0", "import words\ndef greet(name): return f'{words.HELLO}, {name}'\n", requires="words>=2")
    a_wheel(folder, "words", "2.1", "HELLO = 'hello'\n")
    return folder


def environ(wheels: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(wheels), "UV_CACHE_DIR": str(wheels / "cache")} | led_to(wheels) | more


def requirements(tmp_path: Path, wheels: Path, **more: str) -> Requirements:
    return Requirements(tmp_path / "requirements", environ(wheels, **more))


def a_tool(*wanted: str) -> ToolSpec:
    return ToolSpec.model_validate({"name": "t", "executor": {"python": {"code": "1", "requirements": list(wanted)}}})


async def test_a_tool_has_the_packages_it_asks_for_and_the_arguments(tmp_path: Path, wheels: Path) -> None:
    executor = PythonExecutor(sandbox=Sandbox(), requirements=requirements(tmp_path, wheels))
    code = a_start(
        {"python": {"code": "import greeting; print(greeting.greet(name))", "requirements": ["greeting"]}},
        {"name": "ann"},
        isolation="auto",
    )
    command = a_start(
        {"python": {"command": "python -c 'import greeting; print(greeting.greet(name))'", "requirements": ["greeting"]}},
        {"name": "bob"},
        isolation="auto",
    )

    assert [(await executor.execute(start)).text for start in (code, command)] == ["hello, ann", "hello, bob"]


async def test_it_has_them_and_no_others(tmp_path: Path, wheels: Path) -> None:
    executor = PythonExecutor(sandbox=Sandbox(), requirements=requirements(tmp_path, wheels))

    outcome = await executor.execute(a_start({"python": {"code": "import greeting", "requirements": ["words"]}}, isolation="auto"))

    assert outcome.kind is OutcomeKind.FAILED
    assert "No module named 'greeting'" in outcome.text


async def test_the_same_packages_are_installed_once_however_many_ask(tmp_path: Path, wheels: Path) -> None:
    there = requirements(tmp_path, wheels)

    places = await asyncio.gather(
        *(there.environment(wanted) for wanted in (["words", "greeting"], ["greeting", "words"], ["greeting", "words"]))
    )
    shutil.rmtree(wheels)  # nothing is installed any more
    again = await requirements(tmp_path, wheels).environment(["words", "greeting"])

    assert len({*places, again}) == 1
    assert isinstance(again, Path)


async def test_what_cannot_be_installed_is_an_error_of_the_tool_with_the_installers_words(tmp_path: Path, wheels: Path) -> None:
    executor = PythonExecutor(sandbox=Sandbox(), requirements=requirements(tmp_path, wheels))

    fault = await executor.check(a_tool("nosuchpackage==9"), folder="")
    outcome = await executor.execute(a_start({"python": {"code": "1", "requirements": ["nosuchpackage==9"]}}, isolation="auto"))

    assert "nosuchpackage==9" in fault
    assert "No matching distribution" in fault or "not found" in fault
    assert outcome.kind is OutcomeKind.NOT_STARTED, "never a failure that a model would be told to mend"
    assert await executor.check(a_tool("words"), folder="") == ""


async def test_what_is_mended_is_built_at_the_next_look(tmp_path: Path, wheels: Path) -> None:
    executor = PythonExecutor(sandbox=Sandbox(), requirements=requirements(tmp_path, wheels))
    assert await executor.check(a_tool("late"), folder="") != ""

    a_wheel(wheels, "late", "1.0", "")

    assert await executor.check(a_tool("late"), folder="") == ""


SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from smallchain.services.tools.requirements import Requirements
print(asyncio.run(Requirements(Path(sys.argv[1]), json.loads(sys.argv[2])).environment(["greeting"])))
"""


def killed_within_a_build(folder: Path, environ: dict[str, str]) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), json.dumps(environ)], stdout=subprocess.PIPE) as life:
        until = time.monotonic() + 30
        while not list(folder.glob("*/lib/python*/site-packages")):
            assert time.monotonic() < until
            time.sleep(0.005)
        life.send_signal(signal.SIGKILL)


async def test_a_build_that_was_killed_is_begun_again(tmp_path: Path, wheels: Path) -> None:
    folder = tmp_path / "requirements"
    killed_within_a_build(folder, environ(wheels))
    (left,) = folder.iterdir()
    assert not (left / "complete").exists(), "it was killed within the build"

    assert await requirements(tmp_path, wheels).environment(["greeting"]) == left
    executor = PythonExecutor(sandbox=Sandbox(), requirements=requirements(tmp_path, wheels))
    assert (
        await executor.execute(
            a_start({"python": {"code": "import greeting; print(greeting.greet(1))", "requirements": ["greeting"]}}, isolation="auto")
        )
    ).text == "hello, 1"


async def test_a_build_that_takes_too_long_is_ended(tmp_path: Path, wheels: Path) -> None:
    client = tmp_path / "bin"
    client.mkdir()
    (client / "uv").write_text("#!/bin/sh\nexec sleep 60\n")
    (client / "uv").chmod(0o755)
    there = Requirements(tmp_path / "requirements", environ(wheels, PATH=f"{client}:{os.environ['PATH']}"), within=timedelta(seconds=1))

    assert "it took longer than" in str(await there.environment(["words"]))


async def test_what_was_not_used_for_a_month_goes_and_what_is_used_stays(tmp_path: Path, wheels: Path) -> None:
    there = requirements(tmp_path, wheels)
    old, new = await there.environment(["words"]), await there.environment(["greeting"])
    assert isinstance(old, Path)
    assert isinstance(new, Path)
    long_ago = time.time() - KEPT_UNUSED.total_seconds() - 60
    os.utime(old / "complete", (long_ago, long_ago))
    (tmp_path / "requirements" / "half").mkdir()

    await there.sweep()

    assert list((tmp_path / "requirements").iterdir()) == [new]


def test_the_interpreter_is_a_real_one() -> None:
    assert Path(interpreter()).resolve() == Path(interpreter())
    assert Path(interpreter()).read_bytes()[:4] == b"\x7fELF", "no shim, which is a script"
