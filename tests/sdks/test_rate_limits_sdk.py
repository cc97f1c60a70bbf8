"""What the official SDKs raise when a gateway key is over its limit."""

from collections.abc import Callable
from typing import TypeAlias

import anthropic
import httpx
import openai
import pytest
from google import genai

from tests.local_stack.process import Stack

MakeKey: TypeAlias = Callable[..., str]


@pytest.fixture
def limited(stack: Stack, request: pytest.FixtureRequest) -> MakeKey:
    """Makes a key with these limits."""

    def make(**limits: int) -> str:
        name = request.node.name
        body = {"org": "demo", "agent": "assistant", "name": name, "policy": {"limits": limits}}
        answer = httpx.post(f"{stack.address}/api/v1/keys", json=body).raise_for_status()
        return str(answer.json()["data"]["secret"])

    return make


def test_openai(stack: Stack, limited: MakeKey) -> None:
    sdk = openai.OpenAI(
        base_url=f"{stack.address}/openai/v1", api_key=limited(tpm=2), max_retries=0
    )

    with sdk, pytest.raises(openai.RateLimitError) as error:
        sdk.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
        )

    assert (error.value.code, error.value.type) == ("rate_limited", "rate_limit_exceeded")


def test_anthropic(stack: Stack, limited: MakeKey) -> None:
    sdk = anthropic.Anthropic(
        base_url=f"{stack.address}/anthropic", api_key=limited(tpm=2), max_retries=0
    )

    with sdk, pytest.raises(anthropic.RateLimitError) as error:
        sdk.messages.create(
            model="claude-haiku-4-5",
            max_tokens=10,
            messages=[{"role": "user", "content": "Hello"}],
        )

    assert error.value.response.headers["x-gateway-limit"] == "tpm"


def test_google(stack: Stack, limited: MakeKey) -> None:
    sdk = genai.Client(api_key=limited(tpm=2), http_options={"base_url": f"{stack.address}/gemini"})

    with pytest.raises(genai.errors.ClientError) as error:
        sdk.models.generate_content(model="gemini-2.5-flash", contents="Hello")

    assert (error.value.code, error.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_a_call_that_never_fits_is_sent_once(stack: Stack, limited: MakeKey) -> None:
    """However often the SDK would try again."""
    sent: list[object] = []
    sdk = openai.OpenAI(
        base_url=f"{stack.address}/openai/v1",
        api_key=limited(tpm=2),
        max_retries=2,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [sent.append]}),
    )

    with sdk, pytest.raises(openai.RateLimitError):
        sdk.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
        )

    assert len(sent) == 1
