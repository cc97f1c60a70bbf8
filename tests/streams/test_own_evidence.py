"""A gateway whose own calls go badly: it asks for less before anybody tells it to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from common.brownout.modes import Mode
from common.brownout.policy import LevelThresholds
from common.brownout.state import STATE, Pin
from common.core.events import UsageEvent
from common.core.ports import Documents
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamDisconnected
from tests.gateway.building import build_gateway
from tests.gateway.making import START, SetClock
from tests.streams.brownouts import ENFORCED, Begin, brownout
from tests.streams.fakes import (
    JSON,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)

__all__ = ["brownout"]

BODY = b'{"model":"gpt-5","messages":[{"role":"user","content":"Hi"}],"service_tier":"priority"}'
STREAMED = BODY.replace(b'"gpt-5"', b'"gpt-5","stream":true')
ONE_TRY = {"x-stainless-retry-count": "1"}
MANAGED = {**ONE_TRY, "authorization": ""}
GOOD = ScriptedReply([OPENAI_REPLY], headers=JSON)

Start: TypeAlias = Callable[..., Awaitable[Client]]


def failing(status: int) -> ScriptedReply:
    return ScriptedReply([b"{}"], status=status, headers=JSON)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def start(
    documents: Documents,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    clock: SetClock,
    brownout: Begin,
) -> Start:
    """A client of a gateway at rest that has its policy, and made one call."""

    async def started(**state: object) -> Client:
        await brownout(**state)
        environment = {"OPENAI_API_KEY": Secret("sk-of-the-installation")}
        client = Client(build_gateway(documents, upstream, bus, clock, environment))
        upstream.reply = GOOD
        await client.call(body=BODY)
        if (loading := client.gateway.forwarding.brownouts.copy.loading) is not None:
            await loading
        bus.events.clear()
        return client

    return started


async def call(client: Client, times: int = 1, **options: object) -> Exchange:
    """The last of so many exchanges."""
    exchanges = [
        await client.call(**{"body": BODY, "headers": ONE_TRY, **options}) for _ in range(times)
    ]
    return exchanges[-1]


async def waiting(
    client: Client, upstream: ScriptedUpstream, times: int, body: bytes = BODY
) -> list[asyncio.Task[None]]:
    """So many calls whose requests the provider has."""
    tasks = []
    for _ in range(times):
        upstream.asked.clear()
        tasks.append(client.start(body=body)[1])
        await wait_for(upstream.asked)
    return tasks


def modes(bus: KeepingBus) -> set[str]:
    return {event.mode for event in bus.events if isinstance(event, UsageEvent)}


async def test_asks_for_less_once_the_provider_fails(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock, documents: Documents
) -> None:
    client = await start()
    [before] = await documents.get_many([STATE])
    upstream.reply = failing(500)

    await call(client, 20)
    clock.advance(10)
    await call(client)  # finds the ten seconds over, and is not treated itself
    untreated = modes(bus)
    bus.events.clear()
    upstream.reply = GOOD
    exchange = await call(client)

    event = bus.only
    assert untreated == {"normal"}
    assert (event.mode, event.mode_by, event.arm) == ("emergency", "own", "degraded")
    assert (event.mode_scope, event.model_sent) == ("model:gpt-5", "gpt-5-mini")
    assert exchange.headers["x-brownout-mode"] == "emergency"
    assert [before] == await documents.get_many([STATE])


async def test_edits_running_conversations_too_because_the_provider_fails(
    start: Start, upstream: ScriptedUpstream, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = failing(500)
    await call(client, 20)
    clock.advance(10)
    await call(client)

    running = BODY.replace(
        b'"content":"Hi"}', b'"content":"Hi"},{"role":"assistant","content":"a"}'
    )
    exchange = await call(client, body=running)

    assert exchange.headers["x-brownout-original-model"] == "gpt-5"


async def test_leaves_calls_to_other_providers_alone(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = failing(500)
    await call(client, 20)
    clock.advance(10)
    await call(client)
    bus.events.clear()

    await call(
        client,
        path="/anthropic/v1/messages",
        body=b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}',
    )

    assert modes(bus) == {"normal"}


async def test_goes_back_to_normal_when_the_provider_answers_again(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = failing(500)
    await call(client, 20)
    clock.advance(10)
    await call(client)
    upstream.reply = GOOD

    clock.advance(120 + 3 * 330)
    bus.events.clear()
    await call(client)

    assert modes(bus) == {"normal"}


async def test_stays_normal_for_an_hour_of_429s_that_a_caller_s_own_key_gets(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = failing(429)

    for _ in range(6):
        await call(client, 20)
        clock.advance(10)
        await call(client, 2)
        clock.advance(590)

    assert modes(bus) == {"normal"}


async def test_takes_429s_to_the_installation_s_key_for_errors(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = failing(429)

    await call(client, 20, headers=MANAGED)
    clock.advance(10)
    await call(client, 2, headers=MANAGED)

    assert modes(bus) == {"normal", "emergency"}


async def test_takes_streams_that_break_for_errors(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = ScriptedReply([OPENAI_STREAM[0], UpstreamDisconnected("reset")])

    await call(client, 20, body=STREAMED)
    clock.advance(10)
    await call(client, 2, body=STREAMED)

    assert modes(bus) == {"normal", "emergency"}


async def test_asks_for_less_once_first_chunks_come_late(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client, answering = await start(), asyncio.Event()
    upstream.reply, upstream.before = ScriptedReply(OPENAI_STREAM), [answering]

    calls = await waiting(client, upstream, 20, STREAMED)
    clock.advance(6)
    answering.set()
    await asyncio.gather(*calls)
    clock.advance(10)
    await call(client, 2, body=STREAMED)

    assert modes(bus) == {"normal", "hard"}


async def test_asks_for_less_while_too_many_calls_wait(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    limits = replace(ENFORCED.thresholds, soft=LevelThresholds(pending_requests=10))
    client, answering = await start(policy=replace(ENFORCED, thresholds=limits)), asyncio.Event()
    await call(client)
    upstream.before = [answering]

    calls = await waiting(client, upstream, 11)
    clock.advance(10)
    calls += await waiting(client, upstream, 2)  # finds the ten seconds over; is treated
    answering.set()
    await asyncio.gather(*calls)
    during = modes(bus)
    bus.events.clear()
    clock.advance(600)
    await call(client, 2)

    assert (during, modes(bus)) == ({"normal", "soft"}, {"normal"})


async def test_is_overruled_by_a_pin(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    until = START.replace(year=START.year + 1)
    pin = Pin("p", "org:acme", Mode.NORMAL, "a test", "ann@example.com", START, until)
    client = await start(pins=(pin,))
    upstream.reply = failing(500)

    await call(client, 20)
    clock.advance(10)
    await call(client, 2)

    assert modes(bus) == {"normal"}


async def test_only_records_what_it_would_do_in_shadow(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start(policy=replace(ENFORCED, enforcement="shadow"))
    upstream.reply = failing(500)
    await call(client, 20)
    clock.advance(10)
    await call(client)
    bus.events.clear()

    exchange = await call(client)

    assert upstream.requests[-1].body == BODY
    assert not [name for name in exchange.headers if name.startswith("x-brownout")]
    assert (bus.only.mode, bus.only.mode_by, bus.only.enforced) == ("emergency", "own", False)


async def test_sheds_nothing_for_calls_that_it_shed(
    start: Start, upstream: ScriptedUpstream, bus: KeepingBus, clock: SetClock
) -> None:
    client = await start()
    upstream.reply = failing(500)
    await call(client, 20)
    clock.advance(10)
    await call(client)
    lease = client.gateway.forwarding.brownouts.own.scopes["model:gpt-5"].leases[0]

    clock.advance(70)
    await call(client, 40, headers={**ONE_TRY, "x-priority": "batch"})
    clock.advance(10)
    await call(client, headers={**ONE_TRY, "x-priority": "batch"})

    assert modes(bus) == {"normal", "emergency"}
    assert client.gateway.forwarding.brownouts.own.scopes["model:gpt-5"].leases == (lease,)
