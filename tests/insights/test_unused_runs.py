"""A daily run finds keys and budgets that nobody uses, and calls no other idle."""

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

from common.budgets.budgets import Budget
from common.budgets.calendar import Calendar
from common.core.audit import audit_entry
from common.core.ports import Put, Ref
from common.insights.running import Runs
from tests.api.conftest import Record, SetClock
from tests.insights.conftest import DAY, a_call, daily, kept

USD = 1_000_000_000


async def test_finds_unused_keys_and_budgets(runs: Runs, record: Record) -> None:
    await record(a_call(1, line="used", event_time=DAY, team="ops"))
    old = DAY - timedelta(days=60)
    keys: dict[str, dict[str, Any]] = {
        "used": {},
        "idle": {},
        "new": {"created_at": DAY},
        "revoked": {"revoked_at": DAY},
        "expired": {"expires_at": DAY},
        "expiring": {"expires_at": DAY + timedelta(days=30)},
    }
    for line, told in keys.items():
        data = {
            "line": line, "name": line, "org": "acme", "created_at": old, "expires_at": None,
            "revoked_at": None, **told,
        }  # fmt: skip
        await runs.documents.commit([Put(Ref("keys", f"digest-{line}"), data)])
    week = Budget("b", "acme", "team:acme/search", Calendar("week"), USD, enforcement="soft")
    for budget in (
        replace(week, id="idle", began_at=old),
        replace(week, id="young", began_at=DAY - timedelta(days=13)),
        replace(week, id="used", scope="team:acme/ops", began_at=old),
        replace(week, id="paused", paused=True, began_at=old),
        replace(week, id="ever", calendar=Calendar("total"), began_at=old),
    ):
        await runs.documents.commit([Put(Ref("budgets", budget.id), budget.to_data())])

    await daily(runs)

    idle_keys, idle_budgets = await kept(runs, "unused_key"), await kept(runs, "unused_budget")
    assert [each.finding.scope for each in idle_keys] == ["key:expiring", "key:idle"]
    assert [each.finding.scope for each in idle_budgets] == ["budget:idle"]


async def test_calls_no_budget_idle_that_is_younger_than_its_periods(
    runs: Runs, clock: SetClock
) -> None:
    """As the API makes them: of an old or a new key, and a soft one, which knows no beginning."""
    day = Budget("b", "acme", "team:acme/search", Calendar("day"), USD, enforcement="soft")
    ages = {"old": DAY - timedelta(days=9), "young": DAY - timedelta(days=1)}
    for name, made in ages.items():
        of_key = replace(day, id=f"key-{name}", scope=f"key:{name}", enforcement="hard")
        soft = replace(day, id=f"soft-{name}")
        key = {
            "line": name, "name": name, "org": "acme", "created_at": made, "expires_at": None,
            "revoked_at": DAY,
        }  # fmt: skip
        entry = audit_entry(
            made, os.urandom, who="ada", what="budget.create", target=f"budgets/{soft.id}",
            before=None, after=soft.to_data(),
        )  # fmt: skip
        puts = [Put(Ref("budgets", each.id), each.to_data()) for each in (of_key, soft)]
        await runs.documents.commit([*puts, Put(Ref("keys", f"digest-{name}"), key), entry])

    await daily(runs)

    found = await kept(runs, "unused_budget")
    assert [each.finding.scope for each in found] == ["budget:key-old", "budget:soft-old"]


async def test_calls_no_budget_idle_that_refuses_calls(runs: Runs, record: Record) -> None:
    old = DAY - timedelta(days=60)
    day = Budget("b", "acme", "key:line", Calendar("day"), 1, enforcement="hard", began_at=old)
    for scope in ("org:acme", "team:acme/search", "agent:acme/crawler", "key:line", "key:other"):
        budget = replace(day, id=scope.replace(":", "-").replace("/", "-"), scope=scope)
        await runs.documents.commit([Put(Ref("budgets", budget.id), budget.to_data())])
    await record(
        a_call(
            1, line="line", event_time=DAY, cost_nanos=0, priced_nanos=0, attempts=(),
            model_sent=None, outcome="client_error", error_code="budget_exceeded",
        )
    )  # fmt: skip

    await daily(runs)

    found = await kept(runs, "unused_budget")
    assert [each.finding.scope for each in found] == ["budget:key-other"]
