"""No recorded reply cost more than the bound of its request."""

from pathlib import Path

import pytest

from common.llm.bounds import Bound, Unbounded
from tests.metering.expected import EXPECTED
from tests.metering.recordings import read_recording

WITHOUT_BOUND = {
    "openai-responses-web-search": "unbounded_request:web_search",
    "openai-responses-stream-web-search": "unbounded_request:web_search",
    "anthropic-cache-read-and-write": "unbounded_request:tool_search_tool_bm25_20251119",
    "anthropic-cache-write-5m": "unbounded_request:tool_search_tool_bm25_20251119",
    "anthropic-iterations-advisor": "unbounded_request:advisor_20260301",
    "anthropic-iterations-compaction": "unbounded_request:context_management",
    "anthropic-stream-compaction": "unbounded_request:context_management",
    "anthropic-stream-delta-changed-input": "unbounded_request:code_execution_20260120",
    "anthropic-stream-web-search": "unbounded_request:web_search_20250305",
    "anthropic-web-search": "unbounded_request:web_search_20250305",
    "gemini-stream-tool-use-counts-change": "unbounded_request:codeExecution",
    "gemini-stream-web-search-grounding": "unbounded_request:googleSearch",
    "gemini-tool-use-prompt-grounding": "unbounded_request:urlContext",
    "openrouter-chat-cache-cost": "unbounded_request:provider",
}
"""Requests that no figure bounds. Those of models without a price are bounded by nothing either."""

PRICED = [name for name, expected in EXPECTED.items() if expected.nanos is not None]


@pytest.mark.parametrize("name", PRICED)
def test_cost_no_more_than_the_bound(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    cost = recording.cost(recording.metered())

    found = recording.bound()

    if name in WITHOUT_BOUND:
        assert found == Unbounded(WITHOUT_BOUND[name])
        return
    assert isinstance(found, Bound)
    assert cost.nanos is not None
    assert cost.nanos <= found.nanos
    assert cost.units["input_tokens"] <= found.input_tokens
    assert cost.units.get("output_tokens", 0) <= found.output_tokens


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in PRICED])
def test_have_no_bound_without_a_price(provider_replies: Path, name: str) -> None:
    found = read_recording(provider_replies, name).bound()

    assert found == Unbounded("unpriced_model")
