"""What a person waits for: the first paint of `smallchain get runs`, and a daemon that starts; beside a Python that does nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from bench.processes import SCENE
from bench.report import Figure, Target
from support.daemon import Daemon, a_folder, program

_NOTHING = "python -c pass"
IMPORTS = "import smallchaind.__main__, smallchaind.lifetime"
"""What a daemon imports before it does anything."""


def paint(repeats: int, rows: int) -> Iterator[Figure]:
    """The whole process of the command, by the wall clock, with some runs to list."""
    ours: list[float] = []
    theirs: list[float] = []
    with a_folder() as folder:
        daemon = Daemon(folder)
        (daemon.config / "scene.yaml").write_text(SCENE.format(url="http://127.0.0.1:9/v1"), encoding="utf-8")
        daemon.start("--log-level", "warning")
        try:
            for _ in range(rows):
                daemon.client().post("/v1/runs", {"task": "count"})  # they wait for a model
            words = [*program("smallchain"), "get", "runs"]
            assert daemon.cli("get", "runs").stdout.count("count") >= rows  # warm
            for _ in range(repeats):
                theirs.append(_wall_ms([sys.executable, "-c", "pass"], daemon.environ))
                ours.append(_wall_ms(words, daemon.environ))
            imports = [_import_ms([sys.executable, "-X", "importtime", *words], daemon.environ) for _ in range(min(3, repeats))]
            nothing = [_import_ms([sys.executable, "-X", "importtime", "-c", "pass"], daemon.environ) for _ in range(min(3, repeats))]
        finally:
            daemon.kill()
    at = {"command": "get runs", "rows": rows}
    beside = {"baseline": theirs, "baseline_is": _NOTHING}
    yield Figure("paint", "wall_ms", "ms", ours, at=at, target=Target("value", "<=", 150), **beside)  # type: ignore[arg-type]
    yield Figure("paint", "import_ms", "ms", imports, at=at, baseline=nothing, baseline_is=f"{_NOTHING} (site and its own)")


def start(repeats: int) -> Iterator[Figure]:
    """From the start of the process to the line that says it accepts connections, on a folder with a small file."""
    ours: list[float] = []
    imports: list[float] = []
    for _ in range(repeats + 1):  # the first one compiles
        with a_folder() as folder:
            daemon = Daemon(folder)
            (daemon.config / "scene.yaml").write_text(SCENE.format(url="http://127.0.0.1:9/v1"), encoding="utf-8")
            imports.append(_wall_ms([sys.executable, "-c", IMPORTS], daemon.environ))
            ours.append(ready_ms(daemon))
            daemon.kill()
    yield Figure("start", "ready_ms", "ms", ours[1:], baseline=imports[1:], baseline_is="its imports alone")


def ready_ms(daemon: Daemon) -> float:
    """Start a daemon; how long it takes until it accepts connections."""
    began = time.perf_counter()
    daemon.start("--log-level", "warning")
    return 1000 * (time.perf_counter() - began)


def imports_s(environ: dict[str, str]) -> float:
    """How long a Python takes to import what the daemon imports before it does anything."""
    return min(_wall_ms([sys.executable, "-c", IMPORTS], environ) for _ in range(3)) / 1000


def _wall_ms(words: Sequence[str], environ: dict[str, str]) -> float:
    return _timed(lambda: subprocess.run(words, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=True))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _import_ms(words: Sequence[str], environ: dict[str, str]) -> float:
    """The sum of the own times of all imports (python -X importtime, microseconds)."""
    told = subprocess.run(words, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stderr
    return sum(int(own) for own in re.findall(r"^import time: +(\d+) \|", told, re.MULTILINE)) / 1000
