"""What holds for every test: in CI none is skipped. A machine that lacks a program skips what needs it; CI has to have it (`.ci/run`)."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from support.engines import Docker, Engine, a_docker, a_podman


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skip in CI a failure, with the skip's own words."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI may not: {call.excinfo and call.excinfo.value}"
    return report


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """A dockerd of this session's own."""
    with a_docker() as engine:
        yield engine


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    """Podman with a store of this session's own."""
    with a_podman() as engine:
        yield engine


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each of both, without containers before and after."""
    engine: Engine = request.getfixturevalue(request.param)
    yield engine
    engine.clear()
