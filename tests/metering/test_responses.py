"""Responses: what is billed beside tokens, and replies that come before the work is done."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.costs import Cost, cost_of
from common.llm.forms import FORMS
from common.llm.metered import Metered
from common.llm.price_book import bundled_book
from tests.metering.recordings import RECEIVED_AT, metered_in, passed_by, read_recording

FORM = FORMS["openai_responses"]
SEARCH = {"type": "web_search_call", "action": {"type": "search", "query": "q"}}
OPEN = {"type": "web_search_call", "action": {"type": "open_page", "url": "https://a.example"}}
USAGE = {"input_tokens": 100, "output_tokens": 10}
TERMINAL = ["response.completed", "response.incomplete", "response.failed"]
ENDS = {"response.completed": "completed", "response.failed": "failed"}


def _reply(**fields: Any) -> bytes:
    reply = {"object": "response", "model": "gpt-5", "status": "completed", "usage": USAGE}
    return json.dumps({**reply, **fields}).encode()


def _event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _cost(metered: Metered, request: bytes = b'{"model":"gpt-5"}') -> Cost:
    facts = FORM.read_facts(request)
    return cost_of(metered, facts, book=bundled_book(), provider="openai", at=RECEIVED_AT)


@pytest.mark.parametrize(
    ("output", "units"),
    [
        ([SEARCH, SEARCH], {"web_searches": 2}),
        (
            [SEARCH, OPEN, {"type": "web_search_call", "action": {"type": "find_in_page"}}],
            {"web_searches": 1},
        ),
        ([{"type": "web_search_call", "status": "completed"}], {"web_searches": 1}),
        ([{"type": "file_search_call"}, {"type": "message"}], {"storage_searches": 1}),
        (
            [{"type": "code_interpreter_call", "container_id": "a"}] * 2,
            {"code_interpreter_sessions": 1},
        ),
        ([{"type": "shell_call", "environment": {"type": "local"}}], {}),
        (
            [{"type": "shell_call", "environment": {"container_id": "b"}}],
            {"code_interpreter_sessions": 1},
        ),
        ([{"type": "image_generation_call", "result": "aGk="}], {"image_generations": 1}),
        ([{"type": "function_call"}, {"type": "mcp_call"}, 7, {}], {}),
    ],
)
def test_counts_what_the_provider_s_own_tools_did(output: list[Any], units: dict[str, int]) -> None:
    metered = FORM.read_reply(_reply(output=output))

    assert metered.units == {**USAGE, **units}


def test_believes_the_provider_s_own_count_of_billable_searches() -> None:
    told = {"web_search": {"num_requests": 3}}

    assert FORM.read_reply(_reply(output=[SEARCH], tool_usage=told)).units["web_searches"] == 3
    none = FORM.read_reply(_reply(output=[SEARCH], tool_usage={"web_search": {"num_requests": 0}}))
    assert none.units == USAGE


def test_charges_searches_beside_tokens() -> None:
    cost = _cost(FORM.read_reply(_reply(output=[SEARCH, {"type": "file_search_call"}])))

    # gpt-5, $1.25 and $10, $10 and $2.50 for 1,000 searches:
    # 100 x 1,250 + 10 x 10,000 + 10,000,000 + 2,500,000
    assert cost.nanos == 12_725_000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"output": [{"type": "code_interpreter_call", "container_id": "a"}]},
            "unknown_unit:code_interpreter_sessions",
        ),
        ({"output": [{"type": "image_generation_call"}]}, "unknown_unit:image_generations"),
        (
            {"output": [SEARCH], "tools": [{"type": "web_search_preview_2025_03_11"}]},
            "unknown_unit:web_search_previews",
        ),
        (
            {
                "usage": {
                    **USAGE,
                    "input_tokens_details": {
                        "cache_write_tokens": 50,
                        "cache_write_tokens_details": {"ttl_12h_tokens": 20},
                    },
                }
            },
            "unknown_unit:cache_write_12h_tokens",
        ),
        ({"service_tier": "scale"}, "unknown_tier:scale"),
    ],
)
def test_says_why_a_reply_cannot_be_priced(fields: dict[str, Any], reason: str) -> None:
    cost = _cost(FORM.read_reply(_reply(**fields)))

    assert (cost.nanos, cost.reason) == (None, reason)


def test_prices_writes_for_30_minutes_as_writes() -> None:
    details = {"cache_write_tokens": 50, "cache_write_tokens_details": {"ttl_30m_tokens": 50}}
    reply = _reply(model="gpt-5.6-sol", usage={**USAGE, "input_tokens_details": details})

    # gpt-5.6-sol, $4, written 1.25 x, $20: 50 x 4,000 + 50 x 5,000 + 10 x 20,000
    assert _cost(FORM.read_reply(reply)).nanos == 650_000


def test_does_not_believe_a_part_above_its_whole() -> None:
    details = {"cached_tokens": 101}
    metered = FORM.read_reply(_reply(usage={**USAGE, "input_tokens_details": details}))

    assert metered.units == USAGE
    assert metered.anomalies == (
        "input_tokens_details.cached_tokens 101 is more than input_tokens 100",
    )


def test_prices_the_tier_that_the_reply_names() -> None:
    request = b'{"model":"gpt-5","service_tier":"auto"}'

    cost = _cost(FORM.read_reply(_reply(service_tier="priority")), request)

    # gpt-5 at the priority tier, $2.50 and $20: 100 x 2,500 + 10 x 20,000
    assert cost.nanos == 450_000


@pytest.mark.parametrize("kind", TERMINAL)
def test_ends_with_its_terminal_event(kind: str) -> None:
    tap = FORM.stream_tap(False)
    response = {
        "model": "gpt-5",
        "status": ENDS.get(kind, "incomplete"),
        "incomplete_details": None if kind in ENDS else {"reason": "max_output_tokens"},
        "usage": USAGE,
        "output": [SEARCH],
    }

    metered = metered_in(
        tap, [_event("response.output_item.done", item=SEARCH), _event(kind, response=response)]
    )

    assert (tap.done, metered.final) == (True, True)
    assert metered.units == {**USAGE, "web_searches": 1}
    assert metered.finish_reason == ENDS.get(kind, "max_output_tokens")
    assert metered.failed == (kind == "response.failed")


@pytest.mark.parametrize(
    "event",
    [
        _event("error", code="server_error", message="m", param=None, sequence_number=3),
        _event("error", error={"type": "server_error", "message": "m"}),
        b'data: {"error":{"message":"m","type":"server_error"}}\n\n',
    ],
)
def test_says_that_a_stream_with_an_error_failed(event: bytes) -> None:
    started = _event("response.created", response={"model": "gpt-5", "status": "in_progress"})
    tap = FORM.stream_tap(False)

    metered = metered_in(tap, [started, event])

    assert (metered.failed, metered.final, tap.done) == (True, False, False)
    assert _cost(metered).source == "estimated"


def test_estimates_with_the_searches_a_cut_stream_has_shown() -> None:
    started = _event("response.created", response={"model": "gpt-5", "status": "in_progress"})
    searched = _event("response.output_item.done", item=SEARCH)

    cost = _cost(metered_in(FORM.stream_tap(False), [started, searched, started[:30]]))

    # The request has 17 bytes: gpt-5, (17 + 64) x 1,250 + (the item + 1,024) x 10,000 + a search
    assert cost.units["web_searches"] == 1
    assert cost.nanos == 81 * 1_250 + (len(searched) + 1_024) * 10_000 + 10_000_000


@pytest.mark.parametrize("kind", ["output_text", "refusal", "reasoning_text", "mcp_call_arguments"])
def test_bounds_output_by_the_text_of_the_deltas(kind: str) -> None:
    text = 'a "delta":"b" \n 日本'
    event = _event(f"response.{kind}.delta", delta=text, obfuscation="x" * 16)

    metered = metered_in(FORM.stream_tap(False), [event, event])

    assert metered.output_bytes == 2 * (len(json.dumps(text)) - 2)


@pytest.mark.parametrize(
    ("request_body", "reply"),
    [
        (b'{"model":"gpt-5","background":true}', _reply(status="queued", usage=None)),
        (b'{"model":"gpt-5","background":true}', b"not JSON"),
        # A body that could not be read, and a reply that says what it was.
        (b"[", _reply(status="queued", background=True, usage=None)),
        (b"[", _reply(status="in_progress", background=True, usage=None)),
    ],
)
def test_has_no_cost_for_what_is_generated_after_the_reply(
    request_body: bytes, reply: bytes
) -> None:
    cost = _cost(FORM.read_reply(reply), request_body)

    assert (cost.nanos, cost.reason) == (None, "asynchronous")


def test_has_a_cost_for_a_background_stream_that_was_read_to_its_end() -> None:
    request = b'{"model":"gpt-5","background":true,"stream":true}'
    queued = {"model": "gpt-5", "status": "queued", "background": True, "usage": None}
    events = [
        _event("response.created", response=queued),
        _event("response.completed", response={**queued, "status": "completed", "usage": USAGE}),
    ]

    cut = _cost(metered_in(FORM.stream_tap(False), events[:1]), request)
    whole = _cost(metered_in(FORM.stream_tap(False), events), request)

    assert (cut.nanos, cut.reason) == (None, "asynchronous")
    assert (whole.nanos, whole.reason) == (225_000, None)


def test_reads_a_terminal_event_of_a_megabyte() -> None:
    response = {
        "model": "gpt-5",
        "output": [{"type": "x", "text": "a" * (1 << 20)}],
        "usage": USAGE,
    }
    event = _event("response.completed", response=response)
    pieces = [event[at : at + 16384] for at in range(0, len(event), 16384)]

    assert metered_in(FORM.stream_tap(False), pieces).units == USAGE


def test_says_that_a_longer_event_was_not_read() -> None:
    event = _event("response.completed", response={"text": "a" * (3 << 20), "usage": USAGE})

    metered = metered_in(FORM.stream_tap(False), [event[:-9], event[-9:]])

    assert (metered.final, metered.anomalies) == (False, ("an event above 2 MB was not read",))


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [
                b"event: response.output_text.delta\n",
                b'data: {"type":"response.output_text.delta","delta":"a\\"',
                b'data: {"type":"response.output_item.done","item":{"type":[]}}',
                b'data: {"type":"response.output_item.done","item":{"type":"web_search_call"}}',
                b'data: {"type":"response.completed","response":{"usage":{"input_tokens":[]}}}',
                b'data: {"type":"response.completed","response":{"output":{},"tools":[1]}}',
                b'data: {"type":"response.failed","response":{"status":7,"tool_usage":[]}}',
                b'data: {"type":"error"}',
                b"\n\n",
                b"\r\n\r\n",
            ]
        ),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(pieces=PIECES)
def test_takes_any_bytes_and_gives_them_out(pieces: list[bytes]) -> None:
    tap = FORM.stream_tap(False)

    assert passed_by(tap, pieces) == b"".join(pieces)
    assert all(count >= 0 for count in tap.result().units.values())


@settings(deadline=None)
@given(
    reply=st.recursive(
        st.none() | st.integers(-3, 3) | st.sampled_from(["search", "queued", "web_search_call"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "usage",
                        "output",
                        "tools",
                        "type",
                        "action",
                        "tool_usage",
                        "web_search",
                        "num_requests",
                        "incomplete_details",
                        "status",
                        "input_tokens",
                        "output_tokens",
                        "input_tokens_details",
                        "cached_tokens",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_reads_a_reply_of_any_shape(reply: object) -> None:
    metered = FORM.read_reply(json.dumps(reply).encode())

    assert all(count >= 0 for count in metered.units.values())


def test_counts_hidden_reasoning_by_its_ciphertext(provider_replies: Path) -> None:
    """Of a stream cut before its end, encrypted reasoning is the only trace of reasoning."""
    recording = read_recording(provider_replies, "openai-responses-stream-reasoning")
    cut = recording.reply[: recording.reply.index(b"event: response.completed")]

    estimate = recording.cost(metered_in(recording.tap(), [cut]))
    done = next(part for part in cut.split(b"\n\n") if b"output_item.done" in part)
    ciphertext = json.loads(done.partition(b"data: ")[2])["item"]["encrypted_content"]

    assert estimate.source == "estimated"
    assert (
        estimate.units["output_tokens"]
        > len(ciphertext)
        > recording.metered().units["output_reasoning_tokens"]
    )


def test_estimates_no_more_output_than_the_request_allows() -> None:
    request = b'{"model":"gpt-5","max_output_tokens":20}'

    cost = _cost(Metered(output_bytes=1000), request)

    assert cost.units["output_tokens"] == 20
