"""Asking for more never lowers a bound, and no request breaks the reading of one."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.llm.bounds import Bound, Unbounded, bound
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from tests.bounds.asking import (
    AT,
    PROVIDERS,
    bound_of,
    chat,
    content,
    facts_of,
    interaction,
    message,
    response,
)

SEED = 20261122
SEARCH = {"type": "web_search_20250305", "name": "web_search"}

GROWING: dict[str, tuple[FormName, str | None, Callable[[int], dict[str, Any]]]] = {
    "bytes": ("openai_chat", None, lambda n: chat("x" * n)),
    "cap": ("openai_chat", None, lambda n: chat(max_completion_tokens=n)),
    "both caps": ("openai_chat", None, lambda n: chat(max_tokens=n)),
    "choices": ("openai_chat", None, lambda n: chat(n=n)),
    "prediction": ("openai_chat", None, lambda n: chat(prediction={"content": "x" * n})),
    "tool calls": (
        "openai_responses",
        None,
        lambda n: response(tools=[{"type": "web_search"}], max_tool_calls=n),
    ),
    "uses": ("anthropic_messages", None, lambda n: message(tools=[{**SEARCH, "max_uses": n}])),
    "message": ("anthropic_messages", None, lambda n: message("x" * n)),
    "long context": ("openai_chat", None, lambda n: chat("x" * n, model="gpt-6-sol")),
    "cliff": ("gemini_content", "gemini-2.5-pro", lambda n: content({"text": "x" * n})),
    "interaction": (
        "gemini_interactions",
        None,
        lambda n: interaction("x" * n, model="gemini-2.5-pro"),
    ),
    "interaction's cap": (
        "gemini_interactions",
        None,
        lambda n: interaction(generation_config={"max_output_tokens": n}),
    ),
    "candidates": (
        "gemini_content",
        "gemini-2.5-pro",
        lambda n: content(generationConfig={"maxOutputTokens": 9, "candidateCount": n}),
    ),
}


@pytest.mark.parametrize("what", GROWING)
def test_more_is_never_bounded_lower(what: str) -> None:
    form, model, ask = GROWING[what]
    random = Random(SEED)
    sizes = sorted({1, 2, 100, 199_900, 272_100, *(random.randint(1, 400_000) for _ in range(20))})

    found = [bound_of(form, ask(size), model=model) for size in sizes]

    nanos = [each.nanos for each in found if isinstance(each, Bound)]
    assert len(nanos) == len(sizes)
    assert nanos == sorted(nanos)
    assert nanos[0] < nanos[-1]


def test_a_cap_is_never_bounded_above_no_cap() -> None:
    free = bound_of("openai_chat", chat(max_completion_tokens=None))
    capped = bound_of("openai_chat", chat(max_completion_tokens=16_384))

    assert isinstance(free, Bound)
    assert isinstance(capped, Bound)
    assert capped.output_tokens == free.output_tokens


WORDS = """
    model messages input contents parts content role type text tools tool_choice max_tokens
    max_completion_tokens max_output_tokens max_tool_calls max_uses generationConfig
    maxOutputTokens candidateCount n prediction service_tier serviceTier modalities reasoning mode
    prompt_cache_options ttl cache_control system cachedContent requests functionResponse
    responseModalities output_config format context_management mcp_servers
    generation_config max_output_tokens previous_interaction_id agent background result summary
"""
NAMES = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "text", "flex", "web_search", "message", "TEXT", "1h", "gpt-4o"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize("form", PROVIDERS)
@given(members=st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_request_is_bounded_or_has_a_reason(form: FormName, members: dict[str, Any]) -> None:
    model = "gemini-2.5-flash" if form.startswith("gemini") else "gpt-4o"
    provider = "google" if form.startswith("gemini") else "openai"
    facts = facts_of(form, json.dumps(members).encode(), model)

    found = bound(facts, book=bundled_book(), provider=provider, at=AT)

    if isinstance(found, Bound):
        assert found.nanos >= 0
        # Speech that is sold by its characters has no tokens.
        assert found.input_tokens > (-1 if form == "openai_speech" else 0)
    else:
        assert isinstance(found, Unbounded)
        assert 0 < len(found.reason) < 100
