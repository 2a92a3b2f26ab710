"""What a tool in a container costs: one attempt from its first note to its outcome, beside the engine's own `run --rm` with the same flags."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench.report import Figure
from smallchain.model.toolcall import OutcomeKind
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.backend import Backends
from smallchain.services.tools.container import Containers
from smallchain.services.tools.docker import DockerExecutor
from support.daemon import a_folder
from support.engines import IMAGE, Engine, a_docker, a_podman
from support.starts import a_start

HARDENED = [
    "run",
    "--rm",
    "--init",
    "--pull",
    "never",
    "--network",
    "none",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--user",
    "65534:65534",
    "--memory",
    "2147483648",
    "--memory-swap",
    "2147483648",
    "--pids-limit",
    "128",
    "--tmpfs",
    "/tmp:size=268435456,mode=1777",
]
ENGINES: dict[str, Callable[[], AbstractContextManager[Engine]]] = {"docker": a_docker, "podman": a_podman}


def containers(repeats: int) -> Iterator[Figure]:
    """One call after another, each with what removes it afterwards timed on its own."""
    for name, engine_of in ENGINES.items():
        with engine_of() as engine, a_folder() as folder:
            bare = [_bare_ms(engine) for _ in range(repeats + 1)][1:]
            ours, removals = asyncio.run(_attempts(engine, folder, repeats))
        at = {"engine": name, "command": "true"}
        yield Figure("containers", "outcome_ms", "ms", ours, at=at, baseline=bare, baseline_is=f"{name} run --rm, hardened alike")
        yield Figure("containers", "removal_ms", "ms", removals, at=at, note="after the outcome is committed: nobody waits for it")


def _bare_ms(engine: Engine) -> float:
    words = [engine.name, *HARDENED, IMAGE, "true"]
    began = time.perf_counter()
    subprocess.run(words, env=engine.environ, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return 1000 * (time.perf_counter() - began)


async def _attempts(engine: Engine, folder: Path, repeats: int) -> tuple[list[float], list[float]]:
    executor = DockerExecutor(Containers(Backends(engine.environ, folder), sandbox=Sandbox(), folder=folder / "containers", home="bench"))
    ours, removals = [], []
    for _ in range(repeats + 1):  # the first one finds out who answers
        start = a_start({"docker": {"image": IMAGE, "command": ["true"]}})
        began = time.perf_counter()
        outcome = await executor.execute(start)
        ended = time.perf_counter()
        assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.text
        await executor.let_go(start)
        ours.append(1000 * (ended - began))
        removals.append(1000 * (time.perf_counter() - ended))
    return ours[1:], removals[1:]
