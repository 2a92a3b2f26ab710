"""People answer where they are, while the daemon is killed: nothing is lost, and nobody is asked twice under another id."""

from __future__ import annotations

import hmac
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.daemon import PATIENCE_S, Daemon

TEAM = """
llms:
- name: script
  provider: scripted
  replies:
  - {{when: {{turn: 1}}, reply: {{content: "I would post it.", tool_calls: [{{name: post, arguments: {{title: "AI news"}}}}]}}}}
  - {{when: {{turn: 2}}, reply: {{content: "done"}}}}
agents: [{{name: publisher, llm: script, tools: [post]}}]
channels:
- {{name: hook, type: webhook, to: "{url}", allowed: [ann], token: {{env: HOOK_KEY}}}}
tools:
- name: post
  description: posts
  parameters: {{type: object, properties: {{title: {{type: string}}}}, required: [title]}}
  isolation: none
  executor: {{local_bash: {{command: 'echo "$title" >> "{out}"; echo posted'}}}}
  approval: {{channel: hook}}
tasks: [{{name: publish, agent: publisher, user_message: publish}}]
runs: [{{name: monday, task: publish}}]
"""


class Hook:
    """A webhook's receiver in a thread. While `held`, it answers nothing."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.let_through = threading.Event()
        self.let_through.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
                hook.let_through.wait(PATIENCE_S)
                try:
                    self.send_response(204)
                    self.end_headers()
                except OSError:
                    pass  # the daemon was killed meanwhile

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def until(self, event: str, count: int = 1) -> dict[str, Any]:
        """The newest post of an event, as soon as there are so many."""
        eventually(lambda: sum(body["event"] == event for _, body in self.posts) >= count)
        return next(body for _, body in reversed(self.posts) if body["event"] == event)

    def close(self) -> None:
        self.let_through.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def eventually(truth: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := truth()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def answer(told: dict[str, Any], **said: Any) -> tuple[int, str]:
    """Answer as a receiver would; the status, and the sentence."""
    how, body, t = told["answer"], json.dumps(said).encode(), int(time.time())
    signed = hmac.new(bytes.fromhex(how["key"]), f"{told['request']['id']}.{t}.".encode() + body, "sha256").hexdigest()
    headers = {"Content-Type": "application/json", how["header"]: f"t={t},v1={signed}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(how["url"], body, headers), timeout=PATIENCE_S) as reply:
            return reply.status, json.load(reply)["sentence"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["sentence"]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def out(folder: Path, daemon: Daemon, hook: Hook) -> Path:
    """Where the tool writes; the daemon hears callbacks, and has the team."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        daemon.environ |= {"SMALLCHAIN_CALLBACKS": str(probe.getsockname()[1]), "HOOK_KEY": "the-hooks-key"}
    path = folder / "posts.txt"
    daemon.drop("team.yaml", TEAM.format(url=hook.url, out=path))
    return path


def finished(daemon: Daemon) -> bool:
    return bool(daemon.run("monday").get("status") == "Succeeded")


def file_of(daemon: Daemon) -> Path:
    """The one file of the inbox folder, as soon as it is there."""
    found: list[Path] = eventually(lambda: list((daemon.state / "inbox").glob("approval-post-*.yaml")))
    return found[0]


def test_a_webhook_is_told_and_its_answer_lets_the_tool_run(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.start()
    told = hook.until("request")

    status, sentence = answer(told, verb="approve", by="ann", expect_digest=told["request"]["digest"])

    assert (status, told["request"]["tool"], told["request"]["arguments"]) == (200, "post", '{"title":"AI news"}'), sentence
    eventually(lambda: finished(daemon))
    assert out.read_text() == "AI news\n"
    assert "ann" in hook.until("closed")["sentence"]


def test_a_kill_between_the_delivery_and_its_record_tells_the_same_again(daemon: Daemon, hook: Hook, out: Path) -> None:
    hook.let_through.clear()
    daemon.start()
    first = hook.until("request")

    daemon.kill()
    hook.let_through.set()
    daemon.start()
    hook.until("request", 2)

    (headers, one), (again, two) = hook.posts[:2]
    assert headers["idempotency-key"] == again["idempotency-key"] == one["delivery"]
    assert one == two
    assert answer(first, verb="approve", by="ann", expect_digest=first["request"]["digest"])[0] == 200
    eventually(lambda: finished(daemon))
    assert out.read_text() == "AI news\n"


def test_an_answer_whose_reply_was_lost_stands_and_is_told_to_whoever_sends_it_again(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.drop("team.yaml", TEAM.format(url=hook.url, out=out).replace("approval:", "effects: none\n  approval:"))  # it may run again
    daemon.start()
    told = hook.until("request")
    said = {"verb": "approve", "by": "ann", "expect_digest": told["request"]["digest"]}
    assert answer(told, **said)[0] == 200

    daemon.restart()

    status, sentence = answer(told, **said)
    assert status == 409
    assert sentence.startswith("already approved by ann at ")
    eventually(lambda: finished(daemon))
    assert set(out.read_text().splitlines()) == {"AI news"}
    assert sum(body["event"] == "request" for _, body in hook.posts) == 1


def test_who_is_not_allowed_and_what_has_another_digest_do_not_count(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.start()
    told = hook.until("request")

    assert answer(told, verb="approve", by="bob", expect_digest=told["request"]["digest"])[0] == 409
    assert answer(told, verb="approve", by="ann", expect_digest="0" * 64)[0] == 409
    assert not out.exists()
    assert answer(told, verb="deny", by="ann", note="not now")[0] == 200
    eventually(lambda: finished(daemon))
    assert not out.exists()


def test_a_file_saved_by_an_editor_decides_and_edits(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.start()
    path = file_of(daemon)
    text = re.sub(r"(?m)^decision:.*$", "decision: approve", path.read_text()).replace('"AI news"', "better news")

    path.write_text(text)

    eventually(lambda: finished(daemon))
    assert out.read_text() == "better news\n"
    eventually(lambda: not path.exists())


def test_a_file_saved_while_the_daemon_was_dead_decides_when_it_lives_again(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.start()
    path = file_of(daemon)
    daemon.kill()
    path.write_text(re.sub(r"(?m)^decision:.*$", "decision: deny\nnote: too late", path.read_text().replace("\nnote:", "\n# note:")))

    daemon.start()

    eventually(lambda: finished(daemon))
    assert not out.exists()
    assert "closed" in {hook.until("closed")["event"]}


def test_a_save_that_comes_too_late_is_put_aside_with_who_won(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.start()
    told, path = hook.until("request"), file_of(daemon)
    text = re.sub(r"(?m)^decision:.*$", "decision: deny", path.read_text())
    assert answer(told, verb="approve", by="ann", expect_digest=told["request"]["digest"])[0] == 200

    path.write_text(text)

    late = path.parent / "late" / path.name
    eventually(late.exists)
    assert late.read_text().startswith('# too late: "already approved by ann at ')
    eventually(lambda: not path.exists())
    assert out.read_text() == "AI news\n" or eventually(lambda: finished(daemon))


def test_of_fifty_approvers_at_once_one_wins_and_the_others_are_told_who(daemon: Daemon, hook: Hook, out: Path) -> None:
    daemon.start()
    told, path = hook.until("request"), file_of(daemon)
    digest, found = told["request"]["digest"], []
    start = threading.Barrier(50)

    def by_hook() -> None:
        start.wait()
        found.append(answer(told, verb="approve", by="ann", expect_digest=digest))

    def by_socket() -> None:
        start.wait()
        done = daemon.cli("approve", told["request"]["id"], timeout=PATIENCE_S * 2)
        found.append((200 if done.returncode == 0 else 409, done.stderr))

    threads = [threading.Thread(target=by_hook) for _ in range(40)] + [threading.Thread(target=by_socket) for _ in range(9)]
    for thread in threads:
        thread.start()
    start.wait()
    path.write_text(re.sub(r"(?m)^decision:.*$", "decision: approve", path.read_text()))
    for thread in threads:
        thread.join()

    eventually(lambda: not path.exists())
    won = [status for status, _ in found].count(200)
    late = path.parent / "late" / path.name
    assert won + (0 if late.exists() else 1) == 1
    assert all("already approved by " in sentence for status, sentence in found if status != 200)
    eventually(lambda: finished(daemon))
    assert out.read_text() == "AI news\n"
