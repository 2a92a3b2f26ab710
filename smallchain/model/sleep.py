"""When a sleep that a model asked for ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from smallchain.model.builtins import SLEEP_FOR
from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.errors import BadInput

LONGEST = timedelta(days=366)


def wake_time(builtin: str, arguments: dict[str, Any], /, *, now: datetime) -> datetime:
    """The moment at which `sleep_for` or `sleep_until` ends, in UTC; one that has passed ends at once.

    Raises BadInput, in words for a model, for what is no duration or moment, or lies more than a year ahead.
    """
    if builtin == SLEEP_FOR:
        given = arguments.get("duration")
        if not isinstance(given, str):
            raise BadInput("`duration` is a text", hint="write it as 30s, 10m, 1h30m or 2d")
        found = now + parse_duration(given)
    else:
        found = _moment(arguments.get("time"), now)
    if found > now + LONGEST:
        raise BadInput(f"it would sleep for more than {show_duration(LONGEST)}", hint=f"it is {_shown(now)} now")
    return found


def _moment(given: Any, now: datetime) -> datetime:
    hint = f"write it as {_shown(now + timedelta(hours=1))}, with a time zone; it is {_shown(now)} now"
    if not isinstance(given, str) or len(given) > 64:
        raise BadInput("`time` is a text", hint=hint)
    try:
        found = datetime.fromisoformat(given.strip())
    except ValueError:
        raise BadInput(f"{given[:40]!r} is no moment", hint=hint) from None
    if found.tzinfo is None:
        raise BadInput(f"{given[:40]!r} has no time zone", hint=hint)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise BadInput(f"{given[:40]!r} is no moment", hint=hint) from None


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
