"""What a person changed about a call's arguments, in words: one line a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallchain.model.canonical import canonical

_LONGEST = 200


def differences(before: Mapping[str, Any], after: Mapping[str, Any], /) -> tuple[str, ...]:
    """Each argument that is not as it was: `title: "a" → "b"`, `title: "a" → (none)`; values are JSON, cut at 200 characters."""
    names = dict.fromkeys((*before, *after))
    return tuple(
        f"{name}: {_shown(before, name)} → {_shown(after, name)}"
        for name in names
        if (name in before, before.get(name)) != (name in after, after.get(name)) or type(before.get(name)) is not type(after.get(name))
    )


def _shown(arguments: Mapping[str, Any], name: str) -> str:
    if name not in arguments:
        return "(none)"
    text = canonical(arguments[name])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
