"""What is free passes at once; long vectors pass too, and their usage is read at their end."""

import asyncio
import tracemalloc

import pytest

from common.core.ports import Documents
from common.core.secrets import Secret
from common.gateway.keys import KeyPolicy
from common.gateway.upstream import UpstreamDisconnected
from tests.gateway.making import a_key, key_text, store
from tests.streams.conftest import MakeClient
from tests.streams.fakes import (
    JSON,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
)

MIB = 1024 * 1024
BINARY = [(b"content-type", b"application/octet-stream")]
FORM = {"content-type": "multipart/form-data; boundary=x"}
USAGE = b']}],"model":"text-embedding-3-small","usage":{"prompt_tokens":50,"total_tokens":50}}'
NANOS = 50 * 20
"""text-embedding-3-small, $0.02 per million tokens."""


async def test_a_file_begins_before_it_is_whole(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    received = asyncio.Event()
    length = (b"content-length", b"6")
    upstream.reply = ScriptedReply([b"\x00\xff", received, b"data"], headers=[*BINARY, length])

    exchange, task = client.start("/v1/files/file-1/content", b"", method="GET")
    await exchange.until_received(b"\x00\xff")
    received.set()
    await task

    assert (exchange.content, exchange.complete) == (b"\x00\xffdata", True)
    assert exchange.headers["content-length"] == "6"
    assert exchange.headers["content-type"] == "application/octet-stream"
    assert exchange.headers["x-gateway-cost-usd"] == "0.000000000"
    assert (bus.only.endpoint, bus.only.cost_nanos) == ("files.content", 0)
    assert (bus.only.cost_source, bus.only.response_bytes) == ("free", 6)


async def test_a_file_is_not_kept(client: Client, upstream: ScriptedUpstream) -> None:
    chunk = b"x" * MIB
    upstream.reply = ScriptedReply([chunk] * 64, headers=BINARY)

    tracemalloc.start()
    exchange = await client.call("/v1/files/file-1/content", b"", method="GET")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(exchange.messages) == 66
    assert peak_bytes < MIB


async def test_a_file_that_breaks_off_is_not_ended(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b"half", UpstreamDisconnected("cut")], headers=BINARY)

    exchange = await client.call("/v1/files/file-1/content", b"", method="GET")

    assert (exchange.content, exchange.complete) == (b"half", False)
    assert bus.only.error_code == "upstream_disconnected"


async def test_an_empty_reply_passes(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply([], status=200, headers=JSON)

    exchange = await client.call("/v1/files/file-1", b"", method="DELETE")

    assert (exchange.status, exchange.content, exchange.complete) == (200, b"", True)


async def test_an_upload_reaches_the_provider_byte_for_byte(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x00\xff\r\n--x--\r\n'
    upstream.reply = ScriptedReply([b"{}"], headers=JSON)

    await client.call("/v1/files", [body[:20], body[20:]], headers=FORM)

    [request] = upstream.requests
    assert (request.method, request.body) == ("POST", body)
    assert (b"content-type", FORM["content-type"].encode()) in request.headers
    assert (bus.only.request_bytes, bus.only.cost_source) == (len(body), "free")


async def test_the_installation_s_key_is_masked_in_an_error_of_a_free_call(
    make_client: MakeClient, upstream: ScriptedUpstream
) -> None:
    client = make_client(managed_keys={"openai": Secret("sk-of-the-installation")})
    error = [b'{"error":"bad key sk-of-the-inst', b'allation"}']
    upstream.reply = ScriptedReply(error, status=401, headers=JSON)

    exchange = await client.call("/v1/files", b"", method="GET", headers={"authorization": ""})

    assert exchange.content == b'{"error":"bad key ***"}'


@pytest.mark.parametrize("mebibytes", [0, 2, 20])
@pytest.mark.parametrize("chunk_bytes", [7_000, 70_000])
async def test_vectors_of_any_length_are_priced_by_the_usage_behind_them(
    *,
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    mebibytes: int,
    chunk_bytes: int,
) -> None:
    vector = b"0.5" + b",0.25" * (mebibytes * MIB // 5)
    reply = b'{"object":"list","data":[{"embedding":[' + vector + USAGE
    chunks = [reply[at : at + chunk_bytes] for at in range(0, len(reply), chunk_bytes)]
    upstream.reply = ScriptedReply(chunks, headers=JSON)

    exchange = await client.call("/v1/embeddings", b'{"model":"text-embedding-3-small"}')

    assert exchange.content == reply
    assert (bus.only.cost_nanos, bus.only.cost_source) == (NANOS, "provider")
    assert (bus.only.model_billed, bus.only.units) == (
        "text-embedding-3-small",
        {"input_tokens": 50},
    )


async def test_vectors_are_priced_alike_wherever_the_reply_is_split(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    reply = b'{"object":"list","data":[{"embedding":[0.5' + USAGE
    differing = []

    for at in range(len(reply) + 1):
        upstream.reply = ScriptedReply([reply[:at], reply[at:]], headers=JSON)
        exchange = await client.call("/v1/embeddings", b'{"model":"text-embedding-3-small"}')
        told = (exchange.content, bus.only.cost_nanos, bus.only.cost_source)
        bus.events.clear()
        differing += [at] if told != (reply, NANOS, "provider") else []

    assert differing == []


async def test_a_usage_in_many_pieces_behind_long_vectors_is_read(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    vectors = b'{"object":"list","data":[{"embedding":[0.5' + b",0.25" * MIB
    pieces = [USAGE[at : at + 7] for at in range(0, len(USAGE), 7)]
    upstream.reply = ScriptedReply([vectors, *pieces], headers=JSON)

    exchange = await client.call("/v1/embeddings", b'{"model":"text-embedding-3-small"}')

    assert exchange.content == vectors + USAGE
    assert (bus.only.cost_nanos, bus.only.cost_source) == (NANOS, "provider")


async def test_long_vectors_are_not_kept(client: Client, upstream: ScriptedUpstream) -> None:
    chunk = b"0.25," * 13_000
    start = b'{"object":"list","data":[{"embedding":['
    upstream.reply = ScriptedReply([start, *[chunk] * 500, b"1" + USAGE], headers=JSON)

    tracemalloc.start()
    await client.call("/v1/embeddings", b'{"model":"text-embedding-3-small"}')
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # The client of this test keeps the first MiB that the gateway held; the rest are one object.
    assert peak_bytes < 4 * MIB


async def test_vectors_that_break_off_are_estimated_by_their_request(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    body = b'{"model":"text-embedding-3-small","input":"a"}'
    upstream.reply = ScriptedReply([b'{"data":[', UpstreamDisconnected("cut")], headers=JSON)

    await client.call("/v1/embeddings", body)

    assert (bus.only.cost_nanos, bus.only.cost_source) == ((len(body) + 64) * 20, "estimated")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/batches", b'{"input_file_id":"file-1"}'),
        ("/v1/messages/batches", b'{"requests":[{"custom_id":"a","params":{}}]}'),
    ],
)
async def test_a_batch_has_no_cost_and_says_why(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, path: str, body: bytes
) -> None:
    upstream.reply = ScriptedReply([b'{"id":"batch_1"}'], headers=JSON)

    exchange = await client.call(path, body)

    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "asynchronous")
    assert (bus.only.outcome, bus.only.endpoint) == ("ok", "batches")
    assert "x-gateway-cost-usd" not in exchange.headers


async def test_a_batch_that_the_provider_refuses_is_free(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b"{}"], status=400, headers=JSON)

    await client.call("/v1/batches", b"{}")

    assert (bus.only.cost_nanos, bus.only.cost_source) == (0, "free")


async def test_a_key_bound_to_models_carries_no_batch(
    client: Client, documents: Documents, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    """The models of a batch stand in a file that the gateway does not see."""
    text = key_text("bound")
    policy = KeyPolicy(models=("gpt-4o-mini*",))
    await store(documents, a_key(text, policy=policy))

    exchange = await client.call("/v1/batches", b"{}", headers={"x-gateway-key": text})

    assert (exchange.status, upstream.requests) == (403, [])
    assert bus.only.error_code == "model_not_allowed"
