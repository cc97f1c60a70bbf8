"""What stands in requests and answers, read without the code that edits them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from common.llm.paths import FormName

_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
_THINKING = ("reasoning_effort", "reasoning", "thinking", "thinkingConfig", "thinking_config")
_DETAIL = ("detail", "mediaResolution", "media_resolution")
_IN_PATH = re.compile(r"/models/([^/:]+):")


def model_of(address: str, body: Mapping[str, Any]) -> str:
    """The model that a request names, in its path or in its body, without its upstream."""
    found = _IN_PATH.search(address)
    return str(found[1] if found is not None else body.get("model")).rpartition("/")[2]


def caps_of(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every output cap in a request, by its name."""
    return [(name, value) for name, value in _pairs(body) if name in _CAPS]


def cache_settings_of(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """How much is thought, and how closely is looked: what prompts are rendered with."""
    config = body.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    found = [(name, value) for name, value in _pairs(body) if name in (*_THINKING, *_DETAIL)]
    return [*found, ("effort", effort), ("speed", body.get("speed"))]


def tools_of(body: Mapping[str, Any]) -> list[Any]:
    names = ("tools", "tool_choice", "toolConfig", "web_search_options")
    return [body.get(name) for name in names]


def may_call_tools(body: Mapping[str, Any]) -> bool:
    """Whether an answer may be the call of a tool that the client runs."""
    choices = [body.get(name) for name in ("tool_choice", "toolConfig")]
    return bool(own_tools(body)) and "none" not in json.dumps(choices).lower()


def own_tools(body: Mapping[str, Any]) -> list[str]:
    """Names of functions, wherever they stand among the tools."""
    tools = body.get("tools") or ()
    declared = [each for tool in tools for each in tool.get("functionDeclarations", ())]
    listed = [tool.get("function", tool) for tool in tools if "web_search" not in str(tool)]
    return [str(each["name"]) for each in (*listed, *declared) if "name" in each]


def text_of(form: FormName, answer: bytes) -> str:
    """What can be read of an answer; of several the first. A call of a tool is its arguments."""
    if answer.startswith((b"event:", b"data:")):
        return "".join(_text(form, json.loads(data)) for data in _events(answer))
    return _text(form, json.loads(answer))


def _events(answer: bytes) -> Iterator[bytes]:
    for line in answer.splitlines():
        data = line.removeprefix(b"data: ")
        if data not in (line, b"[DONE]"):
            yield data


def _text(form: FormName, said: Any) -> str:
    if form == "openai_chat":
        return "".join(
            (turn.get("content") or "") + _called(turn.get("tool_calls"))
            for choice in said["choices"][:1]
            for turn in (choice.get("message"), choice.get("delta"))
            if turn is not None
        )
    if form == "openai_responses":
        items = said.get("output", ())
        texts = [part["text"] for item in items for part in item.get("content") or ()]
        calls = [item["arguments"] for item in items if item["type"] == "function_call"]
        whole = said.get("delta") if said.get("type") == "response.output_text.delta" else ""
        return "".join([*texts, *calls]) + (whole or "")
    if form == "anthropic_messages":
        blocks = [each for each in said.get("content", ()) if each["type"] != "thinking"]
        whole = "".join(each.get("text") or json.dumps(each.get("input")) for each in blocks)
        return whole + str((said.get("delta") or {}).get("text") or "")
    chunks = said if isinstance(said, list) else [said]
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.get("candidates", ())[:1]
        for part in candidate.get("content", {}).get("parts", ())
        if not part.get("thought")
    ]
    return "".join(part.get("text") or json.dumps(part.get("functionCall")) for part in parts)


def _called(calls: Any) -> str:
    return "".join(str(each.get("function", {}).get("arguments")) for each in calls or ())


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield name, member
            yield from _pairs(member)
    elif isinstance(value, list):
        for each in value:
            yield from _pairs(each)
