"""Replies that no honest provider sends are read without harm, and cost nothing absurd."""

import pytest

from common.llm.costs import cost_of
from common.llm.facts import CallFacts
from common.llm.forms import FORMS, MeteredForm
from common.llm.metered import LARGEST_COUNT
from common.llm.price_book import bundled_book
from common.llm.sse import EventSplitter
from tests.metering.recordings import RECEIVED_AT, metered_in

FACTS = CallFacts(readable=True, size_bytes=10)
NESTED = [
    b'{"choices":[{"finish_reason":%b}]}',
    b'{"choices":[{"delta":{"content":%b},"finish_reason":null}]}',
    b'{"type":"response.completed","response":{"tools":[{"type":%b}]}}',
    b'{"tools":[{"type":%b}],"status":%b}',
    b'{"output":[{"type":"code_interpreter_call","container_id":%b}]}',
    b'{"stop_reason":%b,"usage":{"input_tokens":1,"output_tokens":1}}',
    b'{"candidates":[{"finishReason":%b,"content":{"parts":[%b]}}]}',
    b'{"usage":%b,"usageMetadata":%b,"promptFeedback":{"blockReason":%b}}',
]


def costs(form: str, provider: str, reply: bytes) -> tuple[int | None, str | None]:
    metered = FORMS[form].read_reply(reply)  # type: ignore[index]  # names of forms, as text
    cost = cost_of(metered, FACTS, book=bundled_book(), provider=provider, at=RECEIVED_AT)
    return cost.nanos, cost.reason


@pytest.mark.parametrize("depth", [300, 1_000])
@pytest.mark.parametrize("reply", NESTED)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_reads_what_is_nested_deep(form: MeteredForm, reply: bytes, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    reply = reply.replace(b"%b", deep)

    metered = [form.read_reply(reply), metered_in(form.stream_tap(True), [b"data: %b\n\n" % reply])]
    if form.array_tap is not None:
        metered.append(metered_in(form.array_tap(), [b"[%b]" % reply]))

    assert [told.finish_reason for told in metered] == [None] * len(metered)


def test_it_counts_what_a_deep_part_may_show() -> None:
    part = b'{"candidates":[{"content":{"parts":[%b]}}]}' % (b"[" * 300 + b"]" * 300)

    metered = metered_in(FORMS["gemini_content"].stream_tap(False), [b"data: %b\n\n" % part])

    assert metered.output_bytes >= 600


@pytest.mark.parametrize(
    ("form", "reply"),
    [
        ("openai_chat", b'{"usage":{"prompt_tokens":%d,"completion_tokens":1}}'),
        ("anthropic_messages", b'{"usage":{"input_tokens":%d,"output_tokens":1}}'),
        ("openai_responses", b'{"usage":{"input_tokens":%d,"output_tokens":1}}'),
        ("gemini_content", b'{"usageMetadata":{"promptTokenCount":%d}}'),
        ("openai_embeddings", b'{"usage":{"prompt_tokens":%d}}'),
    ],
)
def test_it_believes_counts_up_to_a_trillion(form: str, reply: bytes) -> None:
    read = FORMS[form].read_reply  # type: ignore[index]  # names of forms, as text

    final = [read(reply % count).final for count in (LARGEST_COUNT - 1, LARGEST_COUNT)]

    assert final == [True, False]


def test_it_does_not_believe_a_number_of_searches_that_no_column_holds() -> None:
    reply = b'{"tool_usage":{"web_search":{"num_requests":9223372036854775808}}}'

    assert FORMS["openai_responses"].read_reply(reply).units == {}


def test_it_has_no_cost_that_no_column_holds() -> None:
    reply = (
        b'{"model":"claude-opus-4-8","usage":{"input_tokens":1,"output_tokens":2,'
        b'"server_tool_use":{"web_search_requests":1099511627775}}}'
    )

    assert costs("anthropic_messages", "anthropic", reply) == (None, "invalid_usage:web_searches")


def test_it_prices_the_tier_that_groq_calls_on_demand() -> None:
    reply = (
        b'{"model":"openai/gpt-oss-120b","service_tier":"on_demand",'
        b'"usage":{"prompt_tokens":10,"completion_tokens":0}}'
    )

    # $0.15 per million
    assert costs("openai_chat", "groq", reply) == (1_500, None)


def test_it_finds_a_long_event_in_many_pieces() -> None:
    event = b"data: " + b"x" * 1_000_000 + b"\r\n\r\n"
    splitter = EventSplitter(2_000_000)
    pieces = [event[at : at + 100] for at in range(0, len(event), 100)]

    found = [each for piece in [*pieces, b"data: y"] for each in splitter.feed(piece)]

    assert (found, splitter.rest()) == ([event], b"data: y")
