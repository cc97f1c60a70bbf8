"""The commands of the schedules on a whole stack: insights, and bills held against its calls."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from common.core.events import Event, UsageEvent
from common.core.insight_events import RunInsights
from common.core.reconciliation_events import ReconcileSpend
from scripts.simulated.ledger import Entry, Ledger, price_nanos
from tests.api.conftest import a_call
from tests.chosen_engines import chosen
from tests.local_stack.process import ROOT, Stack

TAKEN_S = 40.0
DOLLAR = 10**9
NOW = datetime.now(UTC)
MODEL = "gpt-4o"
USAGE = {"prompt_tokens": 900_000, "completion_tokens": 100_000, "total_tokens": 1_000_000}
BILLED_AT = NOW - timedelta(days=2)


def test_finds_insights_in_the_ledger(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        calls = [
            _spent(1, NOW - timedelta(days=4), DOLLAR),
            _spent(2, NOW - timedelta(hours=30), 20 * DOLLAR, outcome="upstream_error"),
            _spent(3, NOW - timedelta(hours=20), 100 * DOLLAR),
        ]
        _publish(tmp_path / "data", calls)
        _until(
            lambda: (
                _get(stack, "usage/calls?since=2026-01-01T00:00:00Z")["total"]["calls"]
                == len(calls)
            )
        )
        _publish(tmp_path / "data", [_command("insights.hourly"), _command("insights.daily")])
        found = _until(lambda: _of_kinds(stack, {"spike", "failed"}))

    assert found["spike"]["scope"] == "agent:acme/crawler"
    assert found["spike"]["over"]
    assert found["failed"]["evidence"]["nanos"] == 20 * DOLLAR
    assert '"severity": "ERROR"' not in stack.errors
    assert '"severity": "WARNING"' not in stack.errors


def test_holds_the_simulated_bill_against_the_calls(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    billed = asyncio.run(_bill(data))
    with Stack(data) as stack:
        _publish(data, [_simulated(stack, billed)])
        _until(lambda: _get(stack, "usage/calls?since=2026-01-01T00:00:00Z")["total"]["calls"] == 1)
        _publish(data, [ReconcileSpend(id="r", event_time=NOW)])
        answer = _until(lambda: _all_days(stack))
        [day] = [each for each in answer["data"] if each["calls"]]
        whole = _get(stack, f"reconciliations/{day['id']}")["data"]

    assert (day["standing"], day["day"]) == ("agrees", f"{BILLED_AT:%Y-%m-%d}")
    assert (day["provider"], day["account"]) == ("openai", "simulated")
    assert day["ours_usd"] == day["theirs_usd"] == f"{billed / DOLLAR:.9f}"
    assert day["withheld"] == "simulated calls cost no budget money"
    assert [each["ours"] == each["theirs"] for each in whole["models"]] == [True]
    assert {(each["account"], each["standing"]) for each in answer["total"]["sources"]} == {
        ("simulated", "answers")
    }
    assert '"severity": "ERROR"' not in stack.errors


def _spent(number: int, at: datetime, nanos: int, **more: Any) -> UsageEvent:
    """A call that ended then, in an organisation that costs real money."""
    given: dict[str, Any] = {"event_time": at, "started_at": at, "cost_nanos": nanos}
    return a_call(number, **given, priced_nanos=nanos, **more)


def _simulated(stack: Stack, nanos: int) -> UsageEvent:
    units = {"input_tokens": USAGE["prompt_tokens"], "output_tokens": USAGE["completion_tokens"]}
    return _spent(
        9,
        BILLED_AT,
        nanos,
        simulated=True,
        upstream=urlsplit(stack.address).netloc,
        credential="main",
        provider_key_hash="ffffffffffff",
        units=units,
        card=f"openai/{MODEL}",
        model_billed=MODEL,
    )


async def _bill(data: Path) -> int:
    """Let the simulated provider remember a call of two days ago; what it bills for it."""
    ledger = Ledger(str(data / "simulated-ledger.sqlite"))
    charged = Entry(
        "req_1", "r_1", BILLED_AT, "openai", MODEL, {}, USAGE, True, False, "complete", None
    )
    ledger.add(charged)
    ledger.close()
    return price_nanos("openai", MODEL, USAGE, {}, BILLED_AT)


def _command(type_: Any) -> Event:
    return RunInsights(id=type_, type=type_, event_time=NOW)


def _publish(data: Path, events: Iterable[Event]) -> None:
    """Publish on the stack's bus from another process."""
    lines = b"\n".join(event.payload() for event in events)
    subprocess.run(
        [sys.executable, "-P", "-m", "scripts.commands.replay_events", "--data", str(data), "-"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **chosen(data)},
        input=lines,
        check=True,
        capture_output=True,
    )


def _get(stack: Stack, path: str) -> dict[str, Any]:
    answer = httpx.get(f"{stack.address}/api/v1/{path}")
    return dict(answer.raise_for_status().json())


def _of_kinds(stack: Stack, kinds: set[str]) -> dict[str, Any]:
    found = {each["kind"]: each for each in _get(stack, "insights?limit=500")["data"]}
    return found if kinds <= found.keys() else {}


def _all_days(stack: Stack) -> dict[str, Any]:
    """All that a run records: three days of two providers, whose standing is noted last."""
    answer = _get(stack, "reconciliations")
    is_whole = len(answer["data"]) == 6 and len(answer["total"]["sources"]) == 2
    return answer if is_whole else {}


def _until(ask: Callable[[], Any]) -> Any:
    """What is true at last."""
    ends_at = time.monotonic() + TAKEN_S
    while not (answer := ask()):
        assert time.monotonic() < ends_at
    return answer
