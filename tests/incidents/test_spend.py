"""Incidents of money: a scope whose spend stands out, and bills that differ from our events."""

from itertools import permutations
from typing import Any, Literal

import pytest

from common.core.events import Event
from common.core.insight_events import CostAnomaly
from common.core.reconciliation_events import SpendDriftFound
from tests.incidents.scenes import Desk, at

Told = Literal["cost.anomaly_found", "cost.anomaly_closed"]


def anomaly(type_: Told, minutes: float, series: str = "team:acme/search", **more: Any) -> Event:
    return CostAnomaly(
        id=f"{type_} {minutes} {series}",
        type=type_,
        event_time=at(minutes),
        anomaly_id="a",
        series=series,
        org="acme",
        since=at(0),
        actual_nanos=9,
        expected_nanos=1,
        told=f"{series} spent {{9}} where 1 was to be expected.",
        **more,
    )


def drift(minutes: float, **fields: Any) -> Event:
    given: dict[str, Any] = {
        "provider": "openai",
        "account": "organization",
        "day": "2026-03-01",
        "cause": "lost_events",
        "drift_nanos": -2_500_000_000,
        "models": (),
        "keys": (),
    }
    numbers = {
        name: 0
        for name, field in SpendDriftFound.model_fields.items()
        if field.is_required() and name not in {"id", "event_time", *given}
    }
    told = {"id": f"drift {minutes} {fields}", "event_time": at(minutes)}
    return SpendDriftFound(**told, **numbers, **given | fields)


FOUND = anomaly("cost.anomaly_found", 5)
CLOSED = anomaly("cost.anomaly_closed", 200)


async def test_warns_of_spend_that_stands_out_until_it_is_usual(desk: Desk) -> None:
    await desk.take(FOUND)
    opened = await desk.incident()
    await desk.take(CLOSED)
    await desk.process().escalate(at(231))

    assert (opened.key, opened.scope) == ("anomaly:team:acme/search", "team:acme/search")
    assert (opened.severity, opened.status) == ("warning", "open")
    assert (await desk.incident()).status == "resolved"
    assert [entry.told for entry in await desk.timeline()][:2] == [
        "team:acme/search spent {9} where 1 was to be expected.",
        "team:acme/search spends as usual again.",
    ]


@pytest.mark.parametrize("order", list(permutations((FOUND, CLOSED))))
async def test_leaves_nothing_open_that_is_over(desk: Desk, order: tuple[Event, ...]) -> None:
    await desk.take(*order)

    assert {each.status for each in await desk.incidents()} <= {"mitigated"}


@pytest.mark.parametrize("is_first", [True, False])
async def test_calls_nobody_for_what_is_over_when_it_is_found(
    desk: Desk, *, is_first: bool
) -> None:
    both = [anomaly("cost.anomaly_found", 200, going_on=False), CLOSED]

    await desk.take(*(both if is_first else reversed(both)))

    assert await desk.incidents() == []


async def test_has_an_incident_for_each_series(desk: Desk) -> None:
    other = anomaly("cost.anomaly_found", 6, "org:acme")

    await desk.take(FOUND, other, anomaly("cost.anomaly_found", 7))

    found = await desk.incidents()
    assert {each.key for each in found} == {"anomaly:team:acme/search", "anomaly:org:acme"}


async def test_warns_of_a_bill_that_differs(desk: Desk) -> None:
    await desk.take(drift(5), drift(6, cause="price_off"), drift(7, account="other"))

    found = {each.key: each for each in await desk.incidents()}
    assert found.keys() == {"drift:openai:organization", "drift:openai:other"}
    first = found["drift:openai:organization"]
    assert (first.severity, first.status, first.scope) == ("warning", "open", "provider:openai")
    assert desk.bus.told == ["opened", "joined", "opened"]
    told = desk.bus.incidents[0].told
    assert told == (
        "The bill of openai (organization) of 2026-03-01 differs by -2.500000000 USD: lost_events."
    )
