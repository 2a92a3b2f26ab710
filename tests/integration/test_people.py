"""What the inbox folder is given: always what is open now, while each request is put into words once for each change of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from smallchain.model.human import HumanRequest, RequestKind
from smallchain.store import requests
from smallchain.store.database import Database
from smallchaind.people import People
from support.rows import NOON, put_run


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path, now=lambda: NOON)
    yield opened
    await opened.close()


async def asked(database: Database, question: str) -> HumanRequest:
    """A request that is open."""
    return await database.write(
        lambda tx: requests.open_request(tx, put_run(tx, f"run {question}"), kind=RequestKind.LOOP, question=question)
    )


async def test_what_is_told_is_always_what_is_open_now(database: Database) -> None:
    people = People(database, b"k" * 32)
    assert await people.waiting() == []
    first, second = await asked(database, "first?"), await asked(database, "second?")
    assert [told.question for told in await people.waiting()] == ["second?", "first?"]

    await database.write(lambda tx: requests.decide(tx, second, "answered", decision="{}", by="ann"))
    await asked(database, "third?")
    await database.write(lambda tx: requests.save(tx, first, expires_at=NOON + timedelta(hours=1)))

    assert [(told.question, told.expires_at) for told in await people.waiting()] == [
        ("third?", None),
        ("first?", NOON + timedelta(hours=1)),
    ]


async def test_what_has_not_changed_is_not_put_into_words_again(database: Database) -> None:
    people = People(database, b"k" * 32)
    await asked(database, "first?")
    (before,) = await people.waiting()
    await asked(database, "second?")

    assert (await people.waiting())[1] is before
