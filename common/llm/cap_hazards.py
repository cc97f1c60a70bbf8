"""What makes a lower output cap dangerous: an answer that is worth nothing when it is cut.

Sources: OpenAI API reference, "Chat" and "Responses"; guide "Reasoning" (reasoning counts into the
cap); Anthropic documentation, "Extended thinking", "Structured outputs", "Tool use"; Gemini API
reference, "Generating content" and "Interactions"; guide "Gemini thinking" (thoughts count into the
cap).

- JSON that is cut cannot be read, and neither can the call of a tool. One that the model must make
  is a hazard of every cap; where it only may make one, whoever asks decides (`offers_tools`).
- Thoughts count into the cap: one that they use up leaves an empty answer, billed all the same. A
  model that is not known here is taken to think.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from common.llm.edits import Reason
from common.llm.facts import read_cap
from common.llm.model_traits import makes_media, may_think_unasked, stops_at_no_budget
from common.llm.paths import FormName

THINKING_CAP = 2048
"""Below this a model that thinks is likely to answer nothing."""

CLAUDE_THINKING_FLOOR = 1024
"""The least that Anthropic takes as a budget for thinking; the cap must be above."""

_FORMED_BY = (
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "format",
)
"""Members of compatible servers that give the answer a form."""

_TOOLS = ("tools", "functions", "mcp_servers")
_MAY_HOLD_TOOLS: Mapping[FormName, tuple[str, ...]] = MappingProxyType(
    {
        "openai_responses": ("prompt",),
        "gemini_content": ("cachedContent", "cached_content"),
        "gemini_content_stream": ("cachedContent", "cached_content"),
        "gemini_interactions": ("cached_content", "agent"),
    }
)
_PLAIN_FORMATS = (None, "text")
_PLAIN_MIME_TYPES = (None, "", "text/plain")
_MEDIA = ("audio", "image", "video")
_FREE_CHOICES = (None, "auto", "none")
_FREE_MODES = frozenset({"", "AUTO", "NONE", "VALIDATED", "MODE_UNSPECIFIED"})


def hazard_in(
    form: FormName, parsed: Mapping[str, Any], config: Mapping[str, Any], model: str
) -> Reason | None:
    """Why an answer to this request must not be cut.

    Args:
        form: how the request is written.
        parsed: the request.
        config: Gemini's generation configuration, empty for others.
        model: the name it is sent to.
    """
    if form == "openai_chat":
        return _in_chat(parsed, model)
    if form == "openai_responses":
        text = parsed.get("text")
        plain = text is None or (isinstance(text, dict) and _is_plain(text.get("format")))
        return _first(structured=not plain, forced=not _is_free(parsed.get("tool_choice")))
    if form == "anthropic_messages":
        return _in_message(parsed)
    if form == "gemini_interactions":
        return _in_interaction(parsed, config, model)
    return _in_content(parsed, config, model) if form.startswith("gemini") else None


def least_cap(
    form: FormName, parsed: Mapping[str, Any], config: Mapping[str, Any], model: str
) -> tuple[int, int] | None:
    """The least cap that leaves an answer, and the tokens of it that thinking may use up.

    The arguments are those of `hazard_in`. None where it cannot be read.
    """
    if form == "openai_completions":
        return 1, 0
    if form == "anthropic_messages":
        return _of_message(parsed.get("thinking"), model)
    if form == "openai_responses":
        reasoning = parsed.get("reasoning")
        effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
        return (1, 0) if effort == "none" or not may_think_unasked(model) else (THINKING_CAP, 0)
    return _of_chat(parsed, model) if form == "openai_chat" else _of_gemini(config, model)


def offers_tools(form: FormName, parsed: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether the answer may be the call of a tool, whose arguments are worth nothing when cut.

    How long those are nobody can tell from the request: a model that writes a file does it in them.
    What names a prompt or a cache that is kept by the provider may bring tools unseen. The
    arguments are those of `hazard_in`.
    """
    if any(parsed.get(name) is not None for name in _MAY_HOLD_TOOLS.get(form, ())):
        return True
    return any(parsed.get(name) for name in _TOOLS) and not _calls_nothing(form, parsed, config)


def is_spelt_twice(parsed: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether Gemini's request has a member in both spellings: who knows which one is taken."""
    tools = _either(parsed, "toolConfig", "tool_config")
    thinking = _either(config, "thinkingConfig", "thinking_config")
    read = (parsed, config, tools, thinking)
    return any(
        len({name.replace("_", "").lower() for name in each}) < len(each)
        for each in read
        if isinstance(each, dict)
    )


def _first(*, structured: bool, forced: bool, media: bool = False) -> Reason | None:
    if structured:
        return "structured_output"
    if forced:
        return "forced_tool"
    return "media_output" if media else None


def _in_chat(parsed: Mapping[str, Any], model: str) -> Reason | None:
    structured = not _is_plain(parsed.get("response_format")) or any(
        parsed.get(name) for name in _FORMED_BY
    )
    forced = not _is_free(parsed.get("tool_choice")) or not _is_free(parsed.get("function_call"))
    media = parsed.get("modalities") not in (None, ["text"]) or makes_media(model)
    return _first(structured=structured, forced=forced, media=media)


def _in_message(parsed: Mapping[str, Any]) -> Reason | None:
    config = parsed.get("output_config")
    asked = config.get("format") if isinstance(config, dict) else config
    choice = parsed.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return _first(
        structured=asked is not None or parsed.get("output_format") is not None,
        forced=kind not in _FREE_CHOICES,
    )


def _in_content(parsed: Mapping[str, Any], config: Mapping[str, Any], model: str) -> Reason | None:
    kind = _either(config, "responseMimeType", "response_mime_type")
    schemas = (
        ("responseSchema", "response_schema"),
        ("responseJsonSchema", "response_json_schema"),
        ("responseFormat", "response_format"),
    )
    structured = kind not in _PLAIN_MIME_TYPES or any(
        _either(config, *names) is not None for names in schemas
    )
    modalities = _either(config, "responseModalities", "response_modalities")
    media = modalities not in (None, [], ["TEXT"], ["text"]) or makes_media(model)
    return _first(structured=structured, forced=_calls_functions(parsed), media=media)


def _in_interaction(
    parsed: Mapping[str, Any], config: Mapping[str, Any], model: str
) -> Reason | None:
    formats = parsed.get("response_format")
    listed = formats if isinstance(formats, list) else [formats]
    media = any(isinstance(each, dict) and each.get("type") in _MEDIA for each in listed)
    structured = parsed.get("response_mime_type") not in _PLAIN_MIME_TYPES or not all(
        each is None or _is_plain_text(each) for each in listed
    )
    modalities = parsed.get("response_modalities") not in (None, [], ["text"])
    choice = config.get("tool_choice")
    allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
    mode = allowed.get("mode") if isinstance(allowed, dict) else choice
    forced = mode is not None and (not isinstance(mode, str) or mode.upper() not in _FREE_MODES)
    return _first(
        structured=structured and not media,
        forced=forced,
        media=media or modalities or makes_media(model),
    )


def _calls_nothing(form: FormName, parsed: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether the request says that none of its tools may be called."""
    choice: object
    if form == "gemini_interactions":
        choice = _inner(config.get("tool_choice"), "allowed_tools")
        choice = choice.get("mode") if isinstance(choice, dict) else config.get("tool_choice")
    elif form.startswith("gemini"):
        tools = _either(parsed, "toolConfig", "tool_config")
        calling = _inner(tools, "functionCallingConfig") or _inner(tools, "function_calling_config")
        choice = _inner(calling, "mode")
    else:
        choice = parsed.get("tool_choice", parsed.get("function_call"))
        choice = _inner(choice, "type") or choice
    return isinstance(choice, str) and choice.lower() == "none"


def _inner(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _is_plain_text(asked: object) -> bool:
    """Whether the format that an interaction is to have leaves it plain text."""
    if not isinstance(asked, dict) or asked.get("type") != "text":
        return False
    return asked.keys() <= {"type", "mime_type"} and asked.get("mime_type") in _PLAIN_MIME_TYPES


def _calls_functions(parsed: Mapping[str, Any]) -> bool:
    tools = _either(parsed, "toolConfig", "tool_config")
    if tools is None:
        return False
    if not isinstance(tools, dict):
        return True
    calling = _either(tools, "functionCallingConfig", "function_calling_config")
    if calling is None:
        return False
    mode = calling.get("mode") if isinstance(calling, dict) else calling
    return mode is not None and (not isinstance(mode, str) or mode.upper() not in _FREE_MODES)


def _is_plain(asked: object) -> bool:
    """Whether OpenAI's format of an answer leaves it plain text."""
    kind = asked.get("type") if isinstance(asked, dict) else asked
    return kind in _PLAIN_FORMATS


def _is_free(choice: object) -> bool:
    """Whether OpenAI's choice of a tool lets the model call none."""
    if isinstance(choice, dict):
        listed = choice.get("allowed_tools", choice)
        mode = listed.get("mode") if isinstance(listed, dict) else None
        return choice.get("type") == "allowed_tools" and mode == "auto"
    return choice in _FREE_CHOICES


def _of_message(thinking: object, model: str) -> tuple[int, int] | None:
    unasked = thinking is None and may_think_unasked(model)
    return (CLAUDE_THINKING_FLOOR + 1, 0) if unasked else _of_claude(thinking)


def _of_claude(thinking: object) -> tuple[int, int] | None:
    if thinking is None:
        return 1, 0
    if not isinstance(thinking, dict):
        return None
    if thinking.get("type") == "disabled":
        return 1, 0
    budget = thinking.get("budget_tokens")
    if budget is None:
        return CLAUDE_THINKING_FLOOR + 1, 0
    tokens = read_cap(budget)
    return None if tokens is None else (max(tokens, CLAUDE_THINKING_FLOOR) + 1, tokens)


def _of_chat(parsed: Mapping[str, Any], model: str) -> tuple[int, int] | None:
    asked = parsed.get("thinking")
    own = parsed.get("reasoning")
    if asked is not None:
        found = _of_claude(asked)
        least = THINKING_CAP if may_think_unasked(model) else 1
        return None if found is None else (max(least, found[0]), found[1])
    if own is not None:
        budget = read_cap(own.get("max_tokens")) if isinstance(own, dict) else None
        return max(THINKING_CAP, (budget or 0) + 1), budget or 0
    off = parsed.get("reasoning_effort") == "none" or not may_think_unasked(model)
    return (1, 0) if off else (THINKING_CAP, 0)


def _of_gemini(config: Mapping[str, Any], model: str) -> tuple[int, int] | None:
    asked = _either(config, "thinkingConfig", "thinking_config")
    thinking = {} if asked is None else asked
    if not isinstance(thinking, dict):
        return None
    budget = _either(thinking, "thinkingBudget", "thinking_budget")
    if budget is None:
        return (THINKING_CAP, 0) if may_think_unasked(model) else (1, 0)
    if type(budget) is not int:
        return None
    if budget == 0 and stops_at_no_budget(model):
        return 1, 0
    return max(THINKING_CAP, budget + 1), max(0, budget)


def _either(members: Mapping[str, Any], camel: str, snake: str) -> object:
    """A member in either spelling; where both are there, the one that says something."""
    found = members.get(camel)
    return found if found is not None else members.get(snake)
