"""What an OpenAI response may use, read from a request.

Sources: OpenAI API reference, "Responses" (create); guides "Using tools", "Conversation state",
"Reasoning".

- Tools that the provider runs are limited by `max_tool_calls` alone. Those billed by something else
  than the search have no price here.
- `max_tool_calls` is said of built-in tools: whether calls of remote servers (`mcp`) count is not,
  so these have no bound.
- A stored prompt, a conversation and an earlier response bring input that is not in the body.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import (
    INPUT_ALLOWANCE_TOKENS,
    BoundFacts,
    kind_of,
    names,
    objects,
    read_cap,
    unknown_member,
)
from common.llm.protocols.openai_bounds import read_tier, unpriced_cache_writes

TOOLS_ALLOWANCE_TOKENS = 256
"""What tools add to a prompt beside their own text: recorded calls stay below."""

BUILT_IN_ALLOWANCE_TOKENS = 1024
"""What the description of a tool adds that the request only names."""

_MEMBERS = names(
    "input model background background_options context_management conversation include "
    "instructions max_output_tokens max_tool_calls metadata parallel_tool_calls "
    "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning safety_identifier service_tier store stream stream_options temperature text "
    "tool_choice tools top_logprobs top_p truncation user"
)
_STORED = ("previous_response_id", "conversation", "prompt")
_OWN_TOOLS = frozenset({"function", "custom"})
_DESCRIBED_TOOLS = frozenset({"local_shell", "apply_patch", "computer", "computer_use_preview"})
"""Run by the client, described by the provider."""

_FEES = {
    "web_search": "web_searches",
    "web_search_2025_08_26": "web_searches",
    "file_search": "storage_searches",
}
_UNPRICED = {
    "web_search_preview": "web_search_previews",
    "web_search_preview_2025_03_11": "web_search_previews",
    "code_interpreter": "code_interpreter_sessions",
    "image_generation": "image_generations",
}
_TEXT_ITEMS = names(
    "message function_call custom_tool_call reasoning local_shell_call apply_patch_call "
    "function_call_output custom_tool_call_output local_shell_call_output "
    "apply_patch_call_output"
)
_TEXT_PARTS = frozenset(
    {"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"}
)


def read_response(parsed: Mapping[str, Any]) -> BoundFacts:
    """What a response may use."""
    tools = list(objects(parsed.get("tools")))
    kinds = [kind_of(tool) for tool in tools]
    # Zero may be read as no limit: a request that means none leaves the tools out.
    most_calls = read_cap(parsed.get("max_tool_calls")) or None
    run_by_provider = [kind for kind in kinds if kind not in _OWN_TOOLS | _DESCRIBED_TOOLS]
    known = all(kind in _FEES or kind in _UNPRICED for kind in run_by_provider)
    bounded = known and (most_calls is not None or not run_by_provider)
    open_tools = run_by_provider if most_calls is None else _not_in(run_by_provider, _FEES)
    unpriced = next((_UNPRICED[kind] for kind in run_by_provider if kind in _UNPRICED), None)
    tier, contexts = read_tier(parsed.get("service_tier"))
    allowance = TOOLS_ALLOWANCE_TOKENS if tools else INPUT_ALLOWANCE_TOKENS
    described = sum(kind in _DESCRIBED_TOOLS for kind in kinds)
    return BoundFacts(
        unbounded=unknown_member(parsed, _MEMBERS) or _unbounded(parsed),
        open_tool=None if bounded else next(iter(open_tools), "tools"),
        unpriced_unit=(unpriced if bounded else None)
        or unpriced_cache_writes(parsed.get("prompt_cache_options")),
        beyond_bytes=_beyond_bytes(parsed),
        allowance=allowance + described * BUILT_IN_ALLOWANCE_TOKENS,
        tool_calls=(most_calls or 0) if bounded and run_by_provider else 0,
        fees=tuple((_FEES[kind], most_calls or 0) for kind in run_by_provider if kind in _FEES),
        service_tier=tier,
        contexts=contexts,
        text_output=True,
    )


def _not_in(kinds: list[str], known: Mapping[str, str]) -> list[str]:
    return [kind for kind in kinds if kind not in known and kind not in _UNPRICED]


def _unbounded(parsed: Mapping[str, Any]) -> str | None:
    """What makes the model read its input more than once, without a figure how often."""
    tools = parsed.get("tools")
    if tools is not None and not isinstance(tools, list):
        return "tools"
    if parsed.get("context_management"):
        return "context_management"
    reasoning = parsed.get("reasoning")
    mode = reasoning.get("mode") if isinstance(reasoning, dict) else None
    return None if mode in (None, "standard") else "reasoning.mode"


def _beyond_bytes(parsed: Mapping[str, Any]) -> str | None:
    for name in _STORED:
        if parsed.get(name) is not None:
            return name
    items = parsed.get("input")
    if items is None or isinstance(items, str):
        return None
    if not isinstance(items, list):
        return "input"
    for item in items:
        found = _beyond_item(item)
        if found is not None:
            return found
    return None


def _beyond_item(item: object) -> str | None:
    if not isinstance(item, dict):
        return "input"
    kind = kind_of(item) if "type" in item else "message"
    if kind not in _TEXT_ITEMS:
        return kind
    if kind == "reasoning" and not item.get("encrypted_content") and item.get("id"):
        return "reasoning"
    for name in ("content", "output"):
        for part in objects(item.get(name)):
            if kind_of(part) not in _TEXT_PARTS:
                return kind_of(part)
    return None
