"""Chat completion requests, checked as strictly as OpenAI checks them.

Every field the official client can send is accepted. What the simulation cannot do as the real API
does (logprobs, audio output, the legacy functions) is refused and says so, rather than ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.simulated.models import Model, Vendor, find_model
from scripts.simulated.openai_abilities import EFFORTS, VERBOSITIES, check_chat
from scripts.simulated.openai_prompts import prompt_of, text_of, tool_name
from scripts.simulated.openai_wording import (
    check_integer,
    check_number,
    invalid_value,
    missing,
    wrong_type,
)
from scripts.simulated.refusals import Refusal
from scripts.simulated.words import count_tokens

_FIELD_NAMES = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens messages metadata modalities model moderation n parallel_tool_calls prediction
    presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention
    reasoning_effort response_format safety_identifier seed service_tier stop store stream
    stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options
"""
FIELDS = frozenset(_FIELD_NAMES.split())
ROLES = ("system", "assistant", "user", "function", "tool", "developer")
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
INTEGERS = {"max_tokens": 1, "max_completion_tokens": 1, "n": 1}
CHOICES = {
    "service_tier": ("auto", "default", "flex", "scale", "priority", "fast"),
    "reasoning_effort": EFFORTS,
    "verbosity": VERBOSITIES,
}
BOOLEANS = ("stream", "store", "logprobs", "parallel_tool_calls")
TOOL_CHOICES = ("none", "auto", "required")
FORMATS = ("json_object", "json_schema", "text")
OBJECTS = (
    "logit_bias",
    "metadata",
    "moderation",
    "prediction",
    "prompt_cache_options",
    "response_format",
    "stream_options",
    "web_search_options",
)
ARRAYS = ("modalities", "tools")
NOT_SIMULATED = ("functions", "function_call", "audio", "top_logprobs")
MAX_CHOICES = 128
NO_MODEL = "The model `{}` does not exist or you do not have access to it."


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose models are served, under which prefix; others than OpenAI are not as strict."""

    vendor: Vendor = "openai"
    prefix: str = ""
    strict: bool = True

    def find(self, name: str) -> Model | None:
        if not name.startswith(self.prefix):
            return None
        return find_model(self.vendor, name.removeprefix(self.prefix))


OPENAI = Rules()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A valid request. `prompt` is what a prompt cache compares; tools stand before messages."""

    body: Mapping[str, Any]
    model: Model
    stream: bool
    choices: int
    cap: int | None
    tier: str
    prompt: bytes
    prompt_tokens: int
    audio_tokens: int
    prediction_tokens: int


def parse(body: Any, rules: Rules = OPENAI) -> ChatRequest:
    """The request in a decoded body.

    Without strictness, members that are not known or not simulated are ignored, as compatible
    endpoints do.

    Raises:
        Refusal: as OpenAI refuses it, the first mistake found.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
    _check_fields(body, strict=rules.strict)
    model = _model(body, rules)
    _check_values(body)
    if rules.strict:
        _check_choices(body)
        _check_combinations(body, model)
    prompt, tokens, audio = prompt_of(body)
    if model.window is not None and tokens > model.window:
        raise Refusal(
            400,
            f"This model's maximum context length is {model.window} tokens. However, your messages "
            f"resulted in {tokens} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    cap = body.get("max_completion_tokens")
    prediction = (body.get("prediction") or {}).get("content", "")
    return ChatRequest(
        body=body,
        model=model,
        stream=body.get("stream") is True,
        choices=body.get("n") or 1,
        cap=body.get("max_tokens") if cap is None else cap,
        tier=_tier(body, model) if rules.strict else "default",
        prompt=prompt,
        prompt_tokens=tokens,
        audio_tokens=audio,
        prediction_tokens=count_tokens(text_of(prediction)) // 2,
    )


def _check_fields(body: Mapping[str, Any], *, strict: bool) -> None:
    unknown = body.keys() - FIELDS
    if unknown and strict:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(sorted(unknown))
        raise Refusal(400, f"Unrecognized request argument{plural} supplied: {names}")
    if "model" not in body:
        raise Refusal(400, "you must provide a model parameter")
    if "messages" not in body:
        raise Refusal(
            400,
            "Missing required parameter: 'messages'.",
            param="messages",
            code="missing_required_parameter",
        )
    _check_kinds(body)
    if strict:
        _check_simulated(body)


def _check_simulated(body: Mapping[str, Any]) -> None:
    for name in NOT_SIMULATED:
        if body.get(name) is not None:
            raise Refusal(400, f"[simulated] '{name}' is not simulated.", param=name)
    if body.get("logprobs"):
        raise Refusal(400, "[simulated] 'logprobs' is not simulated.", param="logprobs")
    if "audio" in (body.get("modalities") or ()):
        raise Refusal(400, "[simulated] audio output is not simulated.", param="modalities")


def _check_kinds(body: Mapping[str, Any]) -> None:
    for name in OBJECTS:
        if not isinstance(body.get(name, {}), dict | None):
            raise wrong_type(name, "an object", body[name])
    for name in ARRAYS:
        if not isinstance(body.get(name, []), list | None):
            raise wrong_type(name, "an array", body[name])


def _model(body: Mapping[str, Any], rules: Rules) -> Model:
    name = body["model"]
    if not isinstance(name, str):
        raise wrong_type("model", "a string", name)
    model = rules.find(name)
    if model is None:
        raise Refusal(404, NO_MODEL.format(name), code="model_not_found")
    if not model.chats:
        raise Refusal(
            404,
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
            "Did you mean to use v1/completions?",
            param="model",
        )
    return model


def _check_values(body: Mapping[str, Any]) -> None:
    for name, (low, high) in RANGES.items():
        if body.get(name) is not None:
            check_number(name, body[name], low, high)
    for name, least in INTEGERS.items():
        if body.get(name) is not None:
            check_integer(name, body[name], least)
    for name in BOOLEANS:
        if not isinstance(body.get(name, False), bool | None):
            raise wrong_type(name, "a boolean", body[name])
    _check_messages(body["messages"])
    _check_tools(body)
    _check_format(body)


def _check_choices(body: Mapping[str, Any]) -> None:
    for name, allowed in CHOICES.items():
        if body.get(name) is not None and body[name] not in allowed:
            raise invalid_value(name, body[name], allowed)


def _check_combinations(body: Mapping[str, Any], model: Model) -> None:
    if (body.get("n") or 1) > MAX_CHOICES:
        raise Refusal(
            400,
            f"Invalid 'n': integer above maximum value. Expected a value <= {MAX_CHOICES}, "
            f"but got {body['n']} instead.",
            param="n",
            code="integer_above_max_value",
        )
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refusal(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    if body.get("web_search_options") is not None and "search" not in model.asked:
        raise Refusal(
            400, "Web search options not supported with this model.", param="web_search_options"
        )
    check_chat(body, model)


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise Refusal(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise wrong_type(where, "an object", message)
        role = message.get("role")
        if role is None:
            raise missing(f"{where}.role")
        if role not in ROLES:
            raise invalid_value(f"{where}.role", role, ROLES)
        _check_content(where, role, message)


def _check_content(where: str, role: str, message: Mapping[str, Any]) -> None:
    content = message.get("content")
    if role == "tool" and message.get("tool_call_id") is None:
        raise missing(f"{where}.tool_call_id")
    if content is None and role != "assistant":
        raise Refusal(
            400,
            f"Invalid value for 'content': expected a string, got null. ({where})",
            param=f"{where}.content",
        )
    if content is not None and not isinstance(content, str | list):
        raise wrong_type(f"{where}.content", "one of a string or array of objects", content)
    if isinstance(content, list):
        for index, part in enumerate(content):
            if not isinstance(part, dict):
                raise wrong_type(f"{where}.content[{index}]", "an object", part)
            if part.get("type") is None:
                raise missing(f"{where}.content[{index}].type")


def _check_tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    choice = body.get("tool_choice")
    if not tools:
        if choice not in (None, "none"):
            raise Refusal(
                400,
                "'tool_choice' is only allowed when 'tools' are specified.",
                param="tool_choice",
            )
        return
    for index, tool in enumerate(tools):
        _check_tool(f"tools[{index}]", tool)
    if isinstance(choice, str):
        if choice not in TOOL_CHOICES:
            raise invalid_value("tool_choice", choice, TOOL_CHOICES)
    elif choice is not None:
        _check_named_tool(choice, [tool_name(tool) for tool in tools])


def _check_tool(where: str, tool: Any) -> None:
    if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
        raise missing(f"{where}.type")
    given = tool.get(tool["type"])
    if tool["type"] in ("function", "custom"):
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            raise missing(f"{where}.{tool['type']}.name")
        if not isinstance(given.get("parameters", {}), dict | None):
            raise wrong_type(f"{where}.function.parameters", "an object", given["parameters"])


def _check_named_tool(choice: Any, names: list[str]) -> None:
    if not isinstance(choice, dict):
        raise wrong_type("tool_choice", "one of a string or an object", choice)
    if choice.get("type") != "function":
        raise Refusal(
            400,
            f"[simulated] 'tool_choice' of type {choice.get('type')!r} is not simulated.",
            param="tool_choice",
        )
    function = choice.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise missing("tool_choice.function.name")
    if function["name"] not in names:
        raise Refusal(
            400,
            f"Invalid value for 'tool_choice': no function named '{function['name']}' was "
            "specified in the 'tools' parameter.",
            param="tool_choice",
        )


def _check_format(body: Mapping[str, Any]) -> None:
    wanted = body.get("response_format")
    if wanted is None:
        return
    kind = wanted.get("type")
    if kind not in FORMATS:
        raise invalid_value("response_format.type", kind, FORMATS)
    if kind == "json_schema":
        given = wanted.get("json_schema")
        if not isinstance(given, dict):
            raise missing("response_format.json_schema")
        if not isinstance(given.get("name"), str):
            raise missing("response_format.json_schema.name")
        if not isinstance(given.get("schema", {}), dict | None):
            raise wrong_type("response_format.json_schema.schema", "an object", given["schema"])
    if kind == "json_object" and b"json" not in orjson.dumps(body["messages"]).lower():
        raise Refusal(
            400,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param="messages",
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
