"""The moments of a schedule: cron in zones whose clocks jump, intervals, jitter, and what is overdue."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smallchain.model.schedule import MOST_COUNTED, Overdue, Timing, due_at, next_after, overdue
from support.rows import NOON

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia")
LINES = ("30 2 * * *", "0,30 2 * * *", "0 2,3 * * *", "*/30 * * * *", "5 */2 * * *", "* 2 * * *", "0 0 L * *", "0 7 * * 1-5", "0 0 29 2 *")


def cron(line: str, zone: str = "Europe/Berlin", **more: timedelta) -> Timing:
    return Timing("digest", NOON, cron=line, time_zone=zone, **more)


def every(length: timedelta, since: datetime = NOON) -> Timing:
    return Timing("often", since, every=length)


def starts(timing: Timing, since: datetime, until: datetime) -> list[str]:
    """The moments between two others, as the wall of the zone shows them, with what it is off UTC."""
    found, moment = [], since
    while (following := next_after(timing, moment)) is not None and following < until:
        moment = following
        found.append(f"{moment.astimezone(ZoneInfo(timing.time_zone)):%H:%M%z}")
    return found


SPRING = (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
AUTUMN = (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC))
"""The days on which Berlin leaves an hour out, and has one twice."""


@pytest.mark.parametrize(
    ("line", "spring", "autumn"),
    [
        ("30 2 * * *", ["03:00+0200"], ["02:30+0200"]),
        ("0,30 2 * * *", ["03:00+0200"], ["02:00+0200", "02:30+0200"]),
        ("0 1-3 * * *", ["01:00+0100", "03:00+0200"], ["01:00+0200", "02:00+0200", "03:00+0100"]),
        ("0 7 * * *", ["07:00+0200"], ["07:00+0100"]),
        ("*/30 2 * * *", ["03:00+0200"], ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
    ],
)
def test_both_hours_that_the_clocks_move(line: str, spring: list[str], autumn: list[str]) -> None:
    if line.startswith("*"):
        spring = []  # by the time that passes, the hour is not there at all

    assert starts(cron(line), *SPRING) == spring
    assert starts(cron(line), *AUTUMN) == autumn


def test_what_goes_by_the_time_that_passes_starts_in_each_hour_there_is() -> None:
    assert len(starts(cron("0 * * * *"), SPRING[0] - timedelta(seconds=1), SPRING[1])) == 23
    assert len(starts(cron("0 * * * *"), AUTUMN[0] - timedelta(seconds=1), AUTUMN[1])) == 25


def test_a_schedule_written_in_the_second_of_two_equal_hours_waits_for_the_next_day() -> None:
    second = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)

    assert next_after(cron("30 2 * * *"), second) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


@settings(max_examples=100, deadline=None)
@given(line=st.sampled_from(LINES), zone=st.sampled_from(ZONES), moment=MOMENTS)
@example(line="30 2 * * *", zone="Europe/Berlin", moment=datetime(2026, 10, 25, 1, 10, tzinfo=UTC))
@example(line="*/30 * * * *", zone="Australia/Lord_Howe", moment=datetime(2026, 4, 4, 14, 59, 59, tzinfo=UTC))
def test_time_goes_on_and_asking_from_anywhere_gives_the_same_moments(line: str, zone: str, moment: datetime) -> None:
    first = next_after(cron(line, zone), moment)
    assert first is not None
    second = next_after(cron(line, zone), first)
    assert second is not None

    assert moment < first < second
    assert first.microsecond == 0
    assert next_after(cron(line, zone), first - timedelta(microseconds=1)) == first
    assert next_after(cron(line, zone), moment + (first - moment) / 2) in (first, next_after(cron(line, zone), moment))


@settings(max_examples=25, deadline=None)
@given(line=st.sampled_from(("30 2 * * *", "0 7 * * *", "15 0 * * *", "59 23 * * *")), zone=st.sampled_from(ZONES), moment=MOMENTS)
def test_a_line_with_a_fixed_hour_starts_once_a_day_whatever_the_clocks_do(line: str, zone: str, moment: datetime) -> None:
    local, days = ZoneInfo(zone), []
    for _ in range(400):
        following = next_after(cron(line, zone), moment)
        assert following is not None
        moment = following
        days.append(moment.astimezone(local).date())

    gaps = {after - before for before, after in itertools.pairwise(days)}
    assert zone == "Pacific/Apia" or gaps == {DAY}
    assert gaps <= {DAY, 2 * DAY, timedelta(0)}


def test_the_start_of_a_day_that_was_left_out_comes_right_after_it() -> None:
    local, moment, found = ZoneInfo("Pacific/Apia"), datetime(2011, 12, 29, 0, tzinfo=UTC), []
    for _ in range(4):  # Apia had no 30 December 2011
        following = next_after(cron("30 2 * * *", "Pacific/Apia"), moment)
        assert following is not None
        moment = following
        found.append(f"{moment.astimezone(local):%m-%d %H:%M}")

    assert found == ["12-29 02:30", "12-31 00:00", "12-31 02:30", "01-01 02:30"]


@given(length=st.integers(1, 10**7), since=MOMENTS, moment=MOMENTS)
def test_an_interval_is_counted_from_when_it_was_written_also_for_a_clock_that_went_back(
    length: int, since: datetime, moment: datetime
) -> None:
    timing = every(timedelta(seconds=length), since)
    following = next_after(timing, moment)
    assert following is not None

    assert timedelta(0) < following - moment <= timedelta(seconds=length)
    assert (following - since) % timedelta(seconds=length) == timedelta(0)


@given(name=st.text(max_size=20), moment=MOMENTS)
def test_jitter_is_the_same_each_time_and_below_what_was_asked(name: str, moment: datetime) -> None:
    timing = Timing(name, NOON, cron="0 7 * * *", jitter=timedelta(minutes=5))

    assert due_at(timing, moment) == due_at(timing, moment.astimezone(ZoneInfo("Asia/Tokyo")))
    assert moment <= due_at(timing, moment) < moment + timedelta(minutes=5)


def test_jitter_spreads_schedules_of_the_same_moment() -> None:
    late = {due_at(Timing(f"digest {n}", NOON, jitter=timedelta(minutes=5)), NOON) for n in range(50)}

    assert len(late) == 50
    assert max(late) - min(late) > timedelta(minutes=4)


def test_nothing_is_overdue_before_its_time_nor_before_its_jitter() -> None:
    timing = cron("0 12 * * *", "UTC", jitter=timedelta(minutes=5))
    late = due_at(timing, NOON)

    assert overdue(timing, NOON - HOUR, now=NOON) is None
    assert overdue(timing, NOON - HOUR, now=late - timedelta(microseconds=1)) is None
    assert overdue(timing, NOON - HOUR, now=late) == Overdue(NOON, NOON, 1)


def test_what_is_overdue_is_counted() -> None:
    assert overdue(cron("0 * * * *", "UTC"), NOON, now=NOON + 5 * HOUR) == Overdue(NOON + HOUR, NOON + 5 * HOUR, 5)
    assert overdue(every(HOUR), NOON, now=NOON + 5.5 * HOUR) == Overdue(NOON + HOUR, NOON + 5 * HOUR, 5)


def test_a_year_of_minutes_is_told_at_once_and_the_last_of_them_is_found() -> None:
    minutes = cron("* * * * *", "UTC")

    assert overdue(minutes, NOON, now=NOON + 365 * DAY) == Overdue(
        NOON + timedelta(minutes=1), NOON + 365 * DAY, MOST_COUNTED, at_least=True
    )


@settings(max_examples=60, deadline=None)
@given(line=st.sampled_from(LINES), zone=st.sampled_from(ZONES), after=MOMENTS, hours=st.integers(0, 200))
def test_what_is_overdue_agrees_with_asking_one_by_one(line: str, zone: str, after: datetime, hours: int) -> None:
    timing, now = cron(line, zone), after + hours * HOUR
    one_by_one, moment = [], after
    while (following := next_after(timing, moment)) is not None and following <= now:
        one_by_one.append(following)
        moment = following
    found = overdue(timing, after, now=now)

    assert (found is None) == (not one_by_one)
    if found is not None:
        assert (found.first, found.last) == (one_by_one[0], one_by_one[-1])
        assert found.count == min(len(one_by_one), MOST_COUNTED)
