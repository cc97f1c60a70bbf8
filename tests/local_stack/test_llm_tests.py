"""A test call in `scripts/dev`, where nothing has to be set for it."""

import time
from pathlib import Path
from typing import Any

import httpx

from tests.local_stack.process import Stack

COUNTED_S = 30.0


def test_sends_a_call_that_is_counted_and_costs_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", env={"OPENAI_API_KEY": "sk-real"}) as stack:
        answer = httpx.post(
            f"{stack.address}/api/test-llm", json={"prompt": "Hello", "model": "gpt-5-mini"}
        )
        told = answer.raise_for_status().json()
        total = _counted(stack)

    assert told["response"].startswith("[simulated]")
    assert (told["requested_model"], told["mode"], told["edits"]) == ("gpt-5-mini", "normal", [])
    assert told["simulated"] is True
    assert float(told["cost_usd"]) > 0
    assert (total["simulated_calls"], total["cost_nanos"]) == (1, 0)
    assert [each for each in stack.errors.splitlines() if '"severity": "INFO"' not in each] == []


def _counted(stack: Stack) -> dict[str, Any]:
    """The sums of all calls, once there is one."""
    ends_at = time.monotonic() + COUNTED_S
    while True:
        answer = httpx.get(f"{stack.address}/api/v1/usage/summary")
        total: dict[str, Any] = answer.raise_for_status().json()["total"]
        if total["calls"] or time.monotonic() > ends_at:
            return total
