"""Messages requests, checked as strictly as Anthropic checks them.

Every field the official client can send is accepted, the beta fields included. Server tools, MCP
servers, context management, compaction, containers and fallbacks are accepted and never act: the
simulated model does not call them, so a reply never holds what they would add.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.simulated.anthropic_thinking import (
    Thinking,
    abilities_of,
    check_format,
    check_length,
    thinking_of,
)
from scripts.simulated.models import Model, find_model
from scripts.simulated.prompt_cache import Block
from scripts.simulated.refusals import Refusal
from scripts.simulated.words import count_tokens

_FIELD_NAMES = """
    cache_control compaction container context_management diagnostics fallback_credit_token
    fallbacks inference_geo max_tokens mcp_servers messages metadata model output_config
    output_format service_tier speed stop_sequences stream system temperature thinking
    thread tool_choice tools top_k top_p user_profile_id workspace_id
"""
FIELDS = frozenset(_FIELD_NAMES.split())
ROLES = ("user", "assistant", "system")
MESSAGE_FIELDS = frozenset({"role", "content"})
SYSTEM_FIELDS = MESSAGE_FIELDS | {"clear_at", "output_config"}
"""Of the system messages that may stand between turns."""
COUNTED_FIELDS = FIELDS - {
    *("container", "diagnostics", "fallback_credit_token", "fallbacks", "inference_geo"),
    *("max_tokens", "metadata", "service_tier", "stop_sequences", "stream", "temperature"),
    *("thread", "top_k", "top_p"),
}
VERSIONS = ("2026-10-21", "2023-06-01", "2023-01-01")
MAX_MARKS = 4
ARRAYS = ("stop_sequences", "tools")
OBJECTS = ("metadata", "output_config", "output_format", "thinking", "tool_choice")
TOOL_CHOICES = ("auto", "any", "tool", "none")

_UNCAPPED = 1_000_000
"""A cap that no budget for thinking reaches."""
_BLOCK_TOKENS = 1
_REQUEST_TOKENS = 7
_TOOLS_TOKENS = 300
_IMAGE_TOKENS = 1500


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A valid request. `blocks` is the whole prompt in the order caches see it."""

    body: Mapping[str, Any]
    model: Model
    stream: bool
    cap: int
    thinking: Thinking
    speed: str | None
    blocks: tuple[Block, ...]
    input_tokens: int


def parse(body: Any, *, counts: bool = False) -> MessageRequest:
    """The request in a decoded body; `counts` is one that is not answered, so no cap is too high.

    Raises:
        Refusal: as Anthropic refuses it, the first mistake found.
    """
    if not isinstance(body, dict):
        raise _invalid("Input should be a valid dictionary")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise _invalid(f"{name}: Field required")
    for name in sorted(body.keys() - FIELDS):
        raise _invalid(f"{name}: Extra inputs are not permitted")
    _check_scalars(body)
    model = find_model("anthropic", body["model"])
    if model is None:
        raise Refusal(404, f"model: {body['model']}")
    _check_messages(body["messages"])
    if body.get("system") is not None:
        _check_blocks("system", body["system"])
    _check_tools(body)
    thinking = thinking_of(body, model)
    if not counts:
        check_length(body, model)
    _check_extras(body, model)
    blocks = tuple(_blocks(body, model, thinking))
    _check_marks(blocks)
    tokens = sum(block.tokens for block in blocks) + _REQUEST_TOKENS
    if body.get("tools"):
        tokens += _TOOLS_TOKENS
    if model.window is not None and tokens > model.window:
        raise _invalid(f"prompt is too long: {tokens} tokens > {model.window} maximum")
    return MessageRequest(
        body=body,
        model=model,
        stream=body.get("stream") is True,
        cap=body["max_tokens"],
        thinking=thinking,
        speed=body.get("speed"),
        blocks=blocks,
        input_tokens=tokens,
    )


def count(body: Any) -> int:
    """Input tokens of a request that is not made.

    Raises:
        Refusal: as Anthropic refuses it, the first mistake found.
    """
    if not isinstance(body, dict):
        raise _invalid("Input should be a valid dictionary")
    for name in sorted(body.keys() - COUNTED_FIELDS):
        raise _invalid(f"{name}: Extra inputs are not permitted")
    return parse({**body, "max_tokens": _UNCAPPED}, counts=True).input_tokens


def _check_scalars(body: Mapping[str, Any]) -> None:
    if not isinstance(body["model"], str):
        raise _invalid("model: Input should be a valid string")
    if not body["model"]:
        raise _invalid("model: String should have at least 1 character")
    cap = body["max_tokens"]
    if isinstance(cap, bool) or not isinstance(cap, int):
        raise _invalid("max_tokens: Input should be a valid integer")
    if cap < 0:
        raise _invalid("max_tokens: Input should be greater than or equal to 0")
    _check_sampling(body)
    if not isinstance(body.get("stream", False), bool):
        raise _invalid("stream: Input should be a valid boolean")
    _one_of(body, "service_tier", ("auto", "standard_only"))
    _one_of(body, "speed", ("standard", "fast"))
    for name in ARRAYS:
        if not isinstance(body.get(name, []), list | None):
            raise _invalid(f"{name}: Input should be a valid list")
    for name in OBJECTS:
        if not isinstance(body.get(name, {}), dict | None):
            raise _invalid(f"{name}: Input should be a valid dictionary")


def _check_sampling(body: Mapping[str, Any]) -> None:
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _invalid(f"{name}: Input should be a valid number")
        if not 0 <= value <= 1:
            raise _invalid(f"{name}: range: 0..1")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list):
        raise _invalid("messages: Input should be a valid list")
    if not messages:
        raise _invalid("messages: at least one message is required")
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        if not isinstance(message, dict):
            raise _invalid(f"{where}: Input should be a valid dictionary")
        for name in ("role", "content"):
            if name not in message:
                raise _invalid(f"{where}.{name}: Field required")
        allowed = SYSTEM_FIELDS if message.get("role") == "system" else MESSAGE_FIELDS
        for name in sorted(message.keys() - allowed):
            raise _invalid(f"{where}.{name}: Extra inputs are not permitted")
        if message["role"] not in ROLES:
            raise _invalid(f"{where}.role: Input should be 'user' or 'assistant'")
        last = index == len(messages) - 1
        if not message["content"] and not (last and message["role"] == "assistant"):
            raise _invalid(
                f"{where}: all messages must have non-empty content except for the optional "
                "final assistant message"
            )
        _check_blocks(f"{where}.content", message["content"])


def _check_blocks(where: str, content: Any) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _invalid(f"{where}: Input should be a valid string or list")
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise _invalid(f"{where}.{index}.type: Field required")
        if block["type"] == "text":
            if not isinstance(block.get("text"), str):
                raise _invalid(f"{where}.{index}.text.text: Field required")
            if not block["text"]:
                raise _invalid("messages: text content blocks must be non-empty")


def _check_tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        _check_tool(f"tools.{index}", tool)
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type")
    if kind not in TOOL_CHOICES:
        raise _invalid("tool_choice: Input tag should be one of 'auto', 'any', 'tool', 'none'")
    if not tools and kind != "none":
        raise _invalid("tool_choice may only be specified while providing tools")
    if kind == "tool" and choice.get("name") not in [tool.get("name") for tool in tools]:
        raise _invalid(f"Tool '{choice.get('name')}' not found in provided tools")


def _check_tool(where: str, tool: Any) -> None:
    if not isinstance(tool, dict):
        raise _invalid(f"{where}: Input should be a valid dictionary")
    if tool.get("type") not in (None, "custom"):
        return
    for name, kind, wanted in (("name", str, "string"), ("input_schema", dict, "dictionary")):
        if name not in tool:
            raise _invalid(f"{where}.custom.{name}: Field required")
        if not isinstance(tool[name], kind):
            raise _invalid(f"{where}.custom.{name}: Input should be a valid {wanted}")


def _check_extras(body: Mapping[str, Any], model: Model) -> None:
    check_format(body, model)
    if body.get("speed") == "fast" and not model.fast:
        raise _invalid(f"speed: '{model.asked}' does not support fast mode")
    if body.get("inference_geo") not in (None, "global"):
        raise _invalid("[simulated] inference_geo: only 'global' is simulated")


def _blocks(body: Mapping[str, Any], model: Model, thinking: Thinking) -> Iterator[Block]:
    """The prompt in the order caches see it, with the settings that are rendered into it.

    By the table "What invalidates the cache" of Anthropic's guide. Models that think adaptively
    render thinking and effort before everything, the others before the messages.
    """
    thought = Block(("thinking", thinking.kind, thinking.budget, thinking.effort), 0, None)
    early = "adaptive" in abilities_of(model).kinds
    if early:
        yield thought
    for tool in body.get("tools") or ():
        yield _block(tool, "tool")
    yield Block(("speed", body.get("speed") == "fast"), 0, None)
    system = body.get("system")
    for part in [system] if isinstance(system, str) else system or ():
        yield _block(part, "system")
    if not early:
        yield thought
    yield Block(("tool_choice", body.get("tool_choice"), _has_pictures(body["messages"])), 0, None)
    messages = body["messages"]
    for number, message in enumerate(messages):
        content = message["content"]
        parts = [content] if isinstance(content, str) else content
        for index, part in enumerate(parts):
            block = _block(part, message["role"])
            ends = number == len(messages) - 1 and index == len(parts) - 1
            if ends and body.get("cache_control") is not None and block.ttl is None:
                block = Block(block.content, block.tokens, _ttl(body["cache_control"]))
            yield block


def _has_pictures(messages: list[dict[str, Any]]) -> bool:
    contents = (each["content"] for each in messages if isinstance(each["content"], list))
    return any(part["type"] == "image" for content in contents for part in content)


def _block(part: Any, place: str) -> Block:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    mark = part.get("cache_control")
    bare = {name: value for name, value in part.items() if name != "cache_control"}
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        tokens = count_tokens(part["text"])
    elif part.get("type") == "image":
        tokens = _IMAGE_TOKENS
    else:
        tokens = (len(orjson.dumps(bare)) + 3) // 4
    ttl = None if mark is None else _ttl(mark)
    return Block((place, bare), tokens + _BLOCK_TOKENS, ttl)


def _ttl(mark: Any) -> str:
    if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
        raise _invalid("cache_control: Input tag should be 'ephemeral'")
    ttl = mark.get("ttl") or "5m"
    if ttl not in ("5m", "1h"):
        raise _invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
    return str(ttl)


def _check_marks(blocks: tuple[Block, ...]) -> None:
    marks = [block.ttl for block in blocks if block.ttl is not None]
    if len(marks) > MAX_MARKS:
        raise _invalid(
            f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. "
            f"Found {len(marks)}."
        )
    if "5m" in marks and "1h" in marks[marks.index("5m") :]:
        raise _invalid(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
        )


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """The texts of the last message if a user wrote it and it brings no tool result.

    System messages behind it belong to the same turn.
    """
    said = [message for message in messages if message["role"] != "system"]
    last = said[-1] if said else messages[-1]
    if last["role"] != "user":
        return ""
    content = last["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def _one_of(body: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if body.get(name) is not None and body[name] not in allowed:
        listed = " or ".join(f"'{entry}'" for entry in allowed)
        raise _invalid(f"{name}: Input should be {listed}")


def _invalid(message: str) -> Refusal:
    return Refusal(400, message)
