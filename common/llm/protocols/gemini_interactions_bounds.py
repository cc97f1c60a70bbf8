"""What a Gemini interaction may use, read from a request.

Sources: Gemini API reference, "Interactions" (create); guides "Interactions API", "Function
calling", "Gemini thinking" (thoughts count into the output cap), "Priority inference".

- Of the tools only functions are run by the client. Google's have no limit in a request, and
  neither have remote servers (`mcp_server`) and what an agent or an `environment` does.
- An earlier interaction, cached content and the token that a long answer is resumed with bring
  input that is not in the body, and so do media and the results of Google's tools: the context
  window bounds it. A resumed answer is a call of its own, with its own input and cap.
- What is not known of the generation configuration could be a cap in another spelling.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import BoundFacts, kind_of, names, unknown_member
from common.llm.protocols.gemini_bounds import read_tier

_MEMBERS = names(
    "model input system_instruction tools generation_config response_format response_mime_type "
    "response_modalities safety_settings service_tier labels store stream background "
    "webhook_config previous_interaction_id cached_content continuation_token"
)
_CONFIG = names(
    "max_output_tokens thinking_level thinking_summaries tool_choice seed stop_sequences "
    "temperature top_p presence_penalty frequency_penalty image_config speech_config "
    "transcription_config video_config"
)
_STORED = ("previous_interaction_id", "cached_content", "continuation_token")
_SAID = frozenset({"user_input", "model_output"})
_TEXT_STEPS = names("function_call code_execution_call code_execution_result")


def read_interaction(parsed: Mapping[str, Any]) -> BoundFacts:
    """What an interaction may use."""
    tier, contexts = read_tier(parsed.get("service_tier"))
    return BoundFacts(
        unbounded=unknown_member(parsed, _MEMBERS) or _unbounded(parsed.get("generation_config")),
        open_tool=_open_tool(parsed.get("tools")),
        beyond_bytes=_beyond_bytes(parsed),
        service_tier=tier,
        contexts=contexts,
    )


def _unbounded(config: object) -> str | None:
    if config is None:
        return None
    return unknown_member(config, _CONFIG) if isinstance(config, dict) else "generation_config"


def _open_tool(tools: object) -> str | None:
    if tools is None:
        return None
    for tool in tools if isinstance(tools, list) else [tools]:
        if not isinstance(tool, dict):
            return "tools"
        if kind_of(tool) != "function":
            return kind_of(tool)
    return None


def _beyond_bytes(parsed: Mapping[str, Any]) -> str | None:
    for name in _STORED:
        if parsed.get(name) is not None:
            return name
    given = parsed.get("input")
    if given is None or isinstance(given, str):
        return None
    return _first_beyond(given)


def _first_beyond(items: object) -> str | None:
    """The first of some steps or contents that may be more tokens than bytes."""
    for item in items if isinstance(items, list) else [items]:
        found = _beyond(item)
        if found is not None:
            return found
    return None


def _beyond(item: object) -> str | None:
    if not isinstance(item, dict):
        return "input"
    kind = kind_of(item)
    if kind == "text" or kind in _TEXT_STEPS:
        return None
    if kind in _SAID:
        return _beyond_texts(item.get("content"))
    if kind == "thought":
        return _beyond_texts(item.get("summary"))
    return _beyond_texts(item.get("result")) if kind == "function_result" else kind


def _beyond_texts(contents: object) -> str | None:
    """A function may answer with an object of its own; what names a type could be media."""
    if contents is None or isinstance(contents, str):
        return None
    if isinstance(contents, dict) and contents.keys().isdisjoint({"type", "items"}):
        return None
    return _first_beyond(contents)
