"""Requests to OpenAI's Responses, checked as strictly as OpenAI checks them.

Every field the official client can send is known, and `client_metadata`, which Codex sends. What
the simulation cannot do as the real API does (the provider's own tools, conversations, stored
prompts) is refused and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.simulated.models import Model, find_model
from scripts.simulated.openai_abilities import check_detail, check_response
from scripts.simulated.openai_prompts import picture_of
from scripts.simulated.openai_wording import (
    check_integer,
    check_number,
    invalid_value,
    missing,
    wrong_type,
)
from scripts.simulated.refusals import Refusal

_FIELD_NAMES = """
    access_programs background client_metadata context_management conversation image include
    input instructions max_output_tokens max_tool_calls metadata model moderation
    parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options
    prompt_cache_retention
    reasoning safety_identifier service_tier store stream stream_options temperature text
    tool_choice tools top_logprobs top_p truncation user
"""
FIELDS = frozenset(_FIELD_NAMES.split())
NOT_SIMULATED = (
    *("access_programs", "context_management", "conversation", "image"),
    *("moderation", "prompt", "top_logprobs"),
)
RANGES = {"temperature": (0, 2), "top_p": (0, 1)}
LEAST = {"max_output_tokens": 16, "max_tool_calls": 1}
CHOICES = {
    "service_tier": ("auto", "default", "flex", "scale", "priority", "fast"),
    "truncation": ("auto", "disabled"),
    "prompt_cache_retention": ("in_memory", "24h"),
}
BOOLEANS = ("stream", "store", "background", "parallel_tool_calls")
TEXTS = ("instructions", "previous_response_id", "prompt_cache_key", "safety_identifier", "user")
OBJECTS = (
    *("client_metadata", "metadata", "prompt_cache_options", "reasoning", "stream_options"),
    "text",
)
ARRAYS = ("include", "tools")
NEVER_CALLED = ("custom", "namespace", "web_search")
"""Kinds of tools that may be offered; the simulated model calls functions only."""
TOOL_CHOICES = ("none", "auto", "required")
FORMATS = ("text", "json_object", "json_schema")
ROLES = ("assistant", "system", "developer", "user")
ITEMS = ("message", "function_call", "function_call_output", "reasoning")
PARTS = ("input_text", "input_image", "output_text", "refusal")
NO_MODEL = "The requested model '{}' does not exist."
_MESSAGE_TOKENS = 4
_REQUEST_TOKENS = 3


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A valid request. `prompt` is what a prompt cache compares, pictures included."""

    body: Mapping[str, Any]
    model: Model
    items: tuple[Mapping[str, Any], ...]
    tier: str
    prompt: bytes

    @property
    def input_tokens(self) -> int:
        text = (len(self.prompt) + 3) // 4
        return text + _MESSAGE_TOKENS * len(self.items) + _REQUEST_TOKENS

    @property
    def format(self) -> Mapping[str, Any]:
        """How the answer's text is to be."""
        wanted: Mapping[str, Any] = (self.body.get("text") or {}).get("format") or {"type": "text"}
        return wanted


def parse(body: Any, earlier: bytes = b"") -> ResponsesRequest:
    """The request in a decoded body; `earlier` is the conversation it goes on with.

    Raises:
        Refusal: as OpenAI refuses it, the first mistake found.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
    _check_fields(body)
    model = _model(body)
    _check_values(body, model)
    items = _items(body["input"])
    _check_tools(body)
    _check_format(body)
    texts = [orjson.dumps(body["tools"]).decode()] if body.get("tools") else []
    texts += [body.get("instructions") or "", *(_prompted(item) for item in items)]
    request = ResponsesRequest(
        body=body,
        model=model,
        items=items,
        tier=_tier(body, model),
        prompt=earlier + "".join(texts).encode(),
    )
    if model.window is not None and request.input_tokens > model.window:
        raise Refusal(
            400,
            "Your input exceeds the context window of this model. Please adjust your input and try "
            "again.",
            param="input",
            code="context_length_exceeded",
        )
    return request


def _check_fields(body: Mapping[str, Any]) -> None:
    unknown = sorted(body.keys() - FIELDS)
    if unknown:
        message = f"Unknown parameter: '{unknown[0]}'."
        raise Refusal(400, message, param=unknown[0], code="unknown_parameter")
    for name in ("model", "input"):
        if body.get(name) is None:
            raise missing(name)
    for name in NOT_SIMULATED:
        if body.get(name) is not None:
            raise Refusal(400, f"[simulated] '{name}' is not simulated.", param=name)
    kinds: tuple[tuple[tuple[str, ...], type, str], ...] = (
        (OBJECTS, dict, "an object"),
        (ARRAYS, list, "an array"),
        (TEXTS, str, "a string"),
        (BOOLEANS, bool, "a boolean"),
    )
    for names, kind, called in kinds:
        for name in names:
            if body.get(name) is not None and not isinstance(body[name], kind):
                raise wrong_type(name, called, body[name])


def _model(body: Mapping[str, Any]) -> Model:
    name = body["model"]
    if not isinstance(name, str):
        raise wrong_type("model", "a string", name)
    model = find_model("openai", name)
    if model is None or not model.chats:
        raise Refusal(400, NO_MODEL.format(name), param="model", code="model_not_found")
    return model


def _check_values(body: Mapping[str, Any], model: Model) -> None:
    for name, (low, high) in RANGES.items():
        if body.get(name) is not None:
            check_number(name, body[name], low, high)
    for name, least in LEAST.items():
        if body.get(name) is not None:
            check_integer(name, body[name], least)
    for name, allowed in CHOICES.items():
        if body.get(name) is not None and body[name] not in allowed:
            raise invalid_value(name, body[name], allowed)
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    _check_background(body)
    check_response(body, model)


def _check_background(body: Mapping[str, Any]) -> None:
    if body.get("background"):
        if body.get("store") is False:
            raise Refusal(400, "Background requires 'store' to be true.", param="background")
        if body.get("stream"):
            raise Refusal(
                400,
                "[simulated] 'stream' of a background response is not simulated.",
                param="stream",
            )


def _items(given: Any) -> tuple[Mapping[str, Any], ...]:
    """The input as a list of items; a text is one message of the user."""
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string or array of input items", given)
    for index, item in enumerate(given):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise wrong_type(where, "an input item", item)
        kind = item.get("type", "message")
        if kind not in ITEMS:
            raise invalid_value(f"{where}.type", kind, ITEMS)
        needed = {"function_call": ("call_id", "name", "arguments")}.get(kind, ())
        for name in ("call_id", "output") if kind == "function_call_output" else needed:
            if item.get(name) is None:
                raise missing(f"{where}.{name}")
        if kind == "message":
            _check_message(where, item)
    return tuple(given)


def _check_message(where: str, item: Mapping[str, Any]) -> None:
    if item.get("role") not in ROLES:
        raise invalid_value(f"{where}.role", item.get("role"), ROLES)
    content = item.get("content")
    if content is None:
        raise missing(f"{where}.content")
    if not isinstance(content, str | list):
        raise wrong_type(f"{where}.content", "one of a string or array of objects", content)
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict):
            raise wrong_type(f"{where}.content[{index}]", "an object", part)
        if part.get("type") not in PARTS:
            raise invalid_value(f"{where}.content[{index}].type", part.get("type"), PARTS)
        if part["type"] == "input_image":
            check_detail(part, f"{where}.content[{index}]")


def _check_tools(body: Mapping[str, Any]) -> None:
    names, kinds = [], []
    for index, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{index}]"
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise missing(f"{where}.type")
        kinds.append(tool["type"])
        if tool["type"] in NEVER_CALLED:
            continue
        if tool["type"] != "function":
            raise Refusal(
                400, f"[simulated] the tool {tool['type']!r} is not simulated.", param=where
            )
        if not isinstance(tool.get("name"), str):
            raise missing(f"{where}.name")
        if not isinstance(tool.get("parameters", {}), dict | None):
            raise wrong_type(f"{where}.parameters", "an object", tool["parameters"])
        names.append(tool["name"])
    _check_tool_choice(body.get("tool_choice"), names, kinds)


def _check_tool_choice(choice: Any, names: list[str], kinds: list[str]) -> None:
    if isinstance(choice, str):
        if choice not in TOOL_CHOICES:
            raise invalid_value("tool_choice", choice, TOOL_CHOICES)
    elif choice is not None:
        if not isinstance(choice, dict):
            raise wrong_type("tool_choice", "one of a string or an object", choice)
        chosen = choice.get("name") if choice.get("type") == "function" else choice.get("type")
        if chosen not in (names if choice.get("type") == "function" else kinds):
            message = f"Tool choice '{chosen}' must be specified with 'tools' parameter."
            raise Refusal(400, message, param="tool_choice")
    if choice == "required" and not kinds:
        message = "Tool choice 'required' must be specified with 'tools' parameter."
        raise Refusal(400, message, param="tool_choice")


def _check_format(body: Mapping[str, Any]) -> None:
    wanted = (body.get("text") or {}).get("format")
    if wanted is None:
        return
    if not isinstance(wanted, dict):
        raise wrong_type("text.format", "an object", wanted)
    if wanted.get("type") not in FORMATS:
        raise invalid_value("text.format.type", wanted.get("type"), FORMATS)
    if wanted["type"] == "json_schema":
        for name, kind in (("name", str), ("schema", dict)):
            if not isinstance(wanted.get(name), kind):
                raise missing(f"text.format.{name}")
    if wanted["type"] == "json_object" and b"json" not in orjson.dumps(body["input"]).lower():
        raise Refusal(
            400,
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'.",
            param="input",
        )


def _tier(body: Mapping[str, Any], model: Model) -> str:
    asked = body.get("service_tier")
    if asked == "flex":
        if "flex" not in model.tiers:
            raise Refusal(400, "Invalid service_tier argument", param="service_tier")
        return "flex"
    if asked in ("priority", "fast") and "priority" in model.tiers:
        return "priority"
    return "default"


def text_of(item: Mapping[str, Any]) -> str:
    """What an item says to the model."""
    content = item.get("content")
    parts = content if isinstance(content, list) else ()
    texts = [str(part.get("text") or part.get("refusal") or "") for part in parts]
    told = [str(item[name]) for name in ("name", "arguments", "output") if item.get(name)]
    return "".join([content if isinstance(content, str) else "", *texts, *told])


def _prompted(item: Mapping[str, Any]) -> str:
    """An item as a prompt cache compares it; the pictures of a message stand behind its texts."""
    content = item.get("content")
    parts = content if isinstance(content, list) else ()
    pictures = [part for part in parts if part["type"] == "input_image"]
    return "".join([text_of(item), *(picture_of(each, each.get("detail")) for each in pictures)])
