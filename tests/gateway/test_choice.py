"""Where a call goes: by its path, by its model's prefix, and never by mistake."""

from typing import Any

import orjson
import pytest

from common.gateway.choice import Target, choose_target
from common.gateway.destinations import VENDORS, Destination, Place
from common.gateway.keys import KeyPolicy
from common.gateway.refusals import Refusal
from common.llm.forms import FORMS
from common.llm.openai_format import RequestBody
from common.llm.paths import Endpoint, resolve

EUROPE = "https://europe-west4-aiplatform.googleapis.com"
PLACE = "/projects/acme/locations/europe-west4"
ANY = KeyPolicy()
KNOWN = {
    **VENDORS,
    "groq": Destination("groq", "groq", "https://api.groq.com/openai/v1"),
    "vertex": Destination(
        "vertex",
        "google",
        EUROPE,
        f"/v1{PLACE}/endpoints/openapi",
        place=Place("acme", "europe-west4"),
    ),
}
CHAT = "/openai/v1/chat/completions"


def _target(path: str, body: bytes | dict[str, Any], policy: KeyPolicy = ANY) -> Target:
    endpoint = resolve("POST", path, {})
    assert isinstance(endpoint, Endpoint)
    assert endpoint.form is not None
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    facts = FORMS[endpoint.form].read_facts(sent)
    return choose_target(endpoint, facts, RequestBody(sent), KNOWN, policy)


def _refusal(path: str, body: bytes | dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as raised:
        _target(path, body)
    return raised.value


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (CHAT, "https://api.openai.com/v1/chat/completions"),
        ("/v1/embeddings", "https://api.openai.com/v1/embeddings"),
        ("/anthropic/v1/messages", "https://api.anthropic.com/v1/messages"),
        (
            "/gemini/v1beta/openai/chat/completions",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        ),
        (
            "/v1beta/openai/embeddings",
            "https://generativelanguage.googleapis.com/v1beta/openai/embeddings",
        ),
        ("/u/groq/v1/chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
        (
            f"/vertex/v1{PLACE}/publishers/google/models/g:generateContent",
            f"{EUROPE}/v1{PLACE}/publishers/google/models/g:generateContent",
        ),
        (
            "/vertex/v1beta1/publishers/google/models/g:streamGenerateContent",
            f"{EUROPE}/v1beta1{PLACE}/publishers/google/models/g:streamGenerateContent",
        ),
    ],
)
def test_the_path_names_the_upstream(path: str, url: str) -> None:
    target = _target(path, {"model": "m"})

    assert target.destination.base_url + target.path == url


@pytest.mark.parametrize(
    ("model", "url", "sent"),
    [
        ("gpt-5", "https://api.openai.com/v1/chat/completions", "gpt-5"),
        ("openai/gpt-5", "https://api.openai.com/v1/chat/completions", "gpt-5"),
        ("anthropic/claude-x", "https://api.anthropic.com/v1/chat/completions", "claude-x"),
        (
            "gemini/gemini-x",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            "gemini-x",
        ),
        ("groq/meta-llama/x", "https://api.groq.com/openai/v1/chat/completions", "meta-llama/x"),
        (
            "vertex/gemini-x",
            f"{EUROPE}/v1{PLACE}/endpoints/openapi/chat/completions",
            "google/gemini-x",
        ),
        (
            "vertex/google/gemini-x",
            f"{EUROPE}/v1{PLACE}/endpoints/openapi/chat/completions",
            "google/gemini-x",
        ),
    ],
)
def test_the_model_s_prefix_names_the_upstream(model: str, url: str, sent: str) -> None:
    body = b'{ "messages":[] , "model" : "%s", "x": 1.50e3}' % model.encode()

    target = _target(CHAT, body)

    assert target.destination.base_url + target.path == url
    assert target.body == b'{ "messages":[] , "model" : "%s", "x": 1.50e3}' % sent.encode()
    assert (target.facts.model, target.asked) == (sent.removeprefix("google/"), model)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (CHAT, {"model": "/x"}, "unknown_upstream"),
        (CHAT, {"model": "//"}, "unknown_upstream"),
        (CHAT, {"model": "nobody/x"}, "unknown_upstream"),
        (CHAT, {"model": "anthropic/"}, "model_not_found"),
        (CHAT, {"model": "groq//b"}, "model_not_found"),
        (CHAT, {"model": "a/" * 5_000}, "unknown_upstream"),
        ("/openai/v1/responses", {"model": "anthropic/claude-x"}, "endpoint_not_supported"),
        ("/openai/v1/embeddings", {"model": "anthropic/claude-x"}, "endpoint_not_supported"),
        ("/u/nobody/v1/chat/completions", {"model": "m"}, "unknown_upstream"),
        (
            "/vertex/v1/projects/other/locations/europe-west4/publishers/google/models/g:generateContent",
            {},
            "upstream_not_allowed",
        ),
        (
            "/vertex/v1/projects/acme/locations/us-central1/publishers/google/models/g:generateContent",
            {},
            "upstream_not_allowed",
        ),
    ],
)
def test_what_nobody_knows_is_refused(path: str, body: dict[str, Any], code: str) -> None:
    assert _refusal(path, body).code == code


def test_a_refusal_names_the_upstreams_that_the_key_may_use() -> None:
    with pytest.raises(Refusal) as raised:
        _target(CHAT, {"model": "nobody/x"}, KeyPolicy(upstreams=("g*", "openai")))

    assert raised.value.message == (
        "There is no upstream 'nobody'. This key may use: gemini, groq, openai, vertex."
    )


def test_a_refusal_names_the_native_path() -> None:
    refusal = _refusal("/openai/v1/responses", {"model": "anthropic/claude-x"})

    assert "/anthropic/v1/messages" in refusal.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"anthropic/x","model":"anthropic/x"}',
        b'{"model":"gpt-5","model":"anthropic/x"}',
        b'{"model":["anthropic/x"]}',
        b'{"model":1}',
        b"not JSON",
    ],
)
def test_a_model_that_cannot_be_read_surely_has_no_prefix(body: bytes) -> None:
    target = _target(CHAT, body)

    assert (target.destination.name, target.body) == ("openai", body)


@pytest.mark.parametrize(
    "path", ["/u/groq/v1/chat/completions", "/gemini/v1beta/openai/embeddings"]
)
def test_a_model_s_name_is_never_cut_where_the_path_names_the_upstream(path: str) -> None:
    body = b'{"model":"openai/gpt-oss-120b"}'

    target = _target(path, body)

    assert (target.body, target.facts.model) == (body, "openai/gpt-oss-120b")


def test_fields_that_an_upstream_ignores_are_named() -> None:
    body = {"model": "anthropic/claude-x", "user": "u", "seed": 1, "tools": []}

    assert _target(CHAT, body).warnings == ("anthropic ignores seed, user",)
    assert _target(CHAT, {**body, "model": "groq/x"}).warnings == ()
