"""How the dashboard stands with its daemon: one word for the header, and why nothing may be done while it is not live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

START_COMMAND = "smallchain start"


class Standing(StrEnum):
    """The word in the header."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    STOPPED = "daemon stopped"
    SKEW = "version skew"


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of the daemon. `as_of`: when it was last heard, while it is not now; `retry_at`: when it is looked for again."""

    standing: Standing = Standing.CONNECTING
    version: str = ""
    pid: int = 0
    attempt: int = 0
    retry_at: datetime | None = None
    as_of: datetime | None = None
    detail: str = ""

    @property
    def live(self) -> bool:
        """Whether what is shown is what is."""
        return self.standing in (Standing.CONNECTED, Standing.SKEW)

    def words(self, now: datetime) -> str:
        """The state in a few words: `connected v0.4.0 pid 4121`, `reconnecting in 3s (attempt 4)`."""
        if self.standing is Standing.CONNECTED:
            return f"connected v{self.version} pid {self.pid}"
        if self.standing is Standing.SKEW:
            return f"version skew: daemon v{self.version}, reads only"
        if self.standing is Standing.STOPPED:
            return f"daemon stopped: {START_COMMAND}"
        if self.standing is Standing.RECONNECTING and self.retry_at is not None:
            wait = max(0, round((self.retry_at - now).total_seconds()))
            return f"reconnecting in {wait}s (attempt {self.attempt})" if wait else f"reconnecting (attempt {self.attempt})"
        return str(self.standing)

    def why_not(self) -> str | None:
        """Why nothing can be changed now; None while it can."""
        if self.standing is Standing.CONNECTED:
            return None
        if self.standing is Standing.SKEW:
            return f"the daemon is v{self.version}, of another version than this program: reads only"
        if self.standing is Standing.STOPPED:
            return f"the daemon is stopped: start it with `{START_COMMAND}`; nothing was sent"
        return "the daemon does not answer: nothing was sent, and nothing is kept to be sent later"


def same_version(one: str, other: str) -> bool:
    """Whether two versions speak the same language: major and minor agree."""
    return one.split(".")[:2] == other.split(".")[:2]
