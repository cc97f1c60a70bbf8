"""What bounds a Gemini interaction, and what has no bound."""

from typing import Any

import pytest

from common.llm.bounds import Bound, Unbounded
from common.llm.paths import FormName
from tests.bounds.asking import as_sent, bound_of, interaction

FORM: FormName = "gemini_interactions"
WINDOW = 1 << 20
IMAGE = {"type": "image", "data": "aGk=", "mime_type": "image/png"}
TEXT = {"type": "text", "text": "Hi"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CAP = {"max_output_tokens": 100}


def test_takes_a_token_for_at_least_a_byte() -> None:
    asked = interaction()
    size = len(as_sent(asked)) + 64

    # gemini-2.5-flash, $0.30 and $2.50
    assert bound_of(FORM, asked) == Bound(size * 300 + 100 * 2_500, "bytes", size, 100)


def test_takes_the_longest_output_where_there_is_no_cap() -> None:
    for config in (None, {}, {"max_output_tokens": None}, {"max_output_tokens": 0}):
        found = bound_of(FORM, interaction(generation_config=config))
        assert isinstance(found, Bound)
        assert found.output_tokens == 65_536


def test_lets_no_cap_bound_images() -> None:
    asked = interaction(model="gemini-2.5-flash-image", response_modalities=["text"])

    found = bound_of(FORM, asked)

    assert isinstance(found, Bound)
    assert found.output_tokens == 32_768


@pytest.mark.parametrize(
    "asked",
    [
        interaction([TEXT, TEXT]),
        interaction(TEXT),
        interaction(tools=[FUNCTION], safety_settings=[], labels={"a": "b"}, store=False),
        interaction(previous_interaction_id=None, cached_content=None, background=False),
        interaction(generation_config={**CAP, "thinking_level": "low", "tool_choice": "any"}),
        interaction(response_format={"type": "text", "mime_type": "application/json"}),
        interaction(service_tier="standard", webhook_config={"uris": ["https://a.example"]}),
        interaction(
            [
                {"type": "user_input", "content": [TEXT]},
                {"type": "thought", "signature": "x", "summary": [TEXT]},
                {"type": "thought", "signature": "x"},
                {"type": "function_call", "id": "c", "name": "f", "arguments": {"a": [1]}},
                {"type": "function_result", "call_id": "c", "result": {"a": 1}},
                {"type": "function_result", "call_id": "c", "result": "said"},
                {"type": "function_result", "call_id": "c", "result": [TEXT]},
                {"type": "code_execution_call", "id": "d", "arguments": {"code": "1"}},
                {"type": "code_execution_result", "call_id": "d", "result": "1"},
                {"type": "model_output", "content": [TEXT]},
            ]
        ),
    ],
)
def test_bounds_text_by_its_bytes(asked: dict[str, Any]) -> None:
    found = bound_of(FORM, asked)

    assert isinstance(found, Bound)
    assert (found.bound_kind, found.input_tokens) == ("bytes", len(as_sent(asked)) + 64)


@pytest.mark.parametrize(
    "asked",
    [
        interaction(previous_interaction_id="v1_1"),
        interaction(cached_content="cachedContents/1"),
        interaction(continuation_token="t"),
        interaction(IMAGE),
        interaction([TEXT, IMAGE]),
        interaction([{"type": "video", "uri": "https://a.example"}]),
        interaction([{"type": "user_input", "content": [TEXT, IMAGE]}]),
        interaction([{"type": "model_output", "content": [IMAGE]}]),
        interaction([{"type": "thought", "summary": [IMAGE]}]),
        interaction([{"type": "function_result", "result": [TEXT, IMAGE]}]),
        interaction([{"type": "function_result", "result": IMAGE}]),
        interaction([{"type": "function_result", "result": {"items": [IMAGE]}}]),
        interaction([{"type": "google_search_result", "call_id": "s", "result": []}]),
        interaction([{"type": "url_context_result", "call_id": "s", "result": []}]),
        interaction([{"role": "user", "content": "Hi"}]),
        interaction([{"type": "new"}]),
        interaction(["Hi"]),
        interaction(7),
    ],
)
def test_takes_the_window_for_input_that_is_not_in_the_body(asked: dict[str, Any]) -> None:
    found = bound_of(FORM, asked)

    assert isinstance(found, Bound)
    assert (found.bound_kind, found.input_tokens, found.output_tokens) == ("window", WINDOW, 100)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        *(
            (interaction(tools=[FUNCTION, {"type": kind}]), f"unbounded_request:{kind}")
            for kind in (
                *("google_search", "code_execution", "url_context", "file_search"),
                *("google_maps", "computer_use", "mcp_server", "retrieval", "new"),
            )
        ),
        (interaction(tools=[{}]), "unbounded_request:untyped"),
        (interaction(tools=["google_search"]), "unbounded_request:tools"),
        (interaction(tools={"type": "url_context"}), "unbounded_request:url_context"),
        (interaction(environment="e1"), "unbounded_request:environment"),
        (interaction(newMember=1), "unbounded_request:newMember"),
        (interaction(generationConfig={}), "unbounded_request:generationConfig"),
        (interaction(generation_config=[1]), "unbounded_request:generation_config"),
        # A second spelling of the cap, and more answers than one, are not read.
        (
            interaction(generation_config={**CAP, "maxOutputTokens": 9_000}),
            "unbounded_request:maxOutputTokens",
        ),
        (
            interaction(generation_config={**CAP, "candidate_count": 8}),
            "unbounded_request:candidate_count",
        ),
        (interaction(background=True), "async_not_bounded"),
        (interaction(service_tier="deferred"), "unknown_tier:deferred"),
        (interaction(service_tier=7), "unknown_tier:unreadable"),
        ({"agent": "deep-research-preview-04-2026", "input": "Hi"}, "unpriced_model"),
        (interaction(agent="gemini-2.5-flash"), "unpriced_model"),
        (interaction(agent_config={"type": "dynamic"}), "unpriced_model"),
        ({"input": "Hi"}, "unpriced_model"),
    ],
)
def test_names_what_has_no_bound(asked: dict[str, Any], reason: str) -> None:
    assert bound_of(FORM, asked) == Unbounded(reason)


def test_takes_the_declared_cost_of_tools_without_a_limit() -> None:
    asked = interaction(tools=[{"type": "google_search"}])

    free, declared = (bound_of(FORM, asked, tool_allowance=nanos) for nanos in (0, 5_000_000))

    assert isinstance(free, Bound)
    assert isinstance(declared, Bound)
    assert (declared.bound_kind, declared.nanos - free.nanos) == ("declared", 5_000_000)
