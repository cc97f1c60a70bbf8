"""Every call is accounted once, to the nano-dollar, whatever happens to it on the way."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.laws.stack_engines import StackEngines
from tests.laws.traffic import COMPATIBLE_LISTS, COMPATIBLE_MODELS, Planned, Traffic, plan
from tests.local_stack.process import Simulator, Stack

CALLS = 10_000
SEED = 20261122


@pytest.mark.slow
def test_events_rows_and_the_providers_bill_agree_to_the_nano_dollar(
    tmp_path: Path, simulator: Simulator, stack_engines: StackEngines
) -> None:
    """Mixed calls, 5 % faults, 5 % hang-ups, deliveries repeated and shuffled, a restart."""
    data, count = tmp_path / "data", stack_engines.calls(CALLS)
    calls = plan(count, SEED, compatible=COMPATIBLE_MODELS)
    start = partial(start_stack, data, {**stack_engines.settings, **law_settings(simulator)})

    traffic = asyncio.run(_through_a_restart(start, calls))

    events = asyncio.run(stack_engines.published(data, start))
    with start() as stack:
        rows, total = rows_and_total(stack, count)
        stack.stop()
    billed = _billed(simulator)

    numbers = [int(row["tags"]["call"]) for row in rows]
    assert len(numbers) == len(set(numbers)), "a call has two rows"
    assert set(range(count)) - set(numbers) <= traffic.done.broken, "a call has no row"

    assert {r["id"]: r["cost_nanos"] for r in rows} == {
        e["id"]: e["cost_nanos"] for e in events.values()
    }
    assert total["cost_nanos"] == sum(row["cost_nanos"] for row in rows)
    assert total["calls"] == len(rows)

    exact = [row for row in rows if row["cost_source"] != "estimated"]
    wrong = [
        (row["tags"]["call"], row["cost_nanos"], billed[int(row["tags"]["call"])])
        for row in exact
        if row["cost_nanos"] != billed[int(row["tags"]["call"])]
    ]
    assert wrong == []
    assert set(COMPATIBLE_LISTS.values()) < {row["provider"] for row in exact}

    refused = [row for row in rows if (row["upstream_status"] or 0) >= 400]
    assert len(refused) > count * 0.01, "too little was refused to show anything"
    assert {(row["cost_nanos"], row["cost_source"]) for row in refused} == {(0, "free")}

    estimated = [row for row in rows if row["cost_source"] == "estimated"]
    undisturbed = [
        row["tags"]["call"]
        for row in estimated
        if not calls[int(row["tags"]["call"])].disturbed
        and int(row["tags"]["call"]) not in traffic.done.broken
    ]
    assert undisturbed == []
    too_low = [
        row["tags"]["call"]
        for row in estimated
        if row["cost_nanos"] < billed[int(row["tags"]["call"])]
    ]
    assert too_low == []
    assert total["estimated_calls"] == len(estimated)
    assert len(estimated) > count * 0.02, "too little was disturbed to show anything"


async def _through_a_restart(start: Callable[..., Stack], calls: list[Planned]) -> Traffic:
    """Make all calls; half way the stack is told to end, and started again on the same port."""
    middle = len(calls) // 2
    stack = await asyncio.to_thread(start)
    await _configure_upstreams(stack)
    key = await tagged_key(stack)
    traffic = Traffic(stack.address, key)
    port = int(stack.address.rpartition(":")[2])
    try:
        await traffic.run(calls[: middle - 500])
        around = asyncio.create_task(traffic.run(calls[middle - 500 : middle + 500]))
        while not (around.done() or traffic.done.answered & set(range(middle - 250, middle))):
            await asyncio.wait({around}, timeout=0.01)
        traffic.pause()
        await asyncio.to_thread(stack.stop)
        stack = await asyncio.to_thread(start, port)
        traffic.resume()
        await around
        await traffic.run(calls[middle + 500 :])
    finally:
        await asyncio.to_thread(stack.stop)
    return traffic


def start_stack(data: Path, settings: Mapping[str, str], port: int = 0) -> Stack:
    return Stack(data, port=port, module="tests.laws.disorderly_stack", env=settings)


def law_settings(simulator: Simulator) -> dict[str, str]:
    return {"SIMULATED_PROVIDER_URL": simulator.address, "IDLE_TIMEOUT_S": "30"}


async def _configure_upstreams(stack: Stack) -> None:
    """Others than the three vendors; where they are does not matter to the simulated key."""
    async with httpx.AsyncClient(base_url=f"{stack.address}/api/v1/upstreams") as api:
        for name, prices in COMPATIBLE_LISTS.items():
            body = {"base_url": f"https://{name}.example.com/v1", "provider": prices}
            headers = {"if-none-match": "*"}
            (await api.put(name, json=body, headers=headers)).raise_for_status()


async def tagged_key(stack: Stack) -> str:
    """A key whose callers may set the tag `call`."""
    body = {"org": "demo", "agent": "assistant", "name": "law", "policy": {"tags": ["call"]}}
    async with httpx.AsyncClient(base_url=stack.address) as api:
        answer = (await api.post("/api/v1/keys", json=body)).raise_for_status()
    return str(answer.json()["data"]["secret"])


def rows_and_total(stack: Stack, at_most: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every row of the API's call list, and its total for the same filter."""
    rows: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"since": "2026-01-01T00:00:00Z", "limit": 500}
    with httpx.Client(base_url=f"{stack.address}/api/v1", timeout=60) as api:
        while True:
            page = api.get("/usage/calls", params=asked).raise_for_status().json()
            rows += page["data"]
            if page["next"] is None:
                break
            assert len(rows) <= at_most + 500
            asked["after"] = page["next"]
        summary = api.get("/usage/summary", params={"since": asked["since"]})
    return rows, summary.raise_for_status().json()["total"]


def _billed(simulator: Simulator) -> dict[int, int]:
    """Nano-USD that the provider billed, by call."""
    billed: dict[int, int] = defaultdict(int)
    after = 0
    with httpx.Client(base_url=simulator.address, timeout=60) as provider:
        while True:
            asked = {"after": after}
            rows = provider.get("/simulated/ledger", params=asked).raise_for_status().json()["rows"]
            if not rows:
                return billed
            for row in rows:
                billed[int(row["tag"])] += row["billed_nanos"]
            after = rows[-1]["seq"]
