"""Two proxies publish, the process that delivers is killed: no call is lost or counted twice."""

import asyncio
import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.laws.stack_engines import StackEngines
from tests.laws.test_accounting import law_settings, rows_and_total, start_stack, tagged_key
from tests.laws.traffic import Traffic, plan
from tests.local_stack.process import ServerProcess, Simulator

CALLS = 3_000
KILLS = 3
SEED = 20261124
AT_ONCE = 8


@pytest.mark.slow
async def test_events_rollups_and_the_view_agree_over_two_proxies_and_killed_consumers(
    tmp_path: Path, simulator: Simulator, stack_engines: StackEngines
) -> None:
    """One proxy shares its process with all consumers, and is killed with them; one lives on."""
    data, draw = tmp_path / "data", random.Random(SEED)
    count = stack_engines.calls(CALLS)
    calls = plan(count, SEED)
    settings = {**stack_engines.settings, **law_settings(simulator)}
    start = partial(start_stack, data, settings)
    stack = await asyncio.to_thread(start)
    port = int(stack.address.rpartition(":")[2])
    key = await tagged_key(stack)
    with ServerProcess(
        "tests.laws.second_proxy",
        log=tmp_path / "second.log",
        env={**settings, "DATA_DIR": str(data)},
    ) as second:
        there, here = (Traffic(each.address, key, AT_ONCE) for each in (second, stack))
        making = asyncio.gather(there.run(calls[::2]), here.run(calls[1::2]))
        moments = sorted(draw.sample(range(count // 20, count // 3), KILLS))
        for moment in moments:
            while len(here.done.answered) < moment:
                await asyncio.wait({making}, timeout=0.01)
            here.pause()
            await asyncio.to_thread(stack.stop, signal.SIGKILL)
            stack = await asyncio.to_thread(start, port)
            here.resume()
        await making
        second.stop()
    stack.stop()
    events = await stack_engines.published(data, start)
    rows, total, groups = await asyncio.to_thread(_figures, start, count)

    numbers = {int(event["tags"]["call"]) for event in events.values()}
    # A killed proxy takes along the events of calls that it was just ending, and no others.
    assert there.done.answered <= numbers
    assert len(here.done.answered - numbers) <= KILLS * AT_ONCE
    assert {row["id"]: row["cost_nanos"] for row in rows} == {
        id_: event["cost_nanos"] for id_, event in events.items()
    }
    assert (total["calls"], total["cost_nanos"]) == (
        len(events),
        sum(event["priced_nanos"] for event in events.values()),
    )
    assert groups == _groups(events)


def _groups(events: dict[str, dict[str, Any]]) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    """Calls, nanos and output tokens by agent, model and provider."""
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for event in events.values():
        model = event["model_asked"] if event["model_billed"] is None else event["model_billed"]
        group = sums.setdefault((event["agent"], model, event["provider"]), Counter())
        output_tokens = event["units"].get("output_tokens", 0)
        group.update(calls=1, nanos=event["priced_nanos"], tokens=output_tokens)
    return {key: (s["calls"], s["nanos"], s["tokens"]) for key, s in sums.items()}


def _figures(start: Any, count: int) -> tuple[list[dict[str, Any]], dict[str, Any], Any]:
    """Rows, total and groups, as the API tells them."""
    with start() as stack:
        rows, total = rows_and_total(stack, count)
        with httpx.Client(base_url=f"{stack.address}/api/v1", timeout=60) as api:
            asked = {"since": "2026-01-01T00:00:00Z", "group": "agent,model,provider"}
            answer = api.get("/usage/summary", params=asked).raise_for_status().json()
            assert answer["next"] is None
        stack.stop()
    assert [source["name"] for source in answer["sources"]] == ["state", "warehouse"]
    groups = {
        tuple(row["group"].values()): (
            row["calls"],
            row["cost_nanos"] or 0,
            row["tokens"]["output_tokens"],
        )
        for row in answer["data"]
    }
    return rows, total, groups
