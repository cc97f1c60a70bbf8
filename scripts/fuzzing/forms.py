"""Laws of every form in `FORMS`: what its requests, replies and streams are read with.

Nothing raises, whatever comes. A tap gives out what it takes in, wherever that was split, and says
the same about it. What is told can be priced and kept: counts are whole, not negative, and fit the
columns they are stored in.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import orjson

from common.gateway.destinations import VENDORS
from common.llm.costs import cost_of
from common.llm.facts import CallFacts, parse_object
from common.llm.forms import FORMS, MeteredForm, UsageTap
from common.llm.metered import Metered
from common.llm.paths import ENDPOINTS, FormName
from common.llm.price_book import bundled_book
from scripts.fuzzing.seeds import Seeds
from scripts.fuzzing.target import Target, hold, pieces_of

RECEIVED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
LARGEST = 2**63 - 1
LONGEST_REASON = 40
_REQUEST = b'{"model":"gpt-5-mini"}'


def form_targets(seeds: Seeds) -> Iterator[Target]:
    for name, form in FORMS.items():
        provider = _provider(name)
        facts = form.read_facts(_REQUEST)
        reply = partial(_check_metered, form.read_reply, facts, provider)
        stream = partial(_check_stream, form.stream_tap, facts, provider)
        yield Target(f"{name}.request", partial(_check_request, form), seeds.requests(name))
        yield Target(f"{name}.reply", reply, seeds.replies(name))
        yield Target(f"{name}.stream", stream, seeds.streams(name))
        if form.read_end is not None:
            end = partial(_check_metered, form.read_end, facts, provider)
            yield Target(f"{name}.end", end, seeds.replies(name))
        if form.array_tap is not None:
            array = partial(_check_stream, partial(_unasked, form.array_tap), facts, provider)
            yield Target(f"{name}.array", array, seeds.arrays(name))
        if form.byte_tap is not None:
            content = partial(_check_stream, partial(_unasked, form.byte_tap), facts, provider)
            yield Target(f"{name}.bytes", content, seeds.streams(name))


def _provider(name: FormName) -> str:
    # A form that an installation's own list names belongs to no vendor more than to another.
    of_form = (protocol for protocol, _, _, _, form in ENDPOINTS if form == name)
    protocol = next(of_form, "openai")
    return VENDORS[protocol].provider or protocol


def _unasked(tap: Callable[[], UsageTap], _strip: bool) -> UsageTap:
    return tap()


def _check_request(form: MeteredForm, body: bytes) -> None:
    facts = form.read_facts(body)
    hold("the size is that of the body", holds=facts.size_bytes == len(body))
    hold("there is at least one candidate", holds=facts.candidates >= 1)
    hold("a cap is no debt", holds=facts.output_cap is None or facts.output_cap >= 0)
    sent, strip = form.prepare(body, facts)
    if not strip:
        hold("what needs no edit goes out as it came", holds=sent == body)
        return
    before, after = parse_object(body) or {}, parse_object(sent) or {}
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    hold("one member changes", holds=changed <= {"stream_options"})
    hold(
        "the stream's usage is asked for",
        holds=form.prepare(sent, form.read_facts(sent))[0] == sent,
    )


def _check_metered(
    read: Callable[[bytes], Metered], facts: CallFacts, provider: str, reply: bytes
) -> None:
    check_told(read(reply), facts, provider)


def _check_stream(
    new_tap: Callable[[bool], UsageTap], facts: CallFacts, provider: str, stream: bytes
) -> None:
    told, passed = _through(new_tap(False), [stream])
    hold("a tap gives out what it takes in", holds=passed == stream)
    check_told(told, facts, provider)
    pieces = pieces_of(stream)
    split_told, split_passed = _through(new_tap(False), pieces)
    hold("pieces are given out too", holds=split_passed == stream)
    hold("the same is told wherever a stream is split", holds=split_told == told)
    stripped_told, stripped = _through(new_tap(True), [stream])
    hold("a stripping tap tells the same", holds=stripped_told == told)
    hold("a stripping tap adds nothing", holds=len(stripped) <= len(stream))
    hold("it strips the same from pieces", holds=_through(new_tap(True), pieces)[1] == stripped)


def _through(tap: UsageTap, pieces: Sequence[bytes]) -> tuple[Metered, bytes]:
    passed = b"".join([*(tap.feed(piece) for piece in pieces), tap.finish()])
    return tap.result(), passed


def check_told(metered: Metered, facts: CallFacts, provider: str) -> None:
    """Laws of what any reply tells, and of its cost."""
    for line in metered.lines:
        counts = line.units.values()
        hold("units are whole", holds=all(type(count) is int for count in counts))
        hold("units are not negative", holds=all(count >= 0 for count in counts))
    hold("a final usage has lines", holds=bool(metered.lines) or not metered.final)
    hold("bytes are not negative", holds=metered.output_bytes >= 0)
    hold("units can be stored", holds=all(n <= LARGEST for n in metered.units.values()))
    reason = metered.finish_reason
    hold("a reason is short", holds=reason is None or len(reason) <= LONGEST_REASON)
    orjson.dumps(metered.usage_raw)
    cost = cost_of(metered, facts, book=bundled_book(), provider=provider, at=RECEIVED_AT)
    hold(
        "no cost has a reason, a cost has none", holds=(cost.nanos is None) != (cost.reason is None)
    )
    hold("a cost is no credit", holds=cost.priced_nanos >= 0)
    hold("a cost can be stored", holds=max(cost.nanos or 0, cost.priced_nanos) <= LARGEST)
