"""A step of the policy is made once, when its time has come and while its condition holds."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.core.incident_events import IncidentStatus
from common.incidents.escalation import due, escalated
from common.incidents.facts import EscalationStep
from common.incidents.incidents import STATUSES, Incident
from tests.incidents.scenes import T0, at

OPS = EscalationStep(timedelta(0), ("ops",))
PAGE = EscalationStep(timedelta(minutes=10), ("pagerduty",), "unacknowledged", "error")


def an_incident(**fields: Any) -> Incident:
    members: dict[str, Any] = {
        "id": "2026-03-02-abcdef",
        "key": "brownout:global",
        "scope": "global",
        "title": "Brownout of global",
        "status": "open",
        "severity": "error",
        "opened_at": T0,
        "raised_at": T0,
    }
    return Incident(**members | fields)


@pytest.mark.parametrize(
    ("fields", "minutes", "steps"),
    [
        ({}, 0, [OPS]),
        ({}, 9.99, [OPS]),
        ({}, 10, [OPS, PAGE]),
        ({"severity": "critical"}, 10, [OPS, PAGE]),
        ({"severity": "warning"}, 600, [OPS]),
        ({"status": "acknowledged"}, 600, [OPS]),
        ({"raised_at": at(5)}, 10, [OPS]),
        ({"raised_at": at(5)}, 15, [OPS, PAGE]),
        ({"escalated": (OPS.name,)}, 10, [PAGE]),
        ({"escalated": (OPS.name, PAGE.name)}, 600, []),
    ],
)
def test_makes_what_is_due(
    fields: dict[str, Any], minutes: float, steps: list[EscalationStep]
) -> None:
    assert list(due(an_incident(**fields), (PAGE, OPS), at(minutes))) == steps


@pytest.mark.parametrize("status", sorted({*STATUSES} - {"open", "acknowledged"}))
def test_makes_nothing_once_the_cause_is_gone(status: IncidentStatus) -> None:
    assert due(an_incident(status=status), (OPS, PAGE), at(600)) == ()


def test_makes_each_step_once() -> None:
    incident, entries = escalated(an_incident(), (OPS, PAGE), at(10))
    again, nothing = escalated(incident, (OPS, PAGE), at(20))

    assert [each.event.to for each in entries if each.event] == [("ops",), ("pagerduty",)]
    assert [each.seq for each in entries] == [1, 2]
    assert (again, list(nothing)) == (incident, [])


def test_makes_a_step_whose_condition_comes_true_later() -> None:
    mild, _ = escalated(an_incident(severity="warning"), (PAGE,), at(10))

    worse, [entry] = escalated(replace(mild, severity="critical"), (PAGE,), at(31))

    assert entry.told == (
        "Brownout of global goes on and nobody has acknowledged it: pagerduty told."
    )
    assert worse.escalated == (PAGE.name,)


def test_tells_steps_apart_by_what_they_say() -> None:
    others = (
        replace(PAGE, after=timedelta(minutes=11)),
        replace(PAGE, to=("ops",)),
        replace(PAGE, when=None),
        replace(PAGE, min_severity=None),
    )

    assert len({step.name for step in (PAGE, *others)}) == 5
