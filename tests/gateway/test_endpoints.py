"""Which path is which provider's, and that what nobody prices is not forwarded."""

import pytest

from common.llm.paths import Endpoint, NotForwarded, resolve


@pytest.mark.parametrize(
    ("method", "path", "headers", "found"),
    [
        ("POST", "/openai/v1/chat/completions", {}, ("openai", "chat.completions", True)),
        ("POST", "/v1/chat/completions", {}, ("openai", "chat.completions", True)),
        ("POST", "/openai/v1/embeddings", {}, ("openai", "embeddings", True)),
        ("POST", "/v1/moderations", {}, ("openai", "moderations", False)),
        ("POST", "/v1/files", {}, ("openai", "files", False)),
        ("DELETE", "/openai/v1/files/file-1", {}, ("openai", "files", False)),
        ("GET", "/v1/files/file-1/content", {}, ("openai", "files.content", False)),
        ("POST", "/v1/batches", {}, ("openai", "batches", True)),
        ("GET", "/v1/batches/b", {}, ("openai", "batches", False)),
        ("POST", "/v1/batches/b/cancel", {}, ("openai", "batches", False)),
        ("POST", "/anthropic/v1/messages", {}, ("anthropic", "messages", True)),
        ("POST", "/v1/messages", {}, ("anthropic", "messages", True)),
        ("POST", "/openai/v1/responses", {}, ("openai", "responses", True)),
        ("POST", "/v1/responses/input_tokens", {}, ("openai", "responses.input_tokens", False)),
        ("GET", "/openai/v1/responses/resp_1", {}, ("openai", "responses.stored", False)),
        ("DELETE", "/openai/v1/responses/resp_1", {}, ("openai", "responses.stored", False)),
        ("POST", "/openai/v1/responses/resp_1/cancel", {}, ("openai", "responses.cancel", False)),
        ("GET", "/v1/responses/r/input_items", {}, ("openai", "responses.input_items", False)),
        ("GET", "/v1/models", {}, ("openai", "models", False)),
        ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, ("anthropic", "models", False)),
        ("GET", "/openai/v1/models/gpt-5", {}, ("openai", "models", False)),
        ("GET", "/anthropic/v1/models/claude", {}, ("anthropic", "models", False)),
    ],
)
def test_finds_the_endpoint(
    method: str, path: str, headers: dict[str, str], found: tuple[str, str, bool]
) -> None:
    endpoint = resolve(method, path, headers)

    assert isinstance(endpoint, Endpoint)
    assert (endpoint.protocol, endpoint.name, endpoint.metered) == found


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/realtime",
        "/openai/v1/responses/compact",
        "/openai/v1/fine_tuning/jobs",
        "/openai/v1/files/",
        "/openai/v1/files/../models/content",
        "/openai/v1/batches/b/results",
        "/openai/v1/responses/",
        "/openai/v1/responses/../models/cancel",
        "/openai/v1/chat/completions/",
        "/openai/v1/chat/completions/x",
        "/openai/v1//chat/completions",
        "/openai/v1/models/..",
        "/openai/v1/models/.",
        "/openai/v1/models/a/b",
        "/openai/v1/models/../files",
        "/openai/v1/chat/completions\n",
        "/v1/messages/batches",
        "/anthropic/v1/organizations/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_does_not_forward_what_is_not_listed(path: str, method: str) -> None:
    found = resolve(method, path, {})

    assert isinstance(found, NotForwarded)
    assert found.allowed_methods == ()


def test_names_the_method_that_a_path_takes() -> None:
    found = resolve("GET", "/v1/chat/completions", {})

    assert found == NotForwarded("openai", "/v1/chat/completions", ("POST",))


def test_does_not_forward_an_upgrade() -> None:
    found = resolve("GET", "/openai/v1/models", {"upgrade": "WebSocket"})

    assert found == NotForwarded("openai", "/v1/models")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/chat/completions", "/openai", "/api/v1/keys"])
def test_leaves_other_paths_alone(path: str) -> None:
    assert resolve("POST", path, {}) is None
