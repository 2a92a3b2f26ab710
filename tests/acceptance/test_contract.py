"""The socket's contract, fuzzed: whatever is asked, the answer is one that `docs/openapi.json` says, comes at once, and is no fault of ours.

A real daemon with real data; schemathesis makes the requests from the document. They go over a loopback port that leads to the Unix
socket, as schemathesis knows no other way.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from support.daemon import ROOT, Daemon, Item, a_folder

pytestmark = pytest.mark.slow

SCHEMA = schemathesis.openapi.from_path(str(ROOT / "docs" / "openapi.json"))
OPERATIONS = {
    operation.label: operation
    for result in SCHEMA.get_all_operations()
    if (operation := result.ok()) and operation.path not in ("/v1/stop", "/v1/events/stream")
}
FILE = """
llms:
- {name: fast, provider: scripted, replies: [
    {when: {last: sums}, reply: {tool_calls: [{name: add, arguments: {a: 3, b: 4}}]}},
    {when: {last: wait}, reply: {delay: 10m, content: late}},
    {when: {last: fail}, reply: {error: {status: 400, message: "never"}}},
    {when: {}, reply: {content: done}}]}
agents: [{name: assistant, llm: fast, tools: [add]}]
tasks:
- {name: sums, agent: assistant, user_message: sums}
- {name: waits, agent: assistant, user_message: wait}
- {name: fails, agent: assistant, user_message: fail}
runs: [{name: good, task: sums}, {name: slow, task: waits}, {name: bad, task: fails}]
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with a_folder() as folder:
        daemon = Daemon(folder)
        daemon.drop("all.yaml", FILE)
        daemon.start()
        try:
            daemon.over("good")
            daemon.over("bad")
            daemon.until(lambda: daemon.run("slow").get("phase") == "calling_model")
            yield daemon
        finally:
            daemon.close()


class Door(socketserver.ThreadingTCPServer):
    """A port of the loopback that leads to a Unix socket; one connection in, one connection on."""

    request_queue_size = 64

    def __init__(self, path: str) -> None:
        super().__init__(("127.0.0.1", 0), _Through)
        self.path = path


class _Through(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Door)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as far:
            far.connect(self.server.path)
            back = threading.Thread(target=_forward, args=(far, self.request))
            back.start()
            _forward(self.request, far)
            back.join()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def base_url(daemon: Daemon) -> Iterator[str]:
    """The socket, at a port of the loopback."""
    with Door((daemon.state / "socket").read_text().strip()) as door:
        serving = threading.Thread(target=door.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{door.server_address[1]}"
        door.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def names(daemon: Daemon) -> list[str]:
    """Names and ids of what there is, and of what there is not."""
    runs = daemon.items("runs")
    calls = daemon.items("toolcalls")
    return [
        *(run["name"] for run in runs),
        runs[0]["id"],
        calls[0]["id"],
        "fast",
        "assistant",
        "no such",
        "a/b",
        "%",
        "ü",
        "\u202e",
        "x" * 300,
    ]


@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_every_answer_is_one_that_the_document_says(label: str, daemon: Daemon, base_url: str, names: list[str]) -> None:
    operation = OPERATIONS[label]
    cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE) | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    kinds = st.sampled_from(["runs", "run", "toolcalls", "requests", "events", "llms", "agent", "files", "templates", "spend", "no_such"])
    known: dict[str, Any] = {
        "ref": st.sampled_from(names),
        "kind": kinds,
        "run": st.sampled_from(names),
        "task": st.sampled_from(["sums", "no"]),
    }

    @settings(
        max_examples=25,
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        database=None,
    )
    @given(case=cases, real=st.fixed_dictionaries(known), key=st.none() | st.sampled_from(["a", "b", "é", "x" * 300]))
    def ask(case: schemathesis.Case, real: Item, key: str | None) -> None:
        for place in (case.path_parameters, case.query, case.body):
            for name in real.keys() & place.keys() if isinstance(place, dict) else ():
                place[name] = real[name]
        headers = {"Connection": "close"} | ({"Idempotency-Key": key.encode().decode("latin-1")} if key else {})
        response = case.call(base_url=base_url, headers=headers, timeout=10)
        case.validate_response(
            response, checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
        )

    ask()

    assert daemon.items("llms")[0]["name"] == "fast"
    assert daemon.process is not None
    assert daemon.process.poll() is None
    assert "Traceback" not in daemon.log.read_text()
