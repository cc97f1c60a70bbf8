"""What the upstream of tests answers as simulated is marked so, and costs nobody anything."""

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Documents, Put
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamDisconnected
from common.gateway.upstream_records import CredentialRecord, UpstreamRecord, upstream_ref
from tests.gateway.building import build_gateway
from tests.streams.fakes import (
    JSON,
    OPENAI_REPLY,
    Client,
    KeepingBus,
    LoopClock,
    ScriptedReply,
    ScriptedUpstream,
)
from tests.streams.hard_budgets import CAPPED, Make, budget, period_of

__all__ = ["budget"]

NAME = "tried"
CHAT = f"/u/{NAME}/v1/chat/completions"
SIMULATED = [*JSON, (b"X-Simulated", b"true")]
NO_KEY = {"authorization": ""}


@pytest.fixture
async def client(documents: Documents, upstream: ScriptedUpstream, bus: KeepingBus) -> Client:
    """A client of a gateway with this upstream, which is that of tests."""
    record = UpstreamRecord(
        NAME,
        base_url="https://tried.example.com/v1",
        provider="openai",
        credentials=(CredentialRecord("main", "TRIED_API_KEY"),),
    )
    await documents.commit([Put(upstream_ref(NAME), record.to_data())])
    environment = {"TRIED_API_KEY": Secret("k"), "OPENAI_API_KEY": Secret("k")}
    gateway = build_gateway(documents, upstream, bus, LoopClock(), environment)
    gateway.forwarding.sender.test_upstream = NAME
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=SIMULATED)
    return Client(gateway)


async def test_costs_nothing_and_says_that_it_is_simulated(
    client: Client, bus: KeepingBus, documents: SqliteDocuments, budget: Make
) -> None:
    await budget()

    exchange = await client.call(CHAT, CAPPED, headers=NO_KEY)

    event, period = bus.only, await period_of(documents)
    assert exchange.status == 200
    assert (event.simulated, event.cost_nanos, event.priced_nanos) == (True, 0, 0)
    assert (event.cost_source, event.units) == ("free", {})
    assert event.hold_nanos > 0
    assert (period.settled, period.leased) == (0, 0)


async def test_costs_what_it_costs_where_it_does_not_say_that_it_is_simulated(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=[*JSON, (b"x-simulated", b"false")])

    await client.call(CHAT, CAPPED, headers=NO_KEY)

    assert bus.only.simulated is False
    assert bus.only.cost_nanos


async def test_costs_what_it_costs_at_another_upstream(client: Client, bus: KeepingBus) -> None:
    await client.call(body=CAPPED, headers=NO_KEY)

    assert bus.only.simulated is False
    assert bus.only.cost_nanos


async def test_is_charged_for_what_breaks_off_before_it_says_anything(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.before = [UpstreamDisconnected("x")]

    await client.call(CHAT, CAPPED, headers={**NO_KEY, "x-stainless-retry-count": "1"})

    assert bus.only.simulated is False
    assert bus.only.cost_nanos
