"""When time alone brings room under a cap: a calendar's next window, or the moment at which enough of a rolling one has passed; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from smallchain.model.cap import Standing, leaves_window, next_window

Charges = Iterable[tuple[datetime, int]]
"""What settled calls came to that count, oldest first, each with the moment the call went out; read as far as is needed."""


def room_at(standing: Standing, amount: int, charges: Charges, /, *, now: datetime) -> datetime | None:
    """The moment from which so much fits, when no other call goes out; None where no time brings it."""
    if not standing.cap.is_rolling:
        return next_window(standing.cap, now=now)
    missing = standing.spent + amount - standing.limit
    if missing <= 0:
        return now
    for at, spent in charges:
        missing -= spent
        if missing <= 0:
            return leaves_window(standing.cap, at)
    return None


def more_room_at(standing: Standing, charges: Charges, /, *, now: datetime) -> datetime | None:
    """When there is more room than now, and some at all; None where nothing is spent, so that none comes, and where no time brings it."""
    if standing.spent == 0:
        return None
    return room_at(standing, max(1, standing.limit - standing.spent + 1), charges, now=now)
