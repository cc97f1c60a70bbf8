"""The usage flag is set in the client's bytes, and its answer is taken out of the stream again."""

import json
import re
from pathlib import Path

import pytest

from common.llm.forms import FORMS
from tests.metering.recordings import passed_by, read_recording

OPENAI = FORMS["openai_chat"]
ASKED = [
    "openai-chat-stream-usage-empty-choices",
    "openrouter-chat-stream-usage-empty-choices",
]


def _prepare(body: bytes) -> tuple[bytes, bool]:
    return OPENAI.prepare(body, OPENAI.read_facts(body))


def _unasked(stream: bytes) -> bytes:
    """The same stream as it would be had nobody asked for its usage."""
    events = [f"{event}\n\n" for event in stream.decode().split("\n\n")[:-1]]
    kept = [event for event in events if '"choices":[],' not in event]
    return "".join(re.sub(',"usage":null', "", event) for event in kept).encode()


@pytest.mark.parametrize("name", ASKED)
def test_strips_to_the_bytes_of_a_stream_nobody_asked_for(
    provider_replies: Path, name: str
) -> None:
    stream = read_recording(provider_replies, name).reply
    unasked = _unasked(stream)

    differing = [
        at
        for at in range(len(stream) + 1)
        if passed_by(OPENAI.stream_tap(True), [stream[:at], stream[at:]]) != unasked
    ]

    assert differing == []
    assert len(unasked) < len(stream)


@pytest.mark.parametrize("name", ASKED)
def test_strips_the_same_of_a_stream_with_other_line_ends(
    provider_replies: Path, name: str
) -> None:
    stream = read_recording(provider_replies, name).reply
    windows = stream.replace(b"\n", b"\r\n")
    unasked = _unasked(stream).replace(b"\n", b"\r\n")

    differing = [
        at
        for at in range(len(windows) + 1)
        if passed_by(OPENAI.stream_tap(True), [windows[:at], windows[at:]]) != unasked
    ]

    assert differing == []


@pytest.mark.parametrize("name", ASKED)
def test_still_reads_the_usage_it_takes_out(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    tap = recording.tap(strip=True)

    passed_by(tap, [recording.reply])

    assert tap.result() == recording.metered()


def test_gives_out_an_event_when_it_is_complete() -> None:
    tap = OPENAI.stream_tap(True)
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'

    assert [tap.feed(event[:20]), tap.feed(event[20:])] == [b"", event]


def test_gives_out_an_event_without_its_blank_line_at_the_end() -> None:
    tap = OPENAI.stream_tap(True)

    assert [tap.feed(b"data: [DONE]"), tap.finish()] == [b"", b"data: [DONE]"]
    assert tap.done


def test_leaves_text_that_looks_like_usage() -> None:
    event = (
        b'data: {"choices":[{"index":0,"delta":{"content":"x,\\"usage\\":null"},'
        b'"finish_reason":null}]}\n\n'
    )

    assert passed_by(OPENAI.stream_tap(True), [event]) == event


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            b'{"model":"m","stream":true}',
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b'{ "stream" : true , "n": 1.50e0 }\n',
            b'{ "stream" : true , "n": 1.50e0 ,"stream_options":{"include_usage":true}}\n',
        ),
        (
            b'{"stream_options": null,"stream":true}',
            b'{"stream_options": {"include_usage":true},"stream":true}',
        ),
        (
            '{"p":"é}","stream_options":{"include_usage":false},"stream":true}'.encode(),
            '{"p":"é}","stream_options":{"include_usage":true},"stream":true}'.encode(),
        ),
        (
            b'{"stream":true,"stream_options":{"include_obfuscation":false}}',
            b'{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}',
        ),
    ],
)
def test_asks_in_the_client_s_own_bytes(body: bytes, sent: bytes) -> None:
    assert _prepare(body) == (sent, True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m"}',
        b'{"model":"m","stream":false}',
        b'{"model":"m","stream":"true"}',
        b'{"stream":true,"stream_options":{"include_usage":true}}',
        b'{"stream":true,"stream_options":"yes"}',
        b'{"stream":true',
        b"[]",
        b"",
        b'{"stream":true,"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_sends_the_client_s_bytes_where_there_is_nothing_to_ask(body: bytes) -> None:
    assert _prepare(body) == (body, False)


def test_leaves_a_body_above_8_mib_alone() -> None:
    body = json.dumps({"stream": True, "text": "x" * (8 << 20)}).encode()

    assert _prepare(body) == (body, False)
