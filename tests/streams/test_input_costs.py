"""A call of a brownout says what its input costs, also with the model that was asked for."""

from dataclasses import replace

import pytest

from common.brownout.modes import Mode
from common.core.events import UsageEvent
from common.llm.price_book import bundled_book
from tests.gateway.making import START
from tests.streams.brownouts import ENFORCED, Begin, brownout
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream

__all__ = ["brownout"]

BODY = b'{"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}'
REPLY = (
    b'{"id":"1","object":"chat.completion","model":"MODEL","choices":[],"service_tier":"TIER",'
    b'"usage":{"prompt_tokens":10000,"completion_tokens":500,"total_tokens":10500,'
    b'"prompt_tokens_details":{"cached_tokens":4000}}}'
)
INPUT = {"input_tokens": 10_000, "cache_read_tokens": 4_000}


def answer(upstream: ScriptedUpstream, model: str, tier: str = "default") -> None:
    reply = REPLY.replace(b"MODEL", model.encode()).replace(b"TIER", tier.encode())
    upstream.reply = ScriptedReply([reply], headers=JSON)


def listed(model: str, tier: str = "default") -> int | None:
    """The list price of the input in nano-USD."""
    book = bundled_book()
    return book.price([(book.card("openai", model), INPUT)], START, {"service_tier": tier}).nanos


def told(event: UsageEvent) -> tuple[str | None, int | None, int | None]:
    return event.card_asked, event.input_nanos, event.input_nanos_asked


async def test_prices_the_input_for_both_models(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    answer(upstream, "gpt-5-mini-2025-08-07")

    await client.call(body=BODY)

    used, asked = listed("gpt-5-mini"), listed("gpt-5")
    assert told(bus.only) == ("openai/gpt-5", used, asked)
    assert bus.only.model_sent == "gpt-5-mini"
    assert used is not None
    assert asked is not None
    assert 0 < used < asked
    assert bus.only.cost_nanos is not None
    assert bus.only.cost_nanos > used


async def test_prices_it_once_where_the_model_stayed(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.SOFT)
    answer(upstream, "gpt-5-2025-08-07")

    await client.call(body=BODY)

    price = listed("gpt-5")
    assert told(bus.only) == ("openai/gpt-5", price, price)


async def test_goes_by_the_model_that_the_reply_names_where_it_stayed(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    """A name may stand for another model tomorrow: nothing was saved by that."""
    await brownout(Mode.SOFT)
    answer(upstream, "gpt-5-nano")

    await client.call(body=BODY)

    price = listed("gpt-5-nano")
    assert told(bus.only) == ("openai/gpt-5", price, price)


async def test_prices_that_of_the_holdout(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD, policy=replace(ENFORCED, holdout=0.5))
    answer(upstream, "gpt-5-2025-08-07")

    for number in range(24):
        await client.call(body=BODY, headers={"x-gateway-session": f"s{number}"})

    price = listed("gpt-5")
    events = [event for event in bus.events if isinstance(event, UsageEvent)]
    held = {told(event) for event in events if event.arm == "holdout"}
    assert held == {("openai/gpt-5", price, price)}


async def test_prices_both_in_the_tier_that_the_reply_names(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    answer(upstream, "gpt-5-mini", "flex")

    await client.call(body=BODY)

    cheap = listed("gpt-5-mini", "flex")
    assert told(bus.only) == ("openai/gpt-5", cheap, listed("gpt-5", "flex"))
    assert cheap != listed("gpt-5-mini")


@pytest.mark.parametrize("enforcement", ["shadow", None])
async def test_says_nothing_where_nothing_is_given_up(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    brownout: Begin,
    enforcement: str | None,
) -> None:
    if enforcement is not None:
        await brownout(Mode.HARD, policy=replace(ENFORCED, enforcement="shadow"))
    answer(upstream, "gpt-5")

    await client.call(body=BODY)

    assert told(bus.only) == (None, None, None)
    assert bus.only.cost_nanos


async def test_says_nothing_of_a_call_that_cost_nothing(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    upstream.reply = ScriptedReply([b"{}"], status=500, headers=JSON)

    await client.call(body=BODY)

    assert told(bus.only) == (None, None, None)


async def test_says_nothing_where_the_model_that_was_used_has_no_price(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    answer(upstream, "made-up")

    await client.call(body=BODY)

    assert told(bus.only) == (None, None, None)
    assert bus.only.cost_nanos is None
