"""A life of a daemon as far as one attempt in a container goes, as a process that `kill -9` ends: `containerlife.py ENGINE FOLDER START`.

`killing_client` makes a client whose first words decide where that happens: it kills who called it, before or after it has done what it
was told.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smallchain.model.fence import Mount
from smallchain.model.toolcall import Start
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.backend import Backends
from smallchain.services.tools.container import Containers
from smallchain.services.tools.docker import DockerExecutor

_CLIENT = """\
#!/bin/sh
step=
case "$*" in *"create --name"*) step=create;; *"start --attach"*) step=start;; *"container inspect"*) step=inspect;; esac
[ "{point}" = "before $step" ] && {{ kill -9 $PPID; exec sleep 5; }}
"{program}" "$@"
code=$?
[ "{point}" = "after $step" ] && {{ kill -9 $PPID; exec sleep 5; }}
exit $code
"""


def killing_client(folder: Path, name: str, point: str) -> dict[str, str]:
    """A client in a folder of its own, and the PATH that leads to it."""
    program = shutil.which(name)
    assert program is not None
    folder.mkdir()
    client = folder / name
    client.write_text(_CLIENT.format(program=program, point=point))
    client.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def executor(environ: dict[str, str], folder: Path) -> DockerExecutor:
    """What a daemon would put together."""
    return DockerExecutor(Containers(Backends(environ, folder), sandbox=Sandbox(), folder=folder / "containers", home="house"))


def written(start: Start) -> str:
    """A start as a word."""
    facts: dict[str, Any] = {name: getattr(start, name) for name in ("call_id", "attempt", "executor", "arguments")}
    return json.dumps(facts | {"mounts": [[each.source, each.target, each.read_only] for each in start.mounts]})


def read(word: str) -> Start:
    """The start of such a word."""
    facts = json.loads(word)
    facts["mounts"] = tuple(Mount(*each) for each in facts["mounts"])
    given = {"run_id": "run-1", "tool": "tested", "parameters": (), "idempotency_key": "key-1"}
    return Start(**given, timeout=timedelta(seconds=60), deadline=datetime(2030, 1, 1, tzinfo=UTC), **facts)


if __name__ == "__main__":
    environ, folder, start = sys.argv[1:]
    outcome = asyncio.run(executor(json.loads(environ), Path(folder)).execute(read(start)))
    print(outcome.text)
