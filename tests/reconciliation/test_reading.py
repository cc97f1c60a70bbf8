"""Bills as the providers' APIs tell them: their units, their pages, and answers that are none."""

import asyncio
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.adapters.anthropic_costs import AnthropicCosts
from common.adapters.openai_costs import OpenAiCosts
from common.adapters.provider_costs import MOST_BYTES, MOST_PAGES
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamUnreachable
from common.reconciliation.rows import Bill, BillsUnavailable, Item, Tokens, Used
from tests.reconciliation.answers import Answer, Answers, page

KEY = "sk-admin-of-the-test"
DAY = date(2026, 11, 20)
NEXT = date(2026, 11, 21)
DAY_S = 1_795_132_800
USAGE = "/v1/organization/usage/completions"
EMBEDDINGS = "/v1/organization/usage/embeddings"
COSTS = "/v1/organization/costs"
MESSAGES = "/v1/organizations/usage_report/messages"
REPORT = "/v1/organizations/cost_report"

Told = dict[str, Callable[[dict[str, list[str]]], Answer] | Answer]


def told(answers: Told) -> Answers:
    """Answers by path; nothing where none is named."""

    def answer(path: str, query: dict[str, list[str]]) -> Answer:
        found = answers.get(path, page())
        return found(query) if callable(found) else found

    return Answers(answer)


def openai(upstream: Answers, **of: Any) -> OpenAiCosts:
    return OpenAiCosts(upstream, Secret(KEY), sleep=upstream.sleep, **of)


def anthropic(upstream: Answers, **of: Any) -> AnthropicCosts:
    return AnthropicCosts(upstream, Secret(KEY), sleep=upstream.sleep, **of)


def day_of(*results: Any, start: int = DAY_S) -> dict[str, Any]:
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results}


def cost_of(value: Any, line_item: str | None = "gpt-x, input_tokens") -> dict[str, Any]:
    return {"amount": {"value": value, "currency": "usd"}, "line_item": line_item}


def report_of(*results: Any, day: str = "2026-11-20") -> dict[str, Any]:
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": "?", "results": results}


def cents(amount: str, model: str | None = "claude-x") -> dict[str, Any]:
    return {"amount": amount, "currency": "USD", "model": model, "description": "?"}


async def failure(reader: OpenAiCosts | AnthropicCosts) -> str:
    with pytest.raises(BillsUnavailable) as found:
        async with asyncio.timeout(20):
            await reader.read([DAY])
    assert KEY not in str(found.value)
    return str(found.value)


async def test_reads_what_openai_tells() -> None:
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 1_000,
        "input_cached_tokens": 800,
        "input_cache_write_tokens": 50,
        "output_tokens": 500,
        "num_model_requests": 5,
        "api_key_id": "key_1",
        "model": "gpt-x",
    }
    upstream = told(
        {
            USAGE: page(day_of(result)),
            EMBEDDINGS: page(day_of({"input_tokens": 7, "model": "embed-x"})),
            COSTS: page(day_of(cost_of(0.06), cost_of(1.5, "Web search"), cost_of(2, None))),
        }
    )

    assert await openai(upstream).read([DAY]) == [
        Bill(
            DAY,
            (
                Used("key_1", "gpt-x", Tokens(1_000, 800, 50, 500)),
                Used(None, "embed-x", Tokens(7)),
            ),
            (Item("gpt-x", Decimal("0.06")), Item(None, Decimal("1.5")), Item(None, Decimal(2))),
        )
    ]


async def test_asks_openai_for_days_by_model_and_key() -> None:
    upstream = told({})

    bills = await openai(upstream).read([NEXT, DAY])

    assert bills == [Bill(DAY), Bill(NEXT)]
    days = f"start_time={DAY_S}&end_time={DAY_S + 2 * 86_400}&bucket_width=1d&limit=2"
    by_key = "group_by%5B%5D=model&group_by%5B%5D=api_key_id"
    assert [request.url for request in upstream.requests] == [
        f"https://api.openai.com{USAGE}?{days}&{by_key}",
        f"https://api.openai.com{EMBEDDINGS}?{days}&{by_key}",
        f"https://api.openai.com{COSTS}?{days}&group_by%5B%5D=line_item",
    ]
    assert {dict(r.headers)[b"authorization"] for r in upstream.requests} == {
        f"Bearer {KEY}".encode()
    }
    assert not any(request.allow_private for request in upstream.requests)


@pytest.mark.parametrize(
    ("text", "usd"),
    [
        # What a binary fraction would make 0.299999...
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1e-05", "0.00001"),
        ('"1.50"', "1.50"),
        ("-3", "-3"),
    ],
)
async def test_reads_amounts_as_they_are_written(text: str, usd: str) -> None:
    costs = json.dumps({"data": [day_of(cost_of("AMOUNT"))], "has_more": False})
    body = costs.replace('"AMOUNT"', text).encode()

    [bill] = await openai(told({COSTS: (200, body)})).read([DAY])

    assert [item.usd for item in bill.items] == [Decimal(usd)]


async def test_adds_amounts_exactly() -> None:
    many = page(day_of(*[cost_of(0.1)] * 30))

    [bill] = await openai(told({COSTS: many})).read([DAY])

    assert bill.nanos == 3_000_000_000


async def test_reads_what_anthropic_tells() -> None:
    result = {
        "uncached_input_tokens": 100,
        "cache_read_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 5},
        "output_tokens": 40,
        "api_key_id": "apikey_1",
        "model": "claude-x",
        "service_tier": "standard",
    }
    upstream = told(
        {
            MESSAGES: page(report_of(result)),
            REPORT: page(report_of(cents("123.78912"), cents("2", None))),
        }
    )

    assert await anthropic(upstream).read([DAY]) == [
        Bill(
            DAY,
            (Used("apikey_1", "claude-x", Tokens(142, 30, 12, 40)),),
            (Item("claude-x", Decimal("1.2378912")), Item(None, Decimal("0.02"))),
        )
    ]


async def test_asks_anthropic_for_days_by_model_and_key() -> None:
    upstream = told({})

    await anthropic(upstream).read([DAY])

    days = "starting_at=2026-11-20T00%3A00%3A00Z&ending_at=2026-11-21T00%3A00%3A00Z"
    size = "bucket_width=1d&limit=1"
    groups = "&".join(f"group_by%5B%5D={name}" for name in ("model", "api_key_id", "service_tier"))
    assert [request.url for request in upstream.requests] == [
        f"https://api.anthropic.com{MESSAGES}?{days}&{size}&{groups}",
        f"https://api.anthropic.com{REPORT}?{days}&{size}&group_by%5B%5D=description",
    ]
    headers = dict(upstream.requests[0].headers)
    assert headers[b"x-api-key"] == KEY.encode()
    assert headers[b"anthropic-version"] == b"2023-06-01"


@pytest.mark.parametrize(("tier", "unbilled"), [("priority", True), ("batch", False)])
async def test_says_where_tokens_are_paid_for_otherwise(tier: str, *, unbilled: bool) -> None:
    result = {"uncached_input_tokens": 1, "service_tier": tier, "model": "claude-x"}

    [bill] = await anthropic(told({MESSAGES: page(report_of(result))})).read([DAY])

    assert bill.unbilled_tokens is unbilled


async def test_reads_all_pages() -> None:
    pages = {
        None: page(day_of(cost_of(1)), more="b=="),
        "b==": page(day_of(cost_of(2)), more="c"),
        "c": page(day_of(cost_of(4), start=DAY_S + 86_400)),
    }
    upstream = told({COSTS: lambda query: pages[query.get("page", [None])[0]]})

    bills = await openai(upstream).read([DAY, NEXT])

    assert [bill.nanos for bill in bills] == [3_000_000_000, 4_000_000_000]
    assert len(upstream.closed) == len(upstream.requests)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (lambda _: "a", "says that there is more, and not where"),
        (lambda _: "", "says that there is more, and not where"),
        (lambda q: q.get("page", [""])[0] + "x", f"has more than {MOST_PAGES} pages"),
    ],
)
async def test_gives_up_on_pages_without_end(more: Callable[[Any], str], text: str) -> None:
    upstream = told({USAGE: lambda query: page(more=more(query))})

    assert await failure(openai(upstream)) == f"{USAGE} {text}"


async def test_obeys_a_429() -> None:
    answers: list[Answer] = [
        (429, b"", {"Retry-After": "7"}),
        (429, b"", {"retry-after": "Fri, 20 Nov 2026 00:00:00 GMT"}),
        page(day_of(cost_of(1))),
    ]
    upstream = told({COSTS: lambda _: answers.pop(0)})

    [bill] = await openai(upstream).read([DAY])

    assert bill.nanos == 1_000_000_000
    assert upstream.slept == [7, 10]


async def test_does_not_wait_for_ever() -> None:
    long = told({USAGE: (429, b"", {"retry-after": "86400"})})
    again = told({USAGE: (429, b"", {"retry-after": "1"})})

    assert await failure(openai(long)) == f"{USAGE} answers 429 and asks to wait 86400 s"
    assert long.slept == []
    assert await failure(openai(again)) == f"{USAGE} answers 429"
    assert len(again.slept) == 5


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((401, KEY.encode()), "answers 401: is it an admin key?"),
        ((403, b""), "answers 403: is it an admin key?"),
        ((500, KEY.encode()), "answers 500"),
        ((302, b""), "answers 302"),
        ((200, b"<html>"), "answers no JSON"),
        ((200, b"[" * 100_000), "answers no JSON"),
        ((200, b'{"data": [], "has_more": NaN}'), "answers no JSON"),
        ((200, b"[]"), "answers no page of buckets"),
        ((200, b'{"data": {}}'), "answers no page of buckets"),
        ((200, b" " * (MOST_BYTES + 1)), f"answers more than {MOST_BYTES} bytes"),
    ],
)
@pytest.mark.parametrize(("reader", "path"), [(openai, USAGE), (anthropic, MESSAGES)])
async def test_says_what_is_wrong_without_the_key(
    answer: Answer, text: str, reader: Callable[..., Any], path: str
) -> None:
    assert await failure(reader(told({path: answer}))) == f"{path} {text}"


@pytest.mark.parametrize(
    "bucket",
    [
        {"results": []},
        {"start_time": "x", "results": []},
        {"start_time": 1e30, "results": []},
        {"start_time": DAY_S},
        day_of(start=DAY_S + 3_600),
        day_of({"input_tokens": -1}),
        day_of({"input_tokens": 2**63}),
        day_of({"input_tokens": 1.5}),
        day_of({"input_tokens": None}),
        day_of("x"),
    ],
)
async def test_refuses_usage_that_it_cannot_read_whole(bucket: Any) -> None:
    """A sum that lacks a part would prove what is not so."""
    assert await failure(openai(told({USAGE: page(bucket)}))) != ""


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"amount": None},
        {"amount": {"value": 1, "currency": "eur"}},
        {"amount": {"value": "a", "currency": "usd"}},
        {"amount": {"value": 1e300, "currency": "usd"}},
        {"amount": {"value": None, "currency": "usd"}},
    ],
)
async def test_refuses_costs_that_it_cannot_read_whole(result: Any) -> None:
    assert await failure(openai(told({COSTS: page(day_of(result))}))) != ""


@pytest.mark.parametrize("amount", ["1e400000000", "NaN", "Infinity", "", "1,5", None])
async def test_refuses_amounts_that_are_none(amount: Any) -> None:
    assert await failure(anthropic(told({REPORT: page(report_of(cents(amount)))}))) != ""


async def test_refuses_another_currency() -> None:
    result = {**cents("1"), "currency": "EUR"}

    assert await failure(anthropic(told({REPORT: page(report_of(result))}))) != ""


async def test_tells_a_provider_that_is_down() -> None:
    gone = told({USAGE: UpstreamUnreachable("ConnectionRefusedError")})
    still = told({USAGE: None})

    assert await failure(openai(gone)) == "no answer (ConnectionRefusedError)"
    assert await failure(openai(still, deadline_s=0.05)) == "no whole answer within 0.05 s"
