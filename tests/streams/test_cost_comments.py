"""A client may ask for a stream's cost at its end: a comment, which is no event."""

import pytest

from common.gateway.upstream import UpstreamDisconnected
from tests.streams.fakes import (
    ANTHROPIC_REQUEST,
    ANTHROPIC_START,
    ANTHROPIC_STREAM,
    ASKING,
    DONE,
    JSON,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    ScriptedReply,
    ScriptedUpstream,
)

WANTED = {"x-gateway-cost-event": "true"}
COMMENT = b"\n: cost_usd=0.000027000\n\n"
ANTHROPIC_COMMENT = b"\n: cost_usd=0.000600000\n\n"
GEMINI = b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'
GEMINI_PATH = "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent"


async def test_follows_a_stream_that_passes(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply(OPENAI_STREAM)
    openai = await client.call(body=ASKING, headers=WANTED)
    upstream.reply = ScriptedReply(ANTHROPIC_STREAM)
    anthropic = await client.call("/v1/messages", ANTHROPIC_REQUEST, headers=WANTED)

    assert openai.content == b"".join(OPENAI_STREAM) + COMMENT
    assert anthropic.content == b"".join(ANTHROPIC_STREAM) + ANTHROPIC_COMMENT
    assert openai.complete


async def test_follows_a_stream_whose_usage_is_taken_out(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply(OPENAI_STREAM)

    exchange = await client.call(body=b'{"model":"gpt-4o-mini","stream":true}', headers=WANTED)

    assert exchange.content == b"".join(OPENAI_STREAM[:3]) + DONE + COMMENT


async def test_is_a_line_of_its_own_behind_a_line_without_an_end(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM[:-1], b"data: [DONE]"])

    exchange = await client.call(body=ASKING, headers=WANTED)

    assert exchange.content.endswith(b"data: [DONE]" + COMMENT)


@pytest.mark.parametrize("wanted", ["", "false", "1"])
async def test_is_not_there_unless_it_is_asked_for(
    client: Client, upstream: ScriptedUpstream, wanted: str
) -> None:
    upstream.reply = ScriptedReply(OPENAI_STREAM)

    exchange = await client.call(body=ASKING, headers={"x-gateway-cost-event": wanted})

    assert exchange.content == b"".join(OPENAI_STREAM)


async def test_is_not_there_where_the_cost_is_unknown(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([DONE])

    exchange = await client.call(body=b'{"model":"nobodys","stream":true}', headers=WANTED)

    assert exchange.content == DONE


async def test_is_not_there_where_the_stream_was_cut(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([ANTHROPIC_START, UpstreamDisconnected("reset")])

    exchange = await client.call("/v1/messages", ANTHROPIC_REQUEST, headers=WANTED)

    assert b"cost_usd" not in exchange.content


@pytest.mark.parametrize("query", [b"alt=sse", b""])
async def test_is_never_there_for_gemini(
    client: Client, upstream: ScriptedUpstream, query: bytes
) -> None:
    upstream.reply = ScriptedReply([GEMINI])

    exchange = await client.call(
        GEMINI_PATH, b"{}", query=query, headers={**WANTED, "x-goog-api-key": "of-the-caller"}
    )

    assert exchange.content == GEMINI


async def test_is_never_there_in_a_json_reply(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=list(JSON))

    exchange = await client.call(body=b'{"model":"gpt-4o-mini"}', headers=WANTED)

    assert exchange.content == OPENAI_REPLY


async def test_is_asked_for_by_a_header_no_provider_sees(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply(OPENAI_STREAM)

    await client.call(body=ASKING, headers=WANTED)

    names = {name.lower() for name, _ in upstream.requests[0].headers}
    assert b"x-gateway-cost-event" not in names
