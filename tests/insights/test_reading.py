"""What detectors look at is what the calls in the warehouse say, on every engine."""

from datetime import datetime, timedelta
from math import log
from typing import Any

import pytest

from common.core.events import UsageEvent
from common.core.ports import Warehouse
from common.insights.caching import Sharing
from common.insights.changes import HourFigures
from common.insights.drifts import DayFigures
from common.insights.loops import Repeated
from common.insights.reading import Reading, spike_span
from common.insights.waste import Spent
from common.insights.what_if import LedgerRow
from tests.insights.conftest import DAY, a_call, store

HOUR = timedelta(hours=1)
UNTIL = DAY + timedelta(days=1)


def calls(*told: dict[str, Any]) -> list[UsageEvent]:
    """Calls of the day, a minute apart, with what is told of each."""
    found = []
    for number, fields in enumerate(told):
        time = fields.pop("time", DAY + timedelta(minutes=number))
        cost = fields.get("cost_nanos", 4_200_000)
        fields.setdefault("priced_nanos", cost or 0)
        found.append(a_call(number, event_time=time, started_at=time, **fields))
    return found


async def test_reads_what_every_scope_spent_by_the_hour(each_warehouse: Warehouse) -> None:
    await store(
        each_warehouse,
        calls(
            {"cost_nanos": 3},
            {"cost_nanos": 4, "agent": "other"},
            {"cost_nanos": 5, "time": DAY + 2 * HOUR},
            {"cost_nanos": 7, "time": DAY - HOUR},
            {"cost_nanos": 11, "time": UNTIL},
            {"cost_nanos": 13, "simulated": True},
            {"cost_nanos": 17, "org": None},
        ),
    )

    read = await Reading(each_warehouse).series(DAY, DAY + 3 * HOUR)

    assert {each.scope: (each.org, each.first, tuple(each.nanos)) for each in read} == {
        "org:acme": ("acme", DAY, (7, 0, 5)),
        "team:acme/search": ("acme", DAY, (7, 0, 5)),
        "agent:acme/crawler": ("acme", DAY, (3, 0, 5)),
        "agent:acme/other": ("acme", DAY, (4, 0, 0)),
    }


async def test_reads_how_upstreams_answered(each_warehouse: Warehouse) -> None:
    await store(
        each_warehouse,
        calls(
            {"duration_s": 2.0},
            {"duration_s": 8.0},
            {"outcome": "upstream_error", "cost_nanos": 9},
            {"outcome": "client_error"},
            {"upstream": None},
        ),
    )

    [served] = await Reading(each_warehouse).served(DAY, UNTIL)

    [hour] = served.hours
    assert served.scope == "model:acme/gpt-x@api.openai.com"
    assert (hour.hour, hour.calls, hour.failed, hour.failed_nanos, hour.ok) == (DAY, 3, 1, 9, 2)
    assert hour.log_seconds == pytest.approx(log(16))
    assert isinstance(hour, HourFigures)


async def test_reads_calls_that_are_the_same(each_warehouse: Warehouse) -> None:
    within = [DAY + timedelta(seconds=n) for n in range(51)]
    later = DAY + timedelta(minutes=5)
    await store(
        each_warehouse,
        calls(
            *({"time": time, "session_hash": "s", "request_bytes": 7} for time in within),
            *({"time": time} for time in within),
            {"time": within[0], "request_bytes": 401},
            *({"time": time, "session_hash": "t"} for time in within[:50]),
            {"time": later, "session_hash": "t"},
        ),
    )

    read = await Reading(each_warehouse).repeated(DAY, UNTIL)

    line, nanos = "0123456789ab", 51 * 4_200_000
    assert sorted(read, key=lambda each: each.session or "") == [
        Repeated(DAY, "acme", "crawler", line, None, "gpt-x", 51, 153, nanos),
        Repeated(DAY, "acme", "crawler", line, "s", "gpt-x", 51, 153, nanos),
    ]


async def test_learns_the_busiest_span_of_a_usual_day(each_warehouse: Warehouse) -> None:
    counts = {1: 30, 2: 20, 3: 12, 4: 40, 5: 9}
    await store(
        each_warehouse,
        calls(
            *(
                {"time": DAY - timedelta(days=back, seconds=-n), "session_hash": "s"}
                for back, count in counts.items()
                for n in range(count)
            )
        ),
    )

    # 40, 30, 20, 12 and three days of so little that it is none: the middle is 12.
    assert await Reading(each_warehouse).habits(DAY) == {"agent:acme/crawler": 12}


async def test_reads_what_a_day_used(each_warehouse: Warehouse) -> None:
    await store(
        each_warehouse,
        calls(
            {"session_hash": "s", "cost_nanos": 5},
            {"session_hash": "s", "cost_nanos": 6},
            {"session_hash": "t", "cost_nanos": 7, "outcome": "upstream_error"},
            {"cost_nanos": 8},
        ),
    )

    read = await Reading(each_warehouse).daily(DAY, UNTIL)

    figures = DayFigures(DAY, 4, 3, 26, 2, 330, 18)
    assert {each.scope: list(each.days) for each in read} == {
        "team:acme/search": [figures],
        "agent:acme/crawler": [figures],
    }


async def test_reads_what_bought_nothing(each_warehouse: Warehouse) -> None:
    await store(
        each_warehouse,
        calls(
            {"cost_nanos": 1, "outcome": "upstream_error"},
            {"cost_nanos": 2, "outcome": "gateway_error"},
            {"cost_nanos": 4, "outcome": "client_error", "client_gone": True},
            {"cost_nanos": 8, "finish_reason": "MAX_TOKENS"},
            {"cost_nanos": 16, "hold_nanos": 321},
            {"cost_nanos": 32, "hold_nanos": 640},
            {"cost_nanos": None, "cost_reason": "unknown_model", "priced_nanos": 64},
        ),
    )

    [spent] = await Reading(each_warehouse).spent(DAY, UNTIL)

    assert spent == Spent(
        org="acme", agent="crawler", model="gpt-x", calls=7, nanos=127, failed=2, failed_nanos=3,
        cut=1, cut_nanos=8, abandoned=1, abandoned_nanos=4, unpriced=1, held=2, over_held=1,
        over_held_nanos=321,
    )  # fmt: skip


async def test_reads_the_ledger_with_its_units(
    each_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.insights.reading.MOST_ROWS", 2)
    await store(
        each_warehouse,
        calls(
            {"cost_nanos": 1},
            {"cost_nanos": 2, "service_tier": "flex"},
            {"cost_nanos": 3, "priority": "batch"},
            {"cost_nanos": 4, "cost_source": "estimated"},
            {"cost_nanos": None, "cost_reason": "unknown_model"},
            {"cost_nanos": 5, "outcome": "upstream_error"},
            {"cost_nanos": 6, "card": None},
        ),
    )

    read = await Reading(each_warehouse).ledger(DAY, UNTIL)

    units = {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 40}
    assert read == [
        _row(units, 1, "flex", 2, "normal"),
        _row(units, 2, None, 3, "batch"),
    ]


def _row(
    units: dict[str, int], minute: int, tier: str | None, nanos: int, priority: str
) -> LedgerRow:
    time: datetime = DAY + timedelta(minutes=minute)
    return LedgerRow("acme", "crawler", "openai/gpt-x", time, units, tier, nanos, priority, 3)


async def test_reads_what_begins_alike(each_warehouse: Warehouse) -> None:
    def turn(session: str | None, tokens: int, **units: int) -> dict[str, Any]:
        units |= {"input_tokens": tokens}
        return {"session_hash": session, "units": units, "time": DAY}

    await store(
        each_warehouse,
        calls(
            *(turn("s", tokens) for tokens in (5_000, 6_000, 7_000)),
            *(turn("t", tokens) for tokens in (5_000, 6_000, 7_000)),
            *(turn("read", tokens, cache_read_tokens=1) for tokens in (5_000, 6_000, 7_000)),
            *(turn("short", tokens) for tokens in (4_095, 6_000, 7_000)),
            *(turn("few", tokens) for tokens in (5_000, 6_000)),
            *(turn(None, 9_000) for _ in range(4)),
            *(turn(None, tokens) for tokens in (9_001, 9_002, 9_003)),
        ),
    )

    read = await Reading(each_warehouse).sharing(DAY, UNTIL)

    assert read == [
        Sharing("acme", "crawler", "openai/gpt-x", 9_000, 1, 4),
        Sharing("acme", "crawler", "openai/gpt-x", 5_000, 2, 6),
    ] or read == [
        Sharing("acme", "crawler", "openai/gpt-x", 5_000, 2, 6),
        Sharing("acme", "crawler", "openai/gpt-x", 9_000, 1, 4),
    ]


async def test_reads_what_has_the_same_instructions_and_tools(each_warehouse: Warehouse) -> None:
    def asked(prefix: str | None, size: int, **units: int) -> dict[str, Any]:
        units |= {"input_tokens": size // 4}
        hashed = {"prefix_hash": prefix, "prefix_bytes": 20_000 if prefix else 0}
        return {**hashed, "units": units, "time": DAY, "request_bytes": size}

    sizes = (40_000, 44_000, 48_001)
    await store(
        each_warehouse,
        calls(
            *(asked("a", size) for size in sizes),
            *(asked("few", size) for size in sizes[:2]),
            *(asked("read", size, cache_read_tokens=1) for size in sizes),
            *(asked("short", size - 20_001) for size in sizes),
            *(asked(None, size) for size in sizes),
        ),
    )

    read = await Reading(each_warehouse).sharing(DAY, UNTIL)

    # 20,000 of 40,000 bytes are half of 10,000 tokens; of 48,001 they are 4,999 of 12,000.
    assert read == [Sharing("acme", "crawler", "openai/gpt-x", 4_999, 1, 3, "beginning")]


async def test_tells_calls_apart_that_begin_differently(each_warehouse: Warehouse) -> None:
    times = [DAY - timedelta(days=day, seconds=-n) for n in range(60) for day in range(5)]
    alike = [{"time": at, "prefix_hash": prefix} for at in times for prefix in ("a", "b")]
    await store(each_warehouse, calls(*alike))

    read = await Reading(each_warehouse).repeated(DAY, UNTIL)
    usual = await Reading(each_warehouse).habits(DAY)

    assert [(each.calls, each.all_calls) for each in read] == [(60, 120), (60, 120)]
    assert usual == {"agent:acme/crawler": 60}


async def test_reads_when_a_line_was_last_used(each_warehouse: Warehouse) -> None:
    await store(
        each_warehouse,
        calls({"line": "a"}, {"line": "a"}, {"line": "b", "time": DAY - HOUR}, {"line": None}),
    )

    assert await Reading(each_warehouse).key_uses(DAY) == {"a": DAY + timedelta(minutes=1)}


async def test_tells_when_a_budget_last_refused_a_call_of_each_scope(
    each_warehouse: Warehouse,
) -> None:
    of_a_budget = {"outcome": "client_error", "error_code": "budget_exceeded"}
    await store(
        each_warehouse,
        calls(
            {"line": "a", "team": None, **of_a_budget},
            {"line": "b", "project": "p", **of_a_budget},
            {"line": "c", "error_code": "rate_limited"},
            {"line": "d", "time": DAY - HOUR, **of_a_budget},
        ),
    )

    refused = await Reading(each_warehouse).refused(DAY, DAY + HOUR)

    first, second = DAY, DAY + timedelta(minutes=1)
    assert refused == {
        "org:acme": second,
        "team:acme/search": second,
        "project:acme/p": second,
        "agent:acme/crawler": second,
        "key:a": first,
        "key:b": second,
    }


def test_judges_yesterday_and_today_and_learns_from_the_eight_weeks_before() -> None:
    since, judged = spike_span(DAY + 5 * HOUR)

    assert judged == DAY - timedelta(days=1)
    assert since == judged - timedelta(weeks=8)
