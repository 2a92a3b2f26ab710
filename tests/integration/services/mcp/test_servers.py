"""Servers for real: our own processes and sockets, and all that a server should not do."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from smallchain.model.fence import Mount
from smallchain.model.mcp import McpEndpoint
from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.process import end_leftovers
from support.mcpservers import MARKS, RAW, Kept, kept, raw, relist, servers_in, start_of, tool
from support.programs import needed

SDK = Path(__file__).parents[3] / "support" / "sdkmcp.py"


async def called(folder: Path, name: str, *, timeout_s: float = 10.0, **arguments: object) -> tuple[Outcome, Kept]:
    """What came of one call at a server without the SDK."""
    async with kept(folder, McpEndpoint("raw", raw(folder, name))) as server:
        await server.came()
        outcome = await server.servers.execute(start_of("raw", name, timeout_s=timeout_s, **arguments))
        if outcome.kind is OutcomeKind.UNKNOWN:
            await server.ended()
        return outcome, server


def is_alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- what they answer


async def test_a_server_written_with_the_sdk_is_used_over_its_pipes(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("sdk", (sys.executable, str(SDK), "stdio"))) as server:
        tools = {each.name: each for each, _ in await server.came()}
        said = await server.servers.execute(start_of("sdk", "shout", digest=tools["shout"].digest, text="hi", times=2))
        weighed = await server.servers.execute(start_of("sdk", "weigh", digest=tools["weigh"].digest, things=["ab"]))
        broken = await server.servers.execute(start_of("sdk", "break_down", digest=tools["break_down"].digest))

    assert set(tools) == {"shout", "weigh", "break_down"}
    assert said == Outcome(OutcomeKind.SUCCEEDED, "HI HI")
    assert json.loads(weighed.text) == {"ab": 2}
    assert broken.kind is OutcomeKind.FAILED


@contextmanager
def heard_at() -> Iterator[str]:
    """The address of a server over HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SDK), "http", str(port)], stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        while b"Uvicorn running" not in process.stderr.readline():
            assert process.poll() is None
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.communicate()


async def test_a_server_is_used_over_http_and_one_that_went_away_ends_and_nothing_ran(tmp_path: Path) -> None:
    with heard_at() as url:
        server = Kept(servers_in(tmp_path), McpEndpoint("sdk", url=url))
        tools = {each.name: each for each, _ in await server.came()}
        start = start_of("sdk", "shout", digest=tools["shout"].digest, text="hi")
        said = await server.servers.execute(start)
    gone = await server.servers.execute(start)
    ended = await server.ended()

    assert said == Outcome(OutcomeKind.SUCCEEDED, "HI")
    assert gone.kind is OutcomeKind.NOT_STARTED
    assert "can't be reached" in ended.why
    assert not ended.wanted


@pytest.fixture
async def page() -> AsyncIterator[tuple[str, dict[str, web.StreamResponse | web.Response]]]:
    """A web server that is no MCP server: what it answers to the next request is put under `answer`."""
    answers: dict[str, web.StreamResponse | web.Response] = {}
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return answers.get("answer") or web.Response(status=401, text="who are you?")

    app = web.Application()
    app.router.add_route("*", "/mcp", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    answers["seen"] = seen  # type: ignore[assignment]
    yield f"http://127.0.0.1:{port}/mcp", answers
    await runner.cleanup()


async def test_headers_are_sent_and_a_refusal_names_its_status(tmp_path: Path, page: tuple[str, dict[str, web.Response]]) -> None:
    url, answers = page
    async with kept(tmp_path, McpEndpoint("far", url=url, headers={"Authorization": "Bearer word"})) as server:
        ended = await server.ended()

    assert ended.why == "HTTP 401"
    assert answers["seen"][0].headers["Authorization"] == "Bearer word"  # type: ignore[index]


async def test_an_endless_or_compressed_body_is_refused(tmp_path: Path, page: tuple[str, dict[str, web.Response]]) -> None:
    url, answers = page
    answers["answer"] = web.Response(body=b"[" + b"1," * (5 << 20) + b"1]", content_type="application/json")
    async with kept(tmp_path, McpEndpoint("far", url=url)) as server:
        ended = await server.ended()
    assert "more than 8 MiB" in ended.why

    answers["answer"] = web.Response(body=b"x", content_type="application/json", headers={"Content-Encoding": "gzip"})
    async with kept(tmp_path, McpEndpoint("far", url=url)) as server:
        ended = await server.ended()
    assert ended.why == "it sent a compressed body, which was not asked for"


async def test_what_a_server_asks_of_us_is_refused_but_a_ping(tmp_path: Path) -> None:
    for method in ("sampling/createMessage", "elicitation/create", "roots/list", "made/up"):
        outcome, _ = await called(tmp_path, "ask", method=method)
        assert json.loads(outcome.text)["error"]["code"] == -32601
    outcome, _ = await called(tmp_path, "ask", method="ping")

    assert json.loads(outcome.text)["result"] == {}


# ---- what they do wrong


async def test_a_server_that_dies_within_a_call_leaves_its_outcome_unknown_and_its_last_words(tmp_path: Path) -> None:
    outcome, server = await called(tmp_path, "die")
    ended = await server.ended()

    assert outcome.kind is OutcomeKind.UNKNOWN
    assert (ended.why, ended.stderr) == ("exit code 3", "my last words")
    assert server.servers.standing("raw").stderr == ("my last words",)


async def test_a_message_of_50_mb_is_refused_without_being_held(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome, server = await called(tmp_path, "huge")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert outcome.kind is OutcomeKind.UNKNOWN
    assert (await server.ended()).why == "it sent a message of more than 8 MiB"
    assert grown < 40 << 10, "KiB: the buffer may hold twice the bound"


@pytest.mark.parametrize("name", ["hang", "lie"])
async def test_a_call_that_is_never_answered_or_only_under_other_ids_ends_in_time(tmp_path: Path, name: str) -> None:
    outcome, _ = await called(tmp_path, name, timeout_s=0.3)

    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert "whether it was done is not known" in outcome.text


async def test_an_answer_that_is_no_result_is_a_failure(tmp_path: Path) -> None:
    outcome, _ = await called(tmp_path, "nonsense")

    assert outcome == Outcome(OutcomeKind.FAILED, "its answer is none of a tool")


async def test_a_flood_on_standard_error_is_kept_by_its_end(tmp_path: Path) -> None:
    outcome, server = await called(tmp_path, "flood")
    lines = server.servers.standing("raw").stderr

    assert outcome.text == "said much"
    assert 0 < len(lines) <= 50
    assert max(map(len, lines)) <= 500


async def test_a_storm_of_notifications_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - before)

    beating = asyncio.create_task(beat())
    outcome, _ = await called(tmp_path, "storm")
    beating.cancel()

    assert outcome.text == "told much"
    assert longest < 2.0


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", raw(tmp_path, "echo", mode="silent")), initialise_s=0.5) as server:
        ended = await server.ended()

    assert ended.why == "it did not answer within 0.5 s"


async def test_lines_that_are_no_messages_are_kept_beside_standard_error(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", raw(tmp_path, "echo", mode="noisy"))) as server:
        await server.came()
        said = server.servers.standing("raw").stderr

    assert said[:2] == ("(on standard output) Starting server...", "(on standard output) {not json")


async def test_odd_names_reach_the_server_as_they_are(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", raw(tmp_path, "read.file/größe v2"))) as server:
        ((found, fault),) = await server.came()
        outcome = await server.servers.execute(start_of("raw", "read.file/größe v2", a=1))

    assert (found.name, fault) == ("read.file/größe v2", "")
    assert outcome.text == '{"a": 1}'


async def test_a_call_of_a_tool_that_was_changed_meanwhile_does_not_go_out(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", raw(tmp_path, "echo", "change"))) as server:
        await server.came()
        await server.servers.execute(start_of("raw", "change", tools=[tool("echo", "now evil")]))
        await server.came(2)
        outcome = await server.servers.execute(start_of("raw", "echo"))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "has changed this tool meanwhile" in outcome.text


async def test_a_program_or_a_folder_that_is_not_there_is_an_end_in_words(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", ("no-such-program",))) as server:
        assert (await server.ended()).why == "there is no program 'no-such-program'"
    async with kept(tmp_path, McpEndpoint("raw", ("true",), folder=str(tmp_path / "none"))) as server:
        assert (await server.ended()).why.startswith("there is no folder")
    async with kept(tmp_path, McpEndpoint("raw", ("true",))) as server:
        assert (await server.ended()).why == "exit code 0"


async def test_a_relative_program_starts_at_the_folder_of_its_file(tmp_path: Path) -> None:
    relist(tmp_path, tool("echo"))
    (tmp_path / "serve").write_text(f"#!/bin/sh\nexec {sys.executable} {Path(raw(tmp_path)[1])} tools.json\n")
    (tmp_path / "serve").chmod(0o700)
    relist(tmp_path, tool("echo"))
    async with kept(tmp_path, McpEndpoint("raw", ("./serve",), folder=str(tmp_path))) as server:
        assert [each.name for each, _ in await server.came()] == ["echo"]


# ---- what they see


async def test_behind_the_fence_a_server_sees_what_was_mounted_and_neither_home_nor_network_nor_processes(tmp_path: Path) -> None:
    needed("bwrap", package="bubblewrap")
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "server.py").write_text(RAW.read_text())
    relist(shown, tool("look"))
    for each in (shown, *shown.iterdir()):
        each.chmod(0o755)
    endpoint = McpEndpoint(
        "raw",
        ("/usr/bin/python3", "server.py", "tools.json"),
        folder=str(shown),
        isolation="required",
        mounts=(Mount(str(shown), "/shown"),),
    )
    async with kept(tmp_path, endpoint, sandbox=Sandbox()) as server:
        await server.came()
        outcome = await server.servers.execute(start_of("raw", "look"))
    seen = json.loads(outcome.text)

    assert seen["folder"] == "/shown"
    assert seen["home"] == []
    assert seen["interfaces"] == ["lo"]
    assert seen["processes"] < 6
    assert not seen["root"]


async def test_a_program_that_the_fence_hides_is_an_end_in_words(tmp_path: Path) -> None:
    needed("bwrap", package="bubblewrap")
    command = (str(SDK), "stdio")
    async with kept(tmp_path, McpEndpoint("raw", command, isolation="required"), sandbox=Sandbox()) as server:
        ended = await server.ended()

    assert "mount" in ended.why or "no program" in ended.why


# ---- how they are ended


async def test_a_stopped_server_leaves_nothing_behind_not_even_what_left_its_group(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", raw(tmp_path, "child"))) as server:
        await server.came()
        pid = server.servers.standing("raw").pid
        child = int((await server.servers.execute(start_of("raw", "child"))).text)
        assert is_alive(child)

    assert pid is not None
    assert not is_alive(pid)
    assert not is_alive(child)


async def test_a_server_that_ignores_both_is_killed(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("raw", raw(tmp_path, "echo", mode="stubborn"))) as server:
        await server.came()
        pid = server.servers.standing("raw").pid

    assert pid is not None
    assert not is_alive(pid)


async def test_another_server_of_the_name_takes_the_place_of_the_first(tmp_path: Path) -> None:
    servers = servers_in(tmp_path)
    first = Kept(servers, McpEndpoint("raw", raw(tmp_path, "echo")))
    await first.came()
    pid = servers.standing("raw").pid
    second = Kept(servers, McpEndpoint("raw", raw(tmp_path, "echo")))
    await second.came()
    ended = await first.ended()
    standing = servers.standing("raw")
    await second.stop()

    assert ended.wanted
    assert pid is not None
    assert not is_alive(pid)
    assert (standing.pid != pid, standing.restarts) == (True, 1)


def test_what_a_killed_daemon_left_is_found_by_its_marks(tmp_path: Path) -> None:
    stray = subprocess.Popen(["sleep", "600"], env={**os.environ, MARKS: str(tmp_path)}, start_new_session=True)
    try:
        assert end_leftovers({MARKS: str(tmp_path)}) == 1
    finally:
        stray.kill()
    assert stray.wait() == -signal.SIGKILL
