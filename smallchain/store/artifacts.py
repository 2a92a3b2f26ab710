"""Artifacts: what tool calls left behind, each a row with its bytes, which are read only when they are asked for."""

from __future__ import annotations

import hashlib

from smallchain.model.artifact import Artifact, Kept, plain_media_type, plain_name
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store.contract import Row, Tx
from smallchain.store.times import to_text


def put(tx: Tx, run: Run, call: ToolCall, artifact: Artifact, /) -> Kept:
    """Store an artifact of a call; the caller has looked at the bounds."""
    kept = Kept(
        id=tx.new_id(),
        run_id=run.id,
        call_id=call.id,
        name=plain_name(artifact.name),
        media_type=plain_media_type(artifact.media_type),
        size_bytes=len(artifact.data),
        digest=hashlib.sha256(artifact.data).hexdigest(),
    )
    tx.run(
        "artifacts.insert",
        id=kept.id,
        run_id=run.id,
        root_id=run.root_id,
        call_id=call.id,
        name=kept.name,
        media_type=kept.media_type,
        size_bytes=kept.size_bytes,
        digest=kept.digest,
        created_at=to_text(tx.now),
        data=artifact.data,
    )
    return kept


def size_of_run(tx: Tx, run_id: str, /) -> int:
    """The bytes that a run's artifacts take."""
    row = tx.one("artifacts.size_of_run", run_id=run_id)
    return int(row["size_bytes"]) if row else 0


def find(tx: Tx, id: str, /) -> Kept | None:
    """An artifact by id, without its bytes, or None."""
    return _kept(tx.one("artifacts.get", id=id))


def of_tree(tx: Tx, id: str, root_id: str, /) -> Kept | None:
    """The same, if the tree of runs under a root may read it: its runs made it, or go on from the messages of those that did."""
    return _kept(tx.one("artifacts.get_of_tree", id=id, root_id=root_id))


def inherit(tx: Tx, heir: Run, run: Run, /) -> None:
    """Let a new run read what the run that it goes on from could: its messages speak of it."""
    tx.run("artifacts.inherit", heir=heir.root_id, root_id=run.root_id)


def data(tx: Tx, id: str, /) -> bytes:
    """The bytes of an artifact; none when it is not there."""
    row = tx.one("artifacts.data", id=id)
    return bytes(row["data"]) if row else b""


def piece(tx: Tx, id: str, /, *, offset: int, length: int) -> bytes:
    """Some bytes of an artifact, from a place that counts from 0."""
    row = tx.one("artifacts.piece", id=id, start=offset + 1, length=length)
    return bytes(row["data"]) if row else b""


def everything(tx: Tx, /) -> list[Row]:
    """All artifacts without their bytes, each with its run's name and its call's tool."""
    return tx.all("artifacts.list")


def of_descendants(tx: Tx, run_id: str, /) -> list[Row]:
    """The same, of a run and its descendants."""
    return tx.all("artifacts.list_tree", run_id=run_id)


def by_part(tx: Tx, part: str, /) -> list[str]:
    """At most two ids of artifacts that begin or end with a text."""
    return [row["id"] for row in tx.all("artifacts.by_part", part=part)]


def _kept(row: Row | None) -> Kept | None:
    return Kept(**{name: row[name] for name in Kept.__slots__}) if row is not None else None
