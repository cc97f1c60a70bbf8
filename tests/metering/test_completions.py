"""Legacy completions are metered as chat is."""

import json
from typing import Any

import pytest

from common.llm.costs import cost_of
from common.llm.forms import FORMS
from common.llm.price_book import bundled_book
from tests.metering.recordings import RECEIVED_AT, metered_in, passed_by

FORM = FORMS["openai_completions"]
MODEL = "gpt-3.5-turbo-instruct"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
TEXTS = ["Hello", ' "wörld"\n', "日本", "!"] * 4


def a_chunk(**members: Any) -> bytes:
    told = {"id": "cmpl-1", "object": "text_completion", "created": 1, **members, "model": MODEL}
    return b"data: " + json.dumps(told, separators=(",", ":")).encode() + b"\n\n"


def a_stream(*, usage: bool) -> list[bytes]:
    null: dict[str, Any] = {"usage": None} if usage else {}
    chunks = [
        a_chunk(
            choices=[{"text": text, "index": 0, "logprobs": None, "finish_reason": None}], **null
        )
        for text in TEXTS
    ]
    ended = {"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}
    chunks.append(a_chunk(choices=[ended], **null))
    last = [a_chunk(choices=[], usage=USAGE)] if usage else []
    return [*chunks, *last, b"data: [DONE]\n\n"]


@pytest.mark.parametrize(
    ("body", "cap", "candidates"),
    [
        ({"prompt": "a"}, None, 1),
        ({"prompt": "a", "max_tokens": 10, "n": 3}, 10, 3),
        ({"prompt": ["a", "b"], "max_tokens": 0, "n": 2, "best_of": 4}, 0, 8),
        ({"prompt": [1, 2, 3]}, None, 1),
        ({"prompt": [[1, 2], [3]]}, None, 2),
        ({"prompt": [], "n": -1, "best_of": "x"}, None, 1),
    ],
)
def test_reads_how_much_may_be_generated(
    body: dict[str, Any], cap: int | None, candidates: int
) -> None:
    facts = FORM.read_facts(json.dumps({"model": MODEL, **body}).encode())

    assert (facts.model, facts.output_cap, facts.candidates) == (MODEL, cap, candidates)


def test_asks_for_the_usage_and_takes_it_out_again() -> None:
    body = json.dumps({"model": MODEL, "prompt": "a", "stream": True}).encode()

    sent, strip = FORM.prepare(body, FORM.read_facts(body))

    assert (json.loads(sent)["stream_options"], strip) == ({"include_usage": True}, True)
    tap = FORM.stream_tap(strip)
    assert passed_by(tap, a_stream(usage=True)) == b"".join(a_stream(usage=False))
    assert (tap.result().units, tap.result().finish_reason) == (
        {"input_tokens": 5, "output_tokens": 7},
        "length",
    )


def test_prices_what_a_reply_tells() -> None:
    reply = {"model": MODEL, "choices": [{"text": "a", "finish_reason": "stop"}], "usage": USAGE}
    facts = FORM.read_facts(json.dumps({"model": MODEL, "prompt": "a"}).encode())

    cost = cost_of(
        FORM.read_reply(json.dumps(reply).encode()),
        facts,
        book=bundled_book(),
        provider="openai",
        at=RECEIVED_AT,
    )

    # $1.50 and $2 a million
    assert (cost.nanos, cost.source) == (5 * 1_500 + 7 * 2_000, "provider")


def test_counts_no_less_than_the_text_of_a_stream_that_is_cut() -> None:
    events = a_stream(usage=False)

    for count in range(len(TEXTS) + 1):
        shown = sum(len(text.encode()) for text in TEXTS[:count])
        metered = metered_in(FORM.stream_tap(False), events[:count])
        assert metered.output_bytes >= shown
        assert metered.final is False
