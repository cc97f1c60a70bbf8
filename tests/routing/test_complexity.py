"""The features of a request's form, by hand."""

from typing import Any

import pytest

from common.routing.complexity import features_of, score

SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
REQUESTS: list[tuple[dict[str, Any], str, float]] = [
    ({"messages": [{"content": "Hi"}, {"content": "there"}]}, "turns", 2),
    ({"input": "Hi"}, "turns", 0),
    ({"contents": [{"parts": [{"text": "Hi"}]}]}, "turns", 1),
    ({"messages": [], "tools": [{}, {}, {}]}, "tools", 3),
    ({"messages": [], "tools": "none"}, "tools", 0),
    ({"response_format": {"json_schema": {"schema": SCHEMA}}}, "schema_depth", 7),
    ({"generationConfig": {"responseSchema": SCHEMA}}, "schema_depth", 5),
    ({"response_format": "text"}, "schema_depth", 0),
    ({"messages": [{"content": [{"type": "image_url"}, {"type": "text"}]}]}, "pictures", 1),
    ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]}, "pictures", 1),
    ({"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav"}}]}]}, "pictures", 0),
    ({"messages": [{"content": "12345```12345```"}]}, "code_share", 5 / 16),
    ({"messages": [{"content": [{"type": "text", "text": "```ab"}]}]}, "code_share", 2 / 5),
    ({"messages": []}, "code_share", 0),
]


@pytest.mark.parametrize(("request_body", "name", "expected"), REQUESTS)
def test_counts_what_a_request_holds(
    request_body: dict[str, Any], name: str, expected: float
) -> None:
    assert features_of(request_body, 1024)[name] == expected


def test_takes_the_size_as_a_power_of_two() -> None:
    assert [features_of({}, size)["size"] for size in (0, 1, 1024)] == [0, 0, 10]


def test_is_a_logistic_of_what_is_weighted_whatever_the_numbers_are() -> None:
    features = features_of({"messages": [{}], "tools": [{}]}, 1024)

    assert score(0.0, {}, features) == 0.5
    assert score(-12.0, {"size": 1.0, "tools": 2.0}, features) == 0.5
    assert score(0.0, {"size": 1e9}, features) == 1.0
    assert score(0.0, {"size": -1e9}, features) < 1e-300


def test_follows_no_request_without_end() -> None:
    nested: Any = []
    for _ in range(5_000):
        nested = {"content": [nested]}

    found = features_of({"messages": [nested], "response_format": nested}, 1)

    assert found["turns"] == 1
    assert found["schema_depth"] == 32
