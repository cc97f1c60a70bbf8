"""Usage of embeddings is read from behind their vectors, and from nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.forms import FORMS
from common.llm.metered import Metered, UsageLine
from common.llm.protocols import openai_embeddings
from tests.metering.recordings import Recording, read_recording

VECTOR = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
USAGE = {"prompt_tokens": 7, "total_tokens": 7}
REPLY: dict[str, Any] = {"object": "list", "data": [VECTOR], "model": "m", "usage": USAGE}
READ = Metered(lines=(UsageLine({"input_tokens": 7}),), final=True, model="m", usage_raw={**USAGE})


def an_answer(*names: str) -> bytes:
    """The reply with its members in this order."""
    return json.dumps({name: REPLY[name] for name in names}).encode()


@pytest.mark.parametrize(
    "names",
    [
        ("object", "data", "model", "usage"),
        ("data", "usage", "model"),
        ("model", "data", "usage"),
        ("usage", "data", "model"),
        ("model", "usage", "data"),
        ("model", "usage"),
    ],
)
def test_reads_a_whole_reply_whatever_the_order_of_its_members(names: tuple[str, ...]) -> None:
    assert openai_embeddings.read_reply(an_answer(*names)) == READ


@given(at=st.integers(0, 60), space=st.sampled_from([b"", b" ", b"\n  "]))
def test_reads_the_end_wherever_it_begins(at: int, space: bytes) -> None:
    reply = an_answer("object", "data", "model", "usage").replace(b"]}]", b"]}]" + space) + space

    assert openai_embeddings.read_end(reply[at:]) == READ


@given(count=st.integers(0, 140))
def test_does_not_make_up_a_usage_that_is_cut_off(count: int) -> None:
    reply = an_answer("object", "data", "model", "usage")

    metered = openai_embeddings.read_end(reply[:-1][:count])

    assert (metered.final, metered.lines) == (False, ())
    assert metered.anomalies == ("no usage at the end of the reply",)


def test_says_that_an_end_without_usage_has_none() -> None:
    metered = openai_embeddings.read_end(an_answer("object", "data", "model"))

    assert (metered.final, metered.anomalies) == (False, ("no usage at the end of the reply",))


@settings(deadline=None)
@given(end=st.binary(max_size=80))
def test_takes_an_end_of_any_bytes(end: bytes) -> None:
    assert openai_embeddings.read_end(b'{"data":[' + end).final is False


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1},
        {"prompt_tokens": 1.5},
        {"prompt_tokens": "7"},
        {"total_tokens": 7},
        [],
    ],
)
def test_does_not_believe_a_usage_that_is_no_count(usage: object) -> None:
    reply = json.dumps({"data": [], "model": "m", "usage": usage}).encode()

    for metered in (openai_embeddings.read_reply(reply), openai_embeddings.read_end(reply)):
        assert (metered.final, metered.units) == (False, {})


def test_says_that_a_usage_without_its_counter_is_odd() -> None:
    reply = b'{"data":[],"model":"m","usage":{"total_tokens":7}}'

    assert openai_embeddings.read_reply(reply).anomalies == ("usage lacks prompt_tokens",)


def test_estimates_a_reply_that_never_came_by_the_request_alone(provider_replies: Path) -> None:
    recording = read_recording(provider_replies, "openai-embeddings")

    cost = recording.cost(Metered(output_bytes=5_000_000))

    bound = len(recording.request) + 64
    assert cost.units == {"input_tokens": bound, "output_tokens": 0}
    # text-embedding-3-small, $0.02
    assert (cost.nanos, cost.source) == (bound * 20, "estimated")


def test_an_estimate_is_never_below_the_recorded_cost(provider_replies: Path) -> None:
    recording = read_recording(provider_replies, "openai-embeddings")
    told = recording.cost(recording.metered()).nanos

    for count in range(0, len(recording.reply), 97):
        estimate = recording.cost(openai_embeddings.read_end(recording.reply[:count])).nanos
        assert told is not None
        assert estimate is not None
        assert estimate >= told


def test_bounds_tokens_by_the_bytes_that_write_them() -> None:
    """The shortest token takes two bytes of a request: a digit and a comma."""
    request = json.dumps({"model": "m", "input": [[1] * 9000]}, separators=(",", ":")).encode()
    recording = Recording("openai-embeddings", request, b"", streamed=False)

    assert recording.cost(Metered()).units["input_tokens"] >= 9000


def test_a_batch_has_no_cost_when_it_is_accepted() -> None:
    form = FORMS["openai_batches"]
    facts = form.read_facts(b'{"input_file_id":"file-1","endpoint":"/v1/responses"}')

    metered = form.read_reply(b'{"id":"batch_1","object":"batch"}')

    assert (facts.readable, facts.model, facts.asynchronous) == (True, None, True)
    assert (metered.final, metered.failed, metered.units) == (False, False, {})
