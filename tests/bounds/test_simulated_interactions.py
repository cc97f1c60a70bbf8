"""What the simulated provider bills for interactions, whole or cut anywhere, stays in its bound."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson

from common.llm.bounds import Bound, bound
from common.llm.costs import cost_of
from common.llm.forms import FORMS
from common.llm.price_book import bundled_book
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.gemini_interactions import Interactions
from scripts.simulated.ledger import price_nanos
from scripts.simulated.replies import Exchange, Reply

SEED = 20261122
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
FORM = FORMS["gemini_interactions"]
MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash", "gemini-3-flash-preview")
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
KNOBS = Behaviour()


def _requests(random: Random, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        text = f"{number} weather Zürich 日本 " + "why " * random.choice((1, 30, 3_000, 90_000))
        config: dict[str, Any] = {}
        if random.random() < 0.6:
            config["max_output_tokens"] = random.choice((1, 20, 300, 5_000))
        if random.random() < 0.4:
            config["thinking_level"] = random.choice(("minimal", "low", "high"))
        asked: dict[str, Any] = {"model": random.choice(MODELS), "generation_config": config}
        asked["input"] = random.choice((text, [{"type": "text", "text": text}]))
        shape = random.choice(("plain", "plain", "tools", "json"))
        if shape == "tools":
            asked["tools"] = [WEATHER]
        elif shape == "json":
            schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
            kind = {"type": "text", "mime_type": "application/json", "schema": schema}
            asked["response_format"] = kind
        asked["stream"] = random.random() < 0.6
        yield asked


def _answered(
    provider: Interactions, number: int, body: bytes, parsed: dict[str, Any]
) -> tuple[Reply, str]:
    name = f"v1_sim_{number}"
    exchange = Exchange(f"req_{number}", name, f"{number:08x}", AT)
    return provider.answer(parsed, exchange, KNOBS), name


def _billed(reply: Reply, tokens: int) -> int:
    return price_nanos("gemini", reply.model, reply.usage_at(tokens), reply.price_context, AT)


def test_cost_is_settled_between_the_bill_and_the_bound() -> None:
    random, provider = Random(SEED), Interactions()
    seen: Counter[str] = Counter()
    previous: str | None = None
    for number, asked in enumerate(_requests(random, 250)):
        if previous is not None and random.random() < 0.3:
            asked["previous_interaction_id"] = previous
        body = orjson.dumps(asked)
        reply, previous = _answered(provider, number, body, asked)
        facts = FORM.read_facts(body)
        most = bound(facts, book=bundled_book(), provider="google", at=AT)
        assert isinstance(most, Bound), asked
        seen[most.bound_kind] += 1
        if reply.body is not None:
            seen["whole"] += 1
            metered = FORM.read_reply(reply.body)
            cost = cost_of(metered, facts, book=bundled_book(), provider="google", at=AT)
            assert cost.source == "provider"
            assert cost.nanos == _billed(reply, reply.output_tokens) <= most.nanos
            continue
        assert reply.events is not None
        tap, generated = FORM.stream_tap(False), 0
        for event, generated in [(b"", 0), *reply.events]:
            seen["cuts"] += 1
            tap.feed(event)
            cut = cost_of(tap.result(), facts, book=bundled_book(), provider="google", at=AT)
            assert (cut.source, tap.done) == ("estimated", False)
            assert cut.nanos is not None
            assert _billed(reply, generated) <= cut.nanos <= most.nanos
        tap.feed(reply.terminal)
        end = cost_of(tap.result(), facts, book=bundled_book(), provider="google", at=AT)
        assert (end.source, tap.done, generated) == ("provider", True, reply.output_tokens)
        assert end.nanos == _billed(reply, generated) <= most.nanos
    assert min(seen[name] for name in ("bytes", "window", "whole")) > 40, seen
    assert seen["cuts"] > 1_000
