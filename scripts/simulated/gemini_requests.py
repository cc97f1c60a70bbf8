"""generateContent requests, checked as strictly as Google checks them.

Members may have either JSON spelling, as in all of Google's APIs. Server tools (search, code,
pages) are accepted and never act: a reply never holds what they would add.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.simulated.gemini_thinking import Thinking, check_config, check_tier, thinking_of
from scripts.simulated.models import Model, find_model
from scripts.simulated.refusals import Refusal
from scripts.simulated.words import count_tokens

_FIELD_NAMES = """
    contents systemInstruction generationConfig tools toolConfig safetySettings cachedContent
    labels model serviceTier store
"""
_FIELDS = frozenset(_FIELD_NAMES.split())
_CONFIG_NAMES = """
    temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs
    presencePenalty frequencyPenalty seed responseMimeType responseSchema responseJsonSchema
    responseModalities mediaResolution speechConfig thinkingConfig imageConfig
"""
_CONFIG_FIELDS = frozenset(_CONFIG_NAMES.split())
_THINKING_FIELDS = frozenset({"thinkingBudget", "includeThoughts", "thinkingLevel"})
_PART_NAMES = """
    text inlineData fileData functionCall functionResponse executableCode
    codeExecutionResult
"""
_PART_KINDS = frozenset(_PART_NAMES.split())
_BESIDE_PARTS = frozenset({"thought", "thoughtSignature", "videoMetadata", "partMetadata"})
_NOT_BESIDE_A_CACHE = ("systemInstruction", "tools", "toolConfig")
_ROLES = ("user", "model", "function")
_MIME_TYPES = ("text/plain", "application/json", "text/x.enum")
_MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_MOST_CANDIDATES = 8
_FILE_TOKENS = 258
_LOW_FILE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Cached:
    """The cached content that a request names: whose it is, and how long."""

    model: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ContentRequest:
    """A valid request. `functions` are name and schema, in order.

    `input_tokens` includes the `cached_tokens`.
    """

    model: Model
    contents: tuple[Mapping[str, Any], ...]
    cap: int | None
    candidates: int
    thinking: Thinking
    shows_thoughts: bool
    json_schema: Mapping[str, Any] | None
    functions: tuple[tuple[str, Mapping[str, Any]], ...]
    mode: str
    allowed: tuple[str, ...]
    input_tokens: int
    cached_tokens: int = 0


def known_model(name: str) -> Model:
    """The model of that name.

    Raises:
        Refusal: there is none (404).
    """
    model = find_model("gemini", name)
    if model is None or not name.startswith(("gemini", "gemma")):
        raise Refusal(
            404,
            f"models/{name} is not found for API version v1beta, or is not supported for this "
            "method. Call ListModels to see the list of available models and their supported "
            "methods.",
        )
    return model


def parse(name: str, parsed: Any, *, stream: bool, cached: Cached | None = None) -> ContentRequest:
    """The request to a model in a decoded body; `cached` is the content it names, if there is one.

    Raises:
        Refusal: as Google refuses it, the first mistake found.
    """
    model = known_model(name)
    if not model.chats:
        raise _invalid(f"models/{name} does not support generateContent. [simulated]")
    body = members(parsed, _FIELDS, "")
    _check_cached(body, model, cached)
    contents = checked_contents(body.get("contents"))
    config = members(body.get("generationConfig") or {}, _CONFIG_FIELDS, "generation_config")
    _check_config(config)
    check_config(config, model)
    check_tier(body)
    _check_format(config)
    thinking = members(
        config.get("thinkingConfig") or {}, _THINKING_FIELDS, "generation_config.thinking_config"
    )
    candidates = config.get("candidateCount") or 1
    if stream and candidates > 1:
        raise _invalid("[simulated] only one candidate can be streamed")
    mode, allowed = _calling(body)
    tokens = count_contents(contents, config.get("mediaResolution"))
    tokens += 0 if cached is None else cached.tokens
    tokens += _content_tokens(body.get("systemInstruction") or {})
    tokens += (len(orjson.dumps(body.get("tools") or ())) + 3) // 4 if body.get("tools") else 0
    if model.window is not None and tokens > model.window:
        raise _invalid(
            f"The input token count exceeds the maximum number of tokens allowed ({model.window})."
        )
    return ContentRequest(
        model=model,
        contents=contents,
        cap=config.get("maxOutputTokens"),
        candidates=candidates,
        thinking=thinking_of(thinking, model),
        shows_thoughts=thinking.get("includeThoughts") is True,
        json_schema=_json_schema(config),
        functions=tuple(_functions(body)),
        mode=mode,
        allowed=allowed,
        input_tokens=max(1, tokens),
        cached_tokens=0 if cached is None else cached.tokens,
    )


def members(given: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    """An object's members under their camel-case names.

    Raises:
        Refusal: no object, or a member nobody knows.
    """
    if not isinstance(given, dict):
        raise _invalid("Invalid JSON payload received. Root element must be a message.")
    found = {re.sub(r"_([a-z])", lambda m: m.group(1).upper(), name): name for name in given}
    for camel, name in found.items():
        if camel not in known:
            place = f" at '{where}'" if where else ""
            raise _invalid(
                f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
            )
    return {camel: given[name] for camel, name in found.items()}


def checked_contents(given: Any) -> tuple[Mapping[str, Any], ...]:
    """The contents of a request.

    Raises:
        Refusal: there are none, or one of them is wrong.
    """
    if not isinstance(given, list) or not given:
        raise _invalid("* GenerateContentRequest.contents: contents is not specified\n")
    contents = []
    for index, content in enumerate(given):
        where = f"contents[{index}]"
        read = members(content, frozenset({"role", "parts"}), where)
        if read.get("role", "user") not in _ROLES:
            raise _invalid("Please use a valid role: user, model.")
        parts = read.get("parts")
        if not isinstance(parts, list) or not parts:
            raise _invalid(f"* GenerateContentRequest.{where}.parts: must not be empty\n")
        for number, part in enumerate(parts):
            kinds = members(part, _PART_KINDS | _BESIDE_PARTS, f"{where}.parts[{number}]")
            if len(kinds.keys() & _PART_KINDS) != 1 or not isinstance(kinds.get("text", ""), str):
                raise _invalid(
                    f"* GenerateContentRequest.{where}.parts[{number}].data: required oneof field "
                    "'data' must have one initialized field\n"
                )
        contents.append(read)
    return tuple(contents)


def count_input(contents: tuple[Mapping[str, Any], ...]) -> int:
    return max(1, count_contents(contents, None))


def count_contents(contents: tuple[Mapping[str, Any], ...], resolution: str | None) -> int:
    """The tokens of contents whose media are looked at in that resolution."""
    return sum(_content_tokens(content, resolution) for content in contents)


def last_user_text(contents: tuple[Mapping[str, Any], ...]) -> str:
    """The texts of the last content if a user wrote it."""
    last = contents[-1]
    if last.get("role", "user") != "user":
        return ""
    return " ".join(part["text"] for part in last["parts"] if "text" in part)


def _check_cached(body: Mapping[str, Any], model: Model, cached: Cached | None) -> None:
    if body.get("cachedContent") is None:
        return
    if cached is None:
        raise Refusal(403, "CachedContent not found (or permission denied)")
    if cached.model != model.asked:
        raise _invalid(
            f"Model used by GenerateContent request (models/{model.asked}) and CachedContent "
            f"(models/{cached.model}) has to be the same."
        )
    if any(body.get(name) is not None for name in _NOT_BESIDE_A_CACHE):
        raise _invalid(
            "CachedContent can not be used with GenerateContent request setting "
            "system_instruction, tools or tool_config."
        )


def _check_config(config: Mapping[str, Any]) -> None:
    for name, most in (("temperature", 2), ("topP", 1)):
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _invalid(f"Invalid value at 'generation_config.{name}' (TYPE_FLOAT), {value!r}")
        if not 0 <= value <= most:
            raise _invalid(
                f"* GenerateContentRequest.generation_config.{name}: {name} must be in the range "
                f"[0.0, {most}.0].\n"
            )
    for name, most in (("candidateCount", _MOST_CANDIDATES), ("maxOutputTokens", 1 << 31)):
        value = config.get(name)
        if value is None:
            continue
        if type(value) is not int:
            raise _invalid(f"Invalid value at 'generation_config.{name}' (TYPE_INT32), {value!r}")
        if value < 1:
            raise _invalid(
                f"* GenerateContentRequest.generation_config.{name}: {name} must be positive.\n"
            )
        if value > most:
            raise _invalid(
                f"* GenerateContentRequest.generation_config.{name}: {name} must be in the range "
                f"[1, {most}].\n"
            )


def _check_format(config: Mapping[str, Any]) -> None:
    if config.get("responseMimeType", "text/plain") not in _MIME_TYPES:
        raise _invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are "
            "`text/plain`, `application/json`, `application/xml`, `application/yaml` and "
            "`text/x.enum`.\n"
        )
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if schema is not None and config.get("responseMimeType", "text/plain") == "text/plain":
        raise _invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: "
            "response_schema needs `application/json` or `text/x.enum`.\n"
        )


def _json_schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schema: Mapping[str, Any] = lower_types(
        config.get("responseSchema") or config.get("responseJsonSchema") or {}
    )
    return schema


def lower_types(schema: Any) -> Any:
    """Google writes types in capitals."""
    if isinstance(schema, dict):
        return {
            name: value.lower() if name == "type" and isinstance(value, str) else lower_types(value)
            for name, value in schema.items()
        }
    return [lower_types(each) for each in schema] if isinstance(schema, list) else schema


def _functions(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    tools = body.get("tools") or []
    for tool in tools if isinstance(tools, list) else [tools]:
        if not isinstance(tool, dict):
            raise _invalid("Invalid value at 'tools'")
        declared = tool.get("functionDeclarations", tool.get("function_declarations")) or ()
        for function in declared:
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                raise _invalid(
                    "* GenerateContentRequest.tools[0].function_declarations[0].name: "
                    "Invalid function name.\n"
                )
            schema = function.get("parameters") or function.get("parametersJsonSchema") or {}
            yield function["name"], lower_types(schema)


def _calling(body: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    config = members(
        body.get("toolConfig") or {},
        frozenset({"functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"}),
        "tool_config",
    )
    calling = members(
        config.get("functionCallingConfig") or {},
        frozenset({"mode", "allowedFunctionNames", "streamFunctionCallArguments"}),
        "tool_config.function_calling_config",
    )
    mode = calling.get("mode") or "AUTO"
    if mode not in _MODES:
        raise _invalid(f"Invalid value at 'tool_config.function_calling_config.mode', {mode!r}")
    return mode, tuple(calling.get("allowedFunctionNames") or ())


def _content_tokens(content: Any, resolution: str | None = None) -> int:
    parts = content.get("parts") if isinstance(content, dict) else None
    tokens = 0
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            tokens += count_tokens(part["text"])
        elif isinstance(part, dict) and ("functionCall" in part or "functionResponse" in part):
            tokens += (len(orjson.dumps(part)) + 3) // 4
        else:
            low = resolution == "MEDIA_RESOLUTION_LOW"
            tokens += _LOW_FILE_TOKENS if low else _FILE_TOKENS
    return tokens


def _invalid(message: str) -> Refusal:
    return Refusal(400, message)
