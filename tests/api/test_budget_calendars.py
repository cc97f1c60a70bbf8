"""A budget whose calendar changes in mid-period: its account is that of its own time."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.budgets.budgets import Applicable, Budget, budget_ref
from common.budgets.holdings import Holdings
from common.core.events import UsageEvent
from common.core.ports import Documents
from tests.api.conftest import Record, SetClock, a_call, pages
from tests.api.test_budgets_over_http import ANY, DAILY, DOLLAR, PATH, make, read

BEFORE = (
    datetime(2026, 10, 15, tzinfo=UTC),
    datetime(2026, 10, 27, tzinfo=UTC),
    datetime(2026, 10, 31, 23, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 0, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 11, 30, tzinfo=UTC),
)
"""When the calls before were, of which the n-th cost 2**n cents."""


def calendar(period: str, tz: str = "UTC", anchor: int = 1) -> dict[str, Any]:
    return {"period": period, "tz": tz, "anchor": anchor}


# A day, a month and a week from Sunday begin together on 1 November 2026, a Sunday.
CALENDARS = [
    calendar("day"),
    calendar("month"),
    calendar("week", anchor=7),
    calendar("month", "Europe/London"),
    calendar("month", "Asia/Tokyo"),
    calendar("month", anchor=20),
    calendar("hour"),
    calendar("total"),
    calendar("week"),
    calendar("month"),
    calendar("day"),
]


def paid(number: int, nanos: int, time: datetime) -> UsageEvent:
    return a_call(number, event_time=time, cost_nanos=nanos, priced_nanos=nanos)


async def stored(documents: Documents) -> Budget:
    [document] = await documents.get_many([budget_ref("b")])
    assert document is not None
    return Budget.from_document(document)


async def spend(documents: Documents, clock: SetClock, nanos: int) -> None:
    """One call under the budget as it is stored, from its hold until all is given back."""
    holdings = Holdings(documents, clock, os.urandom(8).hex(), os.urandom)
    to = Applicable.at([await stored(documents)], clock.now())
    holdings.enter()
    held = await holdings.admit(to, nanos)
    holdings.settle(held, nanos)
    await holdings.leave()


async def account(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> tuple[datetime, datetime, int]:
    """The time of the budget's current period, and what the API says is settled in it."""
    period = (await stored(documents)).period_at(clock.now())
    listed = [each for page in await pages(client, "budgets/b/periods") for each in page["data"]]
    [settled] = [each["settled_nanos"] for each in listed if each["id"] == period.id]
    assert (await read(client))["settled_nanos"] == settled
    assert period.starts_at is not None
    return period.starts_at, period.ends_at, settled


def sum_of(calls: Sequence[UsageEvent], since: datetime, until: datetime) -> int:
    return sum(call.priced_nanos for call in calls if since <= call.event_time < until)


async def test_settled_is_the_sum_of_the_calls_in_the_period(
    client: httpx.AsyncClient, documents: Documents, record: Record, clock: SetClock, acme: None
) -> None:
    calls = [paid(number, 10**7 << number, time) for number, time in enumerate(BEFORE)]
    await record(*calls)
    await make(client)

    for number, terms in enumerate(CALENDARS):
        changed = await client.put(PATH, json={**DAILY, **terms}, headers=ANY)
        opened = await account(client, documents, clock)
        await spend(documents, clock, 1_000 << number)
        calls.append(paid(100 + number, 1_000 << number, clock.now()))
        await record(calls[-1])
        spent = await account(client, documents, clock)

        assert changed.status_code == 200, terms
        assert opened[2] == sum_of(calls[:-1], *opened[:2]), terms
        assert spent == (*opened[:2], sum_of(calls, *opened[:2])), terms
        clock.advance(timedelta(seconds=1))


async def test_money_that_was_added_to_a_period_stays_in_it(
    client: httpx.AsyncClient, acme: None
) -> None:
    await make(client)
    await client.post(f"{PATH}/top-ups", json={"usd": "5", "reason": "launch"})

    added = []
    for terms in (calendar("month"), calendar("day")):
        await client.put(PATH, json={**DAILY, **terms}, headers=ANY)
        added.append((await read(client))["top_ups_nanos"])

    assert added == [0, 5 * DOLLAR]


@pytest.mark.parametrize("terms", [calendar("month"), calendar("week", anchor=7)])
async def test_a_lease_of_the_calendar_before_stays_in_its_own_period(
    client: httpx.AsyncClient,
    documents: Documents,
    clock: SetClock,
    acme: None,
    terms: dict[str, Any],
) -> None:
    await make(client)
    holdings = Holdings(documents, clock, "an-instance", os.urandom)
    holdings.enter()
    to = Applicable.at([await stored(documents)], clock.now())
    held = await holdings.admit(to, DOLLAR)

    await client.put(PATH, json={**DAILY, **terms}, headers=ANY)
    open_then = await read(client)
    holdings.settle(held, DOLLAR)
    await holdings.leave()

    periods = [each for page in await pages(client, "budgets/b/periods") for each in page["data"]]
    assert (open_then["leased_nanos"], open_then["settled_nanos"]) == (0, 0)
    assert [(each["settled_nanos"], each["leased_nanos"]) for each in periods] == [
        (DOLLAR, 0),
        (0, 0),
    ]
