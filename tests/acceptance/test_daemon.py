"""The daemon as a process: one a folder, closed to others, patient with nobody, and ended in order."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from support.daemon import PATIENCE_S, Daemon, Item, Pipe, a_folder, program

HELLO = """
llms: [{name: script, provider: scripted, replies: [{content: hello}]}]
agents: [{name: greeter, llm: script}]
tasks: [{name: greet, agent: greeter, user_message: say hello}]
"""
TOOL = """
llms:
- name: script
  provider: scripted
  replies:
  - {{when: {{turn: 1}}, reply: {{tool_calls: [{{name: work, arguments: {{}}}}]}}}}
  - {{when: {{turn: 2}}, reply: {{content: "done"}}}}
agents: [{{name: worker, llm: script, tools: [work]}}]
tools:
- name: work
  description: works until told
  parameters: {{type: object, properties: {{}}}}
  isolation: none
  executor: {{local_bash: {{command: 'echo up > "{up}"; read -r word < "{go}"; echo "$word"'}}}}
tasks: [{{name: working, agent: worker, user_message: work}}]
runs: [{{name: at work, task: working}}]
"""


@pytest.fixture(scope="module")
def listening() -> Iterator[Daemon]:
    """A daemon for the tests that only send it requests."""
    with a_folder() as folder, closing(Daemon(folder)) as daemon:
        daemon.drop("team.yaml", HELLO)
        daemon.start()
        yield daemon
        assert daemon.process is not None, "a request ended it"
        assert daemon.process.poll() is None, "a request ended it"
        print(daemon.last_words())


def exchange(daemon: Daemon, sent: bytes) -> tuple[int, Item]:
    """Send bytes as they are; the status and the JSON that came back before the other side closed."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE_S)
        stream.connect(str(daemon.client().socket_path))
        with suppress(BrokenPipeError, ConnectionResetError):  # it may say no before it has heard all
            stream.sendall(sent)
        answer = b""
        with suppress(ConnectionResetError):
            while part := stream.recv(1 << 16):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        return 0, {}
    with suppress(ValueError):
        return int(head.split()[1]), json.loads(body)
    return int(head.split()[1]), {}


def post(daemon: Daemon, path: str, body: bytes | str, /, **headers: str) -> tuple[int, Item]:
    """One POST, with the connection closed after it."""
    data = body.encode() if isinstance(body, str) else body
    all_headers = {"Host": "x", "Connection": "close", "Content-Type": "application/json", "Content-Length": str(len(data))}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items() if value)
    return exchange(daemon, f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data)


# ---- one daemon a folder


def test_a_second_daemon_on_the_folder_ends_with_75_and_names_the_holder(daemon: Daemon) -> None:
    daemon.start()
    linked = daemon.folder / "linked"
    linked.symlink_to(daemon.state)
    before = daemon.client().get("/v1/status")

    for state in (daemon.state, linked):
        second = subprocess.run(
            [*program("smallchaind"), "--print-ready", "--state-dir", str(state), "--socket", str(daemon.folder / "other.sock")],
            env=daemon.environ,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
        assert (second.returncode, second.stdout) == (75, "")
        assert f"pid {daemon.pid}" in second.stderr

    after = daemon.client().get("/v1/status")
    assert (after["pid"], after["epoch"], after["socket"]) == (before["pid"], before["epoch"], before["socket"])
    assert not (daemon.folder / "other.sock").exists()


def test_a_socket_that_somebody_answers_on_is_not_stolen(daemon: Daemon) -> None:
    daemon.start()
    with a_folder() as folder, closing(Daemon(folder)) as other:
        other.spawn("--socket", str(daemon.client().socket_path))

        assert other.ended() == 75
        assert "another daemon answers" in other.last_words()

    assert daemon.client().get("/v1/status")["pid"] == daemon.pid


def test_a_socket_that_a_kill_left_behind_is_replaced(daemon: Daemon) -> None:
    daemon.start().kill()
    assert stat.S_ISSOCK((daemon.state / "run" / "daemon.sock").stat().st_mode)

    daemon.start()

    assert daemon.client().get("/v1/status")["pid"] == daemon.pid


def test_what_is_no_socket_is_left_alone(daemon: Daemon) -> None:
    (daemon.state / "run").mkdir(mode=0o700, parents=True)
    daemon.state.chmod(0o700)
    in_the_way = daemon.state / "run" / "daemon.sock"
    in_the_way.write_text("precious")

    daemon.spawn()

    assert daemon.ended() == 1
    assert "is not a socket" in daemon.last_words()
    assert in_the_way.read_text() == "precious"


# ---- who may come in


def test_the_socket_is_for_its_user_alone(daemon: Daemon) -> None:
    old = os.umask(0)
    try:
        daemon.start()
    finally:
        os.umask(old)
    daemon.drop("team.yaml", HELLO)
    daemon.event("ConfigApplied")

    path = daemon.client().socket_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for inside in (daemon.state, *daemon.state.rglob("*")):
        assert stat.S_IMODE(inside.stat().st_mode) & 0o077 == 0, f"others may look into {inside}"


def as_nobody(path: Path) -> str:
    """What another user meets at a socket: `refused` by the file's mode, `turned away` once connected, or an answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"broken"
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(PATIENCE_S)
                stream.connect(str(path))
                try:
                    stream.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    said = stream.recv(100) or b"turned away"
                except (BrokenPipeError, ConnectionResetError):
                    said = b"turned away"
        except PermissionError:
            said = b"refused"
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said.decode()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_cannot_connect(daemon: Daemon) -> None:
    daemon.start()
    path = daemon.client().socket_path

    assert as_nobody(path) == "refused"

    for each in (daemon.folder, daemon.state, path.parent):
        each.chmod(0o711)
    path.chmod(0o666)
    assert as_nobody(path) == "turned away", "the peer is checked although every mode let it through"
    assert "uid 65534" in daemon.last_words()


# ---- requests that are none


def test_a_header_line_of_a_mebibyte_is_refused(listening: Daemon) -> None:
    status, _ = exchange(listening, b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (1 << 20) + b"\r\n\r\n")

    assert status in (400, 431)


def test_a_body_over_the_limit_is_refused(listening: Daemon) -> None:
    status, answer = post(listening, "/v1/runs", b" " * (17 << 20))

    assert (status, answer["error"]["code"]) == (413, "bad_input")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("[" * 1000 + "]" * 1000, {}),
        ('{"a":' * 100_000, {}),
        ('{"task": "greet", "priority": NaN}', {}),
        ('{"task": "greet", "priority": Infinity}', {}),
        ('{"task": "greet", "priority": 1e999}', {}),
        ('{"task": "greet", "task": "greet"}', {}),
        ('{"task": "greet", "priority": ' + "9" * 5000 + "}", {}),
        ('{"task": "gre\\ud800et"}', {}),
        (b'{"task": "gre\xffet"}', {}),
        ('{"task": "greet"', {}),
        ('"greet"', {}),
        ('{"task": "greet", "nonsense": 1}', {}),
        ('{"task": "greet"}', {"Idempotency_Key": "k" * 201}),
    ],
    ids=str,
)
def test_a_body_that_is_not_plain_json_is_refused(listening: Daemon, body: bytes | str, headers: dict[str, str]) -> None:
    status, answer = post(listening, "/v1/runs", body, **headers)

    assert (status, answer["error"]["code"]) == (400, "bad_input")
    assert answer["error"]["message"]
    assert listening.items("runs") == []


@pytest.mark.parametrize("header", [{"Content_Type": "text/plain"}, {"Content_Type": "multipart/form-data"}, {"Content_Encoding": "gzip"}])
def test_a_body_that_says_it_is_no_json_is_refused(listening: Daemon, header: dict[str, str]) -> None:
    status, answer = post(listening, "/v1/runs", '{"task": "greet"}', **header)

    assert (status, answer["error"]["code"]) == (415, "bad_input")
    assert listening.items("runs") == []


def test_a_client_that_reads_no_answers_harms_nobody_else(listening: Daemon) -> None:
    request = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as greedy:
        greedy.connect(str(listening.client().socket_path))
        greedy.settimeout(2.0)
        with suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            greedy.sendall(request * 10_000)  # the daemon stops reading: what it answers is not read either

        assert exchange(listening, request.replace(b"Host: x", b"Host: x\r\nConnection: close"))[0] == 200


def test_a_descriptor_that_is_sent_along_is_not_taken(listening: Daemon) -> None:
    before = len(os.listdir(f"/proc/{listening.pid}/fd"))
    with socket.socket(socket.AF_UNIX) as stream, open(os.devnull, "rb") as passed:
        stream.connect(str(listening.client().socket_path))
        stream.settimeout(PATIENCE_S)
        socket.send_fds(stream, [b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"], [passed.fileno()] * 20)

        assert stream.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert len(os.listdir(f"/proc/{listening.pid}/fd")) <= before + 2


def test_events_beyond_the_last_are_waited_for(listening: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE_S)
        stream.connect(str(listening.client().socket_path))
        stream.sendall(b"GET /v1/events/stream?after=1000000 HTTP/1.1\r\nHost: x\r\n\r\n")

        assert stream.recv(1 << 16).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /v1/nonsense", 404),
        ("GET /nonsense", 404),
        ("GET /v1/runs/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET //v1/status", 404),
        ("GET /v1/transcript/nobody", 404),
        ("GET /v1/events?after=-1", 400),
        ("GET /v1/events?after=99999999999999999999", 400),
        ("GET /v1/events?after=x", 400),
        ("GET /v1/events/stream?after=-1", 400),
        ("GET /v1/runs?name=nobody", 404),
        ("DELETE /v1/runs", 405),
        ("PUT /v1/runs", 405),
        ("POST /v1/status", 405),
        ("TRACE /v1/status", 405),
        ("get /v1/status", 405),
    ],
)
def test_what_is_not_there_is_said_so(listening: Daemon, line: str, status: int) -> None:
    found, answer = exchange(listening, f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())

    assert (found, set(answer["error"])) == (status, {"code", "message", "hint", "problems"})


def test_half_a_request_is_none(listening: Daemon) -> None:
    body = b'{"task": "greet"}'
    head = b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n"
    for sent in (head[:40], head, head + body):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(listening.client().socket_path))
            stream.sendall(sent)

    assert exchange(listening, b"\x16\x03\x01 no HTTP at all\r\n\r\n")[0] == 400
    assert listening.items("runs") == []


@pytest.mark.slow
def test_a_head_that_does_not_come_is_not_waited_for(listening: Daemon) -> None:
    def lasted(*parts: bytes) -> float:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(PATIENCE_S)
            stream.connect(str(listening.client().socket_path))
            begin = time.monotonic()
            for part in parts:
                stream.sendall(part)
            assert stream.recv(1) == b""
            return time.monotonic() - begin

    assert 4.0 < lasted(b"GET /v1/status HTT") < 8.0
    assert 4.0 < lasted() < 8.0


# ---- an act is done once


def test_a_repeated_act_gets_the_first_answer_and_is_not_done_again(daemon: Daemon) -> None:
    daemon.drop("team.yaml", HELLO)
    daemon.start()

    first = post(daemon, "/v1/runs", '{"task": "greet"}', Idempotency_Key="one")
    again = post(daemon, "/v1/runs", '{"task": "greet"}', Idempotency_Key="one")
    other = post(daemon, "/v1/runs", '{"task": "greet", "name": "another"}', Idempotency_Key="one")
    daemon.restart()
    later = post(daemon, "/v1/runs", '{"task": "greet"}', Idempotency_Key="one")

    assert first[0] == 200
    assert first == again == later
    assert (other[0], other[1]["error"]["code"]) == (409, "refused")
    assert [run["name"] for run in daemon.items("runs")] == ["greet-1"]
    assert post(daemon, "/v1/runs", '{"task": "greet"}', Idempotency_Key="two")[1]["run"]["name"] == "greet-2"


def test_a_refusal_is_not_kept(daemon: Daemon) -> None:
    daemon.start()
    refused = post(daemon, "/v1/runs", '{"task": "greet"}', Idempotency_Key="one")
    daemon.cli("apply", "-f", "-", "--name", "hello", stdin=HELLO)

    accepted = post(daemon, "/v1/runs", '{"task": "greet"}', Idempotency_Key="one")

    assert (refused[0], accepted[0]) == (404, 200)


# ---- signals and the end


def test_sighup_looks_at_the_folder_now(folder: Path) -> None:
    deaf = {"WATCHFILES_FORCE_POLLING": "true", "WATCHFILES_POLL_DELAY_MS": "600000"}
    with closing(Daemon(folder, **deaf)) as daemon:
        daemon.start()
        daemon.drop("team.yaml", HELLO)
        begin = time.monotonic()

        os.kill(daemon.pid, signal.SIGHUP)

        daemon.event("ConfigApplied")
        assert time.monotonic() - begin < 3, "that was the look which is taken every few seconds"
        assert [agent["name"] for agent in daemon.items("agents")] == ["greeter"]


class Work:
    """A run whose tool is under way, and ends when told."""

    def __init__(self, daemon: Daemon, up: Pipe, go: Pipe) -> None:
        self.daemon, self.go = daemon, go
        daemon.drop("team.yaml", TOOL.format(up=up.path, go=go.path))
        self._up = up

    def begin(self, *flags: str) -> Daemon:
        """Start the daemon, and return while the tool works."""
        self.daemon.start(*flags)
        assert self._up.heard() == "up"
        return self.daemon

    def call(self) -> Item:
        """The tool call."""
        (call,) = self.daemon.items("toolcalls")
        return call


@pytest.fixture
def work(daemon: Daemon, pipe: Callable[[str], Pipe]) -> Work:
    """A daemon with a tool that waits."""
    return Work(daemon, pipe("up"), pipe("go"))


def test_sigterm_lets_a_tool_end_and_starts_nothing_new(work: Work) -> None:
    daemon = work.begin()
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.event("DaemonStopping")
    status = daemon.client().get("/v1/status")
    assert status["stopping"] is True
    assert status["waiting_for"] == ["tool 'work' of run 'at work'"]
    assert post(daemon, "/v1/runs", '{"task": "working"}')[0] == 503

    work.go.say("in time")

    assert daemon.ended() == 0
    daemon.start()
    assert daemon.over("at work")["output"] == "done"
    assert (work.call()["phase"], work.call()["result"].strip(), work.call()["attempts"]) == ("succeeded", "in time", 1)
    assert "DaemonDied" not in [event["reason"] for event in daemon.events()]


def test_a_second_sigterm_ends_at_once(work: Work) -> None:
    daemon = work.begin("--drain", "10m")
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.event("DaemonStopping")

    os.kill(daemon.pid, signal.SIGTERM)

    assert daemon.ended(within=10) == 0
    daemon.start()
    daemon.until(lambda: work.call()["phase"] == "in_doubt")


def test_a_drain_ends_when_its_time_is_up(work: Work) -> None:
    daemon = work.begin("--drain", "200ms")

    assert daemon.terminate() == 0

    daemon.start()
    daemon.until(lambda: work.call()["phase"] == "in_doubt")


def test_stop_tells_what_it_waits_for_and_now_does_not_wait(work: Work) -> None:
    daemon = work.begin()
    stopping = daemon.open_cli("stop")
    daemon.event("DaemonStopping")

    now = daemon.cli("stop", "--now")

    out, err = stopping.communicate(timeout=PATIENCE_S)
    assert (now.returncode, stopping.returncode, out) == (0, 0, "")
    assert "waiting for tool 'work' of run 'at work'" in err
    assert f"stopped smallchaind (pid {daemon.pid})" in err
    assert daemon.ended() == 0
    assert not (daemon.state / "run" / "daemon.sock").exists()


@pytest.mark.parametrize("drain", ["soon", "5 parsecs", "-1s", ""])
def test_a_drain_that_is_no_time_is_a_usage_error(daemon: Daemon, drain: str) -> None:
    daemon.spawn(f"--drain={drain}")

    assert daemon.ended() == 2
    assert "usage: smallchaind" in daemon.last_words()
    assert not daemon.state.exists()


# ---- the ground it stands on


@pytest.mark.slow
def test_a_database_that_was_unlinked_ends_it(daemon: Daemon) -> None:
    daemon.start()
    begin = time.monotonic()

    (daemon.state / "smallchain.db").unlink()

    assert daemon.ended() == 65
    assert time.monotonic() - begin < 7, "it goes on writing into nothing"
    daemon.spawn()
    assert daemon.ended() == 65, "it makes a new database where there was one: the history is lost silently"
    assert "smallchain.db" in daemon.last_words()


@pytest.mark.slow
def test_a_lock_that_was_removed_ends_it(daemon: Daemon) -> None:
    daemon.start()

    (daemon.state / "lock").unlink()

    assert daemon.ended(within=7) == 65
    assert daemon.start()


def test_a_file_that_is_no_database_is_not_touched(daemon: Daemon) -> None:
    daemon.start().terminate()
    database = daemon.state / "smallchain.db"
    for name in ("smallchain.db-wal", "smallchain.db-shm"):
        (daemon.state / name).unlink(missing_ok=True)
    for content in (b"junk" * 1000, b""):
        database.write_bytes(content)

        daemon.spawn()

        assert daemon.ended() == 65
        assert database.read_bytes() == content


def test_it_starts_with_its_standard_files_closed(daemon: Daemon) -> None:
    daemon.drop("team.yaml", HELLO + "runs: [{name: one, task: greet}]")
    script = 'exec "$0" <&- >&- 2>&-'
    process = subprocess.Popen(["bash", "-c", script, *program("smallchaind")], env=daemon.environ, cwd="/")
    try:
        until = time.monotonic() + PATIENCE_S
        while not daemon.client().listening():
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended with {process.wait(0.05)}")
            assert time.monotonic() < until
        assert daemon.over("one")["output"] == "hello"
        for name in ("0", "1", "2"):
            assert os.readlink(f"/proc/{process.pid}/fd/{name}") == "/dev/null"
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_too_few_open_files_are_told_at_the_start(daemon: Daemon) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    done: subprocess.CompletedProcess[Any] = subprocess.run(
        program("smallchaind"), env=daemon.environ, preexec_fn=few, capture_output=True, timeout=PATIENCE_S, check=False
    )

    assert done.returncode == 1
    assert b"ulimit -n" in done.stderr


@pytest.mark.parametrize("abstract", [False, True], ids=["a path", "an abstract name"])
def test_a_supervisor_is_told_when_it_is_ready_and_when_it_stops(folder: Path, abstract: bool) -> None:
    name = f"@smallchain-test-{os.getpid()}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor, closing(Daemon(folder, NOTIFY_SOCKET=name)) as daemon:
        supervisor.settimeout(PATIENCE_S)
        supervisor.bind(f"\0{name[1:]}" if abstract else name)
        daemon.start()
        assert supervisor.recv(100) == b"READY=1"

        daemon.terminate()

        assert supervisor.recv(100) == b"STOPPING=1"


def test_a_supervisor_that_is_gone_keeps_nobody_from_starting(folder: Path) -> None:
    with closing(Daemon(folder, NOTIFY_SOCKET=str(folder / "nobody"))) as daemon:
        daemon.start()

        assert daemon.client().get("/v1/status")["pid"] == daemon.pid
