"""What a Gemini call may use, read from a request.

Sources: Gemini API reference, "Generating content", "Embeddings", "Caching"; guides "Function
calling", "Grounding with Google Search", "Priority inference" (the usual tier where none is asked).

Members have names in either JSON spelling. Tools that Google runs have no limit in a request. Media
and cached content are bounded by the context window.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import LONGEST_NAME, BoundFacts, names, unknown_member

MOST_CANDIDATES = 8
"""The most that `candidateCount` may be."""

_MEMBERS = names(
    "model contents tools toolConfig tool_config safetySettings safety_settings "
    "systemInstruction system_instruction generationConfig generation_config cachedContent "
    "cached_content serviceTier service_tier labels"
)
_EMBEDDING_MEMBERS = names(
    "model content requests taskType task_type title outputDimensionality output_dimensionality"
)
_OWN_TOOLS = frozenset(
    {"functionDeclarations", "function_declarations", "computerUse", "computer_use"}
)
_TEXT_PARTS = names(
    "text thought thoughtSignature thought_signature functionCall function_call functionResponse "
    "function_response executableCode executable_code codeExecutionResult "
    "code_execution_result"
)
_USUAL_TIERS = frozenset({"standard", "unspecified"})
_TIER_PREFIX = "service_tier_"


def read_content(parsed: Mapping[str, Any], config: Mapping[str, Any]) -> BoundFacts:
    """What generating content may use. `config` is the request's generation configuration."""
    named_in = "unreadable" if _both(parsed, config) else None
    tier, contexts = read_tier(parsed.get("serviceTier", parsed.get("service_tier")))
    modalities = config.get("responseModalities", config.get("response_modalities"))
    candidates = config.get("candidateCount", config.get("candidate_count"))
    return BoundFacts(
        unbounded=unknown_member(parsed, _MEMBERS) or named_in,
        open_tool=_open_tool(parsed.get("tools")),
        beyond_bytes=_beyond_bytes(parsed),
        most_candidates=_candidates(candidates),
        service_tier=tier,
        contexts=contexts,
        text_output=_is_text(modalities),
    )


def read_embeddings(parsed: Mapping[str, Any]) -> BoundFacts:
    """What embeddings may use."""
    requests = parsed.get("requests")
    each = requests if isinstance(requests, list) else [parsed]
    unbounded, beyond = unknown_member(parsed, _EMBEDDING_MEMBERS), None
    for request in each:
        if not isinstance(request, dict):
            return BoundFacts(unbounded="requests")
        unbounded = unbounded or unknown_member(request, _EMBEDDING_MEMBERS)
        beyond = beyond or _beyond_content(request.get("content"))
    return BoundFacts(
        unbounded=unbounded, beyond_bytes=beyond, inputs=max(1, len(each)), text_output=True
    )


def _both(parsed: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a member comes in both spellings: who knows which one is taken."""
    pairs = (
        ("serviceTier", "service_tier", parsed),
        ("generationConfig", "generation_config", parsed),
        ("responseModalities", "response_modalities", config),
        ("candidateCount", "candidate_count", config),
    )
    return any(name in members and other in members for name, other, members in pairs)


def read_tier(asked: object) -> tuple[str | None, tuple[tuple[str, frozenset[str]], ...]]:
    """The tier that a request asks for, None for the usual one, and what a reply may name."""
    if asked is None:
        return None, (("service_tier", frozenset()),)
    tier = asked.lower().removeprefix(_TIER_PREFIX) if isinstance(asked, str) else "unreadable"
    if tier in _USUAL_TIERS:
        return None, (("service_tier", frozenset()),)
    tier = tier[:LONGEST_NAME]
    return tier, (("service_tier", frozenset({tier})),)


def _is_text(modalities: object) -> bool:
    if not isinstance(modalities, list) or not modalities:
        return False
    return all(isinstance(each, str) and each.upper() == "TEXT" for each in modalities)


def _candidates(asked: object) -> int:
    if asked is None:
        return 1
    return min(max(asked, 1), MOST_CANDIDATES) if type(asked) is int else MOST_CANDIDATES


def _open_tool(tools: object) -> str | None:
    if tools is None:
        return None
    for tool in tools if isinstance(tools, list) else [tools]:
        if not isinstance(tool, dict):
            return "tools"
        found = unknown_member(tool, _OWN_TOOLS)
        if found is not None:
            return found
    return None


def _beyond_bytes(parsed: Mapping[str, Any]) -> str | None:
    for name in ("cachedContent", "cached_content"):
        if parsed.get(name) is not None:
            return name
    contents = parsed.get("contents")
    listed = contents if isinstance(contents, list) else [contents]
    instructions = (parsed.get("systemInstruction"), parsed.get("system_instruction"))
    for content in (*listed, *instructions):
        found = _beyond_content(content)
        if found is not None:
            return found
    return None


def _beyond_content(content: object) -> str | None:
    if content is None:
        return None
    parts = content.get("parts") if isinstance(content, dict) else content
    for part in parts if isinstance(parts, list) else [parts]:
        if part is None:
            continue
        if not isinstance(part, dict):
            return "parts"
        if not part.keys() <= _TEXT_PARTS:
            return unknown_member(part, _TEXT_PARTS)
        answer = part.get("functionResponse", part.get("function_response"))
        if isinstance(answer, dict) and "parts" in answer:
            return "functionResponse.parts"
    return None
