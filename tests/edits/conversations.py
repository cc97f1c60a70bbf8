"""Conversations whose beginnings a provider keeps in its cache, written as clients write them."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.llm.paths import FormName
from tests.edits.asking import path_of
from tests.edits.openai_kinds import FUNCTION, PICTURE, PIXEL, SCHEMA, user

TURNS = 5
_WORD = "ledger "
_BYTES_PER_TOKEN = 4
_MARK = {"cache_control": {"type": "ephemeral"}}


@dataclass(frozen=True, slots=True)
class Conversation:
    """`turn` writes the request of the turn with that number, from 0, behind so long a beginning.

    Whatever was answered, the client goes on with the same words, so that two runs are alike.
    """

    form: FormName
    model: str
    turn: Callable[[int, str], Mapping[str, Any]]

    def body(self, number: int, tokens: int) -> bytes:
        """The request, which begins with so many tokens."""
        beginning = _WORD * (tokens * _BYTES_PER_TOKEN // len(_WORD))
        named = {} if self.form.startswith("gemini") else {"model": self.model}
        return json.dumps({**named, **self.turn(number, beginning)}).encode()

    @property
    def path(self) -> str:
        return path_of(self.form, self.model)


def _said(number: int) -> str:
    """A question or an answer, long enough to fill a step of a cache."""
    return f"Turn {number}. " + "Each entry stands twice, on two sides of the book. " * 20


def _chat(number: int, beginning: str) -> Mapping[str, Any]:
    turns = [{"role": "system", "content": f"Be kind. {beginning}"}]
    for each in range(number):
        turns += [user(_said(each)), {"role": "assistant", "content": _said(each)}]
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    last = [picture, {"type": "text", "text": _said(number)}] if number == 1 else _said(number)
    return {"messages": [*turns, user(last)], "tools": [FUNCTION], "n": 2}


def _effort(number: int, beginning: str) -> Mapping[str, Any]:
    asked = dict(_chat(number, beginning))
    del asked["tools"]
    return {**asked, "reasoning_effort": "high", "service_tier": "priority"}


def _response(number: int, beginning: str) -> Mapping[str, Any]:
    turns = []
    for each in range(number):
        turns += [user(_said(each)), {"role": "assistant", "content": _said(each)}]
    return {
        "instructions": f"Be kind. {beginning}",
        "input": [*turns, user(_said(number))],
        "reasoning": {"effort": "high"},
        "text": {"verbosity": "high"},
    }


def _marked(number: int, beginning: str) -> Mapping[str, Any]:
    """Anthropic's way: a mark behind the instructions, and one behind the last question."""
    turns: list[dict[str, Any]] = []
    for each in range(number):
        turns += [user(_said(each)), {"role": "assistant", "content": _said(each)}]
    image = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    pictures = [{"type": "image", "source": image}] if number == 1 else []
    last = [*pictures, {"type": "text", "text": _said(number), **_MARK}]
    return {
        "system": [{"type": "text", "text": f"Be kind. {beginning}", **_MARK}],
        "messages": [*turns, user(last)],
        "tools": [{"name": "look", "input_schema": SCHEMA}],
        "max_tokens": 30_000,
    }


def _marking_itself(number: int, beginning: str) -> Mapping[str, Any]:
    asked = dict(_marked(number, beginning))
    del asked["tools"]
    turns = [user(_said(0)), {"role": "assistant", "content": "Yes."}] * number
    return {**asked, "messages": [*turns, user(_said(number))], "cache_control": _EPHEMERAL}


def _thinking(number: int, beginning: str) -> Mapping[str, Any]:
    return {
        **_marked(number, beginning),
        "thinking": {"type": "enabled", "budget_tokens": 16_000},
    }


def _adapting(number: int, beginning: str) -> Mapping[str, Any]:
    return {
        **_marked(number, beginning),
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
    }


def _soon(number: int, beginning: str) -> Mapping[str, Any]:
    return {**_marked(number, beginning), "speed": "fast", "service_tier": "auto"}


def _answering_a_tool(number: int, beginning: str) -> Mapping[str, Any]:
    turns = [user(_said(0))]
    for each in range(number):
        use = {"type": "tool_use", "id": f"toolu_{each}", "name": "look", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{each}", "content": _said(each)}
        turns += [
            {"role": "assistant", "content": [use]},
            user([{**result, **_last(each, number)}]),
        ]
    return {**_adapting(number, beginning), "messages": turns}


def _last(number: int, of: int) -> Mapping[str, Any]:
    return _MARK if number == of - 1 else {}


_EPHEMERAL = {"type": "ephemeral"}
CONVERSATIONS: Mapping[str, Conversation] = {
    "chat": Conversation("openai_chat", "gpt-4o", _chat),
    "chat that thinks": Conversation("openai_chat", "gpt-5.1", _effort),
    "responses": Conversation("openai_responses", "gpt-5", _response),
    "messages": Conversation("anthropic_messages", "claude-sonnet-4-5", _marked),
    "messages that mark themselves": Conversation(
        "anthropic_messages", "claude-opus-4-6", _marking_itself
    ),
    "messages with a budget": Conversation("anthropic_messages", "claude-sonnet-4-5", _thinking),
    "messages that adapt": Conversation("anthropic_messages", "claude-opus-4-6", _adapting),
    "messages that think unasked": Conversation("anthropic_messages", "claude-opus-5", _marked),
    "messages at high speed": Conversation("anthropic_messages", "claude-opus-5", _soon),
    "messages with tools": Conversation("anthropic_messages", "claude-opus-5", _answering_a_tool),
}


def numbers() -> Iterator[int]:
    yield from range(1, TURNS)
