"""A sentence at the end of the last question, such as that the answer is to be brief.

It stands behind everything else, because what stands before it is what a prompt cache knows; and a
text that ends such a prefix stays as it is, so that the next turn finds it again. Where the answer
is structured, or the call of a tool, nothing is added.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from common.llm.paths import FormName
from common.llm.reductions.conversation import asks_for_form, last_speaker, turns_member
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import Hint

_TOLD = "added"
_BETWEEN = "\n\n"
_TEXT = {"type": "text"}
_TEXT_PART: Mapping[FormName, Mapping[str, str]] = MappingProxyType(
    {
        "openai_chat": _TEXT,
        "openai_responses": {"type": "input_text"},
        "anthropic_messages": _TEXT,
        "gemini_content": {},
        "gemini_content_stream": {},
        "gemini_interactions": _TEXT,
    }
)
"""What a part says beside its text."""


def add_hint(request: Request, wanted: Hint) -> Reduced | Unsafe | None:
    """The request with this sentence behind its last question."""
    name = turns_member(request.form)
    if name is None or not wanted.text.strip():
        return None
    why = _why_not(request)
    if why is not None:
        return Unsafe(why)
    given = request.members[name]
    plain = _TEXT_PART[request.form]
    if isinstance(given, str) or _is_content(request.form, given):
        hinted = _hinted(given, wanted.text, plain)
    else:
        hinted = _hinted_turn(given, wanted.text, plain)
    if hinted is None:
        return Unsafe("unreadable")
    if hinted is given:
        return None
    return Reduced(replace(request, members={**request.members, name: hinted}), _TOLD)


def _why_not(request: Request) -> str | None:
    hazard = asks_for_form(request.form, request.members, request.recipient.model)
    if hazard is not None:
        return hazard
    last = last_speaker(request.form, request.members)
    if last == "tool":
        return "tool_result"
    if last != "user":
        return "not_a_question"
    # Anthropic then marks the last block by itself, and would keep the one that is added here.
    marks_itself = request.form == "anthropic_messages" and request.members.get("cache_control")
    return "cache_control" if marks_itself else None


def _is_content(form: FormName, given: Any) -> bool:
    """Whether an interaction's input is one content, and no list of steps."""
    return form == "gemini_interactions" and given[-1].get("type") != "user_input"


def _hinted_turn(turns: Any, hint: str, plain: Mapping[str, str]) -> Any:
    """The turns with the hint in the last one; the same ones where it is there already."""
    last = turns[-1]
    name = "content" if plain or "content" in last else "parts"
    content = last.get(name)
    hinted = _hinted(content, hint, plain)
    if hinted is None or hinted is content:
        return None if hinted is None else turns
    return [*turns[:-1], {**last, name: hinted}]


def _hinted(content: Any, hint: str, plain: Mapping[str, str]) -> Any:
    """The content with the hint behind it; the same one where it is there; None: unreadable."""
    if isinstance(content, str):
        return content if content.endswith(hint) else _joined(content, hint)
    if not isinstance(content, list) or not content:
        return None
    last = content[-1]
    text = last.get("text") if isinstance(last, dict) else None
    if isinstance(text, str):
        if text.endswith(hint):
            return content
        if last == {**plain, "text": text}:
            return [*content[:-1], {**plain, "text": _joined(text, hint)}]
    return [*content, {**plain, "text": hint}]


def _joined(text: str, hint: str) -> str:
    return f"{text}{_BETWEEN}{hint}" if text else hint
