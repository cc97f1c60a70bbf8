"""Calls at Vertex AI: the function's own identity pays, in its own project, at Google alone."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.keys import KeyPolicy
from common.gateway.sending import IdentityUnavailable
from common.gateway.upstream_records import UpstreamRecord, upstream_ref
from tests.gateway.making import a_key, key_text, store
from tests.streams.conftest import KeptRecords, MakeClient
from tests.streams.fakes import (
    JSON,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
)

TOKEN = "ya29.of-the-function"
PLACE = "/projects/acme/locations/europe-west4"
WORLDWIDE = "/projects/acme/locations/global"
GOOGLE = "/publishers/google/models"
MODEL = f"{GOOGLE}/gemini-2.5-flash:generateContent"
HOST = "europe-west4-aiplatform.googleapis.com"
BODY = b'{"contents":[{"parts":[{"text":"Hi"}]}]}'
REPLY = (
    b'{"candidates":[{"content":{"parts":[{"text":"Ho"}]},"finishReason":"STOP"}],'
    b'"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4,"trafficType":"ON_DEMAND"},'
    b'"modelVersion":"gemini-2.5-flash"}'
)
NANOS = 10 * 300 + 4 * 2_500
"""gemini-2.5-flash: $0.30 and $2.50 per million tokens."""


@dataclass(slots=True)
class Identity:
    """Hands out one token, or none."""

    fails: bool = False
    asked: int = 0

    async def token(self) -> Secret:
        self.asked += 1
        if self.fails:
            raise IdentityUnavailable("the identity's token could not be renewed")
        return Secret(TOKEN)


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
async def client(
    documents: SqliteDocuments,
    make_client: MakeClient,
    upstream: ScriptedUpstream,
    identity: Identity,
) -> Client:
    """A gateway with two places, and a key that may use the first alone, beside the usual one."""
    first = UpstreamRecord("vertex", identity="google", project="acme", location="europe-west4")
    second = UpstreamRecord("worldwide", identity="google", project="acme", location="global")
    await documents.commit(
        [Put(upstream_ref(each.name), each.to_data()) for each in (first, second)]
    )
    await store(documents, a_key(key_text("bound"), policy=KeyPolicy(upstreams=("vertex",))))
    upstream.reply = ScriptedReply([REPLY], headers=list(JSON))
    client = make_client()
    client.gateway.forwarding.sender.identity = identity
    return client


async def _call(client: Client, path: str, **headers: str) -> Exchange:
    return await client.call(path, BODY, headers={"authorization": "", **headers})


@pytest.mark.parametrize(
    ("inside", "sent"),
    [
        (PLACE, f"{HOST}/v1beta1{PLACE}"),
        ("", f"{HOST}/v1beta1{PLACE}"),
        (WORLDWIDE, f"aiplatform.googleapis.com/v1beta1{WORLDWIDE}"),
    ],
)
async def test_the_identity_pays_at_google(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    inside: str,
    sent: str,
) -> None:
    exchange = await _call(client, f"/vertex/v1beta1{inside}{MODEL}")

    [request] = upstream.requests
    assert request.url == f"https://{sent}{MODEL}"
    assert dict(request.headers)[b"authorization"] == f"Bearer {TOKEN}".encode()
    assert (exchange.status, exchange.content) == (200, REPLY)
    assert (bus.only.cost_nanos, bus.only.cost_source) == (NANOS, "provider")
    assert (bus.only.provider, bus.only.upstream) == ("google", sent.partition("/")[0])
    assert (bus.only.model_asked, bus.only.service_tier) == ("gemini-2.5-flash", "standard")


@pytest.mark.parametrize(
    "inside",
    [
        "/projects/other/locations/europe-west4",
        "/projects/acme/locations/us-central1",
        "/projects/acme/locations/evil.example",
        "/projects/acme/locations/evil.example#",
        "/projects/acme/locations/evil.example\\",
        "/projects/acme/locations/europe-west4@evil.example",
        "/projects/acme/locations/europe-west4%2F..%2F..",
        "/projects/acme/locations/EUROPE-WEST4",
        "/projects/acme/locations/europe-west4 ",
        "/projects/../locations/..",
    ],
)
async def test_no_other_project_and_place_gets_a_token(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, identity: Identity, inside: str
) -> None:
    exchange = await _call(client, f"/vertex/v1{inside}{MODEL}")

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (403, "upstream_not_allowed")
    assert (upstream.requests, identity.asked) == ([], 0)
    assert (bus.only.cost_nanos, bus.only.outcome) == (0, "client_error")


@pytest.mark.parametrize(
    "name",
    ["a%2Fb", "%2e%2e%2Fpredict", "g?key=1", "g#", "g;x", "a b", "a\\b", "a\nb", "g%3Apredict"],
)
async def test_a_name_stays_a_name(client: Client, upstream: ScriptedUpstream, name: str) -> None:
    await _call(client, f"/vertex/v1{PLACE}{GOOGLE}/{name}:generateContent")

    [request] = upstream.requests
    parts = urlsplit(request.url)
    assert (parts.netloc, parts.query, parts.fragment) == (HOST, "", "")
    assert unquote(parts.path) == f"/v1{PLACE}{GOOGLE}/{name}:generateContent"


async def test_a_key_that_may_not_use_it_gets_no_token(
    client: Client, upstream: ScriptedUpstream, identity: Identity
) -> None:
    bound = {"x-gateway-key": key_text("bound")}

    granted = await _call(client, f"/vertex/v1{PLACE}{MODEL}", **bound)
    refused = await _call(client, f"/vertex/v1{WORLDWIDE}{MODEL}", **bound)

    assert (granted.status, refused.status) == (200, 403)
    assert (len(upstream.requests), identity.asked) == (1, 1)


async def test_a_caller_s_own_token_pays_alone(
    client: Client, upstream: ScriptedUpstream, identity: Identity, bus: KeepingBus
) -> None:
    await _call(client, f"/vertex/v1{PLACE}{MODEL}", authorization="Bearer ya29.of-the-caller")

    [request] = upstream.requests
    assert dict(request.headers)[b"authorization"] == b"Bearer ya29.of-the-caller"
    assert identity.asked == 0
    assert bus.only.cost_nanos == NANOS


async def test_without_a_token_nothing_is_sent_and_nothing_costs(
    client: Client, upstream: ScriptedUpstream, identity: Identity, bus: KeepingBus
) -> None:
    identity.fails = True

    exchange = await _call(client, f"/vertex/v1{PLACE}{MODEL}")

    assert exchange.status == 502
    assert exchange.headers["x-gateway-error"] == "upstream_credential_unavailable"
    assert b'"status":"UNAVAILABLE"' in exchange.content.replace(b" ", b"")
    assert upstream.requests == []
    told = bus.only
    assert (told.cost_nanos, told.cost_source, told.cost_reason) == (0, "free", None)
    assert (told.outcome, told.error_code) == ("upstream_error", "upstream_credential_unavailable")
    assert told.attempts == ()


@pytest.mark.parametrize(
    "failure",
    [
        ScriptedReply([f'{{"error":{{"message":"not {TOKEN}"}}}}'.encode()], 403, list(JSON)),
        ScriptedReply([RuntimeError(f"with {TOKEN} in it")], headers=list(JSON)),
    ],
)
async def test_nobody_sees_the_token(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    logged: KeptRecords,
    failure: ScriptedReply,
) -> None:
    upstream.reply = failure

    exchange = await _call(client, f"/vertex/v1{PLACE}{MODEL}")

    seen: list[Any] = [exchange.messages, bus.only.payload(), *(r.__dict__ for r in logged.records)]
    assert TOKEN not in str(seen)


async def test_a_refusal_of_google_s_passes_as_it_is(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    refused = b'{"error":{"code":403,"message":"API off","status":"PERMISSION_DENIED"}}'
    upstream.reply = ScriptedReply([refused], 403, list(JSON))

    exchange = await _call(client, f"/vertex/v1{PLACE}{MODEL}")

    assert (exchange.status, exchange.content) == (403, refused)
    assert "x-gateway-error" not in exchange.headers
    assert bus.only.cost_nanos == 0


async def test_provisioned_throughput_has_no_cost_and_a_reason(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    reply = REPLY.replace(b"ON_DEMAND", b"PROVISIONED_THROUGHPUT")
    upstream.reply = ScriptedReply([reply], headers=list(JSON))

    await _call(client, f"/vertex/v1{PLACE}{MODEL}")

    told = bus.only
    assert (told.cost_nanos, told.priced_nanos) == (None, 0)
    assert told.cost_reason == "unknown_tier:provisioned_throughput"
    assert told.units["input_tokens"] == 10


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/vertex/v1{PLACE}/publishers/anthropic/models/claude:rawPredict", 501),
        (f"/vertex/v1{PLACE}{GOOGLE}/gemini-2.5-flash:predict", 501),
        (f"/vertex/v1{PLACE}{GOOGLE}/gemini-2.5-flash:countTokens", 501),
        (f"/vertex/v1{PLACE}{GOOGLE}/../x:generateContent", 501),
    ],
)
async def test_nothing_else_is_forwarded(
    client: Client, upstream: ScriptedUpstream, identity: Identity, path: str, status: int
) -> None:
    exchange = await _call(client, path)

    assert exchange.status == status
    assert exchange.headers["x-gateway-error"] == "endpoint_not_supported"
    assert (upstream.requests, identity.asked) == ([], 0)
