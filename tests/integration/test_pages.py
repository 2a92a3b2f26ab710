"""Lists of what never ends growing: every item once, whatever the page's size, and a tree's costs in each of its runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.errors import BadInput, Unknown
from smallchain.model.lifecycles import RunPhase
from smallchain.store import runs
from smallchain.store.contract import Tx
from smallchain.store.database import Database
from smallchaind.api.pages import Page, Wanted, one, page
from support.rows import put_call, put_run
from support.starts import FixedClock

KINDS = pytest.mark.parametrize("kind", ["runs", "toolcalls"])


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Seven runs, each with a call; the third and fifth have ended."""
    opened = await Database.open(tmp_path, now=FixedClock().now)

    def fill(tx: Tx) -> None:
        for number in range(1, 8):
            run = put_run(tx, f"run {number}")
            put_call(tx, run)
            if number in (3, 5):
                runs.save(tx, run, phase=RunPhase.SUCCEEDED)

    await opened.write(fill)
    yield opened
    await opened.close()


async def pages(database: Database, kind: str, **wanted: Any) -> list[Page]:
    """All pages, one after the other."""
    found = [await database.read(lambda tx: page(tx, kind, Wanted(**wanted)))]
    place = "before" if wanted.get("newest") else "after"
    while (following := found[-1].next) is not None:
        found.append(await database.read(lambda tx, at=following: page(tx, kind, Wanted(**{**wanted, place: at}))))  # type: ignore[misc]
    return found


def names(found: list[Page], key: str = "run") -> list[list[str]]:
    """What stands on each page."""
    return [[item[key] for item in each.items] for each in found]


@KINDS
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 500])
async def test_each_item_stands_on_one_page_in_the_order_of_making(database: Database, kind: str, limit: int) -> None:
    found = names(await pages(database, kind, limit=limit))

    assert [name for each in found for name in each] == [f"run {number}" for number in range(1, 8)]
    assert max(map(len, found)) <= limit


async def test_the_newest_page_comes_first_when_it_is_asked_for_and_leads_back(database: Database) -> None:
    found = names(await pages(database, "runs", limit=3, newest=True))

    assert found == [["run 5", "run 6", "run 7"], ["run 2", "run 3", "run 4"], ["run 1"]]


async def test_live_runs_alone_and_runs_by_status_are_all_found_across_pages(database: Database) -> None:
    live = names(await pages(database, "runs", limit=2, live=True))
    over = names(await pages(database, "runs", limit=2, status="succeeded"))

    assert [name for each in live for name in each] == ["run 1", "run 2", "run 4", "run 6", "run 7"]
    assert [name for each in over for name in each] == ["run 3", "run 5"]


async def test_a_name_is_found_wherever_it_stands_and_one_that_is_not_there_is_told(database: Database) -> None:
    (found,) = await pages(database, "runs", limit=1, names=["run 7", "run 2", "run 7"])

    assert names([found]) == [["run 7", "run 2"]]
    with pytest.raises(Unknown, match="run 77"):
        await pages(database, "runs", names=["run 77"])


async def test_calls_are_found_by_id_by_part_of_it_and_by_their_tool(database: Database) -> None:
    by_tool = await pages(database, "toolcalls", limit=2, names=["publish"])
    id = by_tool[1].items[0]["id"]
    (by_id,), (by_part,) = await pages(database, "toolcalls", names=[id]), await pages(database, "toolcalls", names=[id[-8:]])
    first = await database.read(lambda tx: one(tx, "toolcalls", "publish"))

    assert sum(len(each.items) for each in by_tool) == 7
    assert [item["id"] for item in by_id.items] == [item["id"] for item in by_part.items] == [id]
    assert first["run"] == "run 1"
    with pytest.raises(Unknown, match="no toolcall 'delete'"):
        await database.read(lambda tx: one(tx, "toolcalls", "delete"))


async def test_only_runs_are_paged_from_the_newest(database: Database) -> None:
    with pytest.raises(BadInput, match="newest"):
        await pages(database, "toolcalls", newest=True)


async def test_a_run_shows_what_its_whole_tree_has_cost(database: Database) -> None:
    def grow(tx: Tx) -> None:
        root = put_run(tx, "root")
        runs.save(tx, root, cost_nanousd=1_000_000_000)
        for number in (1, 2):
            call = put_call(tx, root, position=number)
            child = runs.create(tx, name=f"root/child-{number}", task="t", agent="writer", parent=root, parent_call_id=call.id)
            runs.save(tx, child, cost_nanousd=20_000_000_000)
            grandchild = runs.create(tx, name=f"root/child-{number}/x-1", task="t", agent="x", parent=child)
            runs.save(tx, grandchild, cost_nanousd=300_000_000_000)

    await database.write(grow)
    (found,) = await pages(database, "runs", run="root")
    by_name = {item["name"]: item for item in found.items}

    assert {name: (item["cost_usd"], item["tree_cost_usd"]) for name, item in by_name.items()} == {
        "root": ("1.00", "641.00"),
        "root/child-1": ("20.00", "320.00"),
        "root/child-1/x-1": ("300.00", "300.00"),
        "root/child-2": ("20.00", "320.00"),
        "root/child-2/x-1": ("300.00", "300.00"),
    }
    assert (by_name["root/child-1/x-1"]["parent"], by_name["root/child-1/x-1"]["root"]) == ("root/child-1", "root")
    assert (by_name["root"]["parent"], by_name["root"]["root"]) == (None, "root")
