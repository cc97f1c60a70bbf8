"""Members of a request that models of one provider differ in, so that a move to another is refused.

Sources: OpenAI API reference, "Chat" and "Responses"; guide "Reasoning models" (models that think
refuse sampling parameters and `max_tokens`); Anthropic API reference, "Messages", and
documentation, "Migration guide"; Gemini API reference, "Generating content" and "Interactions".
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from common.llm.edits import NotSafe
from common.llm.facts import names, unknown_member
from common.llm.generation_config import find_config
from common.llm.paths import FormName

_OPENAI = (
    "model stream stream_options user metadata store safety_identifier prompt_cache_key tools "
    "tool_choice service_tier "
)
_GEMINI = names(
    "model contents systemInstruction generationConfig tools toolConfig safetySettings labels "
    "serviceTier"
)
_TAKEN_BY_ALL: Mapping[FormName, frozenset[str]] = MappingProxyType(
    {
        "openai_chat": names(
            _OPENAI + "messages n seed response_format max_completion_tokens reasoning_effort "
            "verbosity"
        ),
        "openai_responses": names(
            _OPENAI + "input instructions background include truncation text reasoning "
            "max_output_tokens"
        ),
        "anthropic_messages": names(
            "model messages max_tokens system stream stop_sequences metadata tools tool_choice "
            "thinking output_config temperature top_p cache_control service_tier"
        ),
        "gemini_content": _GEMINI,
        "gemini_content_stream": _GEMINI,
        "gemini_interactions": names(
            "model input system_instruction tools generation_config safety_settings labels stream "
            "store background service_tier"
        ),
    }
)
_TAKEN_WITHOUT_THOUGHTS = names(
    "max_tokens temperature top_p presence_penalty frequency_penalty stop logit_bias logprobs "
    "top_logprobs"
)
_CONFIG = names(
    "temperature topP topK candidateCount maxOutputTokens stopSequences seed responseMimeType "
    "responseSchema responseJsonSchema thinkingConfig mediaResolution thinkingLevel "
    "thinkingSummaries toolChoice"
)
_OUTPUT_CONFIG = names("effort format")
_OPENAI_FORMS = ("openai_chat", "openai_responses")


def refused_member(
    form: FormName, members: Mapping[str, Any], *, thinks: bool, low_verbosity: bool
) -> str | None:
    """The first member that a model is not known to take, as the request spells it.

    Args:
        form: how the request is written.
        members: the request.
        thinks: the model thinks unasked.
        low_verbosity: OpenAI's models: it takes `verbosity`.
    """
    taken = _TAKEN_BY_ALL.get(form)
    if taken is None:
        return "form"
    if form in _OPENAI_FORMS:
        more = frozenset[str]() if thinks else _TAKEN_WITHOUT_THOUGHTS
        found = unknown_member(members, taken | more)
        return found or _of_openai(members, thinks=thinks, low_verbosity=low_verbosity)
    if form == "anthropic_messages":
        return unknown_member(members, taken) or _of_anthropic(members)
    return _of_gemini(form, members, taken)


def _of_openai(members: Mapping[str, Any], *, thinks: bool, low_verbosity: bool) -> str | None:
    text = members.get("text")
    within = text.get("verbosity") if isinstance(text, dict) else None
    if not low_verbosity and (within is not None or members.get("verbosity") is not None):
        return "verbosity"
    included = members.get("include")
    if not thinks and isinstance(included, list) and "reasoning.encrypted_content" in included:
        return "include"
    return None


def _of_anthropic(members: Mapping[str, Any]) -> str | None:
    if members.get("temperature") is not None and members.get("top_p") is not None:
        return "top_p"
    config = members.get("output_config")
    if config is None:
        return None
    return unknown_member(config, _OUTPUT_CONFIG) if isinstance(config, dict) else "output_config"


def _of_gemini(form: FormName, members: Mapping[str, Any], taken: frozenset[str]) -> str | None:
    config = find_config(form, members)
    if isinstance(config, NotSafe):
        return config.reason
    outer = members if form == "gemini_interactions" else _camel(members)
    return unknown_member(outer, taken) or unknown_member(_camel(config.members), _CONFIG)


def _camel(members: Mapping[str, Any]) -> dict[str, Any]:
    return {
        re.sub(r"_([a-z])", lambda found: found.group(1).upper(), name): value
        for name, value in members.items()
    }
