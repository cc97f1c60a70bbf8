"""What a conversation is at: whether it has begun, who spoke last, what form the answer is to have.

Sources: OpenAI API reference, "Chat" and "Responses"; Anthropic API reference, "Messages"; Gemini
API reference, "Generating content" and "Interactions".

What cannot be read, or stands in no body, is taken to have begun: a prompt cache may hold it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from common.llm.cap_hazards import hazard_in
from common.llm.edits import NotSafe, Reason
from common.llm.generation_config import find_config
from common.llm.paths import FormName

Speaker: TypeAlias = Literal["user", "instructions", "model", "tool", "unknown"]

_ROLES: Mapping[str, Speaker] = MappingProxyType(
    {
        "user": "user",
        "system": "instructions",
        "developer": "instructions",
        "assistant": "model",
        "model": "model",
        "tool": "tool",
        "function": "tool",
    }
)
_STORED: Mapping[FormName, tuple[str, ...]] = MappingProxyType(
    {
        "openai_responses": ("previous_response_id", "conversation", "prompt"),
        "gemini_content": ("cachedContent", "cached_content"),
        "gemini_content_stream": ("cachedContent", "cached_content"),
        "gemini_interactions": (
            *("previous_interaction_id", "cached_content", "continuation_token", "environment"),
        ),
    }
)
"""Members that name what the provider keeps."""

_LISTS: Mapping[FormName, str] = MappingProxyType(
    {
        "openai_chat": "messages",
        "openai_responses": "input",
        "anthropic_messages": "messages",
        "gemini_content": "contents",
        "gemini_content_stream": "contents",
        "gemini_interactions": "input",
    }
)
_AS_TEXT: Mapping[FormName, Sequence[Any]] = MappingProxyType(
    {"openai_responses": ({"role": "user"},), "gemini_interactions": ({"type": "user_input"},)}
)
"""The turns of an input that is a text."""

_FRESH = frozenset({"user", "instructions"})
_SAID = frozenset({"text", "image", "audio", "video", "document", "user_input"})
"""Of an interaction: contents, and the step that holds them."""


def turns_member(form: FormName) -> str | None:
    """The member that the turns of a conversation stand in; None: there are no turns."""
    return _LISTS.get(form)


def speakers(form: FormName, members: Mapping[str, Any]) -> tuple[Speaker, ...]:
    """Who speaks, turn by turn; nobody where that cannot be read."""
    return tuple(_spoken(form, _turns(form, members)))


def last_speaker(form: FormName, members: Mapping[str, Any]) -> Speaker | None:
    """Who speaks last; None where that cannot be read."""
    return next(_spoken(form, reversed(_turns(form, members))), None)


def is_fresh(form: FormName, members: Mapping[str, Any]) -> bool:
    """Whether a conversation begins with this request: the model has not spoken in it."""
    if is_stored(form, members):
        return False
    turns = _turns(form, members)
    return bool(turns) and all(each in _FRESH for each in _spoken(form, turns))


def is_stored(form: FormName, members: Mapping[str, Any]) -> bool:
    """Whether some of the conversation is kept by the provider, and not in the body."""
    return any(members.get(name) is not None for name in _STORED.get(form, ()))


def ends_with_tool_result(form: FormName, members: Mapping[str, Any]) -> bool:
    """Whether the model is to go on with what a tool answered, maybe by new instructions."""
    spoke = _spoken(form, reversed(_turns(form, members)))
    return next((each for each in spoke if each != "instructions"), None) == "tool"


def asks_for_form(form: FormName, members: Mapping[str, Any], model: str | None) -> Reason | None:
    """Why the answer is more than text to be read: structured, the call of a tool, or media."""
    config = find_config(form, members)
    if isinstance(config, NotSafe):
        return config.reason
    return hazard_in(form, members, config.members, model or "")


def _turns(form: FormName, members: Mapping[str, Any]) -> Sequence[Any]:
    """The turns; none where they cannot be read."""
    given = members.get(_LISTS.get(form, ""))
    if isinstance(given, str):
        return _AS_TEXT.get(form, ())
    return given if isinstance(given, list) else ()


def _spoken(form: FormName, turns: Iterable[Any]) -> Iterator[Speaker]:
    return (_speaker(form, turn) if isinstance(turn, dict) else "unknown" for turn in turns)


def _speaker(form: FormName, turn: Mapping[str, Any]) -> Speaker:
    kind = turn.get("type")
    if form == "gemini_interactions":
        return _of_step(kind)
    if form == "openai_responses" and kind not in (None, "message"):
        answers = isinstance(kind, str) and kind.endswith(("_output", "_response"))
        return "tool" if answers else "model"
    role = turn.get("role", "user" if form.startswith("gemini") else None)
    found = _ROLES.get(role, "unknown") if isinstance(role, str) else "unknown"
    return "tool" if found == "user" and _has_result(turn) else found


def _of_step(kind: object) -> Speaker:
    if not isinstance(kind, str):
        return "unknown"
    if kind in _SAID:
        return "user"
    return "tool" if kind.endswith("_result") else "model"


def _has_result(turn: Mapping[str, Any]) -> bool:
    """Whether a turn of the user's brings what a tool answered (Anthropic, Gemini)."""
    parts = turn.get("parts", turn.get("content"))
    return isinstance(parts, list) and any(
        isinstance(part, dict)
        and (
            str(part.get("type")).endswith("tool_result")
            or "functionResponse" in part
            or "function_response" in part
        )
        for part in parts
    )
