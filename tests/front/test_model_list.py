"""The list of models: what it shows works, and what works is shown."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from common.core.secrets import Secret
from common.gateway.keys import KeyPolicy
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from tests.front.conftest import CHAT, Front, make_gateway
from tests.front.upstreams import VARIABLES
from tests.gateway.making import SetClock, a_key, store
from tests.streams.fakes import (
    JSON,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
)

LIST = "/openai/v1/models"
POLICIES: Mapping[str, KeyPolicy] = {
    "anything": KeyPolicy(),
    "models by name": KeyPolicy(models=("gpt-4o*", "claude-*", "grok-*")),
    "models by prefix": KeyPolicy(models=("groq/*", "openrouter/anthropic/*", "gpt-5-mini")),
    "upstreams": KeyPolicy(upstreams=("mistral", "x-ai", "ollama")),
    "both": KeyPolicy(upstreams=("openai", "groq"), models=("*4o*", "llama-*")),
    "nothing there is": KeyPolicy(models=("no-such-model",)),
}


class AnsweringUpstream:
    """Answers each call in the way of its address, whatever it asks."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.urls.append(request.url)
        return ScriptedReply([b'{"choices":[]}'], 200, list(JSON))


@pytest.fixture
def answering() -> AnsweringUpstream:
    return AnsweringUpstream()


@pytest.fixture
def client(front: Front, answering: AnsweringUpstream) -> Client:
    """Every upstream has a key but mistral and azure."""
    unset = ("MISTRAL_API_KEY", "AZURE_API_KEY")
    keys = {name: Secret(f"of-{name}") for name in VARIABLES if name not in unset}
    return Client(make_gateway(front.documents, answering, KeepingBus(), SetClock(), keys))


async def _ask(client: Client, method: str, path: str, body: Any = None) -> Exchange:
    sent = b"" if body is None else orjson.dumps(body)
    return await client.call(path, sent, method=method, headers={"authorization": ""})


async def _listed(client: Client) -> list[str]:
    exchange = await _ask(client, "GET", LIST)
    assert exchange.status == 200
    return [entry["id"] for entry in json.loads(exchange.content)["data"]]


async def _refusal(client: Client, model: str) -> str | None:
    """Why the gateway itself refuses a call of a model; None where it sends it."""
    exchange = await _ask(client, "POST", CHAT, {"model": model, "messages": []})
    return exchange.headers.get("x-gateway-error")


@pytest.mark.parametrize("name", POLICIES)
async def test_no_listed_model_is_refused(front: Front, client: Client, name: str) -> None:
    await store(front.documents, a_key(policy=POLICIES[name]))

    listed = await _listed(client)

    assert len(listed) == len(set(listed))
    assert bool(listed) == (name != "nothing there is")
    refused = [model for model in listed if await _refusal(client, model) is not None]
    assert refused == []


async def test_no_listed_model_of_vertex_is_refused(front: Front, client: Client) -> None:
    await store(front.documents, a_key(policy=KeyPolicy(models=("gemini-2.5-flash",))))

    assert "vertex/gemini-2.5-flash" in await _listed(client)
    assert await _refusal(client, "vertex/gemini-2.5-flash") is None


@pytest.mark.parametrize("name", POLICIES)
async def test_every_model_that_is_not_listed_is_refused_with_the_reason(
    front: Front, client: Client, name: str
) -> None:
    everything = await _listed(client)
    await store(front.documents, a_key(policy=POLICIES[name]))
    gateway = make_gateway(
        front.documents, AnsweringUpstream(), KeepingBus(), SetClock(), _keys_of_all()
    )
    bound = Client(gateway)
    listed = set(await _listed(bound))

    reasons = {model: await _refusal(bound, model) for model in everything if model not in listed}

    assert set(reasons.values()) <= {"model_not_allowed", "upstream_not_allowed"}
    assert (len(reasons) > 100) == (name != "anything")


def _keys_of_all() -> Mapping[str, Secret]:
    return {name: Secret(f"of-{name}") for name in VARIABLES}


async def test_an_upstream_that_nobody_pays_for_is_not_listed_and_refused(
    client: Client, answering: AnsweringUpstream
) -> None:
    listed = await _listed(client)

    assert not [model for model in listed if model.startswith(("mistral/", "azure/"))]
    assert await _refusal(client, "mistral/mistral-large-latest") == "missing_provider_key"
    assert answering.urls == []


async def test_each_listed_model_goes_to_the_upstream_it_is_listed_for(
    client: Client, answering: AnsweringUpstream
) -> None:
    exchange = await _ask(client, "GET", LIST)
    for entry in json.loads(exchange.content)["data"]:
        await _refusal(client, entry["id"])
        host = answering.urls[-1]
        assert {
            "openai": "api.openai.com",
            "anthropic": "api.anthropic.com",
            "gemini": "generativelanguage.googleapis.com",
            "vertex": "europe-west4-aiplatform.googleapis.com",
            "deepseek": "api.deepseek.com",
            "xai": "api.x.ai",
            "groq": "api.groq.com",
            "openrouter": "openrouter.ai",
            "relay": "llm.example.com",
            "ollama": "ollama.example.com",
            "vllm": "vllm.example.com",
        }[entry["owned_by"]] in host


async def test_names_the_models_of_upstreams_without_a_price_list(client: Client) -> None:
    listed = await _listed(client)

    assert {"ollama/llama3:8b", "vllm/org/own-model"} <= set(listed)


async def test_is_in_openais_shape(client: Client) -> None:
    exchange = await _ask(client, "GET", LIST)

    told = json.loads(exchange.content)
    assert told["object"] == "list"
    assert {tuple(entry) for entry in told["data"]} == {("id", "object", "created", "owned_by")}
    entry = next(each for each in told["data"] if each["id"] == "groq/openai/gpt-oss-120b")
    assert (entry["object"], entry["owned_by"]) == ("model", "groq")
    one = await _ask(client, "GET", f"{LIST}/groq/openai/gpt-oss-120b")
    assert json.loads(one.content) == entry


@pytest.mark.parametrize("model", ["no-such-model", "groq/no-such", "mistral/mistral-large", "a/b"])
async def test_a_model_that_is_not_listed_is_not_found(client: Client, model: str) -> None:
    exchange = await _ask(client, "GET", f"{LIST}/{model}")

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (404, "model_not_found")


async def test_a_caller_with_a_key_of_his_own_sees_openais_models(client: Client) -> None:
    exchange = await client.call(LIST, b"", method="GET", headers={"authorization": "Bearer mine"})

    owners = {entry["owned_by"] for entry in json.loads(exchange.content)["data"]}
    assert owners == {"openai"}
