"""Bodies that are too large, or do not come."""

import asyncio
import json

from common.gateway.gateway import Limits
from tests.streams.conftest import MakeClient
from tests.streams.fakes import DONE, KeepingBus, ScriptedReply, ScriptedUpstream

SMALL = Limits(body_bytes=1024 * 1024, body_s=0.03)
MIB = 1024 * 1024


async def test_a_body_declared_too_large_is_not_read(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    body = [b"x"]

    exchange = await make_client(SMALL).call(body=body, headers={"content-length": str(MIB + 1)})

    assert (exchange.status, exchange.sent, upstream.requests) == (413, 0, [])
    assert "1 MiB" in json.loads(exchange.content)["error"]["message"]
    assert (bus.only.error_code, bus.only.status) == ("body_too_large", 413)


async def test_a_body_that_becomes_too_large_is_not_read_further(
    make_client: MakeClient, upstream: ScriptedUpstream
) -> None:
    exchange = await make_client(SMALL).call(body=[b"x" * MIB, b"x", b"x"])

    assert (exchange.status, exchange.sent, upstream.requests) == (413, 2, [])


async def test_a_body_of_the_largest_size_is_forwarded(
    make_client: MakeClient, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([DONE])

    exchange = await make_client(SMALL).call(body=[b"x" * MIB])

    assert (exchange.status, len(upstream.requests[0].body)) == (200, MIB)


async def test_a_body_that_stalls_is_400(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    exchange = await make_client(SMALL).call(body=[b"{", asyncio.Event(), b"}"])

    assert (exchange.status, upstream.requests) == (400, [])
    assert json.loads(exchange.content)["error"]["code"] == "incomplete_request"
    assert (bus.only.client_gone, bus.only.outcome) == (False, "client_error")


async def test_a_body_that_is_no_json_is_forwarded_as_it_came(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    error = b'{"error":{"message":"We could not parse the JSON body of your request."}}'
    upstream.reply = ScriptedReply([error], status=400)

    exchange = await make_client().call(body=b"\xff{not json")

    assert (upstream.requests[0].body, exchange.content) == (b"\xff{not json", error)
    assert bus.only.model_asked is None
