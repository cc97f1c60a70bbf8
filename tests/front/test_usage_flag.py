"""An upstream that does not know the usage flag is asked without it, for an hour."""

import pytest

from tests.front.conftest import Front
from tests.front.upstreams import VENDORS

VLLM = VENDORS["vllm"]
HELLO = [{"role": "user", "content": "Hi"}]
STREAMED = {"model": VLLM.asked, "messages": HELLO, "stream": True}


def _flagged(front: Front) -> list[bool]:
    return [b"include_usage" in request.body for request in front.upstream.requests]


@pytest.mark.parametrize("status", ["400", "422"])
async def test_the_caller_sees_nothing_of_it(front: Front, status: str) -> None:
    exchange = await front.call(STREAMED, refuse_stream_options=status)

    assert exchange.status == 200
    assert exchange.content == b"".join(front.upstream.replies[1].passed)
    assert exchange.content.endswith(b"data: [DONE]\n\n")
    assert exchange.headers["x-gateway-attempts"] == "2"
    assert _flagged(front) == [True, False]
    assert [each.status for each in front.event.attempts] == [int(status), 200]
    assert front.event.cost_source == "estimated"


async def test_it_is_remembered_for_an_hour_for_this_upstream_alone(front: Front) -> None:
    elsewhere = {**STREAMED, "model": VENDORS["ollama"].asked}

    await front.call(STREAMED, refuse_stream_options="422")
    front.clock.advance(3599)
    await front.call(STREAMED)
    await front.call(elsewhere)
    assert _flagged(front) == [True, False, False, True]
    front.clock.advance(1)
    await front.call(STREAMED)

    assert _flagged(front) == [True, False, False, True, True]
    assert front.event.cost_source == "provider"


async def test_a_caller_who_asks_for_it_himself_gets_the_refusal(front: Front) -> None:
    asking = {**STREAMED, "stream_options": {"include_usage": True}}

    exchange = await front.call(asking, refuse_stream_options="422")

    assert exchange.status == 422
    assert _flagged(front) == [True]


async def test_another_refusal_is_not_taken_for_it(front: Front) -> None:
    exchange = await front.call({**STREAMED, "messages": []}, refuse_stream_options="422")
    again = await front.call({**STREAMED, "messages": []})

    # The flag is refused before the messages are looked at, and then the messages are.
    assert (exchange.status, again.status) == (400, 400)
    assert _flagged(front) == [True, False, False]


async def test_a_bad_request_does_not_turn_the_flag_off(front: Front) -> None:
    await front.call({**STREAMED, "messages": []})
    await front.call(STREAMED)

    assert _flagged(front) == [True, True]
