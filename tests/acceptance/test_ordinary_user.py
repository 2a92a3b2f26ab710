"""A whole daemon of an ordinary user: its tools run behind bubblewrap in a user namespace, and reach nothing of that user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import first_line
from support.ordinary import UID, Ordinary, ordinary
from support.programs import needed

TEAM = """
llms: [{name: m, provider: scripted, replies: [{tool_calls: [{name: subtract, arguments: {a: 9, b: 4}}, {name: look}]}, {content: over}]}]
agents: [{name: worker, tools: [subtract, look]}]
tools:
- name: subtract
  parameters: {type: object, properties: {a: {type: number}, b: {type: number}}}
  executor: {python: {command: 'python -c "print(a - b)"'}}
- {name: look, isolation: required, executor: {local_bash: {command: 'id -u; ls -d "$HOME" /home /root STATE 2>/dev/null || :; echo over'}}}
tasks: [{name: job, agent: worker, user_message: begin}]
runs: [{name: r, task: job}]
"""
MAIN = "import sys; from smallchain.cli.main import main; sys.exit(main())"


@pytest.fixture
def somebody() -> Iterator[Ordinary]:
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    folder = Path(tempfile.mkdtemp(prefix="smallchain-ordinary-"))
    folder.chmod(0o755)
    with ordinary(folder) as user:
        yield user
    shutil.rmtree(folder, ignore_errors=True)


def test_a_daemon_of_an_ordinary_user_fences_its_tools(somebody: Ordinary) -> None:
    needed("bwrap", package="bubblewrap")
    config, state = somebody.home / "config", somebody.home / "state"
    for folder in (config, state):
        folder.mkdir(mode=0o700)
    (config / "team.yaml").write_text(TEAM.replace("STATE", str(state)))
    for path in (config, state, config / "team.yaml"):
        os.chown(path, UID, UID)
    where = {"SMALLCHAIN_CONFIG_DIR": str(config), "SMALLCHAIN_STATE_DIR": str(state)}

    def cli(*words: str) -> str:
        done = subprocess.run(somebody.argv("-c", MAIN, *words, **where), capture_output=True, text=True, check=False, cwd="/", timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with subprocess.Popen(somebody.argv("-m", "smallchaind", "--print-ready", **where), stdout=subprocess.PIPE, cwd="/") as daemon:
        try:
            assert first_line(daemon.stdout).startswith("ready")
            assert cli("wait", "r", "--timeout", "40s") == "over\n"
            calls = {item["tool"]: item["result"] for item in json.loads(cli("get", "toolcalls", "-o", "json"))["items"]}
            tools = {item["name"]: item["fence"] for item in json.loads(cli("get", "tools", "-o", "json"))["items"]}
            reasons = {item["reason"] for item in json.loads(cli("get", "events", "-o", "json"))["items"]}
        finally:
            daemon.terminate()

    assert calls == {"subtract": "5", "look": f"{UID}\n/tmp\nover"}
    assert all(words.startswith("bubblewrap, user namespace") for words in tools.values())
    assert not reasons & {"ToolUnfenced", "RunsAsRoot"}
