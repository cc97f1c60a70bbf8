"""Requests for Gemini interactions, checked as strictly as Google checks them.

Every member the official client can send is known. What the simulation cannot do as the real API
does (media, caches, environments, answers that are resumed) is refused and says so; Google's own
tools are accepted and never act.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.simulated.gemini_requests import lower_types
from scripts.simulated.models import Model, find_model
from scripts.simulated.refusals import Refusal
from scripts.simulated.words import count_tokens

AGENTS = ("deep-research-pro-preview-12-2025", "deep-research-preview-04-2026")
_FIELD_NAMES = """
    model agent agent_config input system_instruction tools generation_config response_format
    response_mime_type response_modalities safety_settings service_tier labels store stream
    background webhook_config previous_interaction_id cached_content continuation_token environment
"""
_FIELDS = frozenset(_FIELD_NAMES.split())
_NOT_SIMULATED = (
    *("cached_content", "continuation_token", "environment", "webhook_config"),
    *("agent_config", "response_modalities", "response_mime_type"),
)
_CONFIG_NAMES = """
    max_output_tokens seed stop_sequences temperature top_p thinking_level thinking_summaries
    tool_choice
"""
_CONFIG_FIELDS = frozenset(_CONFIG_NAMES.split())
_BOOLEANS = ("store", "stream", "background")
_TEXTS = ("model", "agent", "system_instruction", "previous_interaction_id")
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_MODES = ("auto", "any", "none", "validated")
_TIERS = ("standard", "flex", "priority", "deferred")
_TOOLS = (
    *("function", "google_search", "code_execution", "url_context", "file_search"),
    *("google_maps", "computer_use", "mcp_server", "retrieval"),
)
_SAID = ("user_input", "model_output")
_LARGEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class InteractionRequest:
    """A valid request. `model` is None for an agent; `functions` are name and schema, in order."""

    body: Mapping[str, Any]
    model: Model | None
    steps: tuple[Mapping[str, Any], ...]
    json_schema: Mapping[str, Any] | None
    functions: tuple[tuple[str, Mapping[str, Any]], ...]
    mode: str
    allowed: tuple[str, ...]
    input_tokens: int

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.body.get("generation_config") or {}
        return config

    @property
    def name(self) -> str:
        """What answers: the model, or the agent."""
        agent: str = self.body.get("agent") or ""
        return agent if self.model is None else self.model.name


def parse(parsed: Any, earlier: tuple[Mapping[str, Any], ...]) -> InteractionRequest:
    """The request in a decoded body, which goes on with the steps of an earlier interaction.

    Raises:
        Refusal: as Google refuses it, the first mistake found.
    """
    body = _known(parsed, _FIELDS, "")
    for name in _NOT_SIMULATED:
        if body.get(name) is not None:
            raise _invalid(f"[simulated] '{name}' is not simulated.")
    _check_types(body)
    model = _answering(body)
    config = _known(body.get("generation_config") or {}, _CONFIG_FIELDS, "generation_config")
    _check_config(config)
    steps = tuple(_steps(body.get("input")))
    mode, allowed = _choice(config.get("tool_choice"))
    tokens = sum(map(_step_tokens, (*earlier, *steps)))
    tokens += count_tokens(body.get("system_instruction") or "")
    tokens += (len(orjson.dumps(body["tools"])) + 3) // 4 if body.get("tools") else 0
    if model is not None and model.window is not None and tokens > model.window:
        raise _invalid(f"The input token count exceeds the maximum allowed ({model.window}).")
    return InteractionRequest(
        body=body,
        model=model,
        steps=steps,
        json_schema=_json_schema(body.get("response_format")),
        functions=tuple(_functions(body.get("tools"))),
        mode=mode,
        allowed=allowed,
        input_tokens=max(1, tokens),
    )


def said_last(steps: tuple[Mapping[str, Any], ...]) -> str:
    """The texts of the last step if a user made it."""
    last = steps[-1] if steps else {}
    if last.get("type") != "user_input":
        return ""
    return " ".join(part["text"] for part in last["content"])


def _known(given: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _invalid("Invalid JSON payload received. Root element must be a message.")
    for name in given:
        if name not in known:
            place = f" at '{where}'" if where else ""
            raise _invalid(f'Invalid JSON payload received. Unknown name "{name}"{place}.')
    return given


def _check_types(body: Mapping[str, Any]) -> None:
    kinds = ((_BOOLEANS, bool), (_TEXTS, str), (("labels",), dict), (("safety_settings",), list))
    for names, kind in kinds:
        for name in names:
            if body.get(name) is not None and not isinstance(body[name], kind):
                raise _invalid(f"Invalid value at '{name}', {body[name]!r}")
    if body.get("service_tier") not in (None, *_TIERS):
        raise _invalid(f"Invalid value at 'service_tier', {body['service_tier']!r}")
    if body.get("background") and body.get("store") is False:
        raise _invalid("background=true requires store=true.")


def _answering(body: Mapping[str, Any]) -> Model | None:
    if (body.get("model") is None) == (body.get("agent") is None):
        raise _invalid("Exactly one of 'model' or 'agent' must be set.")
    if body.get("agent") is not None:
        if body["agent"] not in AGENTS:
            raise Refusal(404, f"agents/{body['agent']} is not found.")
        if body.get("generation_config") is not None:
            raise _invalid("'generation_config' is not supported for agents.")
        return None
    name = body["model"].removeprefix("models/")
    model = find_model("gemini", name)
    if model is None or not model.chats or not name.startswith(("gemini", "gemma")):
        raise Refusal(404, f"models/{name} is not found, or is not supported for interactions.")
    if body.get("service_tier") not in (None, "standard", *model.tiers):
        raise _invalid(f"[simulated] {name} has no tier {body['service_tier']!r}.")
    return model


def _check_config(config: Mapping[str, Any]) -> None:
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise _invalid(f"generation_config.{name} must be in the range [0.0, {most}.0].")
    for name, least in (("max_output_tokens", 1), ("seed", 0)):
        value = config.get(name)
        if value is not None and (type(value) is not int or not least <= value <= _LARGEST):
            raise _invalid(f"Invalid value at 'generation_config.{name}', {value!r}")
    if config.get("thinking_level") not in (None, *_LEVELS):
        raise _invalid("Invalid value at 'generation_config.thinking_level'")
    if config.get("thinking_summaries") not in (None, "auto", "none"):
        raise _invalid("Invalid value at 'generation_config.thinking_summaries'")
    stops = config.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise _invalid("Invalid value at 'generation_config.stop_sequences'")


def _choice(given: Any) -> tuple[str, tuple[str, ...]]:
    allowed: Any = ()
    if isinstance(given, dict):
        inner = _known(given, frozenset({"allowed_tools"}), "tool_choice").get("allowed_tools")
        named = _known(inner, frozenset({"mode", "tools"}), "tool_choice.allowed_tools")
        given, allowed = named.get("mode"), named.get("tools") or ()
    mode = "auto" if given is None else given
    if mode not in _MODES:
        raise _invalid(f"Invalid value at 'generation_config.tool_choice', {mode!r}")
    return mode, tuple(allowed)


def _steps(given: Any) -> Iterator[Mapping[str, Any]]:
    """The input as steps: a text, a content, several of them, or steps already."""
    if isinstance(given, str) and given:
        given = [{"type": "text", "text": given}]
    listed = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(each, dict) for each in listed):
        raise _invalid("'input' must be a text, contents or steps.")
    if all(each.get("type") == "text" for each in listed):
        yield {"type": "user_input", "content": _texts(listed)}
        return
    for step in listed:
        yield _step(step)


def _step(step: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = step.get("type")
    if kind in _SAID:
        return {"type": kind, "content": _texts(step.get("content"))}
    if kind == "thought":
        return {"type": kind, "summary": _texts(step.get("summary") or [])}
    wanted = {"function_call": ("id", "name"), "function_result": ("call_id",)}
    if kind not in wanted:
        raise _invalid(f"[simulated] input of type {kind!r} is not simulated.")
    for name in wanted[kind]:
        if not isinstance(step.get(name), str):
            raise _invalid(f"'{name}' of a {kind} is required.")
    member = "arguments" if kind == "function_call" else "result"
    if not isinstance(step.get(member), dict | str | list):
        raise _invalid(f"'{member}' of a {kind} is required.")
    return step


def _texts(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list):
        raise _invalid("'content' must be a list.")
    for part in given:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text":
            raise _invalid(f"[simulated] content of type {kind!r} is not simulated.")
        if not isinstance(part.get("text"), str):
            raise _invalid("'text' of a text is required.")
    return given


def _functions(tools: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in tools or ():
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in _TOOLS:
            raise _invalid(f"Invalid value at 'tools', {tool!r}")
        if kind == "function":
            if not isinstance(tool.get("name"), str):
                raise _invalid("'name' of a function is required.")
            yield tool["name"], lower_types(tool.get("parameters") or {})


def _json_schema(given: Any) -> Mapping[str, Any] | None:
    for each in given if isinstance(given, list) else [given]:
        if each is None:
            continue
        if not isinstance(each, dict) or each.get("type") != "text":
            raise _invalid("[simulated] only text is simulated as a response format.")
        known = _known(each, frozenset({"type", "mime_type", "schema"}), "response_format")
        if known.get("mime_type") == "application/json":
            schema: Mapping[str, Any] = lower_types(known.get("schema") or {})
            return schema
        if known.get("schema") is not None:
            raise _invalid("'schema' needs the mime type application/json.")
    return None


def _step_tokens(step: Mapping[str, Any]) -> int:
    texts = step.get("content", step.get("summary"))
    if isinstance(texts, list):
        return sum(count_tokens(part["text"]) for part in texts)
    return (len(orjson.dumps(step)) + 3) // 4


def _invalid(message: str) -> Refusal:
    return Refusal(400, message)
