"""Responses through the gateway: streams, what costs later, and what costs nothing."""

import json
from typing import Any

import pytest

from common.gateway.upstream import UpstreamDisconnected
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream

PATH = "/openai/v1/responses"
ASKED = b'{"model":"gpt-4o-mini","input":"Hello","stream":true}'
BROKEN = UpstreamDisconnected("broke")


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def response(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "gpt-4o-mini-2024-07-18", "status": status, **fields}


CREATED = event("response.created", response=response("in_progress", usage=None))
TEXT = event("response.output_text.delta", delta="Hel")
COMPLETED = event(
    "response.completed",
    response=response("completed", usage={"input_tokens": 100, "output_tokens": 20}),
)


async def test_a_stream_passes_and_costs_what_its_last_event_tells(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT, COMPLETED])

    exchange = await client.call(PATH, ASKED)

    assert exchange.content == CREATED + TEXT + COMPLETED
    assert upstream.requests[0].body == ASKED
    # gpt-4o-mini, $0.15 and $0.60: 100 x 150 + 20 x 600
    assert (bus.only.cost_nanos, bus.only.cost_source) == (27_000, "provider")
    assert (bus.only.endpoint, bus.only.outcome) == ("responses", "ok")


async def test_nothing_is_missed_behind_the_last_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT, COMPLETED, BROKEN])

    exchange = await client.call(PATH, ASKED)

    assert (exchange.content, exchange.complete) == (CREATED + TEXT + COMPLETED, True)
    assert bus.only.outcome == "ok"


async def test_a_stream_that_breaks_ends_in_an_error_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT, BROKEN])

    exchange = await client.call(PATH, ASKED)

    last = exchange.content.rstrip().split(b"\n\n")[-1]
    assert json.loads(last.partition(b"data: ")[2])["error"]["code"] == "upstream_disconnected"
    assert (bus.only.outcome, bus.only.cost_source) == ("upstream_error", "estimated")
    # The request has 53 bytes: (53 + 64) x 150 + (3 + 1,024) x 600
    assert bus.only.cost_nanos == 633_750


@pytest.mark.parametrize(
    "last",
    [
        event("error", code="server_error", message="m", param=None, sequence_number=2),
        event("response.failed", response=response("failed", usage=None)),
    ],
)
async def test_an_error_of_the_provider_s_own_is_its_failure(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, last: bytes
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT, last])

    exchange = await client.call(PATH, ASKED)

    assert exchange.content == CREATED + TEXT + last
    assert (bus.only.outcome, bus.only.cost_source) == ("upstream_error", "estimated")


async def test_a_background_response_has_no_cost_and_says_why(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    body = json.dumps(response("queued", background=True, usage=None)).encode()
    upstream.reply = ScriptedReply([body], headers=JSON)

    exchange = await client.call(PATH, b'{"model":"gpt-4o-mini","input":"a","background":true}')

    assert exchange.content == body
    assert "x-gateway-cost-usd" not in exchange.headers
    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "asynchronous")
    assert bus.only.outcome == "ok"


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", f"{PATH}/resp_1", b""),
        ("GET", f"{PATH}/resp_1", b"stream=true&starting_after=3"),
        ("DELETE", f"{PATH}/resp_1", b""),
        ("POST", f"{PATH}/resp_1/cancel", b""),
        ("GET", f"{PATH}/resp_1/input_items", b"limit=2"),
        ("POST", f"{PATH}/input_tokens", b""),
    ],
)
async def test_what_reads_stored_responses_is_free(  # noqa: PLR0917 - one row of the table
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    method: str,
    path: str,
    query: bytes,
) -> None:
    upstream.reply = ScriptedReply([CREATED, COMPLETED])

    exchange = await client.call(path, b"", method=method, query=query)

    asked = upstream.requests[0]
    suffix = f"?{query.decode()}" if query else ""
    assert exchange.content == CREATED + COMPLETED
    assert (asked.method, asked.url) == (
        method,
        f"https://api.openai.com{path.removeprefix('/openai')}{suffix}",
    )
    assert (bus.only.cost_nanos, bus.only.cost_source, bus.only.units) == (0, "free", {})
