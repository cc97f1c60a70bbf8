"""The law: our readers count what the price list's own extractor counts, wherever it is right.

What it cannot read, or reads otherwise, stands in `extraction_differences.py`, with the reason.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.forms import FORMS
from common.llm.price_book import PriceBook
from tests.metering.recordings import STREAMS, Recording, read_recording
from tests.prices.extraction import (
    Flavor,
    counted,
    flavor,
    flavors,
    full_reply,
    replies,
    without_the_rest,
)
from tests.prices.extraction_differences import FLAVORS, KINDS, RECORDED, UNSPOKEN, UNTOLD
from tests.prices.usages import ORDINARY_MOMENT

READ = [each for each in flavors() if each.form is not None]
AGREED = {str(each): each for each in READ if str(each) not in FLAVORS}
ANY_REPLY = st.sampled_from(list(AGREED)).flatmap(
    lambda name: st.tuples(st.just(name), replies(AGREED[name]))
)
SHIM = "gemini-openai-shim-tools"
WITH_USAGE = [name for name in STREAMS if name not in UNTOLD]


def told_by(recording: Recording) -> Iterator[Any]:
    """The objects of a reply in which a usage may stand."""
    if not recording.streamed:
        yield json.loads(recording.reply)
        return
    for line in recording.reply.splitlines():
        if line.startswith(b"data: {"):
            chunk = json.loads(line.removeprefix(b"data: "))
            yield chunk.get("response") or chunk.get("message") or chunk


def merged(recording: Recording) -> dict[str, Any]:
    """One reply: the last one with a usage; Anthropic's, of each count the last one told."""
    reply: dict[str, Any] = {}
    for told in told_by(recording):
        for name in ("usage", "usageMetadata"):
            if isinstance(told.get(name), dict):
                usage = told[name]
                if recording.form_name == "anthropic_messages":
                    news = {key: value for key, value in usage.items() if value is not None}
                    usage = {**reply.get(name, {}), **news}
                reply[name] = usage
    return reply


def flavor_of(recording: Recording) -> Flavor:
    vendor = recording.name.split("-")[0]
    provider = "google" if vendor == "gemini" else vendor
    named = {"openai_responses": "responses", "openai_embeddings": "embeddings"}
    chat = "default" if provider in {"groq", "mistral"} else "chat"
    if recording.name == SHIM:
        return flavor("google/chat")
    if provider in {"anthropic", "google"}:
        return flavor(f"{provider}/default")
    return flavor(f"{provider}/{named.get(recording.form_name, chat)}")


def ours(recording: Recording) -> dict[str, int] | None:
    if recording.name == SHIM:
        return counted(FORMS["openai_chat"].read_reply(recording.reply))
    return counted(recording.metered())


def replies_recorded(folder: Path) -> list[Recording]:
    names = [path.stem for path in sorted(folder.glob("*.json"))]
    return [read_recording(folder, name) for name in names if "-error-4" not in name]


def test_it_counts_the_same_in_recorded_replies(provider_replies: Path) -> None:
    differing, untold = set(), set()
    for recording in replies_recorded(provider_replies):
        theirs, told = flavor_of(recording).theirs(merged(recording)), ours(recording)
        if theirs is None and told is None:
            untold.add(recording.name)
        elif theirs is None or without_the_rest(theirs) != told:
            differing.add(recording.name)

    assert (differing, untold) == (set(RECORDED), UNTOLD)


@pytest.mark.parametrize("name", WITH_USAGE)
def test_it_counts_in_streams_what_cannot_be_added_up(provider_replies: Path, name: str) -> None:
    """The extractor refuses chunks without usage, and the sum of cumulative usages is no usage."""
    recording = read_recording(provider_replies, name)
    of = flavor_of(recording)
    found = [of.theirs(told) for told in told_by(recording)]
    added: dict[str, int] = {}
    for usage in found:
        for unit, count in (usage or {}).items():
            added[unit] = added.get(unit, 0) + count

    assert None in found or without_the_rest(added) != ours(recording)


@settings(deadline=None, max_examples=300)
@given(asked=ANY_REPLY)
def test_it_counts_the_same_in_any_reply(asked: tuple[str, Any]) -> None:
    name, reply = asked
    of = AGREED[name]
    theirs = of.theirs(reply)

    assert theirs is not None
    assert of.ours(reply) == without_the_rest(theirs)


@pytest.mark.parametrize("of", AGREED.values(), ids=AGREED)
def test_it_counts_the_same_where_everything_is_told(of: Flavor) -> None:
    theirs = of.theirs(full_reply(of))

    assert theirs is not None
    assert of.ours(full_reply(of)) == without_the_rest(theirs)


@pytest.mark.parametrize("name", ["google/default", "openai/images"])
def test_it_costs_the_same_without_the_counts_of_text(book: PriceBook, name: str) -> None:
    of = flavor(name)
    theirs = of.theirs(full_reply(of))
    assert theirs is not None
    left = without_the_rest(theirs)
    assert left != theirs

    for card in book.iter_cards(of.provider.id):
        whole = book.price([(card, theirs)], ORDINARY_MOMENT, {})
        rest = book.price([(card, left)], ORDINARY_MOMENT, {})
        assert rest.priced_nanos == whole.priced_nanos, card.key


@pytest.mark.parametrize("name", FLAVORS)
def test_it_differs_in_these_flavors_still(name: str) -> None:
    of = flavor(name)
    theirs = of.theirs(full_reply(of))

    assert theirs is not None
    assert of.ours(full_reply(of)) != without_the_rest(theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_it_differs_for_these_reasons_still(kind: str) -> None:
    known = KINDS[kind]
    of = flavor(known.flavor)

    assert (of.theirs(known.reply), of.ours(known.reply)) == (known.theirs, known.ours)


def test_it_reads_reasoning_on_top_from_the_total() -> None:
    of = flavor("x-ai/chat")
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }

    assert of.ours({"usage": usage}) == of.theirs({"usage": usage})


def test_it_knows_every_way_to_tell_usage() -> None:
    unread = {str(each) for each in flavors() if each.form is None}

    assert unread == set(UNSPOKEN)


def test_it_has_an_example_for_every_recorded_difference() -> None:
    assert set(RECORDED.values()) <= set(KINDS)


def test_it_has_a_reason_for_every_difference() -> None:
    reasons: Mapping[str, str] = {**FLAVORS, **UNSPOKEN}

    assert [name for name, reason in reasons.items() if len(reason) < 4] == []
