"""Embeddings, moderations, files and batches: `openai` sees the same with and without a gateway.

Both clients share one simulated account, so each reads and deletes what it made itself.
"""

import io
import json
from typing import Any

import openai
import pytest

from tests.sdks.comparison import outcome, outcome_async
from tests.sdks.conftest import AsyncClients, Clients

EMBEDDINGS: dict[str, dict[str, Any]] = {
    "text": {"input": "Grüße, 日本"},
    "texts": {"input": ["one", "two", "three"]},
    "tokens": {"input": [1, 2, 3]},
    "lists of tokens": {"input": [[1, 2], [3]]},
    "floats": {"input": "one", "encoding_format": "float"},
    "base64": {"input": "one", "encoding_format": "base64"},
    "short vectors": {"input": "one", "dimensions": 8},
    "large model": {"input": "one", "model": "text-embedding-3-large"},
    "two megabytes": {"input": [str(number) for number in range(300)]},
    "empty": {"input": ""},
    "no inputs": {"input": []},
    "too long": {"input": "word " * 10_000},
    "too many dimensions": {"input": "one", "dimensions": 5000},
    "unknown model": {"input": "one", "model": "no-such-model"},
    "chat model": {"input": "one", "model": "gpt-4o"},
    "unknown argument": {"input": "one", "extra_body": {"no_such_argument": 1}},
}
MODERATIONS: dict[str, dict[str, Any]] = {
    "text": {"input": "Hello"},
    "flagged": {"input": ["Hello", "[flag]"]},
    "parts": {
        "model": "omni-moderation-latest",
        "input": [
            {"type": "text", "text": "Hello"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ],
    },
    "unknown model": {"input": "Hello", "model": "gpt-4o"},
}
LINES = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/embeddings"}).encode() + b"\n"
BINARY = bytes(range(256)) * 16 + b"\r\n--not a boundary\r\n"


def timeless(value: Any) -> Any:
    """What both clients must see alike: the objects without their names and times."""
    different = ("created_at", "expires_at", "cancelled_at", "cancelling_at", "input_file_id")
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in different}
    return [timeless(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeds_the_same(clients: Clients, name: str) -> None:
    direct, gateway = clients
    asked = {"model": "text-embedding-3-small", **EMBEDDINGS[name]}

    def call(client: openai.OpenAI) -> Any:
        # Asked for base64, the package hands out texts where its types say numbers.
        return client.embeddings.create(**asked).model_dump(warnings=False)

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", EMBEDDINGS)
async def test_embeds_the_same_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients
    asked = {"model": "text-embedding-3-small", **EMBEDDINGS[name]}

    async def call(client: openai.AsyncOpenAI) -> Any:
        return (await client.embeddings.create(**asked)).model_dump(warnings=False)

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_tells_what_an_embedding_cost(clients: Clients) -> None:
    _, gateway = clients

    raw = gateway.embeddings.with_raw_response.create(model="text-embedding-3-small", input="word")

    assert raw.headers["x-gateway-cost-usd"] == "0.000000020"
    assert raw.headers["x-gateway-cost-source"] == "provider"


@pytest.mark.parametrize("name", MODERATIONS)
def test_moderates_the_same(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.moderations.create(**MODERATIONS[name])

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", MODERATIONS)
async def test_moderates_the_same_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.moderations.create(**MODERATIONS[name])

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_keeps_and_gives_back_files(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        made = [
            client.files.create(file=(f"{number}.jsonl", content), purpose="batch")
            for number, content in enumerate((LINES, BINARY, b""))
        ]
        listed = list(client.files.list(purpose="batch", limit=2, order="desc"))
        own = [each for each in listed if each.id in {file.id for file in made}]
        contents = [client.files.content(file.id).read() for file in made]
        shown = [client.files.retrieve(file.id) for file in made]
        deleted = [client.files.delete(file.id) for file in made]
        assert contents == [LINES, BINARY, b""]
        assert len(own) == len(made)
        return [each.model_dump() for each in (*made, *own, *shown, *deleted)]

    assert timeless(outcome(call, gateway)) == timeless(outcome(call, direct))


async def test_keeps_and_gives_back_files_as_awaited(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        made = await client.files.create(file=("a.jsonl", BINARY), purpose="fine-tune")
        listed = [each async for each in client.files.list(purpose="fine-tune", limit=1)]
        assert made.id in [each.id for each in listed]
        content = await client.files.content(made.id)
        assert content.read() == BINARY
        shown = await client.files.retrieve(made.id)
        deleted = await client.files.delete(made.id)
        return [each.model_dump() for each in (made, shown, deleted)]

    through, without = await outcome_async(call, gateway), await outcome_async(call, direct)
    assert timeless(through) == timeless(without)


def test_streams_a_large_file_back(clients: Clients) -> None:
    _, gateway = clients
    large = bytes(range(256)) * 4096 * 12
    made = gateway.files.create(file=("large.jsonl", io.BytesIO(large)), purpose="batch")

    with gateway.files.with_streaming_response.content(made.id) as answer:
        assert answer.headers["content-length"] == str(len(large))
        assert answer.headers["x-gateway-cost-source"] == "free"
        assert answer.read() == large
    gateway.files.delete(made.id)


FILE_MISTAKES: dict[str, Any] = {
    "wrong purpose": lambda c: c.files.create(file=("a.jsonl", LINES), purpose="wrong"),
    "wrong form": lambda c: c.files.create(file=("a.txt", LINES), purpose="batch"),
    "unknown": lambda c: c.files.retrieve("file-none"),
    "unknown content": lambda c: c.files.content("file-none"),
    "unknown to delete": lambda c: c.files.delete("file-none"),
    "wrong limit": lambda c: c.files.list(limit=0),
    "unknown batch": lambda c: c.batches.retrieve("batch_none"),
    "unknown batch to cancel": lambda c: c.batches.cancel("batch_none"),
    "batch of no file": lambda c: c.batches.create(
        input_file_id="file-none", endpoint="/v1/embeddings", completion_window="24h"
    ),
    "wrong endpoint": lambda c: c.batches.create(
        input_file_id="file-none", endpoint="/v1/none", completion_window="24h"
    ),
    "wrong window": lambda c: c.batches.create(
        input_file_id="file-none", endpoint="/v1/embeddings", completion_window="1h"
    ),
    "overloaded": lambda c: c.files.list(extra_headers={"x-simulated-fault": "status-503"}),
}
STATUSES = {
    "wrong purpose": 400,
    "wrong form": 400,
    "wrong limit": 400,
    "wrong endpoint": 400,
    "wrong window": 400,
    "overloaded": 503,
}


@pytest.mark.parametrize("name", FILE_MISTAKES)
def test_raises_the_same_exception(clients: Clients, name: str) -> None:
    direct, gateway = clients

    raised = outcome(FILE_MISTAKES[name], gateway)

    assert raised["status"] == STATUSES.get(name, 404)
    assert raised == outcome(FILE_MISTAKES[name], direct)


@pytest.mark.parametrize("name", FILE_MISTAKES)
async def test_raises_the_same_exception_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    raised = await outcome_async(FILE_MISTAKES[name], gateway)

    assert raised["status"] == STATUSES.get(name, 404)
    assert raised == await outcome_async(FILE_MISTAKES[name], direct)


def test_submits_lists_and_cancels_batches(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        file = client.files.create(file=("a.jsonl", LINES), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/embeddings",
            completion_window="24h",
            metadata={"name": "nightly"},
        )
        listed = [each for each in client.batches.list(limit=1) if each.id == made.id]
        shown = client.batches.retrieve(made.id)
        cancelled = client.batches.cancel(made.id)
        assert [made.status, cancelled.status] == ["validating", "cancelled"]
        assert len(listed) == 1
        return [each.model_dump() for each in (made, *listed, shown, cancelled)]

    assert timeless(outcome(call, gateway)) == timeless(outcome(call, direct))


async def test_submits_and_cancels_batches_as_awaited(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        file = await client.files.create(file=("a.jsonl", LINES), purpose="batch")
        made = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
        )
        listed = [each async for each in client.batches.list() if each.id == made.id]
        await client.batches.cancel(made.id)
        shown = await client.batches.retrieve(made.id)
        return [each.model_dump() for each in (made, *listed, shown)]

    through, without = await outcome_async(call, gateway), await outcome_async(call, direct)
    assert timeless(through) == timeless(without)


def test_tells_no_cost_of_a_batch(clients: Clients) -> None:
    _, gateway = clients
    file = gateway.files.create(file=("a.jsonl", LINES), purpose="batch")

    raw = gateway.batches.with_raw_response.create(
        input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
    )

    assert "x-gateway-cost-usd" not in raw.headers
