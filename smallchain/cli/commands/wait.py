"""`wait`, and the waiting of `run --wait`: from the stream of events, never by asking again and again.

The one rule: the exit code says how it ended: 0 succeeded, 1 failed, 3 cancelled, 124 the time was up.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from typing import Any

from smallchain.cli.commands.events import lost
from smallchain.cli.console import flush, note, out
from smallchain.cli.render import Column, Item, add_output, show_value, table, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import BadInput, Busy, Unknown, Unreachable
from smallchain.protocol.client import Client
from smallchain.protocol.faults import EXIT_CANCELLED, EXIT_FAILED, EXIT_TIMED_OUT
from smallchain.protocol.text import one_line, visible

DESCRIPTION = "Wait until runs have ended; exits 0 if all succeeded, 1 if one failed, 3 if one was cancelled, 124 when time is up."
EXAMPLES = """
smallchain wait 'my first run'
smallchain wait monday tuesday --timeout 5m
smallchain wait monday -o json
smallchain wait monday --asks          # until it, or what it started, waits for a person
smallchain wait monday --asks 3 --timeout 1m
"""
_LOOK_S = 0.2
_ENDS = {"Succeeded": 0, "Failed": EXIT_FAILED, "Cancelled": EXIT_CANCELLED}
_RESULTS = (
    Column("RUN", lambda item: item.get("name")),
    Column("STATUS", lambda item: item.get("status")),
    Column("RESULT", lambda item: item.get("output") or item.get("error"), cells=120),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Runs, and how long."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run, by its name, its id, or 6 or more characters of the id's end")
    parser.add_argument("--asks", metavar="N", type=int, nargs="?", const=1, help="only until N requests of theirs wait for a person (1)")
    add_timeout(parser)
    add_output(parser, formats=("text", "json", "yaml"))


def add_timeout(parser: ArgumentParser) -> None:
    """The `--timeout` of all that waits."""
    parser.add_argument("--timeout", metavar="TIME", type=_seconds, help="give up after this long (5m); default: never")


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"wait for {', '.join(map(repr, arguments.runs))}"


def execute(arguments: Namespace, session: Session) -> int:
    """Wait and tell how it ended."""
    client = session.client
    if arguments.asks is not None:
        from smallchain.cli.commands.asks import await_requests

        return await_requests(client, arguments.runs, arguments.asks, timeout_s=arguments.timeout, output=arguments.output)
    runs = await_ends(client, arguments.runs, timeout_s=arguments.timeout)
    return report(runs, output=arguments.output)


def goes_on(run: Item) -> None:
    """What an interrupted wait says of a run that has not ended."""
    note(f"smallchain: interrupted; run '{visible(text_of(run.get('name')))}' goes on")


def await_ends(
    client: Client,
    names: Sequence[str],
    *,
    timeout_s: float | None = None,
    after: int | None = None,
    tell: Callable[[Item], None] | None = None,
    family: str | None = None,
    on_interrupt: Callable[[Item], None] = goes_on,
) -> list[dict[str, Any]]:
    """The runs, once all have ended or the time is up, in the order of the names.

    `tell` hears the events from `after` on, those of run `family` and its descendants, or all. Interrupted, `on_interrupt` says
    what becomes of each run that has not ended.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    newest = client.last_seq() if after is None else after  # asked first: what comes meanwhile is in the stream
    runs = [_run(client, name) for name in names]
    ids = [str(run["id"]) for run in runs]
    try:
        if all(map(ended, runs)) and tell is None:
            return runs
        pending = {id_ for run, id_ in zip(runs, ids, strict=True) if tell is not None or not ended(run)}
        for event in client.events(after=newest, run=family, follow=True, deadline=deadline, on_lost=lost):
            if tell is not None:
                tell(event)
            about = event.get("object")
            mine = {str(event.get("run_id")), str(about.get("id")) if isinstance(about, dict) else ""} & pending
            for id_ in mine:
                run = _look_again(client, runs[ids.index(id_)], deadline)
                runs[ids.index(id_)] = run
                if ended(run) and (tell is None or event.get("reason") in _LAST_WORDS):
                    pending.discard(id_)
            if not pending:
                break
    except KeyboardInterrupt:
        for run in runs:
            if not ended(run):
                on_interrupt(run)
        raise
    return runs


_LAST_WORDS = ("RunSucceeded", "RunFailed", "RunCancelled")
"""The reasons after which a run is told no more of."""


def ended(run: Item) -> bool:
    """Whether a run has ended, for good or ill."""
    return run.get("status") in _ENDS


def report(runs: Sequence[Item], *, output: str) -> int:
    """Print how runs ended: of one its output, of several a table; returns the exit code."""
    if output != "text":
        show_value({"items": list(runs)}, output=output)
    elif len(runs) == 1:
        _report_one(runs[0])
    else:
        for line in table(_RESULTS, runs):
            out(line)
    flush()
    codes = {_ENDS.get(text_of(run.get("status")), EXIT_TIMED_OUT) for run in runs}
    for code in (EXIT_TIMED_OUT, EXIT_FAILED, EXIT_CANCELLED):
        if code in codes:
            return code
    return 0


def _report_one(run: Item) -> None:
    status, detail = text_of(run.get("status")), text_of(run.get("detail"))
    if not ended(run):
        status = f"is still {status}" + (f" ({detail})" if detail else "")
    error = text_of(run.get("error"))
    note(one_line(f"run/{text_of(run.get('name'))} {status}" + (f": {error}" if error else "")))
    if run.get("output"):
        out(visible(text_of(run["output"]), multiline=True))


def _run(client: Client, name: str) -> dict[str, Any]:
    found = client.items("runs", {"name": name})
    if not found:
        raise Unknown(f"no run has the name or id {name!r}", hint="see `smallchain get runs`")
    return found[0]


def _look_again(client: Client, run: Item, deadline: float | None) -> dict[str, Any]:
    """The run as it stands now; a daemon that went away since its last event is waited for, as the stream of events does."""
    told = False
    while deadline is None or time.monotonic() < deadline:
        try:
            return _run(client, str(run["id"]))
        except (Unreachable, Busy) as error:
            if not told:
                lost(error)
                told = True
            time.sleep(_LOOK_S)
    return dict(run)


def _seconds(word: str) -> float:
    from smallchain.model.durations import parse_duration

    try:
        return parse_duration(word).total_seconds()
    except BadInput as error:
        raise ArgumentTypeError(visible(str(error))) from error
