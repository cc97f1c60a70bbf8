"""Which path is which provider's, and that what nobody prices is not forwarded."""

import pytest

from common.llm.paths import Endpoint, NotForwarded, resolve


@pytest.mark.parametrize(
    ("method", "path", "headers", "found"),
    [
        ("POST", "/openai/v1/chat/completions", {}, ("openai", "chat.completions", True)),
        ("POST", "/v1/chat/completions", {}, ("openai", "chat.completions", True)),
        ("POST", "/openai/v1/embeddings", {}, ("openai", "embeddings", True)),
        ("POST", "/openai/v1/completions", {}, ("openai", "completions", True)),
        ("POST", "/v1/images/generations", {}, ("openai", "images.generations", True)),
        ("POST", "/openai/v1/images/edits", {}, ("openai", "images.edits", True)),
        ("POST", "/openai/v1/images/variations", {}, ("openai", "images.variations", True)),
        ("POST", "/v1/audio/speech", {}, ("openai", "audio.speech", True)),
        ("POST", "/v1/audio/transcriptions", {}, ("openai", "audio.transcriptions", True)),
        ("POST", "/v1/audio/translations", {}, ("openai", "audio.translations", True)),
        ("POST", "/v1/responses/compact", {}, ("openai", "responses.compact", True)),
        ("POST", "/v1/moderations", {}, ("openai", "moderations", False)),
        ("POST", "/v1/files", {}, ("openai", "files", False)),
        ("DELETE", "/openai/v1/files/file-1", {}, ("openai", "files", False)),
        ("GET", "/v1/files/file-1/content", {}, ("openai", "files.content", False)),
        ("POST", "/v1/batches", {}, ("openai", "batches", True)),
        ("GET", "/v1/batches/b", {}, ("openai", "batches", False)),
        ("POST", "/v1/batches/b/cancel", {}, ("openai", "batches", False)),
        ("POST", "/anthropic/v1/messages", {}, ("anthropic", "messages", True)),
        ("POST", "/v1/messages", {}, ("anthropic", "messages", True)),
        ("POST", "/v1/messages/count_tokens", {}, ("anthropic", "messages.count_tokens", False)),
        ("POST", "/v1/messages/batches", {}, ("anthropic", "batches", True)),
        ("GET", "/anthropic/v1/messages/batches", {}, ("anthropic", "batches", False)),
        ("DELETE", "/anthropic/v1/messages/batches/b", {}, ("anthropic", "batches", False)),
        ("POST", "/v1/messages/batches/b/cancel", {}, ("anthropic", "batches", False)),
        ("GET", "/v1/messages/batches/b/results", {}, ("anthropic", "batches.results", False)),
        ("POST", "/anthropic/v1/files", {}, ("anthropic", "files", False)),
        (
            "GET",
            "/v1/files/f/content",
            {"anthropic-version": "x"},
            ("anthropic", "files.content", False),
        ),
        ("POST", "/openai/v1/responses", {}, ("openai", "responses", True)),
        ("POST", "/v1/responses/input_tokens", {}, ("openai", "responses.input_tokens", False)),
        ("GET", "/openai/v1/responses/resp_1", {}, ("openai", "responses.stored", False)),
        ("DELETE", "/openai/v1/responses/resp_1", {}, ("openai", "responses.stored", False)),
        ("POST", "/openai/v1/responses/resp_1/cancel", {}, ("openai", "responses.cancel", False)),
        ("GET", "/v1/responses/r/input_items", {}, ("openai", "responses.input_items", False)),
        ("GET", "/v1/models", {}, ("openai", "models", False)),
        ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, ("anthropic", "models", False)),
        ("GET", "/openai/v1/models/gpt-5", {}, ("openai", "models", False)),
        ("GET", "/openai/v1/models/a/b", {}, ("openai", "models", False)),
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
        "/openai/v1/fine_tuning/jobs",
        "/openai/v1/images/",
        "/openai/v1/images/generations/x",
        "/openai/v1/audio/voices",
        "/openai/v1/completions/x",
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
        "/openai/v1/models/../files",
        "/openai/v1/chat/completions\n",
        "/v1/messages/batches/",
        "/v1/messages/batches/b/c",
        "/v1/messages/count_tokens/x",
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

    assert found == NotForwarded(
        "openai", "/v1/chat/completions", ("POST",), "openai", listable=True
    )


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_takes_an_operation_for_no_stored_response(method: str) -> None:
    found = resolve(method, "/openai/v1/responses/compact", {})

    assert isinstance(found, NotForwarded)
    assert found.allowed_methods == ("POST",)


def test_does_not_forward_an_upgrade() -> None:
    found = resolve("GET", "/openai/v1/models", {"upgrade": "WebSocket"})

    assert found == NotForwarded("openai", "/v1/models", upstream="openai")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/chat/completions", "/openai", "/api/v1/keys"])
def test_leaves_other_paths_alone(path: str) -> None:
    assert resolve("POST", path, {}) is None


@pytest.mark.parametrize(
    ("path", "upstream", "rest", "name"),
    [
        ("/u/groq/v1/chat/completions", "groq", "/v1/chat/completions", "chat.completions"),
        ("/u/groq/v1/embeddings", "groq", "/v1/embeddings", "embeddings"),
        ("/u/openai/v1/responses", "openai", "/v1/responses", "responses"),
        (
            "/gemini/v1beta/openai/chat/completions",
            "gemini",
            "/v1/chat/completions",
            "chat.completions",
        ),
        ("/gemini/v1/openai/embeddings", "gemini", "/v1/embeddings", "embeddings"),
        ("/v1beta/openai/chat/completions", "gemini", "/v1/chat/completions", "chat.completions"),
    ],
)
def test_finds_the_upstream_of_a_call_in_openai_s_format(
    path: str, upstream: str, rest: str, name: str
) -> None:
    found = resolve("POST", path, {})

    assert isinstance(found, Endpoint)
    assert (found.protocol, found.upstream, found.path) == ("openai", upstream, rest)
    assert (found.name, found.metered) == (name, True)


@pytest.mark.parametrize(
    "path",
    [
        "/u/groq/chat/completions",
        "/u/groq/v1beta/models/g:generateContent",
        "/u/groq/v1/messages",
        "/u/groq/v1/../v1/chat/completions",
        "/u/groq/v1//chat/completions",
        "/u/groq/v1/chat/completions/..",
        "/u/groq//v1/chat/completions",
        "/u/../openai/v1/chat/completions",
        "/u/a/b/v1/chat/completions",
        "/gemini/v1beta/openai/v1/chat/completions",
        "/gemini/v1beta/openai/../models/g:generateContent",
        "/gemini/v1beta/openai//chat/completions",
        "/gemini/v1beta1/openai/chat/completions",
        "/gemini/v1beta/models/openai/chat/completions",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_forwards_nothing_else_in_openai_s_format(path: str, method: str) -> None:
    found = resolve(method, path, {})

    assert isinstance(found, NotForwarded)
    assert found.allowed_methods == ()


@pytest.mark.parametrize("path", ["/u/groq", "/u/", "/u//v1/chat/completions", "/un/groq/v1/files"])
def test_takes_no_path_for_an_upstream_without_a_name(path: str) -> None:
    assert resolve("POST", path, {}) is None


_GOOGLE = "/publishers/google/models"
_PLACE = "/projects/acme/locations/europe-west4"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize(
    ("inside", "place"),
    [(_PLACE, ("acme", "europe-west4")), ("", ("", "")), ("/projects/../locations/%", ("..", "%"))],
)
@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("generateContent", "gemini_content"),
        ("streamGenerateContent", "gemini_content_stream"),
    ],
)
def test_finds_a_model_on_vertex(
    version: str, inside: str, place: tuple[str, str], verb: str, form: str
) -> None:
    found = resolve("POST", f"/vertex/{version}{inside}{_GOOGLE}/gemini-2.5-flash:{verb}", {})

    assert found == Endpoint(
        "gemini",
        "generate",
        "POST",
        f"/{version}{_GOOGLE}/gemini-2.5-flash:{verb}",
        form,  # type: ignore[arg-type] # one of the names of forms
        "gemini-2.5-flash",
        "vertex",
        place,
    )


@pytest.mark.parametrize(
    "path",
    [
        f"/vertex/v1beta{_PLACE}{_GOOGLE}/g:generateContent",
        f"/vertex/v2{_PLACE}{_GOOGLE}/g:generateContent",
        f"/vertex{_PLACE}{_GOOGLE}/g:generateContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:predict",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:rawPredict",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:countTokens",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:embedContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:generateContent:predict",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:predict:generateContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:generateContent/",
        f"/vertex/v1{_PLACE}{_GOOGLE}/g:generateContent\n",
        f"/vertex/v1{_PLACE}{_GOOGLE}/:generateContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/.:generateContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/..:generateContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/../g:generateContent",
        f"/vertex/v1{_PLACE}{_GOOGLE}/a/b:generateContent",
        f"/vertex/v1{_PLACE}/../other{_GOOGLE}/g:generateContent",
        f"/vertex/v1{_PLACE}//publishers/google/models/g:generateContent",
        f"/vertex/v1/projects/acme/x/locations/eu{_GOOGLE}/g:generateContent",
        f"/vertex/v1/projects//locations/eu{_GOOGLE}/g:generateContent",
        f"/vertex/v1/projects/acme{_GOOGLE}/g:generateContent",
        f"/vertex/v1{_PLACE}/publishers/anthropic/models/claude:rawPredict",
        f"/vertex/v1{_PLACE}/publishers/anthropic/models/claude:generateContent",
        f"/vertex/v1{_PLACE}/endpoints/openapi/chat/completions",
        f"/vertex/v1{_PLACE}/endpoints/1:generateContent",
        f"/vertex/v1{_PLACE}/cachedContents",
        "/vertex/v1/chat/completions",
        "/vertex/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_forwards_nothing_else_to_vertex(path: str, method: str) -> None:
    found = resolve(method, path, {})

    assert isinstance(found, NotForwarded)
    assert (found.upstream, found.allowed_methods) == ("vertex", ())


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_names_the_method_that_a_model_on_vertex_takes(method: str) -> None:
    found = resolve(method, f"/vertex/v1{_GOOGLE}/g:generateContent", {"upgrade": "websocket"})

    assert isinstance(found, NotForwarded)
    assert found.allowed_methods == ("POST",)
