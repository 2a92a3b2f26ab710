"""Arguments as a model wrote them, read strictly and held against the tool's schema; never interpreted."""

from __future__ import annotations

from typing import Any

from smallchain.model import canonical
from smallchain.model.errors import BadInput
from smallchain.model.schemas import faults_in_arguments

_LONGEST = 1 << 20


def read(text: str) -> dict[str, Any]:
    """The arguments of a call: a JSON object; an empty text is an empty object. Raises BadInput saying what it is instead."""
    if not text.strip():
        return {}
    if len(text) > _LONGEST:
        raise BadInput(f"{len(text)} characters; {_LONGEST} are the most")
    value = canonical.parse(text)
    if isinstance(value, str):  # encoded twice
        value = canonical.parse(value)
    if not isinstance(value, dict):
        raise BadInput(f"a JSON object is wanted, not {_word(value)}")
    return value


def fault(arguments: dict[str, Any], schema: dict[str, Any]) -> str:
    """What does not fit a schema, in words a model can act on; empty when all does."""
    return "; ".join(faults_in_arguments(schema, arguments))


def _word(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
