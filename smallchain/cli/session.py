"""What a command has at hand: the settings, and the daemon behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smallchain.protocol.client import Client
from smallchain.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command."""

    settings: Settings
    environ: Mapping[str, str]

    @property
    def client(self) -> Client:
        """The daemon; whether it is there shows at the first request."""
        return Client(self.settings)

    def started(self, *, no_start: bool) -> Client:
        """The daemon, started when none listens; with `no_start`, raises Unreachable instead."""
        client = self.client
        if not no_start and not client.listening():
            from smallchain.cli.daemon import start

            start(self.settings, self.environ)
        return client
