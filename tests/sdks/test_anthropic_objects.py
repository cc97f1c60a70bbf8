"""Token counts, batches and files: `anthropic` sees the same with and without a gateway.

Both clients share one simulated account, so each reads and deletes what it made itself.
"""

from typing import Any

import anthropic
import httpx
import pytest

from tests.local_stack.process import Stack
from tests.sdks.comparison import outcome, outcome_async
from tests.sdks.conftest import AnthropicClients, AsyncAnthropicClients
from tests.sdks.test_anthropic_sdk import HELLO, WEATHER

COUNTED: dict[str, dict[str, Any]] = {
    "plain": {"model": "claude-sonnet-5"},
    "system": {"model": "claude-haiku-4-5", "system": "Be brief."},
    "tools": {"model": "claude-sonnet-5", "tools": [WEATHER]},
    "thinking": {
        "model": "claude-sonnet-5",
        "thinking": {"type": "enabled", "budget_tokens": 16_000},
    },
    "unknown model": {"model": "no-such-model"},
    "cap": {"model": "claude-sonnet-5", "extra_body": {"max_tokens": 5}},
}
REQUESTS: Any = [
    {
        "custom_id": f"request-{number}",
        "params": {"model": "claude-sonnet-5", "max_tokens": 9, "messages": HELLO},
    }
    for number in range(3)
]
CONTENT = bytes(range(256)) * 16 + b"\r\n--not a boundary\r\n"
DIFFERENT = ("created_at", "expires_at", "ended_at", "cancel_initiated_at", "results_url")


def timeless(value: Any) -> Any:
    """What both clients must see alike: the objects without their names and times."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in DIFFERENT}
    return [timeless(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", COUNTED)
def test_counts_the_same(anthropic_clients: AnthropicClients, name: str) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        return client.messages.count_tokens(messages=HELLO, **COUNTED[name])

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", COUNTED)
async def test_counts_the_same_as_awaited(
    async_anthropic_clients: AsyncAnthropicClients, name: str
) -> None:
    direct, gateway = async_anthropic_clients

    async def call(client: anthropic.AsyncAnthropic) -> Any:
        return await client.messages.count_tokens(messages=HELLO, **COUNTED[name])

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_counts_what_a_message_is_billed_for_free(anthropic_clients: AnthropicClients) -> None:
    _, gateway = anthropic_clients
    asked: dict[str, Any] = {"model": "claude-sonnet-5", "messages": HELLO, "tools": [WEATHER]}

    counted = gateway.messages.with_raw_response.count_tokens(**asked)
    told = gateway.messages.create(max_tokens=5, **asked).usage

    assert counted.parse().input_tokens == told.input_tokens
    assert counted.headers["x-gateway-cost-source"] == "free"


def test_counts_for_the_beta_client(anthropic_clients: AnthropicClients) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        return client.beta.messages.count_tokens(
            model="claude-sonnet-5", messages=HELLO, betas=["token-counting-2024-11-01"]
        )

    assert outcome(call, gateway) == outcome(call, direct)


def test_makes_reads_cancels_and_deletes_batches(anthropic_clients: AnthropicClients) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        batches = client.messages.batches
        made = batches.create(requests=REQUESTS)
        shown = batches.retrieve(made.id)
        listed = [each for each in batches.list(limit=1) if each.id == made.id]
        refused = [
            outcome(lambda c: c.messages.batches.delete(made.id), client),
            outcome(lambda c: _results(c, made.id), client),
        ]
        ended = batches.cancel(made.id)
        lines = _results(client, made.id)
        deleted = batches.delete(made.id)
        gone = outcome(lambda c: c.messages.batches.retrieve("none"), client)
        assert len(lines.splitlines()) == ended.request_counts.canceled == len(REQUESTS)
        assert len(listed) == 1
        objects = [each.model_dump() for each in (made, shown, *listed, ended, deleted)]
        return [*objects, lines, gone, [error["raised"] for error in refused]]

    assert timeless(outcome(call, gateway)) == timeless(outcome(call, direct))


async def test_makes_and_cancels_batches_as_awaited(
    async_anthropic_clients: AsyncAnthropicClients,
) -> None:
    direct, gateway = async_anthropic_clients

    async def call(client: anthropic.AsyncAnthropic) -> Any:
        made = await client.messages.batches.create(requests=REQUESTS)
        ended = await client.messages.batches.cancel(made.id)
        return [made.model_dump(), ended.model_dump()]

    assert timeless(await outcome_async(call, gateway)) == timeless(
        await outcome_async(call, direct)
    )


@pytest.mark.parametrize(
    "requests",
    [[], [{"custom_id": "a"}], [REQUESTS[0], REQUESTS[0]], [{"custom_id": "", "params": {}}]],
)
def test_sees_the_same_refusal_of_a_batch(
    anthropic_clients: AnthropicClients, requests: Any
) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        return client.messages.batches.create(requests=requests)

    assert outcome(call, gateway) == outcome(call, direct)


def test_tells_no_cost_of_a_batch_that_is_asked_for(anthropic_clients: AnthropicClients) -> None:
    _, gateway = anthropic_clients

    answer = gateway.messages.batches.with_raw_response.create(requests=REQUESTS)

    assert "x-gateway-cost-usd" not in answer.headers


def test_keeps_a_batch_from_a_key_that_is_bound_to_models(stack: Stack) -> None:
    body: dict[str, Any] = {"org": "demo", "agent": "assistant", "name": "bound"}
    body["policy"] = {"models": ["claude-*"]}
    made = httpx.post(f"{stack.address}/api/v1/keys", json=body).raise_for_status().json()["data"]
    client = anthropic.Anthropic(
        base_url=f"{stack.address}/anthropic", api_key=made["secret"], max_retries=0
    )

    with client, pytest.raises(anthropic.PermissionDeniedError) as caught:
        client.messages.batches.create(requests=REQUESTS)

    assert caught.value.response.headers["x-gateway-error"] == "model_not_allowed"


def test_keeps_files(anthropic_clients: AnthropicClients) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        made = [
            client.beta.files.upload(file=(f"{number}.pdf", content, "application/pdf"))
            for number, content in enumerate((CONTENT, b"", b"x"))
        ]
        listed = [each for _, each in zip(made, client.beta.files.list(limit=2), strict=False)]
        shown = [client.beta.files.retrieve_metadata(file.id) for file in made]
        kept = outcome(lambda c: c.beta.files.download(made[0].id).read(), client)
        deleted = [client.beta.files.delete(file.id) for file in made]
        gone = outcome(lambda c: c.beta.files.delete("none"), client)
        assert {each.id for each in listed} == {each.id for each in made}
        objects = [each.model_dump() for each in (*made, *listed, *shown, *deleted)]
        return [*objects, kept["raised"], gone]

    assert timeless(outcome(call, gateway)) == timeless(outcome(call, direct))


async def test_keeps_files_as_awaited(async_anthropic_clients: AsyncAnthropicClients) -> None:
    direct, gateway = async_anthropic_clients

    async def call(client: anthropic.AsyncAnthropic) -> Any:
        made = await client.files.upload(file=("a.txt", CONTENT))
        return [made.model_dump(), (await client.files.delete(made.id)).model_dump()]

    assert timeless(await outcome_async(call, gateway)) == timeless(
        await outcome_async(call, direct)
    )


def _results(client: anthropic.Anthropic, identity: str) -> str:
    """The results through the gateway: the address that a batch names is the provider's own."""
    path = f"/v1/messages/batches/{identity}/results"
    return client.get(path, cast_to=str)
