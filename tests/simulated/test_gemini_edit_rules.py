"""The simulated Gemini refuses what the real API refuses of what says how much is wanted."""

from typing import Any

import pytest

from tests.simulated.conftest import Caller, generate, told


def thinking(**members: Any) -> dict[str, Any]:
    return {"thinkingConfig": members}


@pytest.mark.parametrize(
    ("model", "config", "says"),
    [
        ("gemini-2.5-pro", thinking(thinkingBudget=0), "Budget 0 is invalid."),
        (
            "gemini-2.5-pro",
            thinking(thinkingBudget=127),
            "The thinking budget 127 is invalid. Please choose a value between 128 and 32768.",
        ),
        ("gemini-2.5-flash", thinking(thinkingBudget=24_577), "between 1 and 24576"),
        ("gemini-2.5-flash", thinking(thinkingBudget=-2), "between 1 and 24576"),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=511), "between 512 and 24576"),
        ("gemini-2.5-flash", thinking(thinkingBudget=1.5), "TYPE_INT32"),
        (
            "gemini-2.0-flash",
            thinking(thinkingBudget=512),
            "Thinking budget is not supported for this model.",
        ),
        ("gemma-4-31b-it", thinking(thinkingBudget=0), "Thinking budget is not supported"),
        ("gemini-3.5-flash", thinking(thinkingBudget=512), "Thinking budget is not supported"),
        (
            "gemini-2.5-flash",
            thinking(thinkingLevel="LOW"),
            "Thinking level is not supported for this model.",
        ),
        (
            "gemini-3.7-flash",
            thinking(thinkingLevel="minimal"),
            "Thinking level MINIMAL is not supported for this model.",
        ),
        ("gemini-3-pro-preview", thinking(thinkingLevel="MEDIUM"), "level MEDIUM is not"),
        (
            "gemini-3.5-flash",
            thinking(thinkingLevel="short"),
            "Invalid value at 'generation_config.thinking_config.thinking_level'",
        ),
        (
            "gemini-3.5-flash",
            thinking(thinkingLevel="LOW", thinkingBudget=512),
            "You can only set only one of thinking budget and thinking level.",
        ),
        (
            "gemini-2.5-flash",
            {"maxOutputTokens": 65_537},
            (
                "a maxOutputTokens value of 65537 but the supported range is from 1 (inclusive) to "
                "65537 (exclusive)."
            ),
        ),
        ("gemini-2.0-flash", {"maxOutputTokens": 8_193}, "to 8193 (exclusive)"),
        ("gemini-2.5-flash", {"candidateCount": 9}, "must be in the range [1, 8]"),
        ("gemini-2.5-flash", {"candidateCount": 0}, "must be positive"),
        ("gemini-2.5-flash", {"mediaResolution": "LOW"}, "'generation_config.media_resolution'"),
        ("gemini-2.5-flash", {"responseSchema": {"type": "OBJECT"}}, "response_mime_type"),
    ],
)
def test_refuses_content_beyond_its_model(
    caller: Caller, model: str, config: dict[str, Any], says: str
) -> None:
    error = told(generate(caller, model, config))

    assert error["status"] == "INVALID_ARGUMENT"
    assert says in error["message"]
    assert caller.rows() == []


def test_refuses_a_tier_that_google_does_not_know(caller: Caller) -> None:
    error = told(generate(caller, "gemini-2.5-flash", {}, serviceTier="cheap"))

    assert "service_tier" in error["message"]


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("gemini-2.5-pro", thinking(thinkingBudget=-1)),
        ("gemini-2.5-pro", thinking(thinkingBudget=128)),
        ("gemini-2.5-flash", thinking(thinkingBudget=0)),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=0)),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=512)),
        ("gemini-3-flash-preview", thinking(thinkingLevel="MINIMAL")),
        ("gemini-3-pro-preview", thinking(thinkingLevel="low")),
        ("gemma-4-31b-it", thinking(thinkingLevel="MINIMAL")),
        ("gemini-2.5-flash", {"maxOutputTokens": 65_536, "candidateCount": 8}),
        ("gemini-2.5-flash", {"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
    ],
)
def test_answers_content_that_its_model_takes(
    caller: Caller, model: str, config: dict[str, Any]
) -> None:
    answer = generate(caller, model, config)

    assert answer.status_code == 200, answer.text


def test_answers_nothing_where_thoughts_use_up_the_cap(caller: Caller) -> None:
    answer = generate(caller, "gemini-2.5-flash", {"maxOutputTokens": 20}).json()

    (candidate,) = answer["candidates"]
    assert candidate["content"] == {"role": "model"}
    assert candidate["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["thoughtsTokenCount"] == 20
    assert "candidatesTokenCount" not in answer["usageMetadata"]
