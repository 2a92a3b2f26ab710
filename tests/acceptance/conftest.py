"""What the acceptance tests stand on: a daemon of one's own, model servers, and pipes to tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, Models, Pipe, a_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder for one test."""
    with a_folder() as path:
        yield path


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    """A daemon that does not run yet; when the test has failed, its log is shown."""
    with closing(Daemon(folder)) as it:
        yield it
        print(it.last_words())


@pytest.fixture
def models(folder: Path, daemon: Daemon) -> Iterator[Callable[..., Models]]:
    """Starts a model server, and points the daemon's environment to it."""
    with ExitStack() as stack:

        def start(**options: Any) -> Models:
            server = stack.enter_context(closing(Models(folder, **options)))
            daemon.environ |= server.environ
            return server

        yield start


@pytest.fixture
def pipe(folder: Path) -> Iterator[Callable[[str], Pipe]]:
    """Makes named pipes."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(closing(Pipe(folder / name)))
