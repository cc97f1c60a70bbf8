"""Which models a call may be moved to, and what a client is told of the others."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.core.secrets import Secret
from common.gateway.brownouts import even_draw
from common.gateway.call import Call
from common.gateway.candidates import Movable
from common.gateway.choice import Target, choose_target, forwardable
from common.gateway.destinations import VENDORS, Credential, Destination, Destinations
from common.gateway.expected_costs import ExpectedCosts
from common.gateway.refusals import Refusal
from common.gateway.routing import Routing
from common.gateway.upstream_health import UpstreamHealth
from common.llm.openai_format import RequestBody
from common.llm.paths import resolve
from common.llm.price_book import bundled_book
from common.llm.protocol import protocol_of
from common.routing.rules import RouteTable, read_table
from tests.gateway.making import SetClock, a_key

PAID = (Credential("paid", Secret("sk-test")),)
FAKE = Destination("fake", None, "https://fake.example", credentials=PAID)
AZURE = Destination("azure", "azure", "https://azure.example", credentials=PAID, models=("ours",))
UPSTREAMS: Destinations = {
    **{name: replace(each, credentials=PAID) for name, each in VENDORS.items()},
    "fake": FAKE,
    "azure": AZURE,
}
CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"
GEMINI = "/gemini/v1beta/models/gemini-2.5-pro:generateContent"
EMBEDDINGS = "/openai/v1/embeddings"
RESPONSES = "/openai/v1/responses"
SAID = [{"role": "user", "content": "Hi"}]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


def a_call(path: str = CHAT, /, **members: Any) -> tuple[Call, Movable]:
    endpoint = resolve("POST", path, {})
    assert endpoint is not None
    forwarded = forwardable(endpoint)
    call = Call(
        id="call-1",
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        arrived_s=0.0,
        protocol=protocol_of(endpoint),
        endpoint=endpoint,
        book=bundled_book(),
    )
    assert call.form is not None
    body = RequestBody(json.dumps(members).encode())
    call.facts = call.form.read_facts(body.written)
    if forwarded.model is not None:
        call.facts = replace(call.facts, model=forwarded.model)
    key = a_key()
    asked = choose_target(forwarded, call.facts, body, UPSTREAMS, key.policy)
    return call, Movable(key, forwarded, body, asked, None, UPSTREAMS)


def aimed(model: str, path: str = CHAT, /, **members: Any) -> tuple[str, str | None] | str:
    """Upstream and model of a call that is moved, or why it is not."""
    call, movable = a_call(path, **members)
    found = movable.aimed_at(model, call.book)
    if isinstance(found, str):
        return found
    return found.destination.name, found.facts.model


CHAT_BODY: dict[str, Any] = {"model": "gpt-4o", "messages": SAID}
CLAUDE_BODY: dict[str, Any] = {"model": "claude-haiku-4-5", "messages": SAID, "max_tokens": 100}
GEMINI_BODY: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
EMBED_BODY: dict[str, Any] = {"model": "text-embedding-3-small", "input": "Hi"}


@pytest.mark.parametrize(
    ("path", "body", "model", "expected"),
    [
        (MESSAGES, CLAUDE_BODY, "gpt-5", "not known to be at anthropic"),
        (MESSAGES, CLAUDE_BODY, "anthropic/gpt-5", "not known to be at anthropic"),
        (MESSAGES, CLAUDE_BODY, "gemini-2.5-flash", "not known to be at anthropic"),
        (MESSAGES, CLAUDE_BODY, "claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        (MESSAGES, CLAUDE_BODY, "claude-next", "not known to be at anthropic"),
        (MESSAGES, CLAUDE_BODY, "anthropic/claude-next", ("anthropic", "claude-next")),
        (GEMINI, GEMINI_BODY, "gpt-5", "not known to be at gemini"),
        (GEMINI, GEMINI_BODY, "claude-haiku-4-5", "none of gemini's models"),
        (GEMINI, GEMINI_BODY, "gemini/claude-haiku-4-5", "none of gemini's models"),
        (GEMINI, GEMINI_BODY, "gemini-2.5-flash", ("gemini", "gemini-2.5-flash")),
        (GEMINI, GEMINI_BODY, "gemini-embedding-001", "no model for generate"),
        (CHAT, CHAT_BODY, "claude-haiku-4-5", "not known to be at openai"),
        (CHAT, CHAT_BODY, "gpt-next", "not known to be at openai"),
        (CHAT, CHAT_BODY, "openai/gpt-next", ("openai", "gpt-next")),
        (CHAT, CHAT_BODY, "fake/anything", ("fake", "anything")),
        (CHAT, CHAT_BODY, "azure/ours", ("azure", "ours")),
        (CHAT, CHAT_BODY, "text-embedding-3-small", "no model for chat.completions"),
        (CHAT, CHAT_BODY, "gpt-image-1", "no model for chat.completions"),
        (CHAT, CHAT_BODY, "gpt-4o-mini-tts", "no model for chat.completions"),
        (CHAT, CHAT_BODY, "gpt-realtime", "no model for chat.completions"),
        (CHAT, CHAT_BODY, "gpt-5-pro", "no model for chat.completions"),
        (RESPONSES, {"model": "gpt-5", "input": "Hi"}, "gpt-5-pro", ("openai", "gpt-5-pro")),
        (EMBEDDINGS, EMBED_BODY, "gpt-5-mini", "no model for embeddings"),
        (EMBEDDINGS, EMBED_BODY, "gemini/gemini-2.5-flash", "no model for embeddings"),
        (
            EMBEDDINGS,
            EMBED_BODY,
            "text-embedding-3-large",
            ("openai", "text-embedding-3-large"),
        ),
        (
            "/openai/v1/images/generations",
            {"model": "gpt-image-1", "prompt": "A cat"},
            "gpt-5",
            "no model for images.generations",
        ),
        (
            "/openai/v1/audio/speech",
            {"model": "tts-1", "input": "Hi", "voice": "alloy"},
            "gpt-5",
            "no model for audio.speech",
        ),
    ],
)
def test_moves_a_call_only_where_the_model_is_known_to_be(
    path: str, body: dict[str, Any], model: str, expected: object
) -> None:
    assert aimed(model, path, **body) == expected


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "aaaa", "format": "wav"}}


@pytest.mark.parametrize(
    ("members", "model", "expected"),
    [
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, "gpt-3.5-turbo", "has pictures"),
        ({"messages": [{"role": "user", "content": [SOUND]}]}, "gpt-4o-mini", "sound"),
        ({"response_format": SCHEMA}, "gpt-4-turbo", "takes no schema"),
        ({"response_format": SCHEMA}, "gpt-4", "nothing is known of what it takes"),
        ({"response_format": {"type": "json_object"}}, "gpt-4", "no such response_format"),
        ({"tools": [FUNCTION]}, "fake/llama", "nothing is known of what it takes"),
        ({"tools": [FUNCTION]}, "gpt-4-turbo", None),
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, "gpt-4-turbo", None),
        ({}, "gpt-3.5-turbo", None),
        ({}, "fake/llama", None),
    ],
)
def test_moves_more_than_text_only_to_what_is_known_to_take_it(
    members: dict[str, Any], model: str, expected: str | None
) -> None:
    found = aimed(model, **{**CHAT_BODY, **members})

    assert (expected in found) if expected is not None else not isinstance(found, str)


@pytest.mark.parametrize(
    ("asked", "members", "model", "refused"),
    [
        ("gpt-4o", {"max_tokens": 50}, "gpt-5-mini", "max_tokens"),
        ("gpt-4o", {"temperature": 0.2}, "gpt-5-mini", "temperature"),
        ("auto", {"temperature": 0.2}, "gpt-5-mini", "temperature"),
        ("fake/llama", {"temperature": 0.2}, "gpt-5-mini", "temperature"),
        ("gpt-4o", {"temperature": 1}, "gpt-5-mini", None),
        ("gpt-4o", {"max_completion_tokens": 50}, "gpt-5-mini", None),
        ("gpt-4o", {"max_tokens": 50, "temperature": 0.2}, "gpt-4.1-mini", None),
        ("gpt-4o", {"max_tokens": 50}, "gemini/gemini-2.5-flash", None),
        ("gpt-4o", {"parallel_tool_calls": True}, "gpt-5-mini", None),
        ("gpt-5", {"reasoning_effort": "low"}, "gpt-4o", "reasoning_effort"),
        ("gpt-5", {"reasoning_effort": "minimal"}, "o4-mini", "reasoning_effort"),
        ("gpt-5", {"reasoning_effort": "low"}, "o4-mini", None),
        ("gpt-5", {"verbosity": "low"}, "gpt-4o", "verbosity"),
        ("gpt-5", {"tools": [FUNCTION]}, "gpt-5.6", "tools"),
        ("gpt-5", {"tools": [FUNCTION]}, "gpt-5.2", None),
    ],
)
def test_leaves_out_what_refuses_a_member_that_the_model_asked_for_takes(
    asked: str, members: dict[str, Any], model: str, refused: str | None
) -> None:
    found = aimed(model, **{**CHAT_BODY, "model": asked, **members})

    if refused is None:
        assert not isinstance(found, str)
    else:
        assert found == f"takes no such {refused}"


@pytest.mark.parametrize(
    ("path", "body", "model", "refused"),
    [
        (MESSAGES, {"thinking": {"type": "adaptive"}}, "claude-haiku-4-5", "thinking"),
        (MESSAGES, {"thinking": {"type": "disabled"}}, "claude-haiku-4-5", None),
        (MESSAGES, {}, "claude-haiku-4-5", None),
        (GEMINI, {"cachedContent": "cachedContents/a"}, "gemini-2.5-flash", "cachedContent"),
        (
            GEMINI,
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
            "gemini-2.5-flash",
            "thinking",
        ),
        (GEMINI, {"generationConfig": {"temperature": 0.2}}, "gemini-2.5-flash", None),
    ],
)
def test_leaves_out_what_refuses_a_member_of_its_vendor_s_own_format(
    path: str, body: dict[str, Any], model: str, refused: str | None
) -> None:
    whole = GEMINI_BODY if path == GEMINI else {**CLAUDE_BODY, "model": "claude-sonnet-4-6"}

    found = aimed(model, path, **{**whole, **body})

    assert found == f"takes no such {refused}" if refused else not isinstance(found, str)


@pytest.mark.parametrize(
    ("asked", "model", "upstream"),
    [
        ("fake/gpt-5", "gpt-5", "openai"),
        ("fake/gpt-5", "openai/gpt-5", "openai"),
        ("fake/gpt-5", "fake/gpt-5", "fake"),
        ("gpt-5", "gpt-5", "openai"),
        ("gpt-5", "openai/gpt-5", "openai"),
        ("openai/gpt-5", "gpt-5", "openai"),
        ("gpt-5", "fake/gpt-5", "fake"),
    ],
)
def test_takes_a_bare_name_for_openai_s_wherever_the_call_was_sent(
    asked: str, model: str, upstream: str
) -> None:
    assert aimed(model, **{**CHAT_BODY, "model": asked}) == (upstream, "gpt-5")


def test_keeps_the_model_asked_for_whatever_is_known_of_it() -> None:
    call, movable = a_call(CHAT, model="gpt-unheard-of", messages=SAID, tools=[FUNCTION])

    assert movable.aimed_at("gpt-unheard-of", call.book) is movable.asked


class Fixed:
    def __init__(self, *rules: dict[str, Any]) -> None:
        named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
        self._table = read_table({"rules": named})

    async def table(self, _org: str) -> RouteTable:
        return self._table


async def none_used(*_: object) -> float:
    return 0.0


def a_routing(*rules: dict[str, Any]) -> Routing:
    return Routing(
        Fixed(*rules), none_used, UpstreamHealth(SetClock()), ExpectedCosts(), even_draw(b"x")
    )


@pytest.mark.parametrize(
    ("rules", "headers", "said"),
    [
        ([], {}, "none is for it"),
        ([{"use": {"fixed": "gpt-5"}}], {"x-gateway-route": "off"}, "x-gateway-route: off"),
        ([{"use": {"fixed": "gpt-5"}, "shadow": True}], {}, "rule r0 is in shadow"),
        (
            [{"use": {"fixed": "gpt-next"}, "fallbacks": ["nobody/x"]}],
            {},
            "not known to be at openai); rule r0: nobody/x left out (unknown_upstream)",
        ),
    ],
)
async def test_says_why_no_rule_serves_what_is_left_to_them(
    rules: list[dict[str, Any]], headers: dict[str, str], said: str
) -> None:
    call, movable = a_call(CHAT, model="auto", messages=SAID)

    with pytest.raises(Refusal) as refused:
        await a_routing(*rules).chain(call, movable, headers)

    assert said in refused.value.message


async def drawn(call: Call, movable: Movable) -> str | None:
    rule = {"use": {"weighted": {"gpt-4o": 1, "gpt-4.1": 1}}}
    found: tuple[Target, ...] = await a_routing(rule).chain(call, movable, {})
    return found[0].facts.model


async def test_keeps_a_conversation_at_what_it_drew_and_tells_conversations_apart() -> None:
    system = {"role": "system", "content": "Be brief."}
    found = set()
    for number in range(40):
        first = [system, {"role": "user", "content": f"Question {number}"}]
        answered = [{"role": "assistant", "content": "A"}, {"role": "user", "content": "And?"}]
        model = await drawn(*a_call(CHAT, model="o3", messages=first))
        later = await drawn(*a_call(CHAT, model="o3", messages=[*first, *answered]))
        assert later == model
        found.add(model)

    assert found == {"gpt-4o", "gpt-4.1"}
