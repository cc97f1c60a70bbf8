"""Whatever a prefix names, the vendor gets the caller's bytes and the caller the vendor's."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from common.core.secrets import Secret
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from tests.front.conftest import CHAT, Front, make_gateway
from tests.front.upstreams import BILLED, VARIABLES, VENDORS, Vendor
from tests.gateway.making import SetClock
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
LOOK = [
    {"type": "text", "text": "What is it?"},
    {"type": "image_url", "image_url": {"url": PIXEL}},
]
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "stream": {"stream": True},
    "stream with usage": {"stream": True, "stream_options": {"include_usage": True}},
    "tools": {"tools": [WEATHER], "tool_choice": "required"},
    "streamed tools": {"tools": [WEATHER], "tool_choice": "required", "stream": True},
    "structured": {"response_format": {"type": "json_object"}},
    "image": {"messages": [{"role": "user", "content": LOOK}]},
    "unknown field": {"no_such_field": {"a": [1, 2.50, "ü"]}},
}
ONE_TRY = {"x-stainless-retry-count": "1"}
"""A client that counts its own tries: the gateway makes one."""
HELLO = [{"role": "user", "content": "Hello, a ledger as json? Grüße, 日本"}]


def _body(model: str, asked: Mapping[str, Any]) -> bytes:
    """Written by hand, with spaces and numbers that no second writing would keep."""
    rest = orjson.dumps({"messages": HELLO, **asked})[1:-1]
    return b'{ "temperature":1.0 , "model" :\t%b, %b\n}' % (orjson.dumps(model), rest)


def _unasked(stream: bytes) -> bytes:
    """The stream as it would be if nobody had asked for its usage."""
    events = re.split(rb"(?<=\n\n)", stream)
    kept = (each for each in events if not (b'"choices":[]' in each and b'"usage":{' in each))
    return b"".join(each.replace(b',"usage":null', b"") for each in kept)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("prefix", VENDORS)
async def test_only_the_models_name_and_the_usage_flag_are_touched(
    front: Front, prefix: str, request_name: str
) -> None:
    vendor, asked = VENDORS[prefix], REQUESTS[request_name]

    exchange = await front.call(_body(vendor.asked, asked), output_tokens="80")

    [sent] = front.upstream.requests
    expected = _body(vendor.model, asked)
    flagged = bool(asked.get("stream")) and "stream_options" not in asked
    if flagged:
        flag = b',"stream_options":{"include_usage":true}}'
        assert sent.body.removesuffix(flag) == expected[:-1]
    else:
        assert sent.body == expected
    replied = b"".join(front.upstream.replies[0].passed)
    assert exchange.content == (_unasked(replied) if flagged else replied)
    refused = vendor.strict and "no_such_field" in asked
    assert exchange.status == (400 if refused else 200), exchange.content


@pytest.mark.parametrize("prefix", VENDORS)
async def test_a_stream_is_the_one_the_vendor_sends_to_who_does_not_ask(
    front: Front, prefix: str
) -> None:
    vendor = VENDORS[prefix]
    body = {"messages": HELLO, "stream": True}

    exchange = await front.call({"model": vendor.asked, **body}, output_tokens="80")
    direct = await front.direct(vendor, {"model": vendor.model, **body}, output_tokens="80")

    identity = re.compile(rb'"id":"chatcmpl-sim-\w+"')
    assert identity.sub(b"", exchange.content) == identity.sub(b"", direct)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("prefix", BILLED)
async def test_the_cost_is_the_vendors(front: Front, prefix: str, request_name: str) -> None:
    vendor, asked = VENDORS[prefix], REQUESTS[request_name]

    await front.call(_body(vendor.asked, asked), output_tokens="80")

    rows = await front.bill()
    if vendor.strict and "no_such_field" in asked:
        assert (front.event.cost_nanos, front.event.cost_source, rows) == (0, "free", [])
        return
    [row] = rows
    assert row["billed_nanos"] > 0
    assert (front.event.cost_nanos, front.event.cost_source) == (row["billed_nanos"], "provider")
    assert front.event.outcome == "ok"
    assert front.event.usage_anomalies == ()


@pytest.mark.parametrize("prefix", ["ollama", "vllm"])
async def test_a_model_that_no_list_prices_has_no_cost_and_a_reason(
    front: Front, prefix: str
) -> None:
    await front.call(_body(VENDORS[prefix].asked, {}))

    assert (front.event.cost_nanos, front.event.cost_reason) == (None, "unknown_model")
    assert front.event.units["output_tokens"] > 0


@pytest.mark.parametrize("prefix", [name for name in VENDORS if name != "openai"])
async def test_the_answer_names_both_models(front: Front, prefix: str) -> None:
    vendor = VENDORS[prefix]

    exchange = await front.call(_body(vendor.asked, {}))

    assert exchange.headers["x-gateway-model-asked"] == vendor.asked
    name = vendor.model.removeprefix("google/")
    assert exchange.headers["x-gateway-model"] == name
    assert (front.event.model_asked, front.event.model_sent) == (vendor.asked, name)


async def test_a_vertex_model_may_leave_its_publisher_out(front: Front) -> None:
    exchange = await front.call(_body("vertex/gemini-2.5-flash", {}))

    assert exchange.status == 200
    assert front.upstream.requests[0].body == _body("google/gemini-2.5-flash", {})


@pytest.mark.parametrize(
    ("prefix", "model"),
    [
        ("openai", "text-embedding-3-small"),
        ("gemini", "gemini-embedding-001"),
        ("mistral", "mistral-embed"),
        ("azure", "text-embedding-3-small"),
    ],
)
async def test_embeddings_take_prefixes_too(front: Front, prefix: str, model: str) -> None:
    body = b'{"input": "a ledger",  "model":"%b"}' % f"{prefix}/{model}".encode()

    exchange = await front.call(body, "/openai/v1/embeddings", input_tokens="1000")

    [row] = await front.bill()
    assert exchange.content == b"".join(front.upstream.replies[0].passed)
    assert front.upstream.requests[0].body == body.replace(f"{prefix}/".encode(), b"", 1)
    assert (front.event.cost_nanos, front.event.cost_source) == (row["billed_nanos"], "provider")
    assert row["billed_nanos"] > 0


KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


class RefusingUpstream:
    """Refuses each request, and keeps where it went and with which key."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.seen: list[tuple[str, str]] = []

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        headers = {name.decode(): value.decode() for name, value in request.headers}
        keys = [headers[name] for name in KEY_HEADERS if name in headers]
        self.seen.append((request.url, " ".join(keys)))
        return ScriptedReply([b'{"error":{}}'], self.status, list(JSON))


def _address(vendor: Vendor) -> str:
    return f"{vendor.address}/chat/completions"


@pytest.mark.parametrize("status", [401, 403, 429, 503])
@pytest.mark.parametrize("prefix", VENDORS)
async def test_a_callers_key_goes_to_the_vendor_it_names_and_to_no_other(
    front: Front, prefix: str, status: int
) -> None:
    upstream = RefusingUpstream(status)
    keys = {name: Secret(f"of-{name}") for name in VARIABLES}
    gateway = make_gateway(front.documents, upstream, KeepingBus(), SetClock(), keys)

    exchange = await Client(gateway).call(
        CHAT,
        _body(VENDORS[prefix].asked, {}),
        headers={"authorization": "Bearer the-callers", **ONE_TRY},
    )

    assert exchange.status == status
    assert upstream.seen == [(_address(VENDORS[prefix]), "Bearer the-callers")]


@pytest.mark.parametrize("prefix", VENDORS)
async def test_the_installations_key_for_a_vendor_goes_to_that_vendor_alone(
    front: Front, prefix: str
) -> None:
    upstream = RefusingUpstream(429)
    keys = {name: Secret(f"of-{name}") for name in VARIABLES}
    gateway = make_gateway(front.documents, upstream, KeepingBus(), SetClock(), keys)

    await Client(gateway).call(
        CHAT, _body(VENDORS[prefix].asked, {}), headers={"authorization": "", **ONE_TRY}
    )

    own = "sim" if prefix == "vertex" else f"of-{prefix.upper()}_API_KEY"
    assert upstream.seen == [(_address(VENDORS[prefix]), f"Bearer {own}")]


async def test_says_which_members_anthropic_ignores(front: Front) -> None:
    asked = {"seed": 1, "logprobs": True, "response_format": {"type": "json_object"}, "top_p": 0.5}

    exchange = await front.call(_body(VENDORS["anthropic"].asked, asked))

    assert exchange.status == 200
    expected = "anthropic ignores logprobs, response_format, seed"
    assert exchange.headers["x-gateway-warning"] == expected
    assert front.event.warnings == (expected,)


@pytest.mark.parametrize("prefix", [name for name in VENDORS if name != "anthropic"])
async def test_warns_of_nothing_where_all_is_obeyed(front: Front, prefix: str) -> None:
    exchange = await front.call(_body(VENDORS[prefix].asked, {"seed": 1}))

    assert "x-gateway-warning" not in exchange.headers


@pytest.mark.parametrize(
    ("prefix", "shape"),
    [
        ("gemini", rb'\[\{"error":\{"code":404,.*'),
        ("vertex", rb'\[\{"error":\{"code":404,.*'),
        ("mistral", rb'\{"object":"error","message":.*'),
        ("xai", rb'\{"code":"[^"]*","error":".*'),
        ("anthropic", rb'\{"error":\{"message":.*'),
        ("openrouter", rb'\{"error":\{"code":404,.*'),
    ],
)
async def test_a_vendors_error_passes_byte_for_byte(
    front: Front, prefix: str, shape: bytes
) -> None:
    exchange = await front.call(_body(f"{prefix}/google/no-such-model", {}))

    assert exchange.status == 404
    assert exchange.content == b"".join(front.upstream.replies[0].passed)
    assert re.fullmatch(shape, exchange.content)
    assert (front.event.cost_nanos, front.event.cost_source) == (0, "free")
