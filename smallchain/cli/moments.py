"""Moments that a person gives: a time, or how long ago it was."""

from __future__ import annotations

from argparse import Namespace

from smallchain.cli.render import moment_of
from smallchain.protocol.text import visible


def since_given(arguments: Namespace) -> str | None:
    """The moment of `--since` as RFC 3339 in UTC; None where it was not given. What is neither a time nor a duration is refused."""
    if arguments.since is None:
        return None
    from datetime import UTC, datetime

    from smallchain.model.durations import parse_duration
    from smallchain.model.errors import BadInput

    moment = moment_of(arguments.since)
    if moment is None:
        try:
            moment = datetime.now(UTC) - parse_duration(arguments.since)
        except (BadInput, OverflowError):
            arguments.refuse(f"--since '{visible(arguments.since)}' is neither a time (2026-11-23T09:00:00Z) nor a duration (10m)")
            raise
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
