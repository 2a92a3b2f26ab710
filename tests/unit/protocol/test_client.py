"""The client against a real Unix socket: acts done once, streams without a gap or a repeat, errors that say what to do."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallchain.model.errors import Busy, Refused, SmallchainError, Unknown, Unreachable
from smallchain.protocol import client as client_module
from smallchain.protocol.client import Client, path_of
from support.fakedaemon import FakeDaemon, Request


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as daemon:
        yield daemon


@pytest.fixture
def client(fake: FakeDaemon) -> Client:
    return Client(fake.path)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_BACKOFF_S", (0.01, 0.02))


def test_a_list_is_asked_for_with_its_query(fake: FakeDaemon, client: Client) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [{"kind": "run", "name": "a"}]}

    items = client.items("runs", {"name": ["a b", "c&d"], "status": None, "all": True, "limit": 3})

    assert items == [{"kind": "run", "name": "a"}]
    assert fake.requests[0].query == {"name": ["a b", "c&d"], "all": ["true"], "limit": ["3"]}
    assert fake.requests[0].headers["user-agent"].startswith("smallchain/")
    assert fake.requests[0].headers["smallchain-actor"]


def test_a_list_is_read_to_its_last_page(fake: FakeDaemon, client: Client) -> None:
    pages = {None: ("a", "1"), "1": ("b", "2"), "2": ("c", None)}

    def answer(request: Request) -> tuple[int, dict[str, Any]]:
        name, following = pages[request.query.get("after", [None])[0]]
        return 200, {"items": [{"name": name}], "next": following}

    fake.answers[("GET", "/v1/runs")] = answer

    assert client.items("runs", {"live": True}) == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert [request.query["live"] for request in fake.requests] == [["true"]] * 3
    assert client.page("runs", {"after": "1"}) == ([{"name": "b"}], "2")


def test_a_daemon_whose_pages_do_not_move_on_is_not_read_for_ever(fake: FakeDaemon, client: Client) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [{"name": "a"}], "next": "1"}

    assert len(client.items("runs")) == 2


def test_a_name_keeps_its_slashes_and_spaces_in_a_path(fake: FakeDaemon, client: Client) -> None:
    fake.answers[("GET", "/v1/transcript/my run/wri?ter-1")] = {"messages": []}

    assert client.get(path_of("transcript", "my run/wri?ter-1")) == {"messages": []}


def test_an_error_of_the_daemon_is_raised_as_its_class(fake: FakeDaemon, client: Client) -> None:
    told = {"error": {"code": "unknown", "message": "no run 'x'", "hint": "did you mean 'y'?", "problems": []}}
    fake.answers[("GET", "/v1/runs")] = lambda _: (404, told)

    with pytest.raises(Unknown) as raised:
        client.items("runs")

    assert raised.value.hint == "did you mean 'y'?"


def test_an_act_whose_answer_was_lost_is_done_once(fake: FakeDaemon, client: Client) -> None:
    done: list[Request] = []

    def cancel(request: Request) -> tuple[int, object]:
        done.append(request)
        return 200, {"runs": [{"name": "a"}]}

    fake.answers[("POST", "/v1/cancel/a")] = cancel
    fake.hangups = 1

    assert client.post(path_of("cancel", "a"), {"only": False}) == {"runs": [{"name": "a"}]}
    first, second = fake.asked("POST", "/v1/cancel/a")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(done) == 1


def test_two_acts_have_two_keys(fake: FakeDaemon, client: Client) -> None:
    fake.answers[("POST", "/v1/reconcile")] = {}

    client.post("/v1/reconcile")
    client.post("/v1/reconcile")

    assert len({request.headers["idempotency-key"] for request in fake.requests}) == 2


def test_a_connection_that_breaks_twice_is_told(fake: FakeDaemon, client: Client) -> None:
    fake.answers[("POST", "/v1/reconcile")] = {}
    fake.hangups = 2

    with pytest.raises(Unreachable, match="broke the connection twice"):
        client.post("/v1/reconcile")


def test_no_daemon_is_told_with_what_to_do(tmp_path: Path) -> None:
    client = Client(tmp_path / "nobody.sock")

    assert not client.listening()
    with pytest.raises(Unreachable, match=r"nobody\.sock; start one with `smallchain start`"):
        client.get("/v1/status")


def test_a_socket_that_its_daemon_left_behind_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "stale.sock"))

    with pytest.raises(Unreachable, match="no daemon listens"):
        Client(tmp_path / "stale.sock").get("/v1/status")


def test_a_daemon_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()

        with pytest.raises(Busy, match=r"within 0\.05 s"):
            Client(tmp_path / "silent.sock", timeout_s=0.05).get("/v1/status")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b"[" * 100_000, b'{"items": 3}', b'{"items": [3]}'])
def test_an_answer_that_is_not_the_daemons_is_an_error(fake: FakeDaemon, client: Client, body: bytes) -> None:
    fake.answers[("GET", "/v1/runs")] = lambda _: (200, body)

    with pytest.raises(SmallchainError):
        client.items("runs")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_stranger_who_listens_at_our_socket_is_refused(fake: FakeDaemon, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.struct, "unpack", lambda *_: (1, 4711, 4711))
    monkeypatch.setattr(client_module.os, "geteuid", lambda: 1000)

    with pytest.raises(Refused, match="4711"):
        client.get("/v1/status")


def test_kept_events_come_page_by_page(fake: FakeDaemon, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LARGEST_PAGE", 2)
    for _ in range(5):
        fake.tell()

    assert [event["seq"] for event in client.events(after=1)] == [2, 3, 4, 5]
    assert client.last_seq() == 5


def test_a_daemon_that_repeats_its_page_does_not_hold_us(fake: FakeDaemon, client: Client) -> None:
    fake.answers[("GET", "/v1/events")] = {"items": [{"seq": 1}, {"seq": 2}]}

    assert [event["seq"] for event in client.events()] == [1, 2]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(min_value=0, max_value=900), max_size=6))
def test_a_stream_cut_anywhere_goes_on_without_loss_or_repeat(tmp_path: Path, cuts: list[int]) -> None:
    with FakeDaemon(tmp_path / "cut.sock") as fake:
        for _ in range(8):
            fake.tell(message="ünï \n data: x")
        fake.cuts.extend(cuts)
        stream = Client(fake.path).events(after=2, follow=True)

        seen = [next(stream)["seq"] for _ in range(6)]
        stream.close()

    assert seen == [3, 4, 5, 6, 7, 8]


def test_a_reader_who_follows_lives_through_a_restart(fake: FakeDaemon, client: Client) -> None:
    lost: list[SmallchainError] = []
    told = threading.Event()

    def on_lost(error: SmallchainError) -> None:
        lost.append(error)
        told.set()

    fake.tell()
    stream = client.events(follow=True, on_lost=on_lost)
    assert next(stream)["seq"] == 1
    fake.stop()

    def come_back() -> None:
        told.wait(10)
        fake.start()
        fake.tell()

    other = threading.Thread(target=come_back)
    other.start()
    seen = next(stream)["seq"]
    other.join()
    stream.close()

    assert seen == 2
    assert len(lost) == 1
    resumed = fake.asked("GET", "/v1/events/stream")[-1]
    assert resumed.headers["last-event-id"] == "1"


def test_following_begins_only_where_a_daemon_is(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        next(Client(tmp_path / "nobody.sock").events(follow=True))


def test_following_ends_at_its_deadline(fake: FakeDaemon, client: Client) -> None:
    fake.tell()

    begun = time.monotonic()
    seen = list(client.events(follow=True, deadline=begun + 0.2))

    assert [event["seq"] for event in seen] == [1]
    assert 0.2 <= time.monotonic() - begun < 5


def test_a_stream_that_is_refused_is_an_error_and_not_tried_again(fake: FakeDaemon, client: Client) -> None:
    told = {"error": {"code": "unknown", "message": "no run 'x'", "hint": "", "problems": []}}
    fake.answers[("GET", "/v1/events/stream")] = lambda _: (404, told)

    with pytest.raises(Unknown):
        next(client.events(run="x", follow=True))

    assert len(fake.requests) == 1
