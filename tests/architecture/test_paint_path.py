"""What paints first imports the standard library and the client, and nothing heavy: a person waits for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import environment
from support.fakedaemon import FakeDaemon

LIGHT = {"smallchain", "smallchain.settings", "smallchain.model.errors", "smallchain.model"}
HEAVY_IN_THE_LIBRARY = {
    "asyncio",
    "importlib.metadata",
    "subprocess",
    "logging",
    "sqlite3",
    "multiprocessing",
    "unittest",
    "http.client",
    "ssl",
    "email",
}
LOOK = """
import json, sys
before = set(sys.modules)
from smallchain.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command",
    [
        ("get", "runs"),
        ("get", "runs", "-o", "json"),
        ("get", "toolcalls"),
        ("get", "events", "--pretty"),
        ("inbox",),
        ("approve", "deadbeef", "--set", "title=x"),
        ("deny", "deadbeef", "--note", "no"),
        ("answer", "deadbeef", "yes"),
        ("settle", "deadbeef", "--run-again"),
        ("transcript", "monday"),
        ("cancel", "monday"),
        ("version",),
        ("__complete", "bash", "smallchain get runs mon"),
        ("__complete", "zsh", "apply", "-"),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_what_paints_first_is_light(tmp_path: Path, command: tuple[str, ...]) -> None:
    run = {"kind": "run", "id": "i", "name": "monday", "status": "Running"}
    with FakeDaemon(tmp_path / "d.sock") as fake:
        fake.tell()
        for kind in ("runs", "toolcalls", "requests"):
            fake.answers[("GET", f"/v1/{kind}")] = {"items": [run]}
        fake.answers[("GET", "/v1/transcript/monday")] = {"run": run, "messages": []}
        fake.answers[("GET", "/v1/status")] = {"version": "1"}
        fake.answers[("POST", "/v1/cancel/monday")] = {"runs": [run]}
        for verb in ("approve", "deny", "answer"):
            fake.answers[("POST", f"/v1/{verb}/deadbeef")] = {"counted": True, "sentence": "done", "request": {"id": "deadbeef"}}
        fake.answers[("POST", "/v1/settle/deadbeef")] = {"toolcall": {"id": "x", "phase": "ready"}}
        env = environment(tmp_path, SMALLCHAIN_SOCKET=str(fake.path))
        done = subprocess.run([sys.executable, "-c", LOOK, *command], env=env, capture_output=True, text=True, timeout=60, check=True)

    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    foreign = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names | {"smallchain"}}
    ours = {name for name in modules if name.startswith("smallchain")}
    assert foreign == set()
    assert not HEAVY_IN_THE_LIBRARY & set(modules)
    assert {name for name in ours if not name.startswith(("smallchain.cli", "smallchain.protocol"))} <= LIGHT
