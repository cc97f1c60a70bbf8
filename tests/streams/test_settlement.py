"""What a call that went wrong is settled at."""

import asyncio

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.gateway.upstream import UpstreamDisconnected, UpstreamUnreachable
from tests.streams.fakes import (
    JSON,
    OPENAI_STREAM,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    openai_chunk,
)
from tests.streams.hard_budgets import (
    CAPPED,
    CAPPED_STREAM,
    Make,
    budget,
    period_of,
)

__all__ = ["budget"]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_call_that_the_provider_refuses_costs_nothing(
    client: Client,
    upstream: ScriptedUpstream,
    documents: SqliteDocuments,
    budget: Make,
    status: int,
) -> None:
    await budget()
    upstream.reply = ScriptedReply([b"{}"], status, JSON)

    await client.call(body=CAPPED)

    period = await period_of(documents)
    assert (period.settled, period.leased) == (0, 0)


async def test_a_call_that_reached_nobody_costs_nothing(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments, budget: Make
) -> None:
    await budget()
    upstream.before = [UpstreamUnreachable("refused")]

    await client.call(body=CAPPED)

    assert (await period_of(documents)).settled == 0


async def test_a_call_without_an_answer_is_settled_at_its_hold_and_flagged(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    upstream.before = [UpstreamDisconnected("reset")]

    await client.call(body=CAPPED)

    event, period = bus.only, await period_of(documents)
    assert period.settled == event.hold_nanos
    assert period.unproven == event.unproven_nanos
    assert period.settled == (event.cost_nanos or 0) + period.unproven


@pytest.mark.parametrize("strict", [False, True])
async def test_a_cut_stream_is_settled_at_an_estimate_or_at_its_hold(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, budget: Make, strict: bool
) -> None:
    await budget(strict=strict)
    upstream.reply = ScriptedReply([openai_chunk("Hel"), UpstreamDisconnected("cut")])
    long = CAPPED_STREAM.replace(b'"max_tokens":100', b'"max_tokens":9000')

    await client.call(body=long)

    event = bus.only
    [settled] = [each.nanos for each in event.settlements]
    assert event.cost_source == "estimated"
    assert 0 < (event.cost_nanos or 0) < event.hold_nanos
    assert settled == (event.hold_nanos if strict else event.cost_nanos)
    assert event.unproven_nanos == settled - (event.cost_nanos or 0)


async def test_a_client_that_leaves_gives_its_hold_back(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    upstream.reply = ScriptedReply([OPENAI_STREAM[0], asyncio.Event()])

    exchange, task = client.start(body=CAPPED_STREAM)
    await exchange.until_received(b"Hel")
    exchange.leave()
    await task

    period = await period_of(documents)
    assert (period.leased, period.open_leases) == (0, 0)
    assert period.settled == bus.only.cost_nanos
