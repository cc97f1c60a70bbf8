"""The official `google-genai` package for Vertex AI sees the same through the gateway."""

import asyncio
import runpy
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from common.core.ports import Put
from common.gateway.upstream_records import UpstreamRecord, upstream_ref
from tests.chosen_engines import state_of
from tests.clients.accounts import open_account, paid
from tests.clients.readme import block
from tests.local_stack.process import Stack
from tests.metadata_server import MetadataServer, metadata_server
from tests.sdks.test_google_sdk import CALLS, FAULTS, HELLO, outcome, outcome_async

pytestmark = [
    # The package derives a class of its own from aiohttp's session.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

Clients: TypeAlias = tuple[genai.Client, genai.Client]

PROJECT, LOCATION = "acme", "europe-west4"


@pytest.fixture(scope="module")
def metadata() -> Iterator[MetadataServer]:
    with metadata_server() as running:
        # What the identity hands out reaches the simulated provider.
        running.token = "sim"
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, metadata: MetadataServer) -> Iterator[Stack]:
    """A local stack with an upstream at Vertex AI and an identity."""
    folder = tmp_path_factory.mktemp("stack")
    data, empty = folder / "data", folder / "empty"
    data.mkdir()
    empty.mkdir()
    asyncio.run(_configure(data))
    with Stack(data, env=metadata.variables(empty)) as running:
        yield running


async def _configure(data: Path) -> None:
    record = UpstreamRecord("vertex", identity="google", project=PROJECT, location=LOCATION)
    documents = state_of(data)
    await documents.commit([Put(upstream_ref(record.name), record.to_data())])
    await documents.aclose()


def _client(
    address: str,
    *,
    key: str | None = None,
    token: str | None = None,
    project: str | None = None,
    headers: dict[str, str] | None = None,
) -> genai.Client:
    """A client with an API key, or with credentials that hold a token."""
    credentials = Credentials(token) if token else None  # type: ignore[no-untyped-call] # untyped there
    return genai.Client(
        vertexai=True,
        api_key=key,
        credentials=credentials,
        project=project,
        location=LOCATION if project else None,
        http_options=types.HttpOptions(base_url=address, headers=headers),
    )


def _direct(stack: Stack) -> genai.Client:
    return _client(f"{stack.address}/simulated/vertex", token="sim", project=PROJECT)


def _gateway(stack: Stack, form: str) -> genai.Client:
    """A client of the gateway, set up in one of the ways that work."""
    url, headers = f"{stack.address}/vertex", {"x-gateway-key": stack.key}
    match form:
        case "key":
            return _client(url, key=stack.key)
        case "key and place":
            return _client(url, key=stack.key, project=PROJECT)
        case "key as a token":
            return _client(url, token=stack.key, project=PROJECT)
        case "own token":
            return _client(url, token="sim", project=PROJECT, headers=headers)
    raise ValueError(form)


FORMS = ["key", "key and place", "key as a token", "own token"]


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """The provider directly, and through the gateway."""
    with _direct(stack) as direct, _gateway(stack, "key") as gateway:
        yield direct, gateway


@pytest.fixture
async def async_clients(stack: Stack) -> AsyncIterator[Clients]:
    direct, gateway = _direct(stack), _gateway(stack, "key as a token")
    yield direct, gateway
    for client in (direct, gateway):
        await client.aio.aclose()
        client.close()


def untimed(value: Any) -> Any:
    """An outcome without the time of its reply."""
    if isinstance(value, list):
        return [untimed(each) for each in value]
    dumped = value.get("GenerateContentResponse") if isinstance(value, dict) else None
    if dumped is None:
        return value
    assert dumped["create_time"] is not None
    return {**dumped, "create_time": None}


@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_set_it_up_answers_the_same(stack: Stack, form: str) -> None:
    def call(client: genai.Client) -> Any:
        return client.models.generate_content(model="gemini-2.0-flash", contents=HELLO)

    with _direct(stack) as direct, _gateway(stack, form) as gateway:
        assert untimed(outcome(call, gateway)) == untimed(outcome(call, direct))


@pytest.mark.parametrize("name", CALLS)
def test_answers_the_same_object(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return client.models.generate_content(contents=HELLO, **CALLS[name])

    assert untimed(outcome(call, gateway)) == untimed(outcome(call, direct))


@pytest.mark.parametrize("name", CALLS)
async def test_answers_the_same_object_as_awaited(async_clients: Clients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        return await client.aio.models.generate_content(contents=HELLO, **CALLS[name])

    through = await outcome_async(call, gateway)
    assert untimed(through) == untimed(await outcome_async(call, direct))


@pytest.mark.parametrize("name", CALLS)
def test_streams_the_same_chunks(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return list(client.models.generate_content_stream(contents=HELLO, **CALLS[name]))

    assert untimed(outcome(call, gateway)) == untimed(outcome(call, direct))


@pytest.mark.parametrize("name", CALLS)
async def test_streams_the_same_chunks_asynchronously(async_clients: Clients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        stream = await client.aio.models.generate_content_stream(contents=HELLO, **CALLS[name])
        return [chunk async for chunk in stream]

    through = await outcome_async(call, gateway)
    assert untimed(through) == untimed(await outcome_async(call, direct))


@pytest.mark.parametrize("status", FAULTS)
def test_raises_the_same_exception(clients: Clients, status: int) -> None:
    direct, gateway = clients
    headers = {"x-simulated-fault": f"status-{status}"}
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))

    def call(client: genai.Client) -> Any:
        return client.models.generate_content(
            model="gemini-2.5-flash", contents=HELLO, config=config
        )

    raised = outcome(call, gateway)

    assert raised == outcome(call, direct)
    assert raised["code"] == status


def test_another_project_is_refused(stack: Stack) -> None:
    client = _client(f"{stack.address}/vertex", key=stack.key, project="other")

    with client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-2.5-flash", contents=HELLO)

    assert (caught.value.code, caught.value.status) == (403, "PERMISSION_DENIED")
    assert caught.value.response.headers["x-gateway-error"] == "upstream_not_allowed"


def test_without_a_key_the_package_leaves_out_the_path(stack: Stack) -> None:
    client = _client(f"{stack.address}/vertex", headers={"x-gateway-key": stack.key})

    with client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-2.5-flash", contents=HELLO)

    assert caught.value.code == 404


def test_what_is_not_supported_is_refused_once(clients: Clients) -> None:
    _, gateway = clients

    for call in (
        lambda: gateway.models.count_tokens(model="gemini-2.5-flash", contents=HELLO),
        lambda: gateway.models.generate_content(
            model="publishers/anthropic/models/claude-sonnet-4-5", contents=HELLO
        ),
    ):
        with pytest.raises(errors.ServerError) as caught:
            call()
        assert (caught.value.code, caught.value.status) == (501, "UNIMPLEMENTED")


def test_the_identity_asked_for_one_token(stack: Stack, metadata: MetadataServer) -> None:
    with _gateway(stack, "key") as gateway:
        for _ in range(3):
            gateway.models.generate_content(model="gemini-2.0-flash", contents=HELLO)

    assert len(metadata.token_requests) == 1


def test_the_readme_s_client_works_and_is_accounted(stack: Stack, tmp_path: Path) -> None:
    account = open_account(stack)
    file = tmp_path / "settings.py"
    file.write_text(block("vertexai", address=account.address, key=account.key))

    with runpy.run_path(str(file), {"genai": genai})["client"] as client:
        client.models.generate_content(model="gemini-2.0-flash", contents=HELLO)
        list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=HELLO))

    assert paid(account.calls()) == account.billed() != []
    assert len(account.billed()) == 2
