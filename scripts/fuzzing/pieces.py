"""Laws of what finds pieces in bytes: events, elements of an array, members of an object."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from common.llm.facts import parse_object
from common.llm.json_pieces import ArraySplitter
from common.llm.json_spans import member_spans, with_member
from common.llm.sse import EventSplitter, event_data
from scripts.fuzzing.seeds import ARRAYS, REPLIES, REQUESTS, STREAMS
from scripts.fuzzing.target import Target, hold, pieces_of

LIMIT_BYTES = 1024 * 1024
_ADDED: dict[str, Any] = {"include_usage": True}


def piece_targets() -> Iterator[Target]:
    yield Target("events", _check_events, STREAMS)
    yield Target("array_elements", _check_elements, ARRAYS)
    yield Target("members", _check_members, (*REQUESTS, *REPLIES))


def _check_events(stream: bytes) -> None:
    splitter, split = EventSplitter(), EventSplitter()
    events = splitter.feed(stream)
    rest = splitter.rest()
    hold("events and the rest are the stream", holds=b"".join([*events, rest]) == stream)
    again = list(chain.from_iterable(map(split.feed, pieces_of(stream))))
    hold("events are the same wherever it is split", holds=again == events)
    hold("the rest is the same too", holds=split.rest() == rest)
    for event in events:
        hold("data are part of their event", holds=len(event_data(event)) <= len(event))


def _check_elements(array: bytes) -> None:
    splitter, split = ArraySplitter(LIMIT_BYTES), ArraySplitter(LIMIT_BYTES)
    elements = splitter.feed(array)
    again = list(chain.from_iterable(map(split.feed, pieces_of(array))))
    hold("elements are the same wherever it is split", holds=again == elements)
    hold("the rest is the same too", holds=split.rest() == splitter.rest())
    hold("nothing is made up", holds=sum(map(len, elements)) <= len(array))
    try:
        value = json.loads(array)
    except (ValueError, RecursionError):
        return
    if isinstance(value, list):
        expected = [each for each in value if isinstance(each, dict | list)]
        hold("elements are those of the array", holds=_same(map(json.loads, elements), expected))


def _check_members(body: bytes) -> None:
    try:
        spans = member_spans(body)
        edited = with_member(body, "stream_options", _ADDED)
    except (ValueError, RecursionError):
        return
    before = json.loads(body)
    values = {name: json.loads(body[span.start : span.end]) for name, span in spans.items()}
    hold("a span holds its member's value", holds=_same(values, before))
    hold(
        "one member changes", holds=_same(json.loads(edited), {**before, "stream_options": _ADDED})
    )
    if parse_object(body) is not None:
        hold("what is edited stays readable", holds=parse_object(edited) is not None)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: NaN is NaN, and true is not 1."""
    one = one if isinstance(one, dict | list) else list(one)
    return json.dumps(one) == json.dumps(other)
