"""A comment with the cost at the end of a stream disturbs no official client."""

from typing import Any

import anthropic
import httpx
import openai

from tests.local_stack.process import Stack
from tests.sdks.comparison import comparable

HELLO: Any = [{"role": "user", "content": "Hello, what is a ledger? Grüße, 日本"}]
WANTED = {"x-gateway-cost-event": "true"}


def test_openai_streams_the_same_chunks(stack: Stack) -> None:
    url = f"{stack.address}/openai/v1"
    with openai.OpenAI(base_url=url, api_key=stack.key, max_retries=0) as client:
        streams = [
            [
                comparable(chunk)
                for chunk in client.chat.completions.create(
                    model="gpt-4o-mini", messages=HELLO, stream=True, extra_headers=headers
                )
            ]
            for headers in ({}, WANTED)
        ]

    assert streams[0] == streams[1]


def test_openai_streams_the_same_response_events(stack: Stack) -> None:
    url = f"{stack.address}/openai/v1"
    with openai.OpenAI(base_url=url, api_key=stack.key, max_retries=0) as client:
        streams = [
            [
                comparable(event)
                for event in client.responses.create(
                    model="gpt-4o-mini", input="Hello", stream=True, extra_headers=headers
                )
            ]
            for headers in ({}, WANTED)
        ]

    assert streams[0] == streams[1]


async def test_openai_streams_the_same_chunks_asynchronously(stack: Stack) -> None:
    url = f"{stack.address}/openai/v1"
    streams = []
    async with openai.AsyncOpenAI(base_url=url, api_key=stack.key, max_retries=0) as client:
        for headers in ({}, WANTED):
            stream = await client.chat.completions.create(
                model="gpt-4o-mini", messages=HELLO, stream=True, extra_headers=headers
            )
            streams.append([comparable(chunk) async for chunk in stream])

    assert streams[0] == streams[1]


def test_anthropic_streams_the_same_message(stack: Stack) -> None:
    url = f"{stack.address}/anthropic"
    messages, events = [], []
    with anthropic.Anthropic(base_url=url, api_key=stack.key, max_retries=0) as client:
        for headers in ({}, WANTED):
            with client.messages.stream(
                model="claude-sonnet-5", max_tokens=100, messages=HELLO, extra_headers=headers
            ) as stream:
                events.append([event.type for event in stream])
                messages.append(comparable(stream.get_final_message()))

    assert (messages[0], events[0]) == (messages[1], events[1])


def test_the_comment_is_there(stack: Stack) -> None:
    body = {"model": "gpt-4o-mini", "messages": HELLO, "stream": True}
    answer = httpx.post(
        f"{stack.address}/openai/v1/chat/completions",
        json=body,
        headers={"x-gateway-key": stack.key, **WANTED},
    )

    *_, last = answer.text.rstrip().splitlines()
    assert last.startswith(": cost_usd=0.0000")
