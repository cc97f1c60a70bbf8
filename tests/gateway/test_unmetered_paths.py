"""Which paths an installation may let through unread, and which never."""

import pytest

from common.llm.paths import Endpoint, NotForwarded, resolve
from common.llm.unmetered import read_unmetered

STORES = read_unmetered(["POST /openai/v1/vector_stores", "GET  /openai/v1/vector_stores/*"])
EVERYTHING = read_unmetered(
    f"{method} {root}{rest}"
    for method in ("GET", "POST")
    for root in ("/openai/v1", "/anthropic/v1", "/gemini/v1beta", "/u/router/v1")
    for rest in ("/*", "/*/*", "/*/*/*")
)


@pytest.mark.parametrize(
    ("method", "path", "rest"),
    [
        ("POST", "/openai/v1/vector_stores", "/v1/vector_stores"),
        ("POST", "/v1/vector_stores", "/v1/vector_stores"),
        ("GET", "/openai/v1/vector_stores/vs_1", "/v1/vector_stores/vs_1"),
    ],
)
def test_lets_a_listed_path_through(method: str, path: str, rest: str) -> None:
    found = resolve(method, path, {}, STORES)

    assert found == Endpoint("openai", "unmetered", method, rest, "unread", None, "openai")
    assert (found.metered, found.unmetered) == (True, "unread")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/openai/v1/vector_stores"),
        ("DELETE", "/openai/v1/vector_stores/vs_1"),
        ("GET", "/openai/v1/vector_stores/vs_1/files"),
        ("GET", "/openai/v1/vector_stores/"),
        ("GET", "/openai/v1/vector_stores/.."),
        ("GET", "/openai/v1/vector_stores/a;b"),
        ("GET", "/openai/v1/vector_stores/a b"),
        ("POST", "/anthropic/v1/vector_stores"),
        ("POST", "/u/openai/v1/vector_stores"),
        ("POST", "/openai/v1/vector-stores"),
    ],
)
def test_lets_nothing_else_through(method: str, path: str) -> None:
    assert isinstance(resolve(method, path, {}, STORES), NotForwarded)


def test_lets_nothing_through_that_is_not_listed() -> None:
    assert isinstance(resolve("POST", "/openai/v1/vector_stores", {}), NotForwarded)


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        ("/u/router/v1/rerank", "router"),
        ("/gemini/v1beta/models/veo:predictLongRunning", "gemini"),
        ("/anthropic/v1/skills", "anthropic"),
    ],
)
def test_lets_paths_of_every_upstream_through(path: str, upstream: str) -> None:
    found = resolve("POST", path, {}, EVERYTHING)

    assert isinstance(found, Endpoint)
    assert (found.form, found.upstream) == ("unread", upstream)


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", "/openai/v1/chat/completions", "openai_chat"),
        ("POST", "/gemini/v1beta/models/m:generateContent", "gemini_content"),
        ("POST", "/u/router/v1/embeddings", "openai_embeddings"),
        ("GET", "/openai/v1/files", None),
    ],
)
def test_what_is_read_stays_read(method: str, path: str, form: str | None) -> None:
    found = resolve(method, path, {}, EVERYTHING)

    assert isinstance(found, Endpoint)
    assert found.form == form


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/organization/costs",
        "/openai/v1/Organization/costs",
        "/openai/v1/organization./costs",
        "/openai/v1/organization/admin_api_keys",
        "/anthropic/v1/organizations/api_keys",
        "/openai/v1/realtime/client_secrets",
        "/openai/v1/realtime/calls",
        "/openai/v1/chatkit/sessions",
        "/gemini/v1beta/auth_tokens",
        "/gemini/v1beta/authTokens",
        "/gemini/v1beta/auth_tokens:create",
        "/gemini/v1beta/models/m:bidiGenerateContent",
        "/u/router/v1/keys",
        "/u/router/v1/auth/keys",
        "/openai/v1/admin_api_keys",
        "/openai/v1/realtime.sessions",
        "/openai/v1/invites",
        "/openai/v1/my-organisations",
        "/anthropic/v1/sessions",
    ],
)
def test_what_leads_around_the_gateway_stays_closed(path: str) -> None:
    found = resolve("POST", path, {}, EVERYTHING)

    assert isinstance(found, NotForwarded)
    assert not found.listable


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/Responses",
        "/openai/v1/chat/completions.",
        "/openai/v1/chat./completions",
        "/openai/v1/chat/completions~",
        "/openai/v1/chat/completions.:~",
        "/openai/v1/responses/Compact",
        "/openai/v1/responses/compact.",
        "/openai/v1/chat/completion%73",
        "/openai/v1/Chat%2Fcompletions",
        "/v1/Embeddings",
        "/u/router/v1/CHAT/completions",
        "/anthropic/v1/Messages",
        "/gemini/v1beta/models/m:GenerateContent",
        "/gemini/v1beta/models/m:generateContent.",
        "/gemini/v1beta/OpenAI/embeddings",
        "/gemini/v1beta/openai./embeddings",
    ],
)
def test_no_other_spelling_of_what_is_read_goes_unread(path: str) -> None:
    assert isinstance(resolve("POST", path, {}, EVERYTHING), NotForwarded)


def test_ids_in_capitals_are_no_other_spelling() -> None:
    found = resolve("POST", "/openai/v1/files/file-ABC", {}, EVERYTHING)

    assert isinstance(found, Endpoint)
    assert found.form == "unread"


@pytest.mark.parametrize("path", ["/openai/v1/vector_stores", "/openai/v1/anything"])
def test_an_upgrade_stays_closed(path: str) -> None:
    found = resolve("GET", path, {"upgrade": "websocket"}, EVERYTHING)

    assert isinstance(found, NotForwarded)
    assert not found.listable


@pytest.mark.parametrize(
    "entry",
    [
        "/openai/v1/vector_stores",
        "post /openai/v1/vector_stores",
        "HEAD /openai/v1/vector_stores",
        "POST /vertex/v1/projects/p/locations/l/endpoints",
        "POST /v1/vector_stores",
        "POST /*/v1/vector_stores",
        "POST /openai/*/vector_stores",
        "POST /openai/v1",
        "POST /openai/v1/",
        "POST /openai/v1//a",
        "POST /openai/v1/a**",
        "POST /openai/v1/*a*",
        "POST /openai/v1/a?b=c",
        "POST /openai/v1/{id}",
        "POST https://api.openai.com/v1/vector_stores",
        "sk-a-secret-in-the-wrong-place",
    ],
)
def test_says_which_entry_is_not_in_the_form(entry: str) -> None:
    with pytest.raises(ValueError, match=r"entry 2 is not METHOD /openai/v1/") as caught:
        read_unmetered(["POST /openai/v1/vector_stores", entry])

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        "GET /openai/v1/organization/costs",
        "GET /anthropic/v1/organizations/*",
        "POST /openai/v1/realtime/client_secrets",
        "POST /gemini/v1beta/auth_tokens",
        "POST /openai/v1/../organization",
        "POST /openai/v1/./x",
        "POST /openai/v1/admin_api_keys",
        "POST /openai/v1/invites/*",
    ],
)
def test_says_which_entry_is_never_let_through(entry: str) -> None:
    with pytest.raises(ValueError, match="entry 1 is never let through"):
        read_unmetered([entry])
