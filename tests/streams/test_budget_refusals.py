"""What a caller is told whom a hard budget refuses, and bodies that say two things at once."""

import json

import pytest

from tests.streams.fakes import JSON, OPENAI_REPLY, Client, ScriptedReply, ScriptedUpstream
from tests.streams.hard_budgets import CAPPED, CHAT, Make, budget

__all__ = ["budget"]

TWO_MODELS = b'{"model":"gpt-4o","max_tokens":5,"messages":[],"model":"gpt-4o-mini"}'


async def test_a_request_of_a_kind_without_a_bound_says_what_to_do(
    client: Client, budget: Make
) -> None:
    await budget()

    speech = b'{"model":"gpt-4o-mini-tts","input":"a","voice":"alloy"}'
    exchange = await client.call("/openai/v1/audio/speech", speech)

    message = json.loads(exchange.content)["error"]["message"]
    assert exchange.headers["x-gateway-error"] == "unbounded_request"
    assert "eave it out" not in message
    assert "with a key to which no hard budget applies" in message


async def test_a_model_whose_limits_are_not_known_says_what_to_do(
    client: Client, budget: Make
) -> None:
    await budget()

    exchange = await client.call(body=b'{"model":"gpt-image-1","messages":[]}')

    assert b"The longest answer of 'gpt-image-1' is not known. Set an output cap." in (
        exchange.content
    )


@pytest.mark.parametrize("models", [(), ("gpt-4o",), ("gpt-4o-mini",), ("claude-*",)])
async def test_a_body_with_two_models_is_400_under_a_hard_budget_of_any(
    client: Client, upstream: ScriptedUpstream, budget: Make, models: tuple[str, ...]
) -> None:
    """Which of them the provider takes, and so which budget applies, nobody here knows."""
    await budget(models=models)

    exchange = await client.call(body=TWO_MODELS)
    estimate = await client.call(
        "/gateway/v1/estimate", b'{"path":"%b","body":%b}' % (CHAT.encode(), TWO_MODELS)
    )

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (400, "unreadable_request")
    assert json.loads(estimate.content)["fits"] is False
    assert upstream.requests == []


async def test_a_body_with_two_models_passes_as_it_is_without_a_hard_budget(
    client: Client, upstream: ScriptedUpstream, budget: Make
) -> None:
    await budget(enforcement="soft")
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    exchange = await client.call(body=TWO_MODELS)

    assert exchange.status == 200
    assert [request.body for request in upstream.requests] == [TWO_MODELS]


async def test_a_call_of_another_model_needs_no_room(
    client: Client, upstream: ScriptedUpstream, budget: Make
) -> None:
    await budget(limit=1, models=("claude-*",))
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    assert (await client.call(body=CAPPED)).status == 200


async def test_a_refusal_tells_of_no_other_calls_where_there_are_none(
    client: Client, budget: Make
) -> None:
    """The lease that the refused call asked for is nobody's."""
    await budget(limit=50)

    first, again = await client.call(body=CAPPED), await client.call(body=CAPPED)

    for exchange in (first, again):
        message = json.loads(exchange.content)["error"]["message"]
        assert "of its limit of $0.00000005, $0 is spent, which leaves $0.00000005." in message
