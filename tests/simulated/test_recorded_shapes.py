"""Simulated replies have the fields of recorded ones, whole and in every event of a stream.

Recordings differ among themselves by age and model, so each comparison names what newer or older
replies have besides.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from scripts.simulated.server import create_app
from tests.simulated.conftest import ANTHROPIC, OPENAI, Caller, Served, chat, message

TOOL = {
    "type": "function",
    "function": {"name": "get_capital", "parameters": {"type": "object", "properties": {}}},
}
CLAUDE_TOOL = {"name": "get_capital", "input_schema": {"type": "object", "properties": {}}}


def recorded(folder: Path, name: str) -> dict[str, Any]:
    response: dict[str, Any] = orjson.loads((folder / f"{name}.json").read_bytes())["response"]
    return response


def paths(value: Any, prefix: str = "") -> set[str]:
    """All paths to a field, list positions left out."""
    if isinstance(value, dict):
        found: set[str] = set()
        for name, part in value.items():
            found |= {f"{prefix}.{name}"} | paths(part, f"{prefix}.{name}")
        return found
    if isinstance(value, list):
        return set().union(*(paths(part, prefix) for part in value))
    return set()


def events(text: str) -> list[Any]:
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    return [orjson.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("name", "body", "older", "newer"),
    [
        ("openai-chat-plain", {"model": "gpt-5"}, set(), set()),
        ("openai-chat-reasoning-priority", {"model": "gpt-5"}, set(), set()),
        ("openai-chat-cached", {}, set(), set()),
        (
            "openai-chat-cache-write",
            {"model": "gpt-5.6-sol"},
            set(),
            set(),
        ),
        (
            "openai-chat-tools",
            {"model": "gpt-5-mini", "tools": [TOOL], "tool_choice": "required"},
            set(),
            set(),
        ),
        (
            "openai-chat-audio",
            {"model": "gpt-4o-audio-preview"},
            {
                ".usage.completion_tokens_details.text_tokens",
                ".usage.prompt_tokens_details.image_tokens",
                ".usage.prompt_tokens_details.text_tokens",
            },
            {".choices.logprobs"},
        ),
    ],
)
def test_has_the_fields_of_a_recorded_chat_completion(  # noqa: PLR0917 - one row of the table
    caller: Caller,
    provider_replies: Path,
    name: str,
    body: dict[str, Any],
    older: set[str],
    newer: set[str],
) -> None:
    theirs = paths(recorded(provider_replies, name)["body"])

    ours = paths(caller.openai(chat(**body)).json())

    assert theirs - ours == older
    assert ours - theirs == newer


@pytest.mark.parametrize(
    ("name", "options", "newer"),
    [
        ("openai-chat-stream-usage-empty-choices", {"include_usage": True}, set()),
        (
            "openai-chat-stream-no-usage-tools",
            None,
            {".obfuscation", ".service_tier", ".choices.delta.refusal"},
        ),
    ],
)
def test_has_the_fields_of_a_recorded_chat_stream(
    caller: Caller,
    provider_replies: Path,
    name: str,
    options: dict[str, Any] | None,
    newer: set[str],
) -> None:
    theirs = paths(events(recorded(provider_replies, name)["body_text"]))
    body = chat(stream=True, tools=[TOOL], tool_choice="required")

    ours = paths(
        events(caller.openai(body | ({"stream_options": options} if options else {})).text)
    )

    assert theirs - ours == set()
    assert ours - theirs == newer


def test_orders_the_fields_of_a_chunk_as_recorded(caller: Caller, provider_replies: Path) -> None:
    text = recorded(provider_replies, "openai-chat-stream-usage-empty-choices")["body_text"]
    body = chat(
        stream=True,
        stream_options={"include_usage": True},
        tools=[TOOL],
        tool_choice="required",
    )

    ours, theirs = events(caller.openai(body).text), events(text)

    assert list(ours[0]) == list(theirs[0])
    assert list(ours[0]["choices"][0]["delta"]) == list(theirs[0]["choices"][0]["delta"])
    assert list(ours[-1]) == list(theirs[-1])
    assert list(ours[-1]["usage"]) == list(theirs[-1]["usage"])


NEWER_CLAUDE = {".stop_details"}


@pytest.mark.parametrize(
    ("name", "body", "newer"),
    [
        ("anthropic-plain", {"model": "claude-opus-4-6"}, NEWER_CLAUDE),
        (
            "anthropic-thinking",
            {"model": "claude-opus-4-6", "thinking": {"type": "adaptive"}, "max_tokens": 4000},
            NEWER_CLAUDE
            | {".usage.output_tokens_details", ".usage.output_tokens_details.thinking_tokens"},
        ),
        ("anthropic-cache-read-and-write", {}, set()),
        (
            "anthropic-cache-write-5m",
            {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}},
            set(),
        ),
    ],
)
def test_has_the_fields_of_a_recorded_message(
    caller: Caller, provider_replies: Path, name: str, body: dict[str, Any], newer: set[str]
) -> None:
    theirs = {
        path
        for path in paths(recorded(provider_replies, name)["body"])
        if not path.startswith(".content.input.")
    }

    ours = paths(caller.anthropic(message(**body)).json())

    assert theirs - ours == set()
    assert ours - theirs == newer


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("anthropic-stream-delta-changed-input", "claude-sonnet-4-6"),
        ("anthropic-stream-delta-without-input", "claude-3-5-sonnet-20240620"),
    ],
)
def test_has_the_events_of_a_recorded_message_stream(
    caller: Caller, provider_replies: Path, name: str, model: str
) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
    extra = thinking if model == "claude-sonnet-4-6" else {}
    theirs = events(recorded(provider_replies, name)["body_text"])

    ours = events(caller.anthropic(message(stream=True, model=model, **extra)).text)

    assert [event["type"] for event in ours[:3]] == [event["type"] for event in theirs[:3]]
    assert [event["type"] for event in ours[-3:]] == [event["type"] for event in theirs[-3:]]
    told, recorded_usage = set(ours[-2]["usage"]), set(theirs[-2]["usage"])
    assert recorded_usage - told <= {"server_tool_use"}
    assert told - recorded_usage <= {"output_tokens_details"}
    known = {event["delta"]["type"] for event in theirs if event["type"] == "content_block_delta"}
    used = {event["delta"]["type"] for event in ours if event["type"] == "content_block_delta"}
    assert used <= known


def test_orders_the_fields_of_a_message_start_as_recorded(
    caller: Caller, provider_replies: Path
) -> None:
    text = recorded(provider_replies, "anthropic-stream-delta-changed-input")["body_text"]

    ours = events(caller.anthropic(message(stream=True, model="claude-sonnet-4-6")).text)

    theirs = events(text)
    assert list(ours[0]["message"]) == list(theirs[0]["message"])
    assert list(ours[0]["message"]["usage"]) == list(theirs[0]["message"]["usage"])


def test_pings_and_pads_as_recorded(caller: Caller) -> None:
    text = caller.anthropic(message(stream=True)).text

    assert 'event: ping\ndata: {"type": "ping"}\n\n' in text
    assert any(line.endswith("  }") for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "path", "headers"),
    [
        ("openai-error-400", "/openai/v1/chat/completions", OPENAI),
        ("anthropic-error-400", "/anthropic/v1/messages", ANTHROPIC),
    ],
)
def test_has_the_fields_of_a_recorded_error(
    caller: Caller, provider_replies: Path, name: str, path: str, headers: dict[str, str]
) -> None:
    theirs = recorded(provider_replies, name)

    ours = caller.http.post(path, json={"model": 5}, headers=headers)

    assert ours.status_code == theirs["status"]
    assert paths(ours.json()) == paths(theirs["body"])


@pytest.mark.parametrize("name", ["openai-chat-cached", "anthropic-stream-delta-without-input"])
def test_sends_the_headers_of_a_recorded_reply(
    caller: Caller, provider_replies: Path, name: str
) -> None:
    theirs = set(recorded(provider_replies, name)["headers"])

    answer = caller.openai() if name.startswith("openai") else caller.anthropic()

    assert theirs - set(answer.headers) == set()


@pytest.mark.parametrize(
    "name", ["openai-chat-stream-usage-empty-choices", "anthropic-stream-web-search"]
)
def test_replays_a_recorded_stream_byte_for_byte(
    served_app: Callable[[Any], Served], provider_replies: Path, name: str
) -> None:
    served = served_app(create_app(replies=str(provider_replies)))
    path = "/openai/v1/chat/completions" if name.startswith("openai") else "/anthropic/v1/messages"
    key = OPENAI if name.startswith("openai") else ANTHROPIC

    answer = httpx.post(served.url + path, json={}, headers={**key, "x-simulated-replay": name})

    theirs = recorded(provider_replies, name)
    assert answer.content == theirs["body_text"].encode()
    assert answer.headers["content-type"] == theirs["headers"]["content-type"]
    assert httpx.get(f"{served.url}/simulated/ledger").json()["count"] == 0


def test_replays_a_recorded_error(
    served_app: Callable[[Any], Served], provider_replies: Path
) -> None:
    served = served_app(create_app(replies=str(provider_replies)))

    answer = httpx.post(
        f"{served.url}/openai/v1/chat/completions",
        json={},
        headers={**OPENAI, "x-simulated-replay": "openai-error-400"},
    )

    theirs = recorded(provider_replies, "openai-error-400")
    assert (answer.status_code, answer.json()) == (theirs["status"], theirs["body"])
