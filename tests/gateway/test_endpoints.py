"""Which path is which provider's, and that what nobody prices is not forwarded."""

import pytest

from common.llm.paths import Endpoint, NotForwarded, resolve


@pytest.mark.parametrize(
    ("method", "path", "headers", "found"),
    [
        ("POST", "/openai/v1/chat/completions", {}, ("openai", "chat.completions", True)),
        ("POST", "/v1/chat/completions", {}, ("openai", "chat.completions", True)),
        ("POST", "/anthropic/v1/messages", {}, ("anthropic", "messages", True)),
        ("POST", "/v1/messages", {}, ("anthropic", "messages", True)),
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
        "/openai/v1/files",
        "/openai/v1/responses",
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
