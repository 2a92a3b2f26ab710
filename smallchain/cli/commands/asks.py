"""`wait --asks`: until runs, or what they started, wait for a person. For scripts, and for who waits beside a script."""

from __future__ import annotations

import time
from collections.abc import Sequence

from smallchain.cli.commands.events import lost
from smallchain.cli.commands.kinds import columns_of
from smallchain.cli.render import Item, show_items
from smallchain.protocol.client import Client
from smallchain.protocol.faults import EXIT_FAILED, EXIT_TIMED_OUT

_ENDED = ("Succeeded", "Failed", "Cancelled")


def await_requests(client: Client, runs: Sequence[str], count: int, *, timeout_s: float | None, output: str) -> int:
    """Wait until so many requests are open; 0 then, 1 when all runs have ended without, 124 when time is up."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    newest = client.last_seq()
    if (code := _look(client, runs, count, output)) is not None:
        return code
    for _ in client.events(after=newest, follow=True, deadline=deadline, on_lost=lost):
        if (code := _look(client, runs, count, output)) is not None:
            return code
    return EXIT_TIMED_OUT


def _look(client: Client, runs: Sequence[str], count: int, output: str) -> int | None:
    found: list[Item] = [request for run in runs for request in client.items("requests", {"run": run})]
    if len(found) >= count:
        show_items(found, columns_of("requests"), output="table" if output == "text" else output)
        return 0
    over = all(item.get("status") in _ENDED for run in runs for item in client.items("runs", {"name": [run]}))
    return EXIT_FAILED if over else None
