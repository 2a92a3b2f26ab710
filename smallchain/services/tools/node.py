"""Node tools: a shell line in which `node` is the real one, code, or a script; each argument is a global.

Globals come through a fixed script that node loads before anything else (`--require`, by NODE_OPTIONS) and that reads a JSON file: data is
never pasted into code. A name that JavaScript's own globals have (`process`, `URL`) is left to standard input.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.model.toolspec import ToolSpec
from smallchain.services.sandbox.sandbox import MEMORY, Sandbox
from smallchain.services.tools.cell import InCell
from smallchain.services.tools.job import PATH, Job, run_job, text_of
from smallchain.services.tools.process import Patience

_BIND = """\
const { readFileSync } = require("node:fs");
const { builtinModules } = require("node:module");
const ours = ["console", "crypto", "process"];
const lazy = builtinModules.filter((name) => !ours.includes(name));
const given = JSON.parse(readFileSync(__dirname + "/variables.json", "utf8"));
for (const [name, value] of Object.entries(given))
  if (!(name in globalThis) || lazy.includes(name))
    Object.defineProperty(globalThis, name, { value: value === null ? undefined : value, writable: true, configurable: true });
"""
"""With `-e` and `-p`, the names of node's modules are globals too (`path`, `url`): an argument of that name comes before them."""
_MODULE = re.compile(r"^\s*(?:import\s+[\w{*\"']|export\s)", re.MULTILINE)
_HEAP_SHARE = 0.75
"""Of a tool's memory, what JavaScript's objects may have; the rest is for buffers, code and the engine."""
_RESERVED = 16 << 30
"""Address space that V8 reserves without using it (seen: 11 GiB with node 20, which does not start with 4)."""
_LARGEST_SCRIPT = 4 << 20


class NodeExecutor(InCell):
    """Runs `{"local_nodejs": {"command": SHELL LINES}}` with sh, or `{"code": JAVASCRIPT}` or `{"script": FILE}` with node."""

    def __init__(self, *, sandbox: Sandbox, jobs: Path | None = None, patience: Patience | None = None) -> None:
        super().__init__(sandbox)
        self._jobs = jobs
        self._patience = patience

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Why it can't run: there is no node, no script, or no cell."""
        if await asyncio.to_thread(_node) is None:
            return "there is no `node` on this machine that answers; install Node.js"
        spec = tool.executor.local_nodejs if tool.executor is not None else None
        if spec is not None and spec.script is not None and not await asyncio.to_thread(_is_file, spec.script):
            return f"there is no script {spec.script!r}"
        return await super().check(tool, folder=folder)

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt."""
        spec = start.executor.get("local_nodejs")
        ways = [way for way in ("command", "code", "script") if text_of(spec, way) is not None]
        if len(ways) != 1:
            return Outcome(OutcomeKind.NOT_STARTED, f"the tool {start.tool!r} needs a command, code or a script; nothing ran")
        node = await asyncio.to_thread(_node)
        if node is None:
            return Outcome(OutcomeKind.NOT_STARTED, "there is no `node` on this machine that answers; nothing ran")
        way, text = ways[0], text_of(spec, ways[0]) or ""

        def prepare(folder: Path, inside: Path) -> Job:
            return _prepare(folder, inside, start, way, text, node)

        return await run_job(start, prepare, sandbox=self._sandbox, jobs=self._jobs, patience=self._patience)


def _prepare(folder: Path, inside: Path, start: Start, way: str, text: str, node: str) -> Job:
    (folder / "bin").mkdir(mode=0o700)
    (folder / "bin" / "node").symlink_to(node)
    (folder / "bind.cjs").write_text(_BIND, encoding="utf-8")
    given: dict[str, Any] = {name: start.arguments.get(name) for name in (*start.parameters, *start.arguments)}
    (folder / "variables.json").write_text(json.dumps(given), encoding="utf-8")
    heap_mb = int((start.limits.memory_bytes or MEMORY) * _HEAP_SHARE) >> 20
    env = {
        "PATH": f"{inside / 'bin'}:{start.env.get('PATH', PATH)}",
        "NODE_OPTIONS": f"--require {inside / 'bind.cjs'} --max-old-space-size={max(heap_mb, 16)}",
    }
    if way == "command":
        (folder / "command").write_text(text, encoding="utf-8")
        argv = ["/bin/sh", "-e", str(inside / "command")]
    else:
        name, code = _main(text, way)
        (folder / name).write_text(code, encoding="utf-8")
        argv = [str(inside / "bin" / "node"), str(inside / name)]
    return Job(argv=argv, env=env, shows=(os.path.dirname(os.path.dirname(node)),), address_space=_RESERVED)


def _main(text: str, way: str) -> tuple[str, str]:
    """The name and the words of the main script: code that imports or exports is a module; a script keeps its own kind."""
    if way == "code":
        return ("main.mjs" if _MODULE.search(text) else "main.cjs"), text
    path = Path(text).expanduser()
    with path.open(encoding="utf-8", errors="replace") as stream:
        code = stream.read(_LARGEST_SCRIPT + 1)
    if len(code) > _LARGEST_SCRIPT:
        raise OSError(f"the script {text!r} is larger than {_LARGEST_SCRIPT >> 20} MiB")
    suffix = path.suffix if path.suffix in (".mjs", ".cjs") else ".mjs" if _MODULE.search(code) else ".cjs"
    return f"main{suffix}", code


def _is_file(path: str) -> bool:
    return Path(path).expanduser().is_file()


@functools.cache
def _node() -> str | None:
    """The real node below a shim of a version manager, asked once: a shim would choose anew at each call, and lie in a home."""
    found = shutil.which("node") or shutil.which("node", path=PATH)
    if found is None:
        return None
    try:
        done = subprocess.run(
            [found, "-p", "process.execPath"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    path = done.stdout.strip()
    return os.path.realpath(path) if done.returncode == 0 and path.startswith("/") else None
