"""An insight is a finding that is kept: runs change it and never add, states belong to people."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from common.core.errors import InvalidInput
from common.core.insight_events import CostAnomaly, RecommendationProposed
from common.core.ports import Document
from common.insights.findings import (
    Finding,
    Insight,
    Window,
    a_month,
    dismiss,
    finish,
    insight_ref,
    merge,
    reopen,
    snooze,
)
from common.insights.telling import event_of
from tests.insights.conftest import DAY

Act = Callable[[Insight, str, datetime], Insight]

NOW = DAY + timedelta(hours=5)
LATER = NOW + timedelta(days=1)
SPIKE = Finding(
    kind="spike",
    org="acme",
    scope="agent:acme/crawler",
    window=Window.day_of(DAY),
    told="It spent much.",
    evidence={"actual_nanos": 9, "expected_nanos": 2},
    stake=7,
    confidence="high",
    rows={"of": "agent:acme/crawler"},
)
SAVING = replace(SPIKE, kind="cheaper_model", window=Window.month_of(DAY))
NEXT_DAY = replace(SPIKE, window=Window.day_of(LATER))
NEXT_MONTH = replace(SAVING, window=Window.month_of(DAY + timedelta(days=30)))


def kept(finding: Finding) -> Insight:
    [insight] = merge(finding, None, None, NOW)
    return replace(insight, untold=())


def test_has_an_id_of_kind_scope_and_window_alone() -> None:
    others = [
        replace(SPIKE, kind="loop"),
        replace(SPIKE, scope="agent:acme/other"),
        NEXT_DAY,
        SPIKE,
        replace(SPIKE, told="Other.", evidence={}, stake=1, rows={}, over=True),
    ]

    assert [each.id == SPIKE.id for each in others] == [False, False, False, True, True]


def test_months_and_days_are_those_of_the_calendar() -> None:
    assert Window.day_of(NOW) == Window(DAY, DAY + timedelta(days=1))
    assert Window.month_of(NOW).since.isoformat() == "2026-10-01T00:00:00+00:00"
    assert Window.month_of(NOW).until.isoformat() == "2026-11-01T00:00:00+00:00"
    assert a_month(7, timedelta(days=7)) == 30


def test_is_written_and_read_as_it_is() -> None:
    insight = snooze(kept(SPIKE), LATER, "ana@acme.com", NOW)
    document = Document(insight_ref(insight.id), insight.to_data(), "1")

    assert Insight.from_document(document) == insight


def test_a_run_that_finds_the_same_writes_nothing() -> None:
    insight = kept(SPIKE)

    assert merge(SPIKE, insight, insight, LATER) == ()


def test_a_run_that_finds_more_changes_it_and_leaves_its_state() -> None:
    insight = dismiss(kept(SAVING), "ana@acme.com", NOW)
    more = replace(SAVING, stake=9)

    [changed] = merge(more, insight, insight, LATER)

    assert changed.id == insight.id
    assert (changed.finding.stake, changed.state, changed.actor) == (9, "dismissed", "ana@acme.com")
    assert (changed.found_at, changed.changed_at, changed.untold) == (NOW, LATER, ())


@pytest.mark.parametrize("act", [dismiss, finish])
def test_is_open_again_when_it_comes_back_in_a_later_window(act: Act) -> None:
    before = act(kept(SAVING), "ana@acme.com", NOW)

    added, superseded = merge(NEXT_MONTH, None, before, LATER)

    assert (added.state, added.latest, added.after) == ("open", True, before.id)
    assert (superseded.id, superseded.state, superseded.latest) == (before.id, before.state, False)


def test_stays_snoozed_over_windows_until_its_time() -> None:
    before = snooze(kept(SAVING), LATER + timedelta(days=1), "ana@acme.com", NOW)

    snoozed, _ = merge(NEXT_MONTH, None, before, LATER)
    awake, _ = merge(NEXT_MONTH, None, before, LATER + timedelta(days=1))

    assert (snoozed.state, snoozed.snoozed_until) == ("snoozed", before.snoozed_until)
    assert awake.state == "open"


def test_wakes_up_by_itself() -> None:
    insight = snooze(kept(SAVING), LATER, "ana@acme.com", NOW)

    assert insight.state_at(LATER - timedelta(seconds=1)) == "snoozed"
    assert insight.state_at(LATER) == "open"


def test_a_run_of_the_past_adds_without_taking_over() -> None:
    newest = kept(NEXT_DAY)

    [added] = merge(SPIKE, None, newest, LATER)

    assert (added.latest, added.untold) == (False, ())


def test_tells_of_a_saving_once() -> None:
    [insight] = merge(SAVING, None, None, NOW)
    [changed] = merge(replace(SAVING, stake=9), replace(insight, untold=()), insight, LATER)

    [untold] = insight.untold
    event = event_of(insight, untold, NOW)
    assert isinstance(event, RecommendationProposed)
    assert (event.insight_id, event.kind, event.saving_nanos) == (insight.id, "cheaper_model", 7)
    assert changed.untold == ()


def test_tells_of_a_spike_when_it_begins_when_it_ends_and_when_it_begins_again() -> None:
    over = replace(SPIKE, over=True)
    [found] = merge(SPIKE, None, None, NOW)
    [closed] = merge(over, found, found, LATER)
    [again] = merge(SPIKE, closed, closed, LATER)
    [closed_again] = merge(over, again, again, LATER)

    events = [event_of(closed_again, each, LATER) for each in closed_again.untold]
    assert [each.type for each in events] == [
        "cost.anomaly_found",
        "cost.anomaly_closed",
        "cost.anomaly_found",
        "cost.anomaly_closed",
    ]
    assert len({each.id for each in events}) == 4
    assert closed_again.rounds == 2
    assert isinstance(events[0], CostAnomaly)
    assert (events[0].series, events[0].actual_nanos, events[0].expected_nanos) == (
        "agent:acme/crawler",
        9,
        2,
    )


def test_tells_of_a_spike_once_that_goes_on_into_the_next_day() -> None:
    first = kept(SPIKE)

    second, superseded = merge(NEXT_DAY, None, first, LATER)

    assert second.untold == ()
    # The day before is over then, but that is no end of the spike.
    [quiet] = merge(replace(SPIKE, over=True), superseded, second, LATER)
    assert quiet.untold == ()
    [ended] = merge(replace(NEXT_DAY, over=True), second, second, LATER)
    assert ended.untold == ("cost.anomaly_closed 1",)


def test_tells_of_a_spike_that_comes_after_one_that_is_over() -> None:
    before = kept(replace(SPIKE, over=True))

    assert merge(NEXT_DAY, None, before, LATER)[0].untold == ("cost.anomaly_found 1",)


def test_other_kinds_are_told_to_nobody() -> None:
    assert merge(replace(SPIKE, kind="latency"), None, None, NOW)[0].untold == ()


@pytest.mark.parametrize("until", [NOW, NOW + timedelta(days=365, seconds=1)])
def test_refuses_to_snooze_into_the_past_or_for_more_than_a_year(until: datetime) -> None:
    with pytest.raises(InvalidInput):
        snooze(kept(SPIKE), until, "ana@acme.com", NOW)


def test_is_open_when_somebody_opens_it_again() -> None:
    insight = snooze(kept(SPIKE), LATER, "ana@acme.com", NOW)

    opened = reopen(insight, "bo@acme.com", LATER)

    assert (opened.state, opened.snoozed_until, opened.actor) == ("open", None, "bo@acme.com")
