"""Smallchain: a supervisor for AI agents that work while nobody watches.

The layers, lowest first; each knows only those before it, and `make check` keeps it so:

    model       what exists: parsing, names, lifecycles, money. No I/O, no clock, no chance.
    store       the database: the only place with SQL.
    engine      the control loops: observe, decide, record, act.
    services    the outside: models, tools, the watched folder; siblings unaware of each other.
    smallchaind composes them into one process (in `daemon/`).

    protocol    the socket's language, on `model` alone.
    cli         the command, on `protocol` and `model`.
    smallchain_tui  the dashboard, a guest like the command (in `tui/`).
"""

__version__ = "0.1.0"
