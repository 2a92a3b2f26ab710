"""JSON Schemas of tools: whether one can be used, and whether arguments fit it.

The one rule: nothing is fetched, and patterns run in linear time, so that a schema or an argument from outside cannot stall us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LONGEST_PATTERN = 1000
_REF_KEYS = ("$ref", "$dynamicRef", "$recursiveRef")


def fault_in_parameters(schema: Any) -> tuple[str, str] | None:
    """Why a value cannot be a tool's `parameters`, and what to do; or None when it can."""
    if not isinstance(schema, dict):
        return "should be a JSON Schema, a mapping", "begin with `type: object`"
    if schema.get("type") != "object":
        return "should be a JSON Schema of `type: object`", "a function's arguments are always an object"
    return _fault_within(schema) or _fault_of_compiling(schema)


def fault_in_pattern(pattern: str) -> str | None:
    """Why a text cannot be a regular expression here (it must run in linear time), or None."""
    fault = _fault_within({"pattern": pattern}) or _fault_of_compiling({"type": "string", "pattern": pattern})
    return fault[0] if fault else None


def faults_in_arguments(schema: dict[str, Any], arguments: Any) -> tuple[str, ...]:
    """What does not fit a schema, a sentence each (at most ten), with the place within the arguments; empty when all fits."""
    found = []
    for error in _compile(schema).iter_errors(arguments):
        where = "/".join(str(step) for step in error.instance_path)
        found.append((f"{where}: " if where else "") + error.message[:300])
        if len(found) == 10:
            break
    return tuple(found)


def finds(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern (one without a fault) is found in a text, in time that grows with the text alone."""
    found: Callable[[str], bool] = _compile({"type": "string", "pattern": pattern}).is_valid
    return found


def _compile(schema: dict[str, Any]) -> Any:
    import jsonschema_rs  # loaded at the first schema: it takes 20 ms that `get` does not have

    return jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())


def _fault_of_compiling(schema: dict[str, Any]) -> tuple[str, str] | None:
    try:
        _compile(schema)
    except ValueError as error:
        first = (getattr(error, "message", None) or str(error)).splitlines()[0][:200]
        pattern, is_pattern, _ = first.rpartition(' is not a "regex"')
        if is_pattern:
            message = f"has the pattern {pattern}, which is not a regular expression that runs in linear time"
            return message, "look-around and back-references are not supported"
        return f"is not a JSON Schema: {first}", ""
    return None


def _fault_within(value: Any) -> tuple[str, str] | None:
    if isinstance(value, list):
        return next((fault for inner in value if (fault := _fault_within(inner))), None)
    if not isinstance(value, dict):
        return None
    for key in _REF_KEYS:
        target = value.get(key)
        if isinstance(target, str) and not target.startswith("#"):
            return f"has a `{key}` to something outside ({target[:60]!r})", "write the schema out, or under `$defs`"
    patterns = [value.get("pattern"), *(value["patternProperties"] if isinstance(value.get("patternProperties"), dict) else ())]
    for pattern in patterns:
        if isinstance(pattern, str) and len(pattern) > LONGEST_PATTERN:
            return f"has a pattern of {len(pattern)} characters; {LONGEST_PATTERN} are the most", ""
    return next((fault for inner in value.values() if (fault := _fault_within(inner))), None)
