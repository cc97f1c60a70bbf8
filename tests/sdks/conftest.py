"""One local stack for all tests of the official SDKs, and clients of `openai` and `anthropic`."""

from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import anthropic
import openai
import pytest

from tests.local_stack.process import Stack

Clients: TypeAlias = tuple[openai.OpenAI, openai.OpenAI]
AsyncClients: TypeAlias = tuple[openai.AsyncOpenAI, openai.AsyncOpenAI]
AnthropicClients: TypeAlias = tuple[anthropic.Anthropic, anthropic.Anthropic]
AsyncAnthropicClients: TypeAlias = tuple[anthropic.AsyncAnthropic, anthropic.AsyncAnthropic]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """The provider directly, and through the gateway."""
    direct = openai.OpenAI(
        base_url=f"{stack.address}/simulated/openai/v1", api_key="sim", max_retries=0
    )
    gateway = openai.OpenAI(
        base_url=f"{stack.address}/openai/v1",
        api_key="sim",
        max_retries=0,
        default_headers={"x-gateway-key": stack.key},
    )
    with direct, gateway:
        yield direct, gateway


@pytest.fixture
async def async_clients(stack: Stack) -> AsyncIterator[AsyncClients]:
    direct = openai.AsyncOpenAI(
        base_url=f"{stack.address}/simulated/openai/v1", api_key="sim", max_retries=0
    )
    # The other form: the gateway key alone, the provider key is the installation's.
    gateway = openai.AsyncOpenAI(
        base_url=f"{stack.address}/openai/v1", api_key=stack.key, max_retries=0
    )
    async with direct, gateway:
        yield direct, gateway


@pytest.fixture
def anthropic_clients(stack: Stack) -> Iterator[AnthropicClients]:
    """The provider directly, and through the gateway."""
    direct = anthropic.Anthropic(
        base_url=f"{stack.address}/simulated/anthropic", api_key="sim", max_retries=0
    )
    gateway = anthropic.Anthropic(
        base_url=f"{stack.address}/anthropic",
        api_key="sim",
        max_retries=0,
        default_headers={"x-gateway-key": stack.key},
    )
    with direct, gateway:
        yield direct, gateway


@pytest.fixture
async def async_anthropic_clients(stack: Stack) -> AsyncIterator[AsyncAnthropicClients]:
    direct = anthropic.AsyncAnthropic(
        base_url=f"{stack.address}/simulated/anthropic", api_key="sim", max_retries=0
    )
    # The other forms: a bare base URL, and the gateway key as a bearer token.
    gateway = anthropic.AsyncAnthropic(base_url=stack.address, auth_token=stack.key, max_retries=0)
    async with direct, gateway:
        yield direct, gateway
