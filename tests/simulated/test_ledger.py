"""The ledger bills what was reported, at genai-prices' prices, once and for good."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from genai_prices import Usage, calc_price

from common.core.money import nanos_from_usd
from scripts.simulated.ledger import Entry, Ledger
from scripts.simulated.server import create_app
from tests.simulated.conftest import (
    ANTHROPIC,
    OPENAI,
    Caller,
    Served,
    chat,
    message,
    words,
)


def price(provider: str, model: str, at: str, context: dict[str, str], **usage: int) -> int:
    """Nanos for a usage written down by hand, not extracted."""
    known = {name: count for name, count in usage.items() if count}
    calculated = calc_price(
        Usage(**known),
        model,
        provider_id=provider,
        genai_request_timestamp=datetime.fromisoformat(at),
        price_context=context,
    )
    return nanos_from_usd(calculated.total_price)


@pytest.mark.parametrize("tier", ["default", "flex", "priority"])
def test_bills_openai_usage_at_the_tier_of_the_reply(caller: Caller, tier: str) -> None:
    reply = caller.openai(chat(model="gpt-5", service_tier=tier)).json()

    row, usage = caller.row(), reply["usage"]
    assert row["usage"] == usage
    assert row["reply_id"] == reply["id"]
    assert row["billed_nanos"] == price(
        "openai",
        reply["model"],
        row["received_at"],
        {"service_tier": tier},
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
    )


def test_bills_different_tiers_differently(caller: Caller) -> None:
    for tier in ("flex", "default", "priority"):
        caller.openai(
            chat(model="gpt-5", service_tier=tier), output_tokens="100", input_tokens="1000"
        )

    flex, default, priority = (row["billed_nanos"] for row in caller.rows())
    assert flex < default < priority


def test_bills_the_request_id_of_the_header(caller: Caller) -> None:
    answer = caller.openai()

    assert caller.row()["request_id"] == answer.headers["x-request-id"]


def test_bills_openai_cache_reads(caller: Caller) -> None:
    body = chat(messages=[{"role": "user", "content": words(caller.tag, 2000)}])

    first, second = (caller.openai(body).json()["usage"] for _ in range(2))

    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    cached = second["prompt_tokens_details"]["cached_tokens"]
    assert cached == 1920
    assert "cache_write_tokens" not in second["prompt_tokens_details"]
    row = caller.rows()[1]
    assert row["billed_nanos"] == price(
        "openai",
        "gpt-4o-mini",
        row["received_at"],
        {},
        input_tokens=second["prompt_tokens"],
        cache_read_tokens=cached,
        output_tokens=second["completion_tokens"],
    )


def test_bills_openai_cache_writes_where_the_model_has_a_price_for_them(caller: Caller) -> None:
    text = words(caller.tag, 2000)
    usages = [
        caller.openai(
            chat(model="gpt-5.6-sol", messages=[{"role": "user", "content": text + more}])
        ).json()["usage"]["prompt_tokens_details"]
        for more in ("", words(caller.tag[::-1], 300))
    ]

    assert [(usage["cached_tokens"], usage["cache_write_tokens"]) for usage in usages] == [
        (0, 1920),
        (1920, 384),
    ]


def test_caches_no_short_prompt(caller: Caller) -> None:
    body = chat(messages=[{"role": "user", "content": words(caller.tag, 900)}])

    cached = [
        caller.openai(body).json()["usage"]["prompt_tokens_details"]["cached_tokens"]
        for _ in range(2)
    ]

    assert cached == [0, 0]


def marked(text: str, ttl: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def test_writes_then_reads_anthropic_caches_by_time_to_live(caller: Caller) -> None:
    body = message(
        system=[marked(words(caller.tag, 1500), "1h")],
        messages=[
            {"role": "user", "content": [marked(words(caller.tag, 500), "5m")]},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "And?"},
        ],
    )

    first, second = (caller.anthropic(body).json()["usage"] for _ in range(2))

    split = first["cache_creation"]
    assert split["ephemeral_1h_input_tokens"] > 1400
    assert split["ephemeral_5m_input_tokens"] > 400
    assert first["cache_creation_input_tokens"] == sum(split.values())
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert second["cache_creation_input_tokens"] == 0
    assert first["input_tokens"] == second["input_tokens"] < 20


def test_bills_anthropic_caches_by_time_to_live(caller: Caller) -> None:
    usage = caller.anthropic(
        message(
            system=[marked(words(caller.tag, 1500), "1h")],
            messages=[{"role": "user", "content": [marked(words(caller.tag, 500), "5m")]}],
        )
    ).json()["usage"]

    row = caller.row()
    split = usage["cache_creation"]
    assert row["billed_nanos"] == price(
        "anthropic",
        "claude-sonnet-4-5",
        row["received_at"],
        {},
        input_tokens=usage["input_tokens"] + usage["cache_creation_input_tokens"],
        cache_write_tokens=usage["cache_creation_input_tokens"],
        cache_write_5m_tokens=split["ephemeral_5m_input_tokens"],
        cache_write_1h_tokens=split["ephemeral_1h_input_tokens"],
        output_tokens=usage["output_tokens"],
    )


def test_reads_a_marked_prefix_and_writes_what_was_added(caller: Caller) -> None:
    system = words(caller.tag, 1500)
    told = [
        caller.anthropic(message(system=[marked(system, "5m")])).json()["usage"],
        caller.anthropic(message(system=system, cache_control={"type": "ephemeral"})).json()[
            "usage"
        ],
    ]

    assert told[1]["cache_read_input_tokens"] == told[0]["cache_creation_input_tokens"]
    assert 0 < told[1]["cache_creation_input_tokens"] < 20


def test_bills_fast_mode(caller: Caller) -> None:
    for speed in ("standard", "fast"):
        caller.anthropic(
            message(model="claude-opus-4-8", speed=speed), input_tokens="100", output_tokens="100"
        )

    standard, fast = (row["billed_nanos"] for row in caller.rows())
    assert fast > standard


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_bills_a_stream_as_it_reported(caller: Caller, vendor: str) -> None:
    if vendor == "openai":
        body = chat(stream=True, stream_options={"include_usage": True})
        text = caller.openai(body).text
        told = orjson.loads(text.split("\n\n")[-3].removeprefix("data: "))["usage"]
    else:
        events = caller.anthropic(message(stream=True)).text.split("\n\n")
        read = [orjson.loads(event.split("data: ")[1]) for event in events if "data: " in event]
        told = read[0]["message"]["usage"] | read[-2]["usage"]

    row = caller.row()
    assert row["usage"] == told
    assert (row["usage_delivered"], row["ending"]) == (True, "complete")


def test_says_when_a_complete_stream_told_no_usage(caller: Caller) -> None:
    caller.openai(chat(stream=True))

    assert caller.row()["usage_delivered"] is False


def test_sums_what_it_lists(served_app: Callable[[Any], Served]) -> None:
    served = served_app(create_app())
    for _ in range(3):
        httpx.post(f"{served.url}/openai/v1/chat/completions", json=chat(), headers=OPENAI)
        httpx.post(f"{served.url}/anthropic/v1/messages", json=message(), headers=ANTHROPIC)

    whole = httpx.get(f"{served.url}/simulated/ledger").json()
    rest = httpx.get(f"{served.url}/simulated/ledger?after={whole['rows'][3]['seq']}").json()

    assert whole["count"] == len(whole["rows"]) == 6
    assert whole["total_nanos"] == sum(row["billed_nanos"] for row in whole["rows"]) > 0
    assert [row["seq"] for row in rest["rows"]] == [row["seq"] for row in whole["rows"][4:]]


def test_prices_at_the_time_of_the_request(served_app: Callable[[Any], Served]) -> None:
    # OpenAI lowered the prices of o3 by 80 % on 2025-06-10 (its pricing announcement of that day).
    before = datetime(2025, 6, 1, tzinfo=UTC)
    after = datetime(2025, 7, 1, tzinfo=UTC)
    billed = []
    for now in (before, after):
        served = served_app(create_app(now=lambda now=now: now))  # type: ignore[misc]  # the default binds now
        httpx.post(
            f"{served.url}/openai/v1/chat/completions",
            json=chat(model="o3"),
            headers={**OPENAI, "x-simulated-input-tokens": "1000"},
        )
        rows = httpx.get(f"{served.url}/simulated/ledger").json()["rows"]
        billed.append((rows[0]["received_at"], rows[0]["billed_nanos"]))

    assert [at for at, _ in billed] == [before.isoformat(), after.isoformat()]
    assert billed[0][1] == 5 * billed[1][1]


def test_keeps_rows_in_the_file(served_app: Callable[[Any], Served], tmp_path: Path) -> None:
    file = str(tmp_path / "ledger.db")
    first = served_app(create_app(ledger_file=file))
    httpx.post(f"{first.url}/openai/v1/chat/completions", json=chat(), headers=OPENAI)
    before = httpx.get(f"{first.url}/simulated/ledger").json()

    second = served_app(create_app(ledger_file=file))

    assert httpx.get(f"{second.url}/simulated/ledger").json() == before


async def test_writes_what_is_left_when_it_closes(tmp_path: Path) -> None:
    file = str(tmp_path / "ledger.db")
    ledger = Ledger(file)
    ledger.add(entry(model="gpt-4o"))

    ledger.close()

    with sqlite3.connect(file) as store:
        assert store.execute("SELECT count(*) FROM ledger").fetchone() == (1,)
    store.close()


async def test_says_why_a_row_has_no_price() -> None:
    ledger = Ledger()
    ledger.add(entry(model="no-such-model"))

    (row,) = await ledger.rows()

    assert row["billed_nanos"] is None
    assert "no-such-model" in row["unpriced_reason"]
    ledger.close()


def entry(model: str) -> Entry:
    return Entry(
        request_id="req_sim_1",
        reply_id="chatcmpl-sim-1",
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        protocol="openai",
        model=model,
        price_context={},
        usage={"prompt_tokens": 10, "completion_tokens": 5},
        usage_delivered=True,
        streamed=False,
        ending="complete",
        tag=None,
    )
