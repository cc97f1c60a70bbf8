"""What a request says about how much decides how much is generated, and nothing else."""

from itertools import pairwise
from typing import Any

import orjson
import pytest

from tests.simulated.conftest import RESPONSES, Caller, chat, generate, message

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def spent(usage: dict[str, Any]) -> int:
    """The output tokens of any protocol's usage, thoughts included."""
    both = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    return int(usage.get("completion_tokens") or usage.get("output_tokens") or both)


def at_chat(caller: Caller, seed: str, **fields: Any) -> int:
    answer = caller.openai(chat(**{"model": "gpt-5.6-sol", **fields}), seed=seed).json()
    return spent(answer["usage"])


def at_responses(caller: Caller, seed: str, **fields: Any) -> int:
    body = {"model": "gpt-5.6-sol", "input": "hi", **fields}
    return spent(caller.post(RESPONSES, body, seed=seed).json()["usage"])


def at_messages(caller: Caller, seed: str, **fields: Any) -> int:
    body = message(**{"model": "claude-opus-4-6", "max_tokens": 40_000, **fields})
    return spent(caller.anthropic(body, seed=seed).json()["usage"])


def at_gemini(caller: Caller, _seed: str, **config: Any) -> int:
    model = config.pop("model", "gemini-2.5-flash")
    return spent(generate(caller, model, config).json()["usageMetadata"])


BUDGETS = [{"thinkingConfig": {"thinkingBudget": size}} for size in (0, 512, 4096, 24_576)]
LEVELS = [
    {"model": "gemini-3.5-flash", "thinkingConfig": {"thinkingLevel": level}}
    for level in ("MINIMAL", "LOW", "MEDIUM", "HIGH")
]
EFFORTS = ("low", "medium", "high", "xhigh")


@pytest.mark.parametrize(
    ("ask", "rising"),
    [
        (at_chat, [{"reasoning_effort": effort} for effort in ("none", *EFFORTS)]),
        (at_chat, [{"verbosity": word} for word in ("low", "medium", "high")]),
        (at_chat, [{"max_completion_tokens": cap} for cap in (10, 20, 30)]),
        (at_responses, [{"reasoning": {"effort": effort}} for effort in (*EFFORTS, "max")]),
        (at_responses, [{"text": {"verbosity": word}} for word in ("low", "medium", "high")]),
        (at_responses, [{"max_output_tokens": cap} for cap in (16, 20, 30)]),
        (
            at_messages,
            [
                {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
                for effort in ("low", "medium", "high", "max")
            ],
        ),
        (at_messages, [{"output_config": {"effort": effort}} for effort in ("low", "high")]),
        (
            at_messages,
            [
                {"thinking": {"type": "enabled", "budget_tokens": size}}
                for size in (1024, 2048, 16_000)
            ],
        ),
        (at_messages, [{"max_tokens": cap} for cap in (5, 6, 7)]),
        (at_gemini, BUDGETS),
        (at_gemini, LEVELS),
        (at_gemini, [{"maxOutputTokens": cap} for cap in (10, 20, 30)]),
    ],
)
@pytest.mark.parametrize("seed", ["1", "7"])
def test_generates_less_for_every_lower_amount(
    caller: Caller, ask: Any, rising: list[dict[str, Any]], seed: str
) -> None:
    tokens = [ask(caller, seed, **fields) for fields in rising]

    assert [low < high for low, high in pairwise(tokens)] == [True] * (len(tokens) - 1), tokens
    assert [ask(caller, seed, **fields) for fields in rising] == tokens


def test_thinks_where_a_model_thinks_unasked(caller: Caller) -> None:
    asked = at_messages(caller, "1", model="claude-opus-5", thinking={"type": "adaptive"})
    unasked = at_messages(caller, "1", model="claude-opus-5")
    off = at_messages(caller, "1", model="claude-opus-5", thinking={"type": "disabled"})

    assert asked == unasked
    assert off < unasked


def test_spends_more_where_an_effort_is_added_that_is_above_the_usual_one(caller: Caller) -> None:
    assert at_chat(caller, "1", model="gpt-5.1") < at_chat(
        caller, "1", model="gpt-5.1", reasoning_effort="low"
    )


@pytest.mark.parametrize(
    ("ask", "usual"),
    [
        (at_chat, {"reasoning_effort": "medium", "verbosity": "medium"}),
        (at_responses, {"reasoning": {"effort": "medium"}, "text": {"verbosity": "medium"}}),
        (at_messages, {"output_config": {"effort": "high"}, "thinking": {"type": "disabled"}}),
        (at_gemini, {"thinkingConfig": {"thinkingBudget": -1}}),
    ],
)
def test_spends_the_same_where_the_usual_amount_is_said(
    caller: Caller, ask: Any, usual: dict[str, Any]
) -> None:
    assert ask(caller, "1", **usual) == ask(caller, "1")


def test_thinks_less_at_a_lower_effort(caller: Caller) -> None:
    low, high = (
        caller.anthropic(
            message(
                model="claude-opus-4-6",
                max_tokens=4000,
                thinking={"type": "adaptive"},
                output_config={"effort": effort},
            )
        ).json()["usage"]["output_tokens_details"]["thinking_tokens"]
        for effort in ("low", "high")
    )

    assert 0 < low < high


def test_keeps_the_text_that_a_lower_cap_cuts(caller: Caller) -> None:
    long, short = (
        caller.openai(chat(max_tokens=cap)).json()["choices"][0]["message"]["content"]
        for cap in (15, 8)
    )

    assert long.startswith(short)


def test_breaks_a_structured_answer_that_a_cap_cuts(caller: Caller) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    answer = caller.openai(chat(response_format=wanted, max_tokens=3)).json()["choices"][0]

    assert answer["finish_reason"] == "length"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer["message"]["content"])


def test_reads_fewer_tokens_of_a_picture_that_is_looked_at_less(caller: Caller) -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    contents = [{"role": "user", "parts": [picture]}]
    usual, low = (
        generate(caller, "gemini-2.5-flash", config, contents=contents).json()["usageMetadata"]
        for config in ({}, {"mediaResolution": "MEDIA_RESOLUTION_LOW"})
    )

    assert low["promptTokenCount"] < usual["promptTokenCount"]
    assert low["totalTokenCount"] < usual["totalTokenCount"]


def test_reads_more_tokens_of_a_picture_of_high_detail(caller: Caller) -> None:
    low, high = (
        caller.openai(chat(messages=[{"role": "user", "content": [pictured(detail)]}])).json()
        for detail in ("low", "high")
    )

    assert high["usage"]["prompt_tokens"] - low["usage"]["prompt_tokens"] == 680


def pictured(detail: str) -> dict[str, Any]:
    url = {"url": "data:image/png;base64,AAAA", "detail": detail}
    return {"type": "image_url", "image_url": url}
