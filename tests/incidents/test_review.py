"""The numbers of an incident, against sums by hand; what cannot be known says why."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.core.latency_bins import bin_of
from common.incidents.review import (
    CallGroup,
    Cost,
    Found,
    Limits,
    MinuteOfCalls,
    Numbers,
    Saved,
    Slowness,
    TeamCalls,
    Took,
    minutes_around,
    numbers_of,
)
from common.incidents.timeline import Entry
from tests.incidents.scenes import at
from tests.incidents.test_escalation import an_incident

LIMITS = Limits(error_rate=0.1, slow_s=2.0, slow_of="first_chunk")
NO_SAVING = Saved(None, None, None, None, "no brownout has ended")
APPLIED, SKIPPED = ("output_cap", "applied"), ("effort", "skipped_cache")


def a_minute(minutes: float, **fields: Any) -> MinuteOfCalls:
    """A minute of ten calls, so many minutes after the opening at 12:00:00, that went well."""
    members: dict[str, Any] = {
        "start": at(minutes),
        "judged": 10,
        "failed": 0,
        "cost": 1_000,
        "first_chunks": {bin_of(0.5): 10},
        "durations": {},
    }
    return MinuteOfCalls(**members | fields)


def a_group(**fields: Any) -> CallGroup:
    members: dict[str, Any] = {
        "org": "acme",
        "team": "search",
        "outcome": "ok",
        "edits": (),
        "calls": 1,
        "first_at": at(5),
    }
    return CallGroup(**members | fields)


def an_entry(minutes: float, kind: Any, **details: Any) -> Entry:
    return Entry("i", 1, at(minutes), kind, "told", details=details)


def computed(
    minutes: Sequence[MinuteOfCalls] | str = (),
    calls: Sequence[CallGroup] | str = (),
    *,
    entries: Sequence[Entry] = (),
    limits: Limits = LIMITS,
    now: float = 180,
    **fields: Any,
) -> Numbers:
    """The numbers of an incident from 12:00 to 12:20, at `now` minutes after its opening."""
    incident = an_incident(**{"status": "mitigated", "mitigated_at": at(20)} | fields)
    return numbers_of(incident, entries, Found(minutes, calls, limits, NO_SAVING), at(now))


class TestDetecting:
    @pytest.mark.parametrize(
        ("wrong", "seconds"),
        [
            ([-1], 60),
            ([-2, -1], 120),
            ([-3, -1], 60),
            ([-2, -1, 0], 120),
            ([0], 0),
            ([-60], None),
            ([1, 2], None),
            ([], None),
        ],
    )
    def test_counts_from_the_first_minute_of_those_that_went_wrong_in_a_row(
        self, wrong: list[int], seconds: int | None
    ) -> None:
        minutes = [a_minute(n, failed=2 if n in wrong else 0) for n in range(-60, 20)]

        assert computed(minutes).times.detect.seconds == seconds

    @pytest.mark.parametrize(
        ("fields", "limits", "seconds"),
        [
            ({"failed": 1}, LIMITS, None),
            ({"failed": 2}, LIMITS, 60),
            ({"first_chunks": {bin_of(1.5): 10}}, LIMITS, None),
            ({"first_chunks": {bin_of(3.0): 10}}, LIMITS, 60),
            ({"durations": {bin_of(3.0): 10}}, LIMITS, None),
            ({"durations": {bin_of(3.0): 10}}, replace(LIMITS, slow_of="total"), 60),
            ({"failed": 10, "first_chunks": {bin_of(80.0): 10}}, Limits(), None),
        ],
    )
    def test_goes_by_what_the_policy_allows(
        self, fields: dict[str, Any], limits: Limits, seconds: int | None
    ) -> None:
        assert computed([a_minute(-1, **fields)], limits=limits).times.detect.seconds == seconds

    def test_says_that_it_looks_no_further_than_an_hour(self) -> None:
        minutes = [a_minute(n, failed=10) for n in range(-60, 0)]

        detect = computed(minutes).times.detect

        assert (detect.seconds, detect.reason) == (
            3_600,
            "at least: no more than an hour before it is looked at",
        )

    def test_counts_whole_seconds_of_the_minute_of_the_opening(self) -> None:
        numbers = computed([a_minute(0, failed=5)], opened_at=at(0.7))

        assert numbers.times.detect == Took(42)


class TestHandling:
    def test_takes_its_times_from_entries_and_calls(self) -> None:
        calls = [
            a_group(first_at=at(1)),
            a_group(first_at=at(2), edits=(SKIPPED,)),
            a_group(first_at=at(4), edits=(SKIPPED, APPLIED)),
            a_group(first_at=at(3), outcome="shed"),
        ]
        entries = [an_entry(9, "acknowledged"), an_entry(6, "acknowledged")]

        times = computed(calls=calls, entries=entries, resolved_at=at(50)).times

        assert times.enforce == Took(180)
        assert times.acknowledge == Took(360)
        assert times.mitigate == Took(1_200)
        assert times.recover == Took(3_000)

    def test_is_enforced_at_once_where_calls_were_treated_before(self) -> None:
        calls = [a_group(first_at=at(-5), edits=(APPLIED,))]

        assert computed(calls=calls).times.enforce == Took(0)

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"mitigated_at": None, "status": "open"}, "its cause is not gone"),
            (
                {"mitigated_at": None, "resolved_at": at(9), "status": "resolved"},
                "somebody resolved it before",
            ),
        ],
    )
    def test_says_why_there_is_no_time(self, fields: dict[str, Any], why: str) -> None:
        times = computed(**fields).times

        assert times.mitigate == Took(None, why)
        assert times.acknowledge == Took(None, "nobody has acknowledged it")

    @pytest.mark.parametrize(
        ("entries", "why"),
        [
            ([an_entry(0, "mode_change", enforced=False)], "only recorded"),
            ([an_entry(0, "mode_change", enforced=True)], "no call was changed"),
            ([], "no call was changed"),
        ],
    )
    def test_says_why_nothing_was_enforced(self, entries: list[Entry], why: str) -> None:
        enforce = computed(calls=[a_group()], entries=entries).times.enforce

        assert enforce.seconds is None
        assert why in (enforce.reason or "")


def test_counts_calls_by_team_and_edits_by_what_became_of_them() -> None:
    calls = [
        a_group(calls=5),
        a_group(calls=3, edits=(APPLIED, SKIPPED)),
        a_group(calls=2, edits=(("effort", "rejected"),)),
        a_group(calls=1, outcome="upstream_error", edits=(APPLIED,)),
        a_group(calls=4, outcome="client_error"),
        a_group(calls=7, team="ops", outcome="shed"),
        a_group(calls=6, org=None, team=None, outcome="gateway_error"),
    ]

    told = computed(calls=calls).calls

    assert not isinstance(told, str)
    assert told.teams == [
        TeamCalls(None, None, calls=6, failed=6),
        TeamCalls("acme", "ops", calls=7, shed=7),
        TeamCalls("acme", "search", calls=15, degraded=3, failed=1),
    ]
    assert told.total == TeamCalls(None, None, calls=28, degraded=3, shed=7, failed=7)
    assert told.edits == {
        "effort": {"skipped_cache": 3, "rejected": 2},
        "output_cap": {"applied": 4},
    }
    assert told.edits_that("skipped_cache", "applied") == 7


class TestComparing:
    def test_adds_up_the_minutes_before_during_and_after(self) -> None:
        minutes = [a_minute(n, cost=10**9) for n in (-61, -60, -1, 0, 19, 20, 79, 80)]

        numbers = computed(minutes)

        assert numbers.cost_before == Cost(2 * 10**9, 2 * 10**9)
        assert numbers.cost_during == Cost(2 * 10**9, 6 * 10**9)
        assert numbers.cost_after == Cost(2 * 10**9, 2 * 10**9)

    def test_rounds_to_whole_minutes_outwards(self) -> None:
        numbers = computed(
            [a_minute(n) for n in (0, 20, 21)], opened_at=at(0.5), mitigated_at=at(20.1)
        )

        assert (numbers.since, numbers.until) == (at(0.5), at(20.1))
        assert numbers.cost_during.nanos == 2_000
        assert numbers.cost_after.nanos == 1_000

    def test_waits_for_the_hour_after(self) -> None:
        assert computed(now=80).cost_after == Cost(0, 0)
        early = computed(now=79.9).cost_after
        assert early == Cost(None, reason="an hour has not passed since")

    def test_goes_on_until_now(self) -> None:
        minutes = [a_minute(n) for n in range(40)]

        numbers = computed(minutes, now=30, mitigated_at=None, status="open")

        assert numbers.cost_during == Cost(30_000, 60_000)

    def test_takes_a_minute_at_least(self) -> None:
        numbers = computed([a_minute(0)], mitigated_at=at(0))

        assert numbers.cost_during == Cost(1_000, 60_000)

    def test_compares_percentiles(self) -> None:
        minutes = [
            a_minute(-1, durations={bin_of(1.0): 3}),
            a_minute(3, first_chunks={bin_of(1.0): 9, bin_of(9.0): 1}),
            a_minute(4, first_chunks={bin_of(1.0): 9}),
        ]

        numbers = computed(minutes)

        assert numbers.slow_before.first_chunk_s == pytest.approx(0.5, rel=0.14)
        assert numbers.slow_before.duration_s == pytest.approx(1.0, rel=0.14)
        assert numbers.slow_during.first_chunk_s == pytest.approx(9.0, rel=0.14)
        assert (numbers.slow_during.duration_s, numbers.slow_during.reason) == (None, None)

    def test_says_that_no_call_was_answered(self) -> None:
        assert computed().slow_during == Slowness(reason="no call was answered")


def test_says_of_everything_why_it_is_unknown() -> None:
    numbers = computed("gone", "silent")

    assert numbers.times.detect == Took(None, "gone")
    assert numbers.times.enforce == Took(None, "silent")
    assert numbers.calls == "silent"
    assert numbers.cost_before == numbers.cost_after == Cost(None, reason="gone")
    assert numbers.slow_before == Slowness(reason="gone")


def test_reads_an_hour_on_both_sides() -> None:
    incident = an_incident(opened_at=at(0.5), mitigated_at=at(20))

    assert minutes_around(incident, at(500)) == (
        at(0) - timedelta(hours=1),
        at(20) + timedelta(hours=1),
    )
