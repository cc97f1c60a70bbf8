"""The official `openai` package, by a prefix and by an upstream's own path."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import openai
import pytest

from tests.front.upstreams import VENDORS
from tests.local_stack.process import Stack
from tests.sdks.comparison import comparable, outcome

MakeClient: TypeAlias = Callable[[str], openai.OpenAI]
HELLO: Any = [{"role": "user", "content": "Hello, a ledger as json? Grüße, 日本"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "capped": {"max_tokens": 5},
    "two choices": {"n": 2},
    "tools": {"tools": [WEATHER], "tool_choice": "required"},
    "json": {"response_format": {"type": "json_object"}},
    "unknown model": {"model": "google/no-such-model"},
    "bad field": {"temperature": 9},
}
SDK_VENDORS = tuple(name for name in VENDORS if name not in ("openai", "vertex"))
BY_PATH = tuple(name for name in SDK_VENDORS if name not in ("anthropic", "gemini"))


BOTH = [pytest.param(name, "prefix", id=f"{name}-by-prefix") for name in SDK_VENDORS] + [
    pytest.param(name, "path", id=f"{name}-by-path") for name in BY_PATH
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A local stack with every upstream of the table."""
    with Stack(tmp_path_factory.mktemp("stack") / "data") as running:
        with httpx.Client(base_url=f"{running.address}/api/v1/upstreams") as api:
            for vendor in VENDORS.values():
                if vendor.record is not None:
                    body = vendor.record.to_data()
                    headers = {"if-none-match": "*"}
                    api.put(vendor.prefix, json=body, headers=headers).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def make_client(stack: Stack) -> Iterator[MakeClient]:
    """The client of an address of the stack."""
    made: dict[str, openai.OpenAI] = {}

    def make(path: str) -> openai.OpenAI:
        if path not in made:
            ours = {} if path.startswith("/simulated") else {"x-gateway-key": stack.key}
            made[path] = openai.OpenAI(
                base_url=f"{stack.address}{path}",
                api_key="sim",
                max_retries=0,
                default_headers=ours,
            )
        return made[path]

    yield make
    for client in made.values():
        client.close()


@dataclass(frozen=True, slots=True)
class Side:
    """A client and what it has to call a vendor's models."""

    client: openai.OpenAI
    prefix: str = ""


def _sides(make_client: MakeClient, name: str, way: str) -> tuple[Side, Side]:
    """The vendor directly, and through the gateway."""
    direct = Side(make_client(f"/simulated{VENDORS[name].simulated}"))
    if way == "path":
        return direct, Side(make_client(f"/u/{name}/v1"))
    return direct, Side(make_client("/openai/v1"), f"{name}/")


def _asked(side: Side, name: str, call: str) -> dict[str, Any]:
    asked = {"model": VENDORS[name].model, "messages": HELLO, **CALLS[call]}
    return {**asked, "model": f"{side.prefix}{asked['model']}"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("name", "way"), BOTH)
def test_answers_the_same_object(make_client: MakeClient, name: str, way: str, call: str) -> None:
    def ask(side: Side) -> Any:
        return side.client.chat.completions.create(**_asked(side, name, call))

    direct, gateway = _sides(make_client, name, way)

    assert outcome(ask, gateway) == outcome(ask, direct)


@pytest.mark.parametrize("flag", [{}, {"stream_options": {"include_usage": True}}])
@pytest.mark.parametrize("call", ["plain", "tools"])
@pytest.mark.parametrize(("name", "way"), BOTH)
def test_streams_the_same_chunks(
    make_client: MakeClient, name: str, way: str, call: str, flag: dict[str, Any]
) -> None:
    def ask(side: Side) -> Any:
        asked = {**_asked(side, name, call), "stream": True, **flag}
        return [chunk.model_dump() for chunk in side.client.chat.completions.create(**asked)]

    direct, gateway = _sides(make_client, name, way)

    assert outcome(ask, gateway) == outcome(ask, direct)


@pytest.mark.parametrize("fault", [400, 429, 503])
@pytest.mark.parametrize(("name", "way"), BOTH)
def test_raises_the_same_error(make_client: MakeClient, name: str, way: str, fault: int) -> None:
    def ask(side: Side) -> Any:
        headers = {"x-simulated-fault": f"status-{fault}"}
        return side.client.chat.completions.create(
            **_asked(side, name, "plain"), extra_headers=headers
        )

    direct, gateway = _sides(make_client, name, way)
    raised = outcome(ask, gateway)

    assert raised == outcome(ask, direct)
    assert raised["status"] == fault


@pytest.mark.parametrize("way", ["path", "prefix"])
def test_embeds_the_same_vectors(make_client: MakeClient, way: str) -> None:
    def ask(side: Side) -> Any:
        model = f"{side.prefix}mistral-embed"
        return side.client.embeddings.create(model=model, input=["a", "ü"])

    direct, gateway = _sides(make_client, "mistral", way)

    assert outcome(ask, gateway) == outcome(ask, direct)


def test_finds_every_upstream_in_the_list_of_models(make_client: MakeClient, stack: Stack) -> None:
    client = openai.OpenAI(base_url=f"{stack.address}/openai/v1", api_key=stack.key, max_retries=0)

    with client:
        listed = list(client.models.list())
        one = client.models.retrieve("gemini/gemini-2.5-flash")

    # The others have no key where the stack runs.
    known = {"openai", "anthropic", "gemini", "vertex", "simulated"}
    assert {model.owned_by for model in listed} == known
    assert comparable(one) in [comparable(model) for model in listed]
    assert one.id == "gemini/gemini-2.5-flash"
