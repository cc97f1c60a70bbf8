"""LangChain and LiteLLM work through the gateway with the settings of the README alone."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.accounts import open_account, paid
from tests.clients.conftest import RunProgram
from tests.clients.readme import block
from tests.local_stack.process import Stack

pytestmark = pytest.mark.slow

MISPLACED = {
    '/openai/v1"': '/openai"',
    '/anthropic"': '/anthropic/v1"',
    '/gemini"': '/gemini/v1beta"',
    '/gemini/v1beta"': '/gemini"',
}
"""Addresses as the README has them, and as they are easily mistaken."""
ENDPOINTS = {
    "gpt": ("openai", "chat.completions"),
    "claude": ("anthropic", "messages"),
    "gemini": ("gemini", "generate"),
    "gpt_responses": ("openai", "responses"),
}
"""Protocol and endpoint that each model is called by."""
CALLS_EACH = 5
"""One plain, one streamed, two around a tool, one structured."""
SAID = "[simulated] "


@dataclass(frozen=True, slots=True)
class Ran:
    """What a client told by the names of its models, what was recorded, and what was billed."""

    client: str
    told: dict[str, Any]
    calls: list[dict[str, Any]]
    billed: list[int]

    def calls_of(self, model: str) -> list[dict[str, Any]]:
        """What was recorded of a model's calls, oldest first, without those that were refused."""
        return [c for c in self.calls if (c["protocol"], c["endpoint"]) == ENDPOINTS[model]]


@pytest.fixture(
    scope="module",
    params=[("langchain_models", "langchain_openai"), ("litellm_completions", "api_base")],
    ids=["langchain", "litellm"],
)
def ran(request: pytest.FixtureRequest, stack: Stack, run_program: RunProgram) -> Ran:
    program, naming = request.param
    account = open_account(stack)
    settings = block(naming, address=account.address, key=account.key)
    wrong_key = block(naming, address=account.address, key="ocg_wrong")
    pattern = "|".join(map(re.escape, sorted(MISPLACED, key=len, reverse=True)))
    wrong_address, changed = re.subn(pattern, lambda found: MISPLACED[found[0]], settings)
    assert changed == 3
    told = run_program(program, settings, wrong_key, wrong_address)
    return Ran(program, told, account.calls(), account.billed())


def test_answers_and_tells_the_usage_that_was_recorded(ran: Ran) -> None:
    for model, told in ran.told.items():
        plain, units = told["plain"], ran.calls_of(model)[0]["units"]
        counted = {name: units[name] for name in ("input_tokens", "output_tokens")}
        assert plain["text"].startswith(SAID), model
        assert {name: plain["usage"][name] for name in counted} == counted, model


def test_streams(ran: Ran) -> None:
    for model, told in ran.told.items():
        assert told["streamed"]["text"].startswith(SAID), model
        assert told["streamed"]["chunks"] > 3, model
        assert [call["streamed"] for call in ran.calls_of(model)].count(True) == 1, model


def test_calls_a_tool_and_goes_on(ran: Ran) -> None:
    for model, told in ran.told.items():
        called = [{"name": "weather", "args": {"city": f"{SAID}text"}}]
        assert told["tool_call"]["calls"] == called, model
        assert told["tool_call"]["text"].startswith(SAID), model


def test_fills_a_schema(ran: Ran) -> None:
    for model, told in ran.told.items():
        assert told["structured"].keys() == {"city", "country"}, model
        assert all(text.startswith(SAID) for text in told["structured"].values()), model


def test_raises_its_own_error_for_a_wrong_key(ran: Ran) -> None:
    # LiteLLM takes every invalid_request_error of OpenAI that has not OpenAI's own words for this.
    other = {("litellm_completions", "gpt"): "BadRequestError"}
    for model, told in ran.told.items():
        kind = other.get((ran.client, model), "AuthenticationError")
        assert any(name.endswith(kind) for name in told["wrong_key"]["types"]), model
        assert "The gateway key is not one of ours" in told["wrong_key"]["text"], model


def test_says_at_once_that_an_address_is_wrong(ran: Ran) -> None:
    for model, told in ran.told.items():
        assert "The gateway does not forward" in told["wrong_address"]["text"], model


def test_records_every_call_once_at_what_the_provider_billed(ran: Ran) -> None:
    expected = Counter({ENDPOINTS[model]: CALLS_EACH for model in ran.told})
    expected.update((ENDPOINTS[model][0], "unsupported") for model in ran.told)

    assert Counter((call["protocol"], call["endpoint"]) for call in ran.calls) == expected
    assert paid(ran.calls) == ran.billed
