"""Periods as the calendar of a zone has them, without a gap and without an overlap."""

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.budgets.calendar import Calendar, PeriodKind, check_calendar, span_at
from common.core.errors import InvalidInput

KINDS: tuple[PeriodKind, ...] = ("hour", "day", "week", "month")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("calendar", "now", "start", "end"),
    [
        (Calendar("hour"), "2026-11-22T05:59:59+00:00", "2026-11-22T05:00Z", "2026-11-22T06:00Z"),
        (
            Calendar("hour", "Asia/Kolkata"),
            "2026-11-22T05:31:00+00:00",
            "2026-11-22T05:30Z",
            "2026-11-22T06:30Z",
        ),
        (
            Calendar("day", "Europe/Zurich"),
            "2026-11-22T23:30:00+00:00",
            "2026-11-22T23:00Z",
            "2026-11-23T23:00Z",
        ),
        # 23 and 25 hours.
        (
            Calendar("day", "Europe/Zurich"),
            "2026-03-29T12:00:00+00:00",
            "2026-03-28T23:00Z",
            "2026-03-29T22:00Z",
        ),
        (
            Calendar("day", "America/New_York"),
            "2026-11-01T12:00:00+00:00",
            "2026-11-01T04:00Z",
            "2026-11-02T05:00Z",
        ),
        # The clock skips midnight: the day begins at one.
        (
            Calendar("day", "Africa/Cairo"),
            "2026-04-24T10:00:00+00:00",
            "2026-04-23T22:00Z",
            "2026-04-24T21:00Z",
        ),
        (Calendar("week"), "2026-11-22T12:00:00+00:00", "2026-11-16T00:00Z", "2026-11-23T00:00Z"),
        (
            Calendar("week", anchor=7),
            "2026-11-22T12:00:00+00:00",
            "2026-11-22T00:00Z",
            "2026-11-29T00:00Z",
        ),
        (
            Calendar("month", anchor=28),
            "2026-03-27T12:00:00+00:00",
            "2026-02-28T00:00Z",
            "2026-03-28T00:00Z",
        ),
        (
            Calendar("month", "Asia/Tokyo"),
            "2026-12-31T14:59:59+00:00",
            "2026-11-30T15:00Z",
            "2026-12-31T15:00Z",
        ),
    ],
)
def test_a_period_is_as_long_as_its_zone_makes_it(
    calendar: Calendar, now: str, start: str, end: str
) -> None:
    span = span_at(calendar, _at(now))

    assert (span.key, span.starts_at, span.ends_at) == (f"{start}--{end}", _at(start), _at(end))


def test_the_hour_that_is_repeated_in_autumn_is_two_periods() -> None:
    calendar = Calendar("hour", "Europe/Zurich")

    keys = {span_at(calendar, _at(f"2026-10-25T0{hour}:30:00+00:00")).key for hour in range(3)}

    assert len(keys) == 3


@pytest.mark.parametrize(
    ("one", "other", "now"),
    [
        (Calendar("day"), Calendar("month"), "2026-11-01T12:00:00+00:00"),
        (Calendar("week", anchor=7), Calendar("month"), "2026-11-01T12:00:00+00:00"),
        (Calendar("hour"), Calendar("day"), "2026-11-01T00:30:00+00:00"),
        # The same month begins at the same moment, and ends an hour earlier in London.
        (Calendar("month"), Calendar("month", "Europe/London"), "2026-03-15T12:00:00+00:00"),
    ],
)
def test_periods_that_begin_together_have_their_own_keys(
    one: Calendar, other: Calendar, now: str
) -> None:
    first, second = span_at(one, _at(now)), span_at(other, _at(now))

    assert first.starts_at == second.starts_at
    assert first.key != second.key


@given(
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    zones=st.tuples(*[st.sampled_from(("UTC", "Europe/London", "Africa/Abidjan"))] * 2),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001 - made aware below
)
def test_a_key_stands_for_one_span_of_time(
    kinds: tuple[PeriodKind, PeriodKind], zones: tuple[str, str], now: datetime
) -> None:
    first, second = (
        span_at(Calendar(kind, zone), now.replace(tzinfo=UTC))
        for kind, zone in zip(kinds, zones, strict=True)
    )

    assert (first.key == second.key) == (first == second)


def test_a_total_never_ends() -> None:
    span = span_at(Calendar("total"), _at("2026-11-22T12:00:00+00:00"))

    assert (span.key, span.ends_at.year) == ("total", 9999)


@given(
    kind=st.sampled_from(KINDS),
    zone=st.sampled_from(sorted(available_timezones())),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 - made aware below
    anchor=st.integers(1, 7),
)
def test_periods_follow_each_other(kind: PeriodKind, zone: str, now: datetime, anchor: int) -> None:
    calendar = Calendar(kind, zone, anchor if kind in ("week", "month") else 1)
    moment = now.replace(tzinfo=UTC)

    span = span_at(calendar, moment)

    assert span.starts_at <= moment < span.ends_at
    assert span_at(calendar, span.starts_at) == span
    assert span_at(calendar, span.ends_at - timedelta(microseconds=1)) == span
    assert span_at(calendar, span.ends_at).starts_at == span.ends_at


@pytest.mark.parametrize(
    ("calendar", "field"),
    [
        (Calendar("day", "Europe/Nowhere"), "tz"),
        (Calendar("day", ""), "tz"),
        (Calendar("day", "../../etc/passwd"), "tz"),
        (Calendar("week", anchor=8), "anchor"),
        (Calendar("month", anchor=29), "anchor"),
        (Calendar("month", anchor=0), "anchor"),
        (Calendar("day", anchor=2), "anchor"),
    ],
)
def test_what_no_calendar_has_is_refused(calendar: Calendar, field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_calendar(calendar)

    assert raised.value.field == field
