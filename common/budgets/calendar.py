"""Calendar periods of budgets: hours, days, weeks, months, in the budget's own time zone.

A period is half open, and as long as its zone makes it: days of 23 and 25 hours exist. Its key is
its beginning and its end in UTC. So the hour that a zone repeats in autumn is two periods, and a
budget whose calendar changes never finds the account of another period under its key: a month that
begins with a day, or with the same month of another zone, has a key of its own.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from common.core.errors import InvalidInput

PeriodKind: TypeAlias = Literal["hour", "day", "week", "month", "total"]
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
LAST_ANCHOR_DAY = 28


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a budget's time is divided.

    `anchor` is the weekday a week begins on (1 Monday to 7 Sunday) or the day of the month that a
    month begins on (1 to 28); 1 for all others.
    """

    kind: PeriodKind
    zone: str = "UTC"
    anchor: int = 1


@dataclass(frozen=True, slots=True)
class Span:
    """One period: `key` names it, `ends_at` is not in it. Aware UTC."""

    key: str
    starts_at: datetime
    ends_at: datetime


def check_calendar(calendar: Calendar) -> None:
    """Refuse a zone that nobody knows and a day that not every period has.

    Raises:
        InvalidInput: names the field and the right form.
    """
    try:
        ZoneInfo(calendar.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(calendar.zone[:80], sorted(available_timezones()), n=1)
        hint = f"did you mean {near[0]}?" if near else "name one as Europe/Zurich or UTC"
        raise InvalidInput(f"{calendar.zone[:80]!r} is no time zone: {hint}", field="tz") from None
    most = {"week": 7, "month": LAST_ANCHOR_DAY}.get(calendar.kind, 1)
    if not 1 <= calendar.anchor <= most:
        raise InvalidInput(f"the anchor of a {calendar.kind} is 1 to {most}", field="anchor")


def span_at(calendar: Calendar, now: datetime) -> Span:
    """The period that `now` (aware) is in."""
    if calendar.kind == "total":
        return Span("total", datetime.min.replace(tzinfo=UTC), FOREVER)
    zone = ZoneInfo(calendar.zone)
    if calendar.kind == "hour":
        return _hour(zone, now)
    first = _first_day(calendar, now.astimezone(zone).date())
    starts_at, ends_at = _midnight(first, zone), _midnight(_next(calendar, first), zone)
    return Span(_key(starts_at, ends_at), starts_at, ends_at)


def _hour(zone: ZoneInfo, now: datetime) -> Span:
    """Hours begin at the zone's own full hours, which some zones have at half past in UTC."""
    local = now.astimezone(zone)
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    starts_at = now.astimezone(UTC) - into
    ends_at = starts_at + timedelta(hours=1)
    # A zone that moves by half an hour makes one hour shorter or longer.
    moved = ends_at.astimezone(zone)
    ends_at -= timedelta(minutes=moved.minute, seconds=moved.second)
    return Span(_key(starts_at, ends_at), starts_at, ends_at)


def _first_day(calendar: Calendar, day: date) -> date:
    if calendar.kind == "day":
        return day
    if calendar.kind == "week":
        return day - timedelta(days=(day.isoweekday() - calendar.anchor) % 7)
    this_month = day.replace(day=calendar.anchor)
    if day >= this_month:
        return this_month
    return (day.replace(day=1) - timedelta(days=1)).replace(day=calendar.anchor)


def _next(calendar: Calendar, first: date) -> date:
    if calendar.kind == "month":
        return (first.replace(day=1) + timedelta(days=32)).replace(day=calendar.anchor)
    return first + timedelta(days=7 if calendar.kind == "week" else 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The day's beginning; where the clock skips midnight, the moment it does."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def _key(starts_at: datetime, ends_at: datetime) -> str:
    """An interval of ISO 8601, which sorts by its beginning and needs no escape in an address."""
    return f"{starts_at:%Y-%m-%dT%H:%MZ}--{ends_at:%Y-%m-%dT%H:%MZ}"
