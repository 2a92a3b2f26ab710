"""What the fence costs: a start of each executor beside the bare start of its program, and many bash calls at once."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.report import Figure
from smallchain.model.toolcall import OutcomeKind, Start
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.bash import BashExecutor
from smallchain.services.tools.node import NodeExecutor
from smallchain.services.tools.python import PythonExecutor
from smallchain.services.tools.registry import Tools
from support.starts import a_start

_PROGRAMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "local_bash": ({"command": "true"}, ["bash", "-c", "true"]),
    "python": ({"code": "pass"}, [sys.executable, "-c", "pass"]),
    "local_nodejs": ({"code": "0"}, ["node", "-e", "0"]),
}
_WAYS = ("required", "none")


def tools(repeats: int, at_once: int) -> Iterator[Figure]:
    """Milliseconds from the call of an executor to its outcome, one after another; then calls a second with many at once."""
    with tempfile.TemporaryDirectory(prefix="smallchain-bench-") as folder:
        sandbox = Sandbox(unfenced_as_root=True)
        layers = asyncio.run(sandbox.ready()).words()
        for name, (spec, bare) in _PROGRAMS.items():
            if shutil.which(bare[0]) is None:
                continue
            theirs, ours = asyncio.run(_in_turn(_box(sandbox, folder), {name: spec}, bare, repeats))
            for isolation in _WAYS:
                at = {"executor": name, "isolation": isolation} | ({"layers": layers} if isolation == "required" else {})
                yield Figure("tools", "call_ms", "ms", ours[isolation], at=at, baseline=theirs, baseline_is=" ".join([name, *bare[1:]]))
        for isolation in _WAYS:
            took = asyncio.run(_at_once(_box(sandbox, folder), isolation, at_once))
            at = {"executor": "local_bash", "isolation": isolation, "at_once": at_once}
            yield Figure("tools", "calls_per_s", "1/s", [at_once / took], "higher", at=at)


def _box(sandbox: Sandbox, folder: str) -> Tools:
    jobs = Path(folder)
    return Tools(
        in_process={},
        processes={
            "local_bash": BashExecutor(sandbox=sandbox, jobs=jobs),
            "python": PythonExecutor(sandbox=sandbox, jobs=jobs),
            "local_nodejs": NodeExecutor(sandbox=sandbox, jobs=jobs),
        },
    )


async def _in_turn(box: Tools, executor: dict[str, Any], bare: list[str], repeats: int) -> tuple[list[float], dict[str, list[float]]]:
    """The bare program and each way around it, one after the other, so that whatever else the machine does meets all alike."""
    theirs: list[float] = []
    ours: dict[str, list[float]] = {isolation: [] for isolation in _WAYS}
    for _ in range(repeats + 1):  # the first warms the files and finds the interpreter
        began = time.perf_counter()
        await asyncio.to_thread(subprocess.run, bare, stdin=subprocess.DEVNULL, check=True)
        theirs.append((time.perf_counter() - began) * 1000)
        for isolation in _WAYS:
            began = time.perf_counter()
            await _call(box, a_start(executor, isolation=isolation))
            ours[isolation].append((time.perf_counter() - began) * 1000)
    return theirs[1:], {isolation: took[1:] for isolation, took in ours.items()}


async def _at_once(box: Tools, isolation: str, count: int) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(_call(box, a_start({"local_bash": {"command": "true"}}, isolation=isolation)) for _ in range(count)))
    return time.perf_counter() - began


async def _call(box: Tools, start: Start) -> None:
    outcome = await box.execute(start)
    if outcome.kind is not OutcomeKind.SUCCEEDED:
        raise AssertionError(f"a benched call ended as {outcome}")
