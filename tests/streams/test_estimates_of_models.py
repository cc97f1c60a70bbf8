"""One described call, judged with each of several models."""

import json
from typing import Any

import pytest

from common.core.ports import Documents
from common.core.secrets import Secret
from common.gateway.keys import KeyPolicy
from tests.gateway.making import a_key, key_text, store
from tests.streams.conftest import MakeClient
from tests.streams.fakes import JSON, OPENAI_REPLY, Client, KeepingBus, ScriptedReply
from tests.streams.fakes import ScriptedUpstream as Upstream
from tests.streams.hard_budgets import CAPPED, CHAT, Make, budget

__all__ = ["budget"]

ESTIMATE = "/gateway/v1/estimate"
IMAGE = (
    b'{"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":[{"type":'
    b'"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}'
)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    names = ("openai", "anthropic", "gemini")
    return make_client(managed_keys={name: Secret(f"sk-of-{name}") for name in names})


async def ask(client: Client, *models: Any, body: bytes = CAPPED, path: str = CHAT) -> Any:
    described = {"path": path, "models": list(models)}
    sent = json.dumps(described).encode()[:-1] + b',"body":' + body + b"}"
    headers = {"authorization": ""}
    return await client.call(ESTIMATE, sent, headers=headers)


async def estimates(client: Client, *models: str, **described: Any) -> dict[str, dict[str, Any]]:
    exchange = await ask(client, *models, **described)
    assert exchange.status == 200, exchange.content
    told = json.loads(exchange.content)
    return {each["model_asked"]: each for each in told["estimates"]}


async def test_tells_for_each_model_what_a_call_of_it_would_hold(
    make_client: MakeClient, upstream: Upstream, bus: KeepingBus, budget: Make
) -> None:
    await budget()
    keys = {"openai": Secret("sk-of-openai")}
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    told = await estimates(make_client(managed_keys=keys), "gpt-4o", "gpt-4o-mini")
    for model in told:
        body = CAPPED.replace(b"gpt-4o-mini", model.encode())
        await make_client(managed_keys=keys).call(body=body)

    held = [event.hold_nanos for event in bus.events]  # type: ignore[attr-defined] # usage events
    assert [each["bound_nanos"] for each in told.values()] == held
    assert [each["card"] for each in told.values()] == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert held[0] > held[1]


async def test_goes_to_the_upstream_of_each_model(client: Client) -> None:
    told = await estimates(client, "gemini/gemini-2.5-flash", "gpt-4.1", "nobody/x", "o3")

    shown = {name: (each["upstream"], each["model"], each["card"]) for name, each in told.items()}
    assert shown == {
        "gemini/gemini-2.5-flash": ("gemini", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        "gpt-4.1": ("openai", "gpt-4.1", "openai/gpt-4.1"),
        "nobody/x": (None, None, None),
        "o3": (None, None, None),
    }
    assert (told["nobody/x"]["fits"], told["nobody/x"]["reason"]) == (False, "unknown_upstream")
    assert (told["o3"]["fits"], told["o3"]["reason"]) == (False, "takes no such max_tokens")


async def test_says_which_of_them_fit(make_client: MakeClient, budget: Make) -> None:
    keys = {"openai": Secret("sk-of-openai")}
    [one] = (await estimates(make_client(managed_keys=keys), "gpt-4o-mini")).values()
    await budget(one["bound_nanos"])

    told = await estimates(make_client(managed_keys=keys), "gpt-4o", "gpt-4o-mini")

    assert {name: each["fits"] for name, each in told.items()} == {
        "gpt-4o": False,
        "gpt-4o-mini": True,
    }
    assert [each["id"] for each in told["gpt-4o"]["budgets"]] == ["b"]


async def test_counts_for_each_the_budgets_of_its_model(client: Client, budget: Make) -> None:
    await budget(1, models=("gpt-4o",))

    told = await estimates(client, "gpt-4o", "gpt-4o-mini")

    assert [(each["fits"], len(each["budgets"])) for each in told.values()] == [
        (False, 1),
        (True, 0),
    ]


async def test_replaces_the_model_in_a_path(client: Client) -> None:
    path = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"

    told = await estimates(
        client, "gemini-2.5-pro", "gemini-2.5-flash", body=b'{"contents":[]}', path=path
    )

    assert [each["card"] for each in told.values()] == [
        "google/gemini-2.5-pro",
        "google/gemini-2.5-flash",
    ]


async def test_says_why_a_model_cannot_take_the_call(client: Client, documents: Documents) -> None:
    own = KeyPolicy(models=("gpt-4o*", "o3-mini*"))
    await store(documents, a_key(policy=own))

    told = await estimates(client, "o3", "no-such", "o3-mini", "gpt-4o", body=IMAGE)

    assert [each["reason"] for each in told.values()] == [
        "model_not_allowed",
        "model_not_allowed",
        "takes no pictures",
        None,
    ]


async def test_answers_each_model_once(client: Client) -> None:
    exchange = await ask(client, "gpt-4o", "gpt-4o")

    assert len(json.loads(exchange.content)["estimates"]) == 1


@pytest.mark.parametrize(
    "models", [[], ["m"] * 21, [1], [""], ["x" * 257], [None], [{"model": "gpt-4o"}]]
)
async def test_refuses_what_names_no_models(client: Client, models: list[Any]) -> None:
    exchange = await ask(client, *models)

    assert exchange.status == 400, exchange.content
    assert exchange.headers["x-gateway-error"] == "unreadable_request"


async def test_takes_20_models(client: Client) -> None:
    names = [f"model-{number}" for number in range(20)]

    assert list(await estimates(client, *names)) == names


async def test_refuses_models_for_a_call_that_names_none(client: Client) -> None:
    exchange = await ask(client, "gpt-4o", body=b'{"messages":[]}')

    assert exchange.status == 400
    assert b"ask without" in exchange.content


async def test_sends_holds_and_publishes_nothing(
    client: Client, upstream: Upstream, bus: KeepingBus, budget: Make
) -> None:
    await budget()

    await estimates(client, "gpt-4o", "gpt-4o-mini")

    assert (upstream.requests, bus.events) == ([], [])


async def test_a_key_that_is_not_known_learns_nothing(client: Client) -> None:
    exchange = await client.call(
        ESTIMATE, b'{"path":"/x","body":{},"models":["gpt-4o"]}', headers={"x-gateway-key": "ocg_x"}
    )

    assert exchange.status == 401
    assert key_text("one") not in exchange.content.decode()
