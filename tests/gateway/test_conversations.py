"""What the calls of one conversation have in common, whatever format they are written in."""

from dataclasses import replace
from typing import Any

import pytest

from common.brownout.modes import Priority
from common.gateway.attribution import Attribution
from common.gateway.conversations import conversation_of, goes_on_unseen
from common.gateway.keys import Key
from tests.gateway.making import a_key
from tests.gateway.test_candidates import CHAT, EMBEDDINGS, GEMINI, MESSAGES, RESPONSES, a_call

KEY = a_key()
INTERACTIONS = "/gemini/v1beta/interactions"


def known(path: str, members: dict[str, Any], key: Key = KEY, session: str | None = None) -> str:
    call, movable = a_call(path, model="m", **members)
    call.attribution = Attribution(
        key, "crawler", {}, user_hash=None, session_hash=session, priority=Priority.NORMAL,
        warnings=(),
    )  # fmt: skip
    return conversation_of(call, key, movable.endpoint.form, movable.body.members)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def parts(*texts: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": text} for text in texts]}


ANSWER = {"role": "assistant", "content": "A"}
MARKED = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("path", "first", "later", "other"),
    [
        (
            CHAT,
            {"messages": [user("Hi")]},
            {"messages": [user("Hi"), ANSWER, user("So?")]},
            {"messages": [user("Ho")]},
        ),
        (
            CHAT,
            {"messages": [SYSTEM, user("Hi")]},
            {"messages": [SYSTEM, user([{"type": "text", "text": "Hi"}]), ANSWER, user("So?")]},
            {"messages": [user("Hi")]},
        ),
        (
            MESSAGES,
            {"system": "Be brief.", "messages": [user(MARKED)], "max_tokens": 9},
            {"system": "Be brief.", "messages": [user("Hi"), ANSWER, user(MARKED)]},
            {"system": "Be long.", "messages": [user(MARKED)], "max_tokens": 9},
        ),
        (
            MESSAGES,
            {"messages": [user([{**IMAGE, "cache_control": {"type": "ephemeral"}}])]},
            {"messages": [user([IMAGE]), ANSWER, user(MARKED)]},
            {"messages": [user([{**IMAGE, "source": {"type": "file", "file_id": "f"}}])]},
        ),
        (
            GEMINI,
            {"contents": [parts("Hi")]},
            {"contents": [parts("Hi"), {"role": "model", "parts": [{"text": "A"}]}, parts("So?")]},
            {"contents": [parts("Hi", "there")]},
        ),
        (
            RESPONSES,
            {"input": "Hi"},
            {"input": [user([{"type": "input_text", "text": "Hi"}]), ANSWER, user("So?")]},
            {"input": "Ho"},
        ),
        (
            INTERACTIONS,
            {"input": "Hi"},
            {"input": [{"type": "user_input", "content": [{"type": "text", "text": "Hi"}]}]},
            {"input": "Ho"},
        ),
    ],
)
def test_is_known_by_what_stays_from_turn_to_turn(
    path: str, first: dict[str, Any], later: dict[str, Any], other: dict[str, Any]
) -> None:
    assert known(path, first) == known(path, later)
    assert known(path, first) != known(path, other)


def test_is_another_for_each_key_and_organisation() -> None:
    said = {"messages": [user("Hi")]}
    rotated = replace(KEY, digest="b" * 64, key_id="other")
    others = (replace(KEY, line="other"), replace(KEY, org="other"))

    assert known(CHAT, said, rotated) == known(CHAT, said)
    assert len({known(CHAT, said, key) for key in (KEY, *others)}) == 3
    assert known(CHAT, said, KEY, "s1") == known(CHAT, {"messages": [user("Ho")]}, KEY, "s1")
    assert known(CHAT, said, KEY, "s1") != known(CHAT, said, replace(KEY, org="other"), "s1")


@pytest.mark.parametrize(
    ("path", "members"),
    [
        (EMBEDDINGS, {"input": "Hi"}),
        (CHAT, {"messages": [SYSTEM]}),
        (CHAT, {"messages": "Hi" * 0}),
        (CHAT, {}),
    ],
)
def test_is_alone_where_nobody_spoke(path: str, members: dict[str, Any]) -> None:
    assert known(path, members) == "call-1"


@pytest.mark.parametrize(
    ("path", "members", "expected"),
    [
        (RESPONSES, {"previous_response_id": "resp_1", "input": "So?"}, True),
        (RESPONSES, {"conversation": "conv_1", "input": "So?"}, True),
        (RESPONSES, {"input": "Hi"}, False),
        (GEMINI, {"cachedContent": "cachedContents/a", "contents": []}, True),
        (INTERACTIONS, {"previous_interaction_id": "i", "input": "So?"}, True),
        (CHAT, {"messages": [user("Hi")]}, False),
    ],
)
def test_sees_that_a_provider_keeps_what_was_before(
    path: str, members: dict[str, Any], expected: bool
) -> None:
    _, movable = a_call(path, model="m", **members)

    assert goes_on_unseen(movable.endpoint.form, movable.body.members) is expected
