"""What the calls of one conversation have in common, for rules that stay with what they chose.

Its caller may name it: a session. Else it is known by what stays the same from turn to turn and
tells it from others: the key, the instructions, and what the user said first. The same text is the
same however it is written, because clients add breakpoints of caches to a turn and take them away
again. What the provider keeps of earlier calls stands in no body: of that only its name is seen.

Where nobody spoke a call is alone.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from common.gateway.call import Call
from common.gateway.keys import Key
from common.llm.paths import FormName
from common.llm.reductions.conversation import is_stored, turns_member

_DIGEST_BYTES = 16
_MOST_BYTES = 1 << 16
"""Of a first turn: so much tells two apart, and a picture is far longer."""
_NOT_SAID = ("cache_control",)
_STARTS = (None, "message", "user_input", "text")
"""Types of what a user says first; parts of other types are told by the turn around them."""


def conversation_of(call: Call, key: Key, form: FormName | None, members: Mapping[str, Any]) -> str:
    """What a call's conversation is known by, for routing.

    Args:
        call: the call, attributed.
        key: its gateway key.
        form: how the request is written.
        members: the request.
    """
    who = call.attribution
    if who is not None and who.session_hash is not None:
        return f"{key.org} {who.session_hash}"
    first = _first_said(form, members)
    if first is None:
        return call.id
    prefix = call.facts.prefix.digest if call.facts.prefix is not None else b""
    digest = blake2b(prefix, digest_size=_DIGEST_BYTES)
    digest.update(b"%d " % len(first))
    digest.update(first[:_MOST_BYTES])
    return f"{key.org} {key.line} {digest.hexdigest()}"


def has_session(call: Call) -> bool:
    """Whether its caller names the session that a call is of."""
    return call.attribution is not None and call.attribution.session_hash is not None


def goes_on_unseen(form: FormName | None, members: Mapping[str, Any]) -> bool:
    """Whether a request names what its provider keeps of earlier calls."""
    return form is not None and is_stored(form, members)


def _first_said(form: FormName | None, members: Mapping[str, Any]) -> bytes | None:
    """The first turn of a user; None where there is none, or it cannot be read."""
    name = turns_member(form) if form is not None else None
    turns = members.get(name) if name is not None else None
    if isinstance(turns, dict):
        turns = [turns]
    said: object = turns if isinstance(turns, str) else None
    if isinstance(turns, list):
        said = next((_said(turn) for turn in turns if _is_users(turn)), None)
    if not said:
        return None
    try:
        return said.encode() if isinstance(said, str) else orjson.dumps(said)
    except (TypeError, UnicodeEncodeError):  # it nests too deep, or is no text
        return None


def _is_users(turn: object) -> bool:
    return (
        isinstance(turn, dict)
        and turn.get("role", "user") == "user"
        and (turn.get("type") in _STARTS or "content" in turn)
    )


def _said(turn: Mapping[str, Any]) -> str | list[Any]:
    """The text of a turn, or its parts where it is more than one text."""
    content = turn.get("content", turn.get("parts", turn.get("text")))
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    said = [_of_part(part) for part in parts]
    return said[0] if len(said) == 1 and isinstance(said[0], str) else said


def _of_part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if isinstance(part.get("text"), str):
        return part["text"]
    return {name: value for name, value in part.items() if name not in _NOT_SAID}
