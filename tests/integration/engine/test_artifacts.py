"""What tool calls leave behind: kept in the transaction of their outcome, bounded, read back by the run's own tree alone, and masked."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import cancel
from smallchain.engine.run.again import retry
from smallchain.engine.toolcall.keeping import read_artifact
from smallchain.model.artifact import LARGEST, MOST_OF_CALL, MOST_OF_RUN, TOLD, Artifact
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import OutcomeKind
from smallchain.store import artifacts, runs
from support.house import Gate, House, a_house
from support.starts import FixedClock

RUN = "monday"
PNG = Artifact("chart.png", "image/png", b"\x89PNG\r\n\x1a\n\0\xff")


def team(*replies: dict[str, Any], names: tuple[str, ...] = (RUN,), **words: Any) -> str:
    tool = {"name": "draw", "executor": {"python": {"command": "unused"}}, "effects": "none", **words}
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": list(replies)}],
            "agents": [{"name": "artist", "tools": ["draw", "read_artifact"]}],
            "tools": [tool],
            "tasks": [{"name": "art", "agent": "artist", "user_message": "draw"}],
            "runs": [{"name": name, "task": "art"} for name in names],
        }
    )


def asks(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


DRAW, DONE = asks("draw"), {"content": "done"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def kept(house: House) -> list[dict[str, Any]]:
    return [dict(row) for row in await house.database.read(artifacts.everything)]


async def test_an_outcomes_artifacts_are_kept_with_it_and_the_model_is_told(house: House) -> None:
    await house.apply(team(DRAW, DONE))
    house.gate.let_through("drawn", artifacts=(PNG,))
    await house.run(RUN, RunPhase.SUCCEEDED)

    (row,) = await kept(house)
    assert (row["name"], row["media_type"], row["size_bytes"], row["tool"], row["run"]) == ("chart.png", "image/png", 10, "draw", RUN)
    assert await house.database.read(lambda tx: artifacts.data(tx, row["id"])) == PNG.data
    assert await house.results(RUN) == [f"drawn\n[artifact {row['id']}: chart.png, image/png, 10 bytes]"]


async def test_a_long_result_is_cut_and_its_whole_is_an_artifact_that_the_model_can_read_on_in(house: House) -> None:
    whole = "".join(f"line {number}: \N{SNOWMAN}\n" for number in range(5000))
    await house.apply(team(DRAW, asks("draw"), DONE))
    house.gate.let_through(whole)
    await house.gate.came(2)

    (row,) = await kept(house)
    (told,) = await house.results(RUN)
    assert told == f"{whole[:TOLD]}\n[cut after {TOLD} of {len(whole)} characters; the whole is artifact {row['id']}]"
    assert (await house.database.read(lambda tx: artifacts.data(tx, row["id"]))).decode() == whole
    house.gate.let_through()


async def test_pieces_that_are_read_one_after_the_other_are_the_whole(house: House) -> None:
    whole = "".join(f"line {number}: \N{SNOWMAN}\n" for number in range(5000))
    await house.apply(team(DRAW, DONE))
    house.gate.let_through(whole)
    run = await house.run(RUN, RunPhase.SUCCEEDED)
    (row,) = await kept(house)
    read, offset = "", 0
    while offset < row["size_bytes"]:
        at = offset
        outcome = await house.database.read(lambda tx, at=at: read_artifact(tx, run, {"id": row["id"], "offset": str(at)}))
        head, _, text = outcome.text.partition("\n")
        read += text
        offset = int(re.findall(r"to (\d+) of", head)[0])

    assert read == whole


async def test_a_failure_is_cut_too_and_keeps_its_artifacts(house: House) -> None:
    await house.apply(team(DRAW, DONE))
    house.gate.let_through("x" * (TOLD + 1), OutcomeKind.FAILED, artifacts=(PNG,))
    await house.run(RUN, RunPhase.SUCCEEDED)

    (told,) = await house.results(RUN)
    assert told.startswith("Error: xxx")
    assert len(await kept(house)) == 2
    assert all(row["id"] in told for row in await kept(house))


async def test_what_is_beyond_the_bounds_is_not_kept_and_the_model_is_told(house: House) -> None:
    many = tuple(Artifact(f"{number}.txt", "text/plain", b"x") for number in range(MOST_OF_CALL + 1))
    await house.apply(team(DRAW, asks("draw", again=1), DONE))
    house.gate.let_through("too large", artifacts=(Artifact("film.mp4", "video/mp4", bytes(LARGEST + 1)),))
    house.gate.let_through("too many", artifacts=many)
    await house.run(RUN, RunPhase.SUCCEEDED)

    large, numerous = await house.results(RUN)
    assert large == f"too large\n[film.mp4, {LARGEST + 1} bytes, was not kept: an artifact has at most 8 MiB]"
    assert numerous.endswith(f"[32.txt, 1 bytes, was not kept: a call keeps at most {MOST_OF_CALL} artifacts]")
    assert len(await kept(house)) == MOST_OF_CALL


async def test_a_run_keeps_no_more_than_its_share(house: House) -> None:
    count = MOST_OF_RUN // LARGEST
    film = tuple(Artifact(f"{number}.mp4", "video/mp4", bytes(LARGEST)) for number in range(count + 1))
    await house.apply(team(DRAW, DONE))
    house.gate.let_through("films", artifacts=film)
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert len(await kept(house)) == count
    assert (await house.results(RUN))[0].endswith("was not kept: a run keeps at most 64 MiB of artifacts]")


async def test_a_call_that_was_cancelled_meanwhile_keeps_nothing(house: House) -> None:
    await house.apply(team(DRAW, DONE))
    await house.gate.came(1)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: cancel(tx, run, by="ann", note="", only=False))
    house.gate.let_through("late", artifacts=(PNG,))
    await house.idle()

    assert await kept(house) == []


async def test_an_outcome_and_its_artifacts_are_there_together_or_not_at_all(tmp_path: Path) -> None:
    house = (await House.open(tmp_path, FixedClock())).start()
    await house.apply(team(DRAW, DONE))
    await house.gate.came(1)
    following = await house.crash()
    try:
        assert await kept(following) == []
        following.start()
        following.gate.let_through("drawn", artifacts=(PNG,))
        await following.run(RUN, RunPhase.SUCCEEDED)
        assert [row["name"] for row in await kept(following)] == ["chart.png"]
    finally:
        await following.close()


async def test_another_run_reads_nothing_of_it_and_one_that_goes_on_from_it_does(house: House) -> None:
    await house.apply(team(DRAW, DONE, names=(RUN, "tuesday")))
    house.gate.let_through("one " * 10_000)
    house.gate.let_through("two " * 10_000)
    run, other = await house.run(RUN, RunPhase.SUCCEEDED), await house.run("tuesday", RunPhase.SUCCEEDED)
    id = next(row["id"] for row in await kept(house) if row["run"] == RUN)

    def read(tx: Any, name: str) -> OutcomeKind:
        found = runs.by_name(tx, name)
        assert found is not None
        return read_artifact(tx, found, {"id": id}).kind

    assert await house.database.read(lambda tx: read(tx, run.name)) is OutcomeKind.SUCCEEDED
    assert await house.database.read(lambda tx: read(tx, other.name)) is OutcomeKind.FAILED

    await house.driver.transact(lambda tx: artifacts.inherit(tx, other, run))
    assert await house.database.read(lambda tx: read(tx, other.name)) is OutcomeKind.SUCCEEDED


async def test_a_retry_reads_what_the_run_that_it_goes_on_from_could(house: House) -> None:
    await house.apply(team(DRAW, {"error": {"status": 400, "message": "no"}}))
    house.gate.let_through("one " * 10_000)
    run = await house.run(RUN, RunPhase.FAILED)
    (row,) = await kept(house)

    new = await house.driver.transact(lambda tx: retry(tx, run, by="ann"))

    assert await house.database.read(lambda tx: artifacts.of_tree(tx, row["id"], new.root_id)) is not None


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"id": "nothing"}, "there is no artifact 'nothing' of this run"),
        ({"id": "ID", "offset": -1}, "`offset` counts bytes from 0"),
        ({"id": "ID", "length": 0}, "`offset` counts bytes from 0"),
        ({"id": "ID", "offset": 10}, "has 10 bytes; there is nothing at 10"),
        ({"id": "ID"}, "is image/png, 10 bytes, and no text"),
    ],
)
async def test_read_artifact_says_what_it_cannot_read(house: House, arguments: dict[str, Any], answer: str) -> None:
    await house.apply(team(DRAW, DONE))
    house.gate.let_through("drawn", artifacts=(PNG,))
    run = await house.run(RUN, RunPhase.SUCCEEDED)
    (row,) = await kept(house)
    given = arguments | {"id": row["id"]} if arguments["id"] == "ID" else arguments
    outcome = await house.database.read(lambda tx: read_artifact(tx, run, given))

    assert outcome.kind is OutcomeKind.FAILED
    assert answer in outcome.text


async def test_an_agent_reads_an_artifact_with_the_built_in_tool(house: House) -> None:
    await house.apply(team(DRAW, asks("read_artifact", id="unknown"), DONE))
    house.gate.let_through("short")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["short", "Error: there is no artifact 'unknown' of this run"]
    assert (await house.calls(RUN))[1].phase is CallPhase.FAILED


async def test_secrets_are_masked_in_results_and_in_every_byte_of_artifacts(tmp_path: Path) -> None:
    secret = "sk-canary-0123456789"
    house = (await House.open(tmp_path, FixedClock(), gate=Gate(), environ={"TOKEN": secret})).start()
    try:
        await house.apply(team(DRAW, DONE, env={"TOKEN": {"env": "TOKEN"}}))
        binary = Artifact(f"{secret}.bin", "image/png", b"\xff\0" + secret.encode() + b"\xfe")
        house.gate.let_through(f"{secret} " + "x" * TOLD, artifacts=(binary,))
        await house.run(RUN, RunPhase.SUCCEEDED)

        rows = await kept(house)
        assert sorted(row["name"] for row in rows) == ["[secret:TOKEN].bin", "draw.txt"]
        for row in rows:
            data = await house.database.read(lambda tx, id=row["id"]: artifacts.data(tx, id))
            assert b"[secret:TOKEN]" in data
        assert secret not in "".join(await house.results(RUN))
    finally:
        await house.close()
    assert not any(secret.encode() in path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file())
