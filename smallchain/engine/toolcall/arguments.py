"""Arguments as a model wrote them, read strictly and held against the tool's schema; never interpreted."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema_rs

from smallchain.model import canonical
from smallchain.model.errors import BadInput

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
    error = next(iter(_validator(json.dumps(schema, sort_keys=True)).iter_errors(arguments)), None)
    if error is None:
        return ""
    where = "/".join(str(step) for step in error.instance_path)
    return f"{where}: {error.message}"[:500] if where else error.message[:500]


@functools.lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    return jsonschema_rs.validator_for(json.loads(schema))


def _word(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
