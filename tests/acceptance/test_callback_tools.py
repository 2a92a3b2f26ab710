"""Work that is done elsewhere, by a program outside that sends until it is answered, while the daemon is killed: one result each, none lost."""

from __future__ import annotations

import http.client
import json
import queue
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from acceptance.test_callbacks import free_port
from smallchain.model.callback import HEADER, Key, sign, signer
from support.daemon import PATIENCE_S, Daemon

SECRET = "canary-of-the-courier-0123456789"
RUNS, KILLS = 12, 6
TEAM = """
llms:
- name: script
  provider: scripted
  replies:
  - {{when: {{turn: 1}}, reply: {{tool_calls: [{{name: deliver, arguments: {{what: tea}}}}]}}}}
  - {{when: {{turn: 2}}, reply: {{content: done}}}}
agents: [{{name: shop, llm: script, tools: [deliver]}}]
tools:
- name: deliver
  effects: idempotent
  executor: {{callback: {{url: "{url}", allow: [127.0.0.1], secret: {{env: COURIER}}}}}}
tasks: [{{name: sell, agent: shop, user_message: sell tea}}]
"""


class Courier:
    """A program outside: takes work, does it in a thread, and posts each result until it is answered."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.signed: list[bool] = []
        self.answers: list[tuple[str, int]] = []
        self._answered = threading.Condition()
        self.hold = threading.Event()
        """While it is not set, nothing is brought."""
        self._work: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        courier = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                key = self.headers["Idempotency-Key"]
                found = signer(self.headers[HEADER], [Key(SECRET.encode(), "us")], key, body, now=datetime.now(UTC))
                courier.signed.append(isinstance(found, Key))
                courier.told.append((key, json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                courier._work.put(json.loads(body))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jobs"
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._server.serve_forever), *(threading.Thread(target=self._deliver) for _ in range(4))]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        self.hold.set()
        self._server.shutdown()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def _deliver(self) -> None:
        while (work := self._work.get()) is not None:
            self.hold.wait()
            status = 0
            while status not in (200, 409, 410) and not self._ended.is_set():
                status = post(work, {"result": f"delivered {work['call_id']}"})
                if status == 0:
                    self._ended.wait(0.05)
            with self._answered:
                self.answers.append((work["call_id"], status))
                self._answered.notify_all()

    def taken(self, count: int) -> set[str]:
        """The calls whose results were taken, as soon as there are so many."""
        with self._answered:
            assert self._answered.wait_for(lambda: len(self._taken()) >= count, timeout=PATIENCE_S), self.answers
            return self._taken()

    def _taken(self) -> set[str]:
        return {about for about, status in self.answers if status == 200}


def post(work: dict[str, Any], value: Any) -> int:
    """Bring a result; the status of the answer, or 0 when there was none."""
    host, _, path = work["answer"]["url"].removeprefix("http://").partition("/")
    body = json.dumps(value).encode()
    signature = sign(bytes.fromhex(work["answer"]["key"]), work["call_id"], body, at=datetime.now(UTC))
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("POST", f"/{path}", body=body, headers={"Content-Type": "application/json", HEADER: signature})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@contextmanager
def a_courier() -> Iterator[Courier]:
    courier = Courier()
    courier.start()
    try:
        yield courier
    finally:
        courier.close()


def test_a_result_that_comes_while_the_daemon_is_away_is_taken_when_it_is_back(daemon: Daemon) -> None:
    daemon.environ |= {"SMALLCHAIN_CALLBACKS": str(free_port()), "COURIER": SECRET}
    with a_courier() as courier:
        daemon.drop("team.yaml", TEAM.format(url=courier.url) + "runs: [{name: monday, task: sell}]\n")
        daemon.start()
        daemon.until(lambda: [call for call in daemon.items("toolcalls") if call["detail"].startswith("handed out to")])
        described = daemon.ask("describe", "toolcall", daemon.items("toolcalls")[0]["id"])["item"]["handed_out"]
        assert (described["tell_at"], described["brought_by"]) == (None, "")
        assert daemon.run("monday")["detail"] == "for the callback of deliver"

        daemon.kill()
        courier.hold.set()
        daemon.start()
        assert daemon.over("monday")["status"] == "Succeeded"

        (work,) = [told for _, told in courier.told]
        assert courier.taken(1) == {work["call_id"]}
        assert post(work, {"result": f"delivered {work['call_id']}"}) == 200
        assert post(work, {"result": "lost"}) == 409
        assert daemon.items("toolcalls")[0]["result"] == f"delivered {work['call_id']}"
        key = work["answer"]["key"]
    daemon.terminate()
    for path in daemon.state.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET.encode() not in data, path
            assert key.encode() not in data, path
            assert bytes.fromhex(key) not in data, path


def test_a_person_brings_a_result_by_hand_and_the_second_is_told_who_was_first(daemon: Daemon) -> None:
    daemon.drop(
        "team.yaml",
        TEAM.format(url="http://127.0.0.1:9/").replace('url: "http://127.0.0.1:9/", allow: [127.0.0.1], secret: {env: COURIER}', "")
        + "runs: [{name: monday, task: sell}]\n",
    )
    daemon.start()
    daemon.until(lambda: [call for call in daemon.items("toolcalls") if call["phase"] == "awaiting_callback"])
    (call,) = daemon.items("toolcalls")

    brought = daemon.cli("callback", call["id"][-8:], "--result", "at the door")
    again = daemon.cli("callback", call["id"], "--result", "at the door")
    other = daemon.cli("callback", call["id"], "--result", "lost")

    assert (brought.returncode, brought.stdout) == (0, f"toolcall/{call['id']} is succeeded\n")
    assert again.returncode == 0
    assert (other.returncode, "a result was brought by" in other.stderr) == (1, True)
    assert daemon.over("monday")["status"] == "Succeeded"


@pytest.mark.slow
def test_no_kill_loses_a_result_or_takes_two(daemon: Daemon) -> None:
    daemon.environ |= {"SMALLCHAIN_CALLBACKS": str(free_port()), "COURIER": SECRET}
    names = [f"r{number}" for number in range(RUNS)]
    chance = random.Random(11)
    with a_courier() as courier:
        courier.hold.set()
        daemon.drop("team.yaml", TEAM.format(url=courier.url) + "runs:\n" + "".join(f"- {{name: {name}, task: sell}}\n" for name in names))
        daemon.start()
        for _ in range(KILLS):
            time.sleep(chance.random() * 0.4)  # a kill at any moment is what is tried
            daemon.restart()
        for name in names:
            assert daemon.over(name)["status"] == "Succeeded"
        calls = daemon.items("toolcalls")
        assert [call["result"] for call in calls] == [f"delivered {call['id']}" for call in calls]
        assert len(calls) == RUNS
        assert {key for key, _ in courier.told} == {f"{call['id']}.1" for call in calls}
        assert all(courier.signed)
        assert courier.taken(RUNS) == {call["id"] for call in calls}
        assert {status for _, status in courier.answers} == {200}
