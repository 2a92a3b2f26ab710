"""Times, spans and money in as few cells as they need, the same on every screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smallchain.model.money import NANO


def span(length: timedelta) -> str:
    """A span in at most five cells: `9s`, `12m`, `1h04m`, `3d02h`, `41d`; nothing is negative."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 60:
        return f"{seconds}s"
    if minutes < 60:
        return f"{minutes}m"
    if hours < 24:
        return f"{hours}h{minutes % 60:02d}m"
    if days < 10:
        return f"{days}d{hours % 24:02d}h"
    return f"{days}d"


def age(since: datetime | None, now: datetime) -> str:
    """How long ago; a dash where it is not known."""
    return span(now - since) if since is not None else "-"


def dollars(nanousd: int) -> str:
    """Money to look at: `$0.00`, `$1.12`, and `<$0.01` for what is more than nothing and rounds to it."""
    cents = (abs(nanousd) * 100 + NANO // 2) // NANO
    if nanousd and not cents:
        return "<$0.01"
    return f"{'-' if nanousd < 0 else ''}${cents // 100:,}.{cents % 100:02d}"


def clock(moment: datetime | None, *, local: bool = False) -> str:
    """The time of day, in UTC unless told otherwise."""
    if moment is None:
        return "--:--:--"
    return (moment.astimezone() if local else moment.astimezone(UTC)).strftime("%H:%M:%S")


def when(moment: datetime, now: datetime, *, local: bool = False) -> str:
    """A moment as it is near: `10:31:05, in 12m`, `09:02:11, 28m ago`; with its date where more than a day lies between."""
    day = f"{(moment.astimezone() if local else moment.astimezone(UTC)):%b %d} " if abs(moment - now) > timedelta(days=1) else ""
    far = f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"
    return f"{day}{clock(moment, local=local)}, {far}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
