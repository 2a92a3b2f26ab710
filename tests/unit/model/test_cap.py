"""The windows of caps: half-open, without gaps, in every zone and at every edge of a calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.cap import Cap, OnLimit, Unit, counts_from, leaves_window, next_window, window_end

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Beirut",
)
PERIODS = ("minute", "hour", "day", "week", "month")


def cap(per: str, window: str = "calendar", zone: str = "UTC", name: str = "b", counts: tuple[str, str] = ("everything", "")) -> Cap:
    return Cap("budget", name, "", Unit.DOLLARS, 1, per, window, OnLimit.WAIT, counts, zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("per", "zone", "now", "start", "end"),
    [
        ("minute", "UTC", "2026-02-28T23:59:59.999999", "2026-02-28T23:59", "2026-03-01T00:00"),
        ("hour", "UTC", "2026-02-28T23:59:59.999999", "2026-02-28T23:00", "2026-03-01T00:00"),
        ("hour", "Asia/Kathmandu", "2026-01-01T00:20", "2026-01-01T00:15", "2026-01-01T01:15"),
        ("day", "UTC", "2026-01-02T00:00", "2026-01-02T00:00", "2026-01-03T00:00"),
        ("day", "UTC", "2026-01-01T23:59:59.999999", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("day", "Asia/Beirut", "2026-03-28T23:00", "2026-03-28T22:00", "2026-03-29T21:00"),
        ("day", "Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("day", "Pacific/Apia", "2011-12-30T10:01", "2011-12-30T10:00", "2011-12-31T10:00"),
        ("week", "UTC", "2026-01-05T00:00", "2026-01-05T00:00", "2026-01-12T00:00"),
        ("week", "UTC", "2026-01-04T23:59", "2025-12-29T00:00", "2026-01-05T00:00"),
        ("month", "UTC", "2024-02-29T12:00", "2024-02-01T00:00", "2024-03-01T00:00"),
        ("month", "UTC", "2026-02-28T12:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "Europe/Berlin", "2026-03-31T22:30", "2026-03-31T22:00", "2026-04-30T22:00"),
    ],
)
def test_a_calendar_begins_at_the_midnight_of_its_zone(per: str, zone: str, now: str, start: str, end: str) -> None:
    assert counts_from(cap(per, zone=zone), now=at(now)) == at(start)
    assert next_window(cap(per, zone=zone), now=at(now)) == at(end)


@given(
    now=st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)),
    zone=st.sampled_from(ZONES),
    per=st.sampled_from(PERIODS),
)
def test_windows_follow_each_other_without_a_gap(now: datetime, zone: str, per: str) -> None:
    one = cap(per, zone=zone)
    start, end = counts_from(one, now=now), window_end(one.per, one.window, now=now, time_zone=zone)

    assert start is not None
    assert end is not None
    assert start <= now < end
    assert counts_from(one, now=end) == end
    assert counts_from(one, now=start) == counts_from(one, now=end - timedelta(microseconds=1)) == start
    assert per in ("minute", "hour") or end.astimezone(ZoneInfo(zone)).date() > now.astimezone(ZoneInfo(zone)).date()


@given(spent=st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)), per=st.sampled_from(PERIODS))
def test_what_was_spent_counts_until_the_moment_at_which_it_is_said_to_leave(spent: datetime, per: str) -> None:
    rolling = cap(per, "rolling")
    leaves = leaves_window(rolling, spent)
    assert leaves is not None
    before, then = counts_from(rolling, now=leaves - timedelta(microseconds=1)), counts_from(rolling, now=leaves)

    assert before is not None
    assert then is not None
    assert before <= spent < then


def test_a_cap_of_each_run_has_no_window() -> None:
    one = cap("run")

    assert counts_from(one, now=at("2026-01-01")) is window_end("run", "rolling", now=at("2026-01-01")) is None


def test_names_with_slashes_do_not_make_two_caps_one() -> None:
    one, two = cap("day", name="a", counts=("agent", "x/agent/y")), cap("day", name="a/agent/x", counts=("agent", "y"))

    assert one.key != two.key
    assert cap("day").key == "budget/b/everything//dollars/day/calendar", "as accounts were kept before there were zones"
    assert cap("day", zone="Europe/Berlin").key != cap("day").key
