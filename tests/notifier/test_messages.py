"""What is said of each event, and which events are told to nobody by themselves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.modes import Mode
from common.brownout.policies import policy_ref
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.core.event_types import EVENT_TYPES
from common.core.events import BoundViolated, CredentialEvent, LeaseWrittenOff, ThresholdCrossed
from common.core.incident_events import IncidentType
from common.core.notification_events import NotificationFailed
from common.core.ports import Committed, Document, Put
from common.incidents.messages import TELLERS, told_of
from common.incidents.notices import Notice
from common.incidents.told import Link, together
from common.runtime.notifications import opens_incident
from common.runtime.policies import policies_of
from tests.gateway.making import START
from tests.notifier.conftest import a_mode_change, an_exhausted_budget, an_incident

CONSOLE = "https://console.example.com/"


def a_threshold(percent: int) -> ThresholdCrossed:
    return ThresholdCrossed(
        id="t",
        event_time=START,
        budget_id="search",
        period="2026-11",
        percent=percent,
        spent_nanos=15_004_213_000,
        limit_nanos=20_000_000_000,
        projected_exhaustion=None,
    )


def test_tells_an_incident_with_its_page_and_its_cause() -> None:
    told = told_of(an_incident(owner="ada@example.com", procedure="https://wiki/x"), CONSOLE)

    assert told is not None
    assert (told.title, told.severity, told.since, told.dedup_key) == (
        "Opened: Brownout of team:acme/search",
        "error",
        START,
        "2026-11-01-abc234",
    )
    assert told.what == (
        "team:acme/search goes from normal to hard.",
        "It is ada@example.com's.",
    )
    assert (told.doing, told.affected) == (
        "Calls are answered as the policy says for hard.",
        "Calls of team:acme/search",
    )
    assert told.links == (
        Link("The incident", f"{CONSOLE}console/incidents/2026-11-01-abc234"),
        Link("The cause", "https://app.datadoghq.com/monitors/1?a=1&b=2"),
        Link("What to do", "https://wiki/x"),
    )


def test_leaves_out_the_page_where_there_is_no_console() -> None:
    told = told_of(an_incident(link=None), None)

    assert told is not None
    assert told.links == ()


@pytest.mark.parametrize(
    ("type_", "deed"),
    [
        ("incident.opened", "trigger"),
        ("incident.joined", "trigger"),
        ("incident.reopened", "trigger"),
        ("incident.escalated", "trigger"),
        ("incident.acknowledged", "acknowledge"),
        ("incident.mitigated", None),
        ("incident.resolved", "resolve"),
        ("incident.reviewed", None),
    ],
)
def test_asks_receivers_of_alerts_to_follow_an_incident(type_: Any, deed: str | None) -> None:
    told = told_of(an_incident(type_), CONSOLE)

    assert told is not None
    assert told.deed == deed


def test_knows_every_type_of_incident_events() -> None:
    assert all(told_of(an_incident(each), None) for each in get_args(IncidentType))


def test_tells_of_no_type_that_does_not_exist() -> None:
    assert {*TELLERS} <= {*EVENT_TYPES}


@pytest.mark.parametrize(
    ("percent", "is_told"), [(50, True), (99, True), (100, False), (120, False)]
)
def test_leaves_thresholds_that_open_an_incident_to_it(percent: int, is_told: bool) -> None:
    assert (told_of(a_threshold(percent), None) is not None) is is_told


def test_tells_money_with_cents_and_exactly_where_they_do_not_do() -> None:
    told = told_of(a_threshold(75), None)

    assert told is not None
    assert told.what[0] == "$15.004213 of $20.00 are spent in the period 2026-11."


@pytest.mark.parametrize(
    ("event", "severity", "scope", "title"),
    [
        (an_exhausted_budget(), "error", "budget:search", "Budget search refuses calls"),
        (
            LeaseWrittenOff(
                id="l", event_time=START, lease_id="l1", instance="i1", periods=("p",),
                written_off_nanos=1_500_000_000, expired_at=START,
            ),
            "warning", "global", "$1.50 count as spent without proof",
        ),
        (
            BoundViolated(
                id="b", event_time=START, call_id="c1", model="gpt-x", bound_kind="bytes",
                hold_nanos=1_000_000_000, cost_nanos=2_000_000_000,
            ),
            "error", "model:gpt-x", "A call to gpt-x cost more than was held for it",
        ),
        (
            CredentialEvent(
                id="c", type="credential.failed", event_time=START, upstream="groq",
                credential="main", status=401,
            ),
            "error", "upstream:groq", "groq refuses the key main",
        ),
        (
            NotificationFailed(
                id="n", event_time=START, channel="ops", of_event="e", of_type="incident.opened",
                attempts=8, reason="It answered 500.",
            ),
            "error", "global", "Channel ops is broken",
        ),
        (
            a_mode_change(after="emergency"),
            "critical", "team:acme/t1", "team:acme/t1 went from normal to emergency",
        ),
    ],
)  # fmt: skip
def test_tells_a_fact_that_opens_no_incident(
    event: Any, severity: str, scope: str, title: str
) -> None:
    told = told_of(event, CONSOLE)

    assert told is not None
    assert (told.severity, told.scope, told.title) == (severity, scope, title)
    assert told.what
    assert told.doing
    assert told.affected


def test_tells_nobody_of_a_test_that_failed() -> None:
    failed = NotificationFailed(
        id="n",
        event_time=START,
        channel="ops",
        of_event="e",
        of_type="notification.test",
        attempts=1,
        reason="It answered 404.",
    )

    assert told_of(failed, None) is None


def test_keeps_a_message_as_it_is_while_it_gathers() -> None:
    told = told_of(a_mode_change(), CONSOLE)
    assert told is not None
    notice = Notice("e", told.type, "ops", "gathering", START, START, members=(told,))

    [kept] = Notice.from_document(_stored(notice)).members
    assert together([kept]) == told


def _stored(notice: Notice) -> Document:
    return Document(notice.ref, notice.to_data(), "1")


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    yield engine
    await engine.aclose()


@pytest.mark.parametrize(
    ("before", "after", "opens"),
    [
        ("normal", "soft", False),
        ("soft", "hard", True),
        ("hard", "soft", True),
        ("hard", "normal", True),
        ("soft", "normal", False),
        ("normal", "emergency", True),
    ],
)
async def test_leaves_changes_of_a_mode_to_the_incident_that_their_policy_wants(
    documents: SqliteDocuments, before: str, after: str, opens: bool
) -> None:
    policy = shipped_policy()
    policy = replace(policy, incidents=replace(policy.incidents, open_at=Mode.HARD))
    stored = Put(policy_ref(3), {"policy": policy_data(policy)})
    assert await documents.commit([stored]) == Committed()

    judged = opens_incident(policies_of(documents))
    change = a_mode_change(before=before, after=after, policy_version=3)

    assert await judged(change) is opens
    assert await judged(change.model_copy(update={"policy_version": 0})) is True
