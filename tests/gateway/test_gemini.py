"""Gemini's paths, keys and errors."""

import json
from typing import Any, get_args

import pytest
from google.genai import errors

from common.core.secrets import Secret
from common.gateway.answer import Answer
from common.gateway.credentials import (
    ProviderKey,
    forwarded_headers,
    forwarded_query,
    managed_key,
    read_credentials,
)
from common.gateway.destinations import Credential
from common.gateway.refusals import Code, Refusal
from common.llm.paths import Endpoint, NotForwarded, resolve
from common.llm.protocol import PROTOCOLS, ErrorText
from tests.gateway.making import key_text

OURS = key_text()
MANAGED = Credential("main", Secret("AIza-installation"))
GOOG = {"x-goog-api-key": "x"}


@pytest.mark.parametrize("base", ["/gemini/v1", "/gemini/v1beta", "/v1beta", "/v1"])
@pytest.mark.parametrize(
    ("verb", "name", "form"),
    [
        ("generateContent", "generate", "gemini_content"),
        ("streamGenerateContent", "generate", "gemini_content_stream"),
        ("embedContent", "embeddings", "gemini_embeddings"),
        ("batchEmbedContents", "embeddings", "gemini_embeddings"),
        ("countTokens", "count_tokens", None),
    ],
)
def test_finds_a_model_s_call(base: str, verb: str, name: str, form: str | None) -> None:
    found = resolve("POST", f"{base}/models/gemini-2.5-pro:{verb}", {})

    assert isinstance(found, Endpoint)
    assert (found.protocol, found.name, found.form) == ("gemini", name, form)
    assert found.model == "gemini-2.5-pro"


@pytest.mark.parametrize("base", ["/gemini/v1", "/gemini/v1beta", "/v1beta", "/v1"])
@pytest.mark.parametrize(
    ("method", "path", "name", "form"),
    [
        ("POST", "/interactions", "interactions", "gemini_interactions"),
        ("GET", "/interactions/v1_1", "interactions.stored", None),
        ("DELETE", "/interactions/v1_1", "interactions.stored", None),
        ("POST", "/interactions/v1_1/cancel", "interactions.cancel", None),
    ],
)
def test_finds_interactions(base: str, method: str, path: str, name: str, form: str | None) -> None:
    found = resolve(method, f"{base}{path}", {})

    assert isinstance(found, Endpoint)
    assert (found.protocol, found.name, found.form) == ("gemini", name, form)
    assert (found.model, found.upstream) == (None, "gemini")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/gemini/v1/models", {}),
        ("/gemini/v1beta/models/gemini-2.5-pro", {}),
        ("/v1beta/models", {}),
        ("/v1/models", GOOG),
        ("/v1/models/gemini-2.5-pro", GOOG),
    ],
)
def test_lists_models_free(path: str, headers: dict[str, str]) -> None:
    found = resolve("GET", path, headers)

    assert isinstance(found, Endpoint)
    assert (found.protocol, found.name, found.metered) == ("gemini", "models", False)


@pytest.mark.parametrize("root", ["/gemini/v1beta", "/gemini/v1", "/v1beta", "/v1"])
@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("POST", "/cachedContents", "storage"),
        ("PATCH", "/cachedContents/c", "storage"),
        ("GET", "/cachedContents", None),
        ("GET", "/cachedContents/c", None),
        ("DELETE", "/cachedContents/c", None),
    ],
)
def test_cached_contents_cost_when_they_are_made_or_prolonged(
    root: str, method: str, path: str, why: str | None
) -> None:
    found = resolve(method, root + path, {})

    assert isinstance(found, Endpoint)
    assert (found.protocol, found.upstream, found.name) == ("gemini", "gemini", "cached_contents")
    assert (found.unmetered, found.metered) == (why, why is not None)


def test_a_tuned_model_of_openai_stays_openai_s() -> None:
    found = resolve("GET", "/v1/models/ft:gpt-4o-mini:org::id", {})

    assert isinstance(found, Endpoint)
    assert found.protocol == "openai"


@pytest.mark.parametrize(
    "path",
    [
        "/gemini/v1beta/models/m:batchGenerateContent",
        "/gemini/v1beta/interactions/",
        "/gemini/v1beta/interactions/..",
        "/gemini/v1beta/interactions/../models:x",
        "/gemini/v1beta/interactions/v1_1/steps",
        "/gemini/v1alpha/interactions",
        "/gemini/v1beta/agents",
        "/v1/interactions/v1_1/cancel/x",
        "/gemini/v1beta/models/m:predictLongRunning",
        "/gemini/v1beta/models/m:countTokens:generateContent",
        "/gemini/v1beta/models/m:generateContent/",
        "/gemini/v1beta/models/a/b:generateContent",
        "/gemini/v1beta/models/../x:generateContent",
        "/gemini/v1beta/models/..",
        "/gemini/v1beta/tunedModels/t:generateContent",
        "/gemini/v1alpha/models/m:generateContent",
        "/gemini/v1beta/cachedContents/a/b",
        "/gemini/v1beta/cachedContents/..",
        "/gemini/v1alpha/cachedContents",
        "/gemini/v1beta/files",
        "/gemini/upload/v1beta/files",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_does_not_forward_what_is_not_listed(path: str, method: str) -> None:
    found = resolve(method, path, {})

    assert isinstance(found, NotForwarded)
    assert found.protocol == "gemini"


def _read(headers: dict[str, str], query: str = "") -> ProviderKey:
    return read_credentials(headers, query, "gemini").own or managed_key(MANAGED, "gemini")


@pytest.mark.parametrize(
    ("headers", "query", "sent", "forwarded"),
    [
        ({"x-goog-api-key": "AIza"}, "alt=sse", (b"x-goog-api-key", b"AIza"), "alt=sse"),
        ({"authorization": "Bearer ya29"}, "", (b"authorization", b"Bearer ya29"), ""),
        ({}, "alt=sse&key=AIza&x=%20", None, "alt=sse&key=AIza&x=%20"),
        ({}, f"key=AIza&key={OURS}", None, "key=AIza"),
        # One of two pays: the other one stays here.
        ({"x-goog-api-key": "AIza"}, "alt=sse&key=B", (b"x-goog-api-key", b"AIza"), "alt=sse"),
        ({"x-goog-api-key": "AIza"}, "access_token=B", (b"x-goog-api-key", b"AIza"), ""),
    ],
)
def test_a_caller_s_own_key_goes_on_as_it_came(
    headers: dict[str, str], query: str, sent: tuple[bytes, bytes] | None, forwarded: str
) -> None:
    found = _read({"x-gateway-key": OURS, **headers}, query)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    kept = forwarded_headers(raw, found)
    assert kept == ([sent] if sent else []) + [(b"accept-encoding", b"identity")]
    assert forwarded_query(query, found, "gemini") == forwarded
    assert not found.managed


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-goog-api-key": OURS}, "alt=sse"),
        ({}, f"alt=sse&key={OURS}"),
        ({}, f"alt=sse&key=%20{OURS}"),
        ({"x-gateway-key": OURS, "x-api-key": "of another provider"}, "alt=sse&%24key=B"),
    ],
)
def test_the_installation_s_key_pays_where_only_ours_was_sent(
    headers: dict[str, str], query: str
) -> None:
    found = _read(headers, query)

    assert (found.managed, found.header) == (True, "x-goog-api-key")
    assert found.value.reveal() == "AIza-installation"
    assert forwarded_query(query, found, "gemini") == "alt=sse"


class Sent:
    def __init__(self) -> None:
        self.body = b""

    async def __call__(self, message: Any) -> None:
        self.body += message.get("body", b"")


STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@pytest.mark.parametrize("code", get_args(Code))
async def test_an_error_has_google_s_form(code: Code) -> None:
    sent, refusal = Sent(), Refusal(code, "Why: é.")

    await Answer(sent).refuse(refusal, PROTOCOLS["gemini"], "request-1")

    error = errors.APIError(refusal.status, json.loads(sent.body))
    assert (error.message, error.status) == ("Why: é.", STATUSES[refusal.status])
    [info] = json.loads(sent.body)["error"]["details"]
    assert info == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code.upper(),
        "domain": "gateway",
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("status", "name"),
    [(402, "RESOURCE_EXHAUSTED"), (404, "NOT_FOUND"), (429, "RESOURCE_EXHAUSTED")],
)
def test_an_error_in_a_stream_is_its_last_event(status: int, name: str) -> None:
    event = PROTOCOLS["gemini"].error_event(ErrorText(status, "why", "Why."), "request-1")

    assert event.startswith(b'data: {"error":{"code":%d,' % status)
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["status"] == name
