"""Users for cells, when the daemon is root: each cell has one of its own, so that no two can reach each other's files and processes."""

from __future__ import annotations

import pwd

FIRST = 60_600
"""Between the ranges that systemd gives out (it names 60578 to 61183 as unused: "Users, Groups, UIDs and GIDs on systemd Systems")."""
COUNT = 256
GROUP = FIRST
"""All have this one group: what a person gives to it, every tool may reach."""


class Slots:
    """Who is free; none is given out twice at a time, and none that the machine has a user of."""

    def __init__(self) -> None:
        self._free = [uid for uid in range(FIRST + COUNT - 1, FIRST - 1, -1) if not _is_somebody(uid)]

    def take(self) -> int | None:
        """A uid; None when all are in use."""
        return self._free.pop() if self._free else None

    def give_back(self, uid: int) -> None:
        """A cell is closed."""
        self._free.append(uid)


def _is_somebody(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
