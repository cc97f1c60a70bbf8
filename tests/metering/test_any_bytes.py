"""Laws that hold for whatever bytes come: nothing raises, nothing is lost, one member changes."""

import json
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.facts import CallFacts
from common.llm.forms import FORMS, MeteredForm
from common.llm.json_spans import member_spans, with_member
from common.llm.protocols import anthropic, openai_chat
from common.llm.sse import EVENT_LIMIT_BYTES, EventSplitter, event_data
from tests.metering.recordings import STREAMS, passed_by, read_recording

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"data: ",
                b"\n\n",
                b"\r\n\r\n",
                b"event: message_delta\n",
                b"event: content_block_delta",
                b'{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}',
                b'{"choices":1,"usage":{}}',
                b'{"usage":{"prompt_tokens":1,"completion_tokens":[]},"choices":[]}',
                b'{"type":"message_start","message":{"usage":{"input_tokens":{}}}}',
                b'{"type":"message_delta","delta":{"stop_reason":7},"usage":{"iterations":[1]}}',
                b"[DONE]",
                b'{"error":{}}',
            ]
        ),
    ),
    max_size=12,
)
LINES = st.lists(
    st.sampled_from([b"data: a", b"data: b", b": c", b"x", b"\n", b"\r\n", b"\r", b"\n\n"]),
    max_size=20,
).map(b"".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)
USAGE_NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "input_tokens",
        "output_tokens",
        "iterations",
        "cache_creation",
        "cache_creation_input_tokens",
    ]
)
SPACES = st.sampled_from(["", " ", "\n", "\t\r\n "])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(deadline=None)
@given(pieces=PIECES)
def test_a_tap_takes_any_bytes_and_gives_them_out(form: MeteredForm, pieces: list[bytes]) -> None:
    tap = form.stream_tap(False)

    assert passed_by(tap, pieces) == b"".join(pieces)
    assert all(count >= 0 for count in tap.result().units.values())


@settings(deadline=None)
@given(pieces=PIECES)
def test_a_stripping_tap_takes_any_bytes(pieces: list[bytes]) -> None:
    tap = FORMS["openai_chat"].stream_tap(True)

    assert len(passed_by(tap, pieces)) <= len(b"".join(pieces))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(deadline=None)
@given(body=st.one_of(st.binary(max_size=60), OBJECTS.map(lambda o: json.dumps(o).encode())))
def test_a_reply_of_any_bytes_is_read(form: MeteredForm, body: bytes) -> None:
    assert form.read_reply(body).final is False


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(deadline=None)
@given(usage=st.dictionaries(USAGE_NAMES, VALUES | st.dictionaries(USAGE_NAMES, VALUES)))
def test_any_usage_is_read(form: MeteredForm, usage: object) -> None:
    metered = form.read_reply(json.dumps({"usage": usage}).encode())

    assert all(count >= 0 for count in metered.units.values())


@settings(deadline=None)
@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_a_recorded_stream_that_is_cut_and_damaged_is_read(
    provider_replies: Path, name: str, data: st.DataObject
) -> None:
    recording = read_recording(provider_replies, name)
    at = data.draw(st.integers(0, len(recording.reply)))
    damage = data.draw(st.binary(max_size=20))
    skipped = data.draw(st.integers(0, 200))
    pieces = [recording.reply[:at], damage, recording.reply[at + skipped :]]

    assert passed_by(recording.tap(), pieces) == b"".join(pieces)


@settings(deadline=None)
@given(stream=LINES, cuts=st.lists(st.integers(0, 80), max_size=5))
def test_events_and_the_rest_are_the_input_wherever_it_is_split(
    stream: bytes, cuts: list[int]
) -> None:
    whole = EventSplitter()
    split = EventSplitter()
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    events = [event for start, end in pairwise(ends) for event in split.feed(stream[start:end])]

    assert events == whole.feed(stream)
    assert b"".join([*events, split.rest()]) == stream


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_ends_at_a_blank_line_of_any_kind(end: bytes) -> None:
    splitter = EventSplitter()
    first, second = b"data: a" + end + end, b"data: b" + end + end

    # A carriage return at the very end may be half of a line end: another event follows.
    assert splitter.feed(first + second + b"data: c")[:2] == [first, second]


def test_an_event_without_end_is_given_out_at_its_limit() -> None:
    splitter = EventSplitter()
    endless = b"x" * (EVENT_LIMIT_BYTES + 1)

    assert (splitter.feed(endless), splitter.rest(), splitter.overflowed) == ([endless], b"", True)


def test_usage_after_an_endless_line_is_still_read() -> None:
    tap = FORMS["openai_chat"].stream_tap(False)
    tap.feed(b"data: " + b"x" * EVENT_LIMIT_BYTES)
    tap.feed(b'\n\ndata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n')

    metered = tap.result()

    assert metered.units == {"input_tokens": 3, "output_tokens": 4}
    assert metered.anomalies == ("an event above 256 kB was not read",)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"event: x\r\ndata: a\r\ndata: b\r\n\r\n", b"a\nb"),
        (b": comment\n\n", b""),
    ],
)
def test_the_data_of_an_event_is_its_data_lines(event: bytes, data: bytes) -> None:
    assert event_data(event) == data


@settings(deadline=None)
@given(
    before=OBJECTS,
    name=st.text(max_size=6),
    value=OBJECTS,
    ascii_only=st.booleans(),
    space=SPACES,
)
def test_one_member_changes_and_no_other_byte(
    before: dict[str, object], name: str, value: object, ascii_only: bool, space: str
) -> None:
    members = [
        f"{space}{json.dumps(key, ensure_ascii=ascii_only)}{space}:{space}"
        f"{json.dumps(member, ensure_ascii=ascii_only)}{space}"
        for key, member in before.items()
    ]
    body = f"{space}{{{','.join(members) or space}}}{space}".encode()

    after = with_member(body, name, value)

    assert json.loads(after) == {**before, name: value}
    if name in before:
        span, new = member_spans(body)[name], member_spans(after)[name]
        assert body[: span.start] + after[new.start : new.end] + body[span.end :] == after
    else:
        new = member_spans(after)[name]
        assert json.loads(after[new.start : new.end]) == value
        assert after.startswith(body[: body.rindex(b"}")])


@settings(deadline=None)
@given(members=OBJECTS)
def test_a_span_holds_the_member_s_value(members: dict[str, object]) -> None:
    body = json.dumps(members, ensure_ascii=False).encode()

    spans = member_spans(body)

    assert {name: json.loads(body[s.start : s.end]) for name, s in spans.items()} == members


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"a"}', b'{"a":1', b'{"a":1,}', b'{"a":1} }', b'{"a":1}{"b":2}', b"{1:2}",
     b"\xff", b'{"a":1 "b":2}', b'{,"a":1}'],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        with_member(body, "x", 1)


@pytest.mark.parametrize("read_facts", [openai_chat.read_facts, anthropic.read_facts])
def test_does_not_decode_a_body_of_too_many_values(
    read_facts: Callable[[bytes], CallFacts],
) -> None:
    """Decoded, 8 MB of small values would take 300 MB."""
    small_values = b'{"model":"m","stream":true,"x":[' + b"1," * 4_000_000 + b"1]}"
    one_image = b'{"model":"m","stream":true,"x":"' + b"A" * 8_000_000 + b'"}'

    tracemalloc.start()
    refused = read_facts(small_values)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (refused.readable, refused.model) == (False, None)
    assert peak_bytes < 1024 * 1024
    assert read_facts(one_image).model == "m"
