"""Gemini's interactions through the gateway: streams, what costs later, and what costs nothing."""

import json
from typing import Any

import pytest

from common.core.secrets import Secret
from common.gateway.upstream import UpstreamDisconnected
from tests.gateway.making import key_text
from tests.streams.conftest import MakeClient
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream
from tests.streams.hard_budgets import Make, budget

__all__ = ["budget"]

PATH = "/gemini/v1beta/interactions"
ASKED = b'{"model":"gemini-2.5-flash","input":"Hello","stream":true}'
PLAIN = b'{"model":"gemini-2.5-flash","input":"Hello"}'
BROKEN = UpstreamDisconnected("broke")
USAGE = {
    "total_tokens": 130,
    "total_input_tokens": 100,
    "total_output_tokens": 20,
    "total_thought_tokens": 10,
}
NANOS = 100 * 300 + 30 * 2_500
"""gemini-2.5-flash: $0.30 and $2.50 per million tokens, thoughts as output."""


def event(kind: str, **members: Any) -> bytes:
    data = json.dumps({**members, "event_type": kind}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def interaction(status: str, **members: Any) -> dict[str, Any]:
    return {"id": "v1_1", "status": status, "model": "gemini-2.5-flash", **members}


CREATED = event("interaction.created", interaction=interaction("in_progress"))
TEXT = event("step.delta", index=0, delta={"text": "Hel", "type": "text"})
COMPLETED = event("interaction.completed", interaction=interaction("completed", usage=USAGE))
END = b"event: done\ndata: [DONE]\n\n"


async def test_a_stream_passes_and_costs_what_its_last_event_tells(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT[:20], TEXT[20:], COMPLETED, END])

    exchange = await client.call(PATH, ASKED, headers={"x-gateway-cost": "comment"})

    assert exchange.content == CREATED + TEXT + COMPLETED + END
    assert upstream.requests[0].body == ASKED
    assert upstream.requests[0].url.endswith("googleapis.com/v1beta/interactions")
    assert (bus.only.cost_nanos, bus.only.cost_source) == (NANOS, "provider")
    assert (bus.only.endpoint, bus.only.outcome) == ("interactions", "ok")
    assert (bus.only.provider, bus.only.card) == ("google", "google/gemini-2.5-flash")
    assert bus.only.model_asked == "gemini-2.5-flash"


async def test_nothing_is_missed_behind_the_interaction_s_end(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT, COMPLETED, BROKEN])

    exchange = await client.call(PATH, ASKED)

    assert (exchange.content, exchange.complete) == (CREATED + TEXT + COMPLETED, True)
    assert (bus.only.outcome, bus.only.cost_nanos) == ("ok", NANOS)


async def test_a_stream_that_breaks_ends_in_an_event_of_its_own_kind(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([CREATED, TEXT, BROKEN])

    exchange = await client.call(PATH, ASKED)

    last = exchange.content.rstrip().split(b"\n\n")[-1]
    assert last.startswith(b"event: error\ndata: ")
    told = json.loads(last.partition(b"data: ")[2])
    assert (told["event_type"], told["error"]["code"]) == ("error", "upstream_disconnected")
    assert told["error"]["message"]
    assert (bus.only.outcome, bus.only.cost_source) == ("upstream_error", "estimated")
    # The request has 58 bytes: (58 + 64) x 300 + (3 + 1,024) x 2,500
    assert bus.only.cost_nanos == 122 * 300 + 1_027 * 2_500


async def test_an_error_of_the_provider_s_own_is_its_failure(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    last = event("error", error={"code": "internal", "message": "m"})
    upstream.reply = ScriptedReply([CREATED, TEXT, last])

    exchange = await client.call(PATH, ASKED)

    assert exchange.content == CREATED + TEXT + last
    assert (bus.only.outcome, bus.only.cost_source) == ("upstream_error", "estimated")


@pytest.mark.parametrize("path", [PATH, "/v1beta/interactions", "/v1/interactions"])
async def test_a_whole_reply_has_its_cost_in_a_header(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, path: str
) -> None:
    body = json.dumps(interaction("completed", usage=USAGE)).encode()
    upstream.reply = ScriptedReply([body], headers=list(JSON))

    exchange = await client.call(path, PLAIN)

    assert (exchange.content, exchange.headers["x-gateway-cost-usd"]) == (body, "0.000105000")
    assert bus.only.units == {
        "input_tokens": 100,
        "output_tokens": 30,
        "output_reasoning_tokens": 10,
    }


async def test_a_background_interaction_has_no_cost_and_says_why(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    body = json.dumps(interaction("in_progress")).encode()
    upstream.reply = ScriptedReply([body], headers=list(JSON))

    exchange = await client.call(PATH, PLAIN[:-1] + b',"background":true}')

    assert exchange.content == body
    assert "x-gateway-cost-usd" not in exchange.headers
    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "asynchronous")
    assert bus.only.outcome == "ok"


async def test_an_agent_has_no_cost_and_says_why(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    told = {"id": "v1_1", "status": "completed", "agent": "gemini-2.5-flash", "usage": USAGE}
    upstream.reply = ScriptedReply([json.dumps(told).encode()], headers=list(JSON))

    await client.call(PATH, b'{"agent":"gemini-2.5-flash","input":"Hello"}')

    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "unknown_model")
    assert bus.only.units["input_tokens"] == 100


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (PLAIN[:-1] + b',"background":true}', "ASYNC_NOT_BOUNDED"),
        (b'{"agent":"deep-research-preview-04-2026","input":"Hi"}', "UNPRICED_MODEL"),
        (PLAIN[:-1] + b',"tools":[{"type":"google_search"}]}', "UNBOUNDED_REQUEST"),
        (PLAIN[:-1] + b',"environment":"e"}', "UNBOUNDED_REQUEST"),
    ],
)
async def test_what_nothing_bounds_is_402_under_a_hard_budget(  # noqa: PLR0917 - one row of the table
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    budget: Make,
    body: bytes,
    code: str,
) -> None:
    await budget()

    exchange = await client.call(PATH, body)

    error = json.loads(exchange.content)["error"]
    assert (exchange.status, error["code"]) == (402, 402)
    assert error["details"][0]["reason"] == code
    assert ("which models an agent works with" in error["message"]) == (code == "UNPRICED_MODEL")
    assert "openai" not in error["message"]
    assert (upstream.requests, bus.only.cost_nanos) == ([], 0)


async def test_a_hard_budget_holds_the_bound_and_settles_the_cost(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, budget: Make
) -> None:
    await budget()
    body = json.dumps(interaction("completed", usage=USAGE)).encode()
    upstream.reply = ScriptedReply([body], headers=list(JSON))
    capped = PLAIN[:-1] + b',"generation_config":{"max_output_tokens":50}}'

    await client.call(PATH, capped)

    # The bytes of the request and 64 at $0.30, 50 at $2.50
    assert bus.only.hold_nanos == (len(capped) + 64) * 300 + 50 * 2_500
    assert [each.nanos for each in bus.only.settlements] == [NANOS]


async def test_a_cap_is_lowered_to_fit_a_budget(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, budget: Make
) -> None:
    # Room for 3,000 output tokens of the 65,536 that the model may make.
    await budget(limit=(len(PLAIN) + 200) * 300 + 3_000 * 2_500)
    upstream.reply = ScriptedReply(
        [json.dumps(interaction("completed", usage=USAGE)).encode()], headers=list(JSON)
    )

    exchange = await client.call(PATH, PLAIN)

    sent = json.loads(upstream.requests[0].body)
    cap = sent["generation_config"]["max_output_tokens"]
    assert 2_990 < cap < 3_020
    assert exchange.headers["x-gateway-fit"] == f"max_output_tokens={cap}"
    assert bus.only.hold_nanos <= (len(PLAIN) + 200) * 300 + 3_000 * 2_500


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", f"{PATH}/v1_1", b""),
        ("GET", f"{PATH}/v1_1", b"stream=true&last_event_id=e3"),
        ("DELETE", f"{PATH}/v1_1", b""),
        ("POST", f"{PATH}/v1_1/cancel", b""),
    ],
)
async def test_what_reads_kept_interactions_is_free(  # noqa: PLR0917 - one row of the table
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    budget: Make,
    method: str,
    path: str,
    query: bytes,
) -> None:
    await budget(limit=1)
    upstream.reply = ScriptedReply([CREATED, COMPLETED])

    exchange = await client.call(path, b"", method=method, query=query)

    asked = upstream.requests[0]
    suffix = f"?{query.decode()}" if query else ""
    assert exchange.content == CREATED + COMPLETED
    assert (asked.method, asked.url) == (
        method,
        f"https://generativelanguage.googleapis.com{path.removeprefix('/gemini')}{suffix}",
    )
    assert (bus.only.cost_nanos, bus.only.cost_source, bus.only.units) == (0, "free", {})


async def test_a_managed_key_goes_out_in_google_s_header(
    make_client: MakeClient, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([b"{}"], headers=list(JSON))
    client = make_client(managed_keys={"gemini": Secret("AIza-of-the-installation")})
    shown = {"x-gateway-key": "", "authorization": "", "x-goog-api-key": key_text()}

    await client.call(PATH, PLAIN, headers=shown)

    assert (b"x-goog-api-key", b"AIza-of-the-installation") in upstream.requests[0].headers
