"""Tools whose work is done elsewhere: told under one key, waited for as rows, and ended by the first result that is brought and signed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import cancel, pause, resume
from smallchain.engine.toolcall.handing import Brought, Taken, Word
from smallchain.model.callback import HEADER, sign
from smallchain.model.delivery import Verb
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import ToolCall
from smallchain.settings import Callbacks
from smallchain.store import artifacts, callbacks, toolcalls
from smallchaind import callbacks as listener
from support.house import House
from support.starts import FixedClock
from support.webserver import Bytes, WebServer, answers, ok

RUN = "monday"
DAY = timedelta(days=1)
SECRET = "sk-canary-0123456789"


def team(url: str = "", *, executor: dict[str, Any] | None = None, **words: Any) -> str:
    spec: dict[str, Any] = {"url": url, "allow": ["127.0.0.1"], "secret": {"env": "TOKEN"}} if url else {}
    tool = {"name": "deliver", "executor": {"callback": spec | (executor or {})}} | words
    replies = [{"tool_calls": [{"name": "deliver", "arguments": {"what": "tea"}}]}, {"content": "done"}]
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": replies}],
            "agents": [{"name": "shop", "tools": ["deliver"]}],
            "tools": [tool],
            "tasks": [{"name": "sell", "agent": "shop", "user_message": "sell tea"}],
            "runs": [{"name": RUN, "task": "sell"}],
        }
    )


async def opened(folder: Path) -> House:
    """A house whose secret stands in its `env` file: there for the next life, too."""
    house = await House.open(folder, FixedClock())
    (house.config / "env").write_text(f"TOKEN={SECRET}\n")
    (house.config / "env").chmod(0o600)
    return house.start()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    found = await opened(tmp_path)
    yield found
    await found.close()


async def bring(house: House, call: ToolCall, by: str = "ann", **brought: Any) -> Taken:
    """By hand."""
    await house.handed_out.learn(call.id)
    return await house.driver.transact(lambda tx: house.handed_out.bring(tx, call.id, Brought(**brought), by=by))


@asynccontextmanager
async def hearing(house: House) -> AsyncIterator[Callable[..., Any]]:
    """The callback listener on a port of its own; what is yielded posts a body under a key, signed now."""
    bound = listener.bind(0)
    port = bound.getsockname()[1]
    hosts = listener.hosts(Callbacks(port, f"http://127.0.0.1:{port}"))
    hears = listener.CallbackListener({"toolcalls": house.handed_out}, hosts=hosts, now=house.clock.now)
    task = asyncio.create_task(hears.serve(bound))

    async def post(about: str, key: bytes, body: bytes, *, signed: bytes | None = None) -> tuple[int, dict[str, Any]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        header = sign(key, about, body if signed is None else signed, at=house.clock.now())
        head = (
            f"POST /callbacks/toolcalls/{about} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{HEADER}: {header}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        first, _, rest = answer.partition(b"\r\n\r\n")
        return int(first.split()[1]), json.loads(rest)

    try:
        yield post
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---- telling


async def test_whoever_does_the_work_is_told_all_they_need_and_it_is_signed(house: House) -> None:
    async with WebServer(lambda asked: answers(202)) as server:
        await house.apply(team(f"{server.url}/work?token=private", executor={"expires": "2h"}))
        (asked,) = await server.came()
        call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
        await house.until(lambda tx: toolcalls.get(tx, call.id).detail)

    told = asked.json
    assert (asked.method, asked.headers["idempotency-key"]) == ("POST", f"{call.id}.1")
    assert asked.headers[HEADER.lower()] == sign(SECRET.encode(), f"{call.id}.1", asked.body, at=house.clock.now())
    assert (told["event"], told["tool"], told["call_id"], told["arguments"]) == ("work", "deliver", call.id, {"what": "tea"})
    assert told["expires_at"] == "2026-01-02T05:04:05Z"
    assert told["answer"]["url"] == f"http://127.0.0.1:1/callbacks/toolcalls/{call.id}"
    assert len(bytes.fromhex(told["answer"]["key"])) == 32
    assert (await house.call(RUN, CallPhase.AWAITING_CALLBACK)).detail == f"handed out to {server.url}"


async def test_a_signed_result_ends_the_call_and_the_run_goes_on(house: House) -> None:
    async with WebServer(lambda asked: ok()) as server, hearing(house) as post:
        await house.apply(team(server.url))
        (asked,) = await server.came()
        call_id, key = asked.json["call_id"], bytes.fromhex(asked.json["answer"]["key"])
        first = await post(call_id, key, b'{"result": "at the door"}')
        await house.run(RUN, RunPhase.SUCCEEDED)
        same = await post(call_id, key, b'{"result":"at the door"}')
        other = await post(call_id, key, b'{"result": "lost"}')

    assert first == (200, {"counted": True, "sentence": "the result of deliver is taken"})
    assert same == (200, {"counted": True, "sentence": "this result was taken before"})
    assert (other[0], other[1]["sentence"]) == (409, "a result was brought by deliver at 2026-01-02 03:04:05 UTC")
    assert await house.results(RUN) == ["at the door"]


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"result": {"at": "door", "n": 1}}', '{"at": "door", "n": 1}'),
        (b'{"result": null}', "(no output)"),
        ('{"result": "a\\u0000b \N{SNOWMAN}"}'.encode(), None),
        (b'{"error": "nobody was at home"}', "Error: nobody was at home"),
    ],
)
async def test_a_result_is_any_json_or_an_error(house: House, body: bytes, result: str | None) -> None:
    async with WebServer(lambda asked: ok()) as server, hearing(house) as post:
        await house.apply(team(server.url))
        (asked,) = await server.came()
        status, _ = await post(asked.json["call_id"], bytes.fromhex(asked.json["answer"]["key"]), body)
        if result is None:
            assert status == 422, "strict JSON holds no NUL"
            return
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert (status, await house.results(RUN)) == (200, [result])


async def test_what_is_not_signed_by_the_calls_own_key_counts_nothing(house: House) -> None:
    async with WebServer(lambda asked: ok()) as server, hearing(house) as post:
        await house.apply(team(server.url))
        (asked,) = await server.came()
        call_id, key = asked.json["call_id"], bytes.fromhex(asked.json["answer"]["key"])
        body = b'{"result": "at the door"}'
        wrong = [
            await post(call_id, b"x" * 32, body),
            await post(call_id, SECRET.encode(), body),
            await post(call_id, key, body, signed=b'{"result":"at the door"}'),
        ]
        unknown = await post(call_id[:-1] + ("0" if call_id[-1] != "0" else "1"), key, body)

    assert [status for status, _ in wrong] == [401, 401, 401]
    assert unknown[0] == 404
    assert (await house.call(RUN, CallPhase.AWAITING_CALLBACK)).result == ""


async def test_the_key_of_one_call_opens_no_other(house: House) -> None:
    async with WebServer(lambda asked: ok()) as server, hearing(house) as post:
        text = json.loads(team(server.url))
        text["runs"].append({"name": "tuesday", "task": "sell"})
        await house.apply(json.dumps(text))
        one, other = await server.came(2)
        key = bytes.fromhex(one.json["answer"]["key"])
        status, _ = await post(other.json["call_id"], key, b'{"result": "at the door"}')

    assert status == 401
    assert one.json["answer"]["key"] != other.json["answer"]["key"]


async def test_a_result_that_does_not_fit_is_told_and_counted_and_the_call_goes_on_waiting(house: House) -> None:
    schema = {"type": "object", "properties": {"weight": {"type": "number"}}, "required": ["weight"]}
    async with WebServer(lambda asked: ok()) as server, hearing(house) as post:
        await house.apply(team(server.url, executor={"result": schema}))
        (asked,) = await server.came()
        call_id, key = asked.json["call_id"], bytes.fromhex(asked.json["answer"]["key"])
        mistakes = [await post(call_id, key, body) for body in (b'{"result": {"weight": "two"}}', b'{"result": []}', b'{"verb": "x"}')]
        call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
        more = [await post(call_id, key, b'{"result": {}}') for _ in range(3)]
        assert (await bring(house, call, result='{"weight": 2}')).word is Word.TAKEN

    assert [status for status, _ in mistakes] == [422, 422, 422]
    assert "weight" in mistakes[0][1]["error"]["message"]
    assert [status for status, _ in more] == [422, 422, 429]


async def test_a_result_that_comes_before_the_call_waits_is_early(house: House) -> None:
    async with hearing(house) as post:
        await house.apply(team(approval="required"))
        call = await house.call(RUN, CallPhase.AWAITING_APPROVAL)
        (key,) = await house.handed_out.keys(call.id)
        status, body = await post(call.id, key.secret, b'{"result": "at the door"}')

    assert (status, body["sentence"]) == (425, "the call is awaiting approval, and waits for no result yet")


async def test_a_result_after_a_cancel_is_gone(house: House) -> None:
    async with WebServer(lambda asked: ok()) as server, hearing(house) as post:
        await house.apply(team(server.url))
        (asked,) = await server.came()
        run = await house.now(RUN)
        await house.driver.transact(lambda tx: cancel(tx, run, by="ann"))
        status, body = await post(asked.json["call_id"], bytes.fromhex(asked.json["answer"]["key"]), b'{"result": "at the door"}')

    assert (status, body["sentence"]) == (410, "the call is cancelled: cancelled by ann")
    assert await house.results(RUN) == ["Error: the call was cancelled while it ran; whether it happened is not known"]


async def test_a_result_that_does_not_come_in_time_is_a_time_out_and_gone_afterwards(house: House) -> None:
    await house.apply(team(executor={"expires": "2h"}))
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
    await house.wait(timedelta(hours=2))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["Error: no result came within 2h"]
    late = await bring(house, call, result="at the door")
    assert (late.word, late.sentence) == (Word.GONE, "the call is timed out: no result came within 2h")


async def test_a_call_without_expiry_waits_as_rows_for_as_long_as_it_takes(house: House) -> None:
    await house.apply(team())
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
    await house.idle()
    assert house.driver.under_way() == []
    await house.wait(400 * DAY)
    await house.quiet()

    assert (await bring(house, call, result="at the door")).word is Word.TAKEN
    await house.run(RUN, RunPhase.SUCCEEDED)


async def test_what_is_brought_while_the_run_is_paused_is_kept_and_acted_on_at_its_resume(house: House) -> None:
    await house.apply(team())
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, run, by="ann"))
    assert (await bring(house, call, result="at the door")).word is Word.TAKEN
    await house.quiet()
    assert (await house.now(RUN)).phase is not RunPhase.SUCCEEDED

    paused = await house.now(RUN)
    await house.driver.transact(lambda tx: resume(tx, paused, by="ann"))
    await house.run(RUN, RunPhase.SUCCEEDED)
    assert await house.results(RUN) == ["at the door"]


async def test_fifty_results_at_once_are_one(house: House) -> None:
    await house.apply(team())
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)

    taken = await asyncio.gather(*(bring(house, call, by=f"p{number}", result=f"r{number}") for number in range(50)))

    assert sorted(each.word for each in taken) == [Word.LATE] * 49 + [Word.TAKEN]
    winner = next(number for number, each in enumerate(taken) if each.word is Word.TAKEN)
    await house.run(RUN, RunPhase.SUCCEEDED)
    assert await house.results(RUN) == [f"r{winner}"]


async def test_a_long_result_is_cut_and_secrets_are_masked_also_in_the_next_life(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    async with WebServer(lambda asked: ok()) as server:
        await first.apply(team(server.url))
        await server.came()
        call = await first.call(RUN, CallPhase.AWAITING_CALLBACK)
        await first.until(lambda tx: toolcalls.get(tx, call.id).detail)
    await first.close()
    house = await opened(tmp_path)
    try:
        assert (await bring(house, call, result=f"{SECRET} " + "x" * 40_000)).word is Word.TAKEN
        await house.run(RUN, RunPhase.SUCCEEDED)
        (row,) = await house.database.read(artifacts.everything)
        data = await house.database.read(lambda tx: artifacts.data(tx, row["id"]))
        assert data.startswith(b"[secret:TOKEN] xxx")
        assert (await house.results(RUN))[0].startswith("[secret:TOKEN] xxx")
    finally:
        await house.close()


async def test_nobody_is_told_before_a_person_agrees_and_then_of_what_they_agreed_to(house: House) -> None:
    async with WebServer(lambda asked: ok()) as server:
        await house.apply(team(server.url, approval="required"))
        request = await house.request(RUN)
        assert server.requests == []
        await house.say(Verb.APPROVE, request, edits={"what": "coffee"})
        (asked,) = await server.came()

    assert asked.json["arguments"] == {"what": "coffee"}


# ---- what becomes of the telling


async def test_a_receiver_that_is_away_is_told_when_it_is_back(house: House) -> None:
    async with WebServer(lambda asked: ok()) as server:
        port = server.port
    await house.apply(team(f"http://127.0.0.1:{port}"))
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
    await house.until(lambda tx: "Connection refused" in toolcalls.get(tx, call.id).detail)
    await house.wait(timedelta(hours=1))
    await house.until(lambda tx: (found := callbacks.find(tx, call.id)) is not None and found.refusals == 2)

    assert (await bring(house, call, result="anyway")).word is Word.TAKEN


@pytest.mark.parametrize("status", [425, 429, 503])
async def test_a_receiver_that_is_busy_is_told_again_under_the_same_key(house: House, status: int) -> None:
    left = [answers(status, retry_after="120"), ok()]
    async with WebServer(lambda asked: left.pop(0)) as server:
        await house.apply(team(server.url))
        await server.came(1)
        call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
        found = await house.until(lambda tx: (row := callbacks.find(tx, call.id)) and row.refusals and row)
        assert found.tell_at - house.clock.now() >= timedelta(seconds=120)
        await house.wait(timedelta(seconds=180))
        await server.came(2)
        await house.until(lambda tx: "handed out" in toolcalls.get(tx, call.id).detail)

    first, second = server.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.json == second.json


async def test_a_receiver_that_refuses_fails_the_call(house: House) -> None:
    async with WebServer(lambda asked: answers(404)) as server:
        await house.apply(team(server.url))
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == [f"Error: could not be handed out: {server.url} answered 404"]


@pytest.mark.parametrize("answer", [Bytes(reset=True), answers(500)])
async def test_telling_of_which_nothing_is_known_is_a_persons_to_settle_and_a_result_settles_it(house: House, answer: Bytes) -> None:
    async with WebServer(lambda asked: answer) as server:
        await house.apply(team(server.url))
        call = await house.call(RUN, CallPhase.IN_DOUBT)
        await house.request(RUN, "settle")
        assert (await bring(house, call, result="at the door")).word is Word.TAKEN
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert (len(server.requests), await house.results(RUN), await house.asked(RUN)) == (1, ["at the door"], [])


async def test_telling_of_which_nothing_is_known_goes_again_where_that_is_harmless(house: House) -> None:
    left = [Bytes(reset=True), ok()]
    async with WebServer(lambda asked: left.pop(0)) as server:
        await house.apply(team(server.url, effects="idempotent"))
        await server.came(1)
        call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
        await house.until(lambda tx: (row := callbacks.find(tx, call.id)) and row.refusals)
        await house.wait(timedelta(minutes=10))
        await server.came(2)

    assert len({asked.headers["idempotency-key"] for asked in server.requests}) == 1


async def test_a_call_that_a_person_hands_out_again_has_another_key_and_the_old_one_opens_nothing(house: House) -> None:
    left = [Bytes(reset=True), ok()]
    async with WebServer(lambda asked: left.pop(0)) as server, hearing(house) as post:
        await house.apply(team(server.url))
        call = await house.call(RUN, CallPhase.IN_DOUBT)
        await house.say(Verb.RUN_AGAIN, await house.request(RUN, "settle"))
        first, second = await server.came(2)
        old, new = (bytes.fromhex(asked.json["answer"]["key"]) for asked in (first, second))
        assert (await post(call.id, old, b'{"result": "a"}'))[0] == 401
        assert (await post(call.id, new, b'{"result": "b"}'))[0] == 200
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert [asked.headers["idempotency-key"] for asked in (first, second)] == [f"{call.id}.1", f"{call.id}.2"]
    assert await house.results(RUN) == ["b"]


# ---- the end of a daemon, around each commit


async def test_a_crash_before_it_is_told_tells_it_in_the_next_life(tmp_path: Path) -> None:
    """The phase and the intent are one commit: what is not told yet is told from where it stands."""
    house = await opened(tmp_path)
    async with WebServer(lambda asked: ok()) as server:
        port = server.port
    await house.apply(team(f"http://127.0.0.1:{port}"))
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
    await house.until(lambda tx: (row := callbacks.find(tx, call.id)) and row.refusals)
    following = await house.crash()
    try:
        following.start()
        await following.wait(timedelta(hours=1))
        await following.until(lambda tx: (row := callbacks.find(tx, call.id)) and row.refusals == 2)
    finally:
        await following.close()


@pytest.mark.parametrize(("effects", "phase"), [("once", CallPhase.IN_DOUBT), ("idempotent", CallPhase.AWAITING_CALLBACK)])
async def test_a_crash_while_it_is_told_is_settled_or_told_again(tmp_path: Path, effects: str, phase: CallPhase) -> None:
    house = await opened(tmp_path)
    left = [Bytes(silence=True), ok()]
    async with WebServer(lambda asked: left.pop(0)) as server:
        await house.apply(team(server.url, effects=effects))
        await server.came(1)
        following = await house.crash()
        try:
            following.start()
            await following.quiet()
            call = await following.call(RUN, phase)
            if phase is CallPhase.AWAITING_CALLBACK:
                first, second = await server.came(2)
                assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
            else:
                assert "the daemon ended while it was handed out" in (await following.request(RUN, "settle")).question
                assert len(server.requests) == 1
            assert (await bring(following, call, result="at the door")).word is Word.TAKEN
            await following.run(RUN, RunPhase.SUCCEEDED)
        finally:
            await following.close()


async def test_a_crash_while_it_waits_loses_nothing_and_tells_nobody_again(tmp_path: Path) -> None:
    house = await opened(tmp_path)
    async with WebServer(lambda asked: ok()) as server:
        await house.apply(team(server.url, executor={"expires": "2h"}))
        await server.came(1)
        call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
        await house.until(lambda tx: (row := callbacks.find(tx, call.id)) is not None and row.tell_at is None)
        following = await house.crash()
        try:
            following.start()
            await following.quiet()
            assert len(server.requests) == 1
            await following.wait(timedelta(hours=2))
            await following.run(RUN, RunPhase.SUCCEEDED)
            assert await following.results(RUN) == ["Error: no result came within 2h"]
        finally:
            await following.close()


async def test_a_result_that_was_taken_stands_and_a_sender_that_was_not_answered_is_told_so(tmp_path: Path) -> None:
    house = (await House.open(tmp_path, FixedClock())).start()
    await house.apply(team())
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)
    assert (await bring(house, call, result="at the door")).word is Word.TAKEN
    following = await house.crash()
    try:
        following.start()
        assert (await bring(following, call, result="at the door")).word is Word.AGAIN
        await following.run(RUN, RunPhase.SUCCEEDED)
        assert await following.results(RUN) == ["at the door"]
    finally:
        await following.close()


async def test_a_result_that_is_too_long_is_refused(house: House) -> None:
    await house.apply(team())
    call = await house.call(RUN, CallPhase.AWAITING_CALLBACK)

    with pytest.raises(BadInput, match="1048576 are the most"):
        await bring(house, call, result="x" * (1 << 20) + "y")
