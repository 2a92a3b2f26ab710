"""Single facts about the database and what it was made from."""

from __future__ import annotations

from smallchain.store.contract import Tx

CLEAN_EPOCH = "clean_epoch"
"""The last life of the daemon that ended as it was told to: what it left unfinished was cut, and did not kill it."""


def get(tx: Tx, name: str, /) -> str:
    """A fact, or an empty text."""
    row = tx.one("meta.get", name=name)
    return str(row["value"]) if row else ""


def put(tx: Tx, name: str, value: str, /) -> None:
    """Set a fact."""
    tx.run("meta.put", name=name, value=value)
