"""A labelled file: two lines make a request, and what is wrong is named by its line."""

import json
from typing import Any

import pytest

from scripts.route_evaluation.labelled import MOST_TOLD, Outcome, Unusable, read_labelled


def line(model: str = "small", score: float = 1.0, cost_nanos: int = 10, **other: Any) -> str:
    members = {"features": {"size": 8.0}, "session": "s", **other}
    return json.dumps({"model": model, "score": score, "cost_nanos": cost_nanos, **members})


def test_finds_the_two_lines_of_each_request_wherever_they_stand() -> None:
    found = read_labelled(
        [
            line("dear", 0.9, 100, session="b"),
            line("cheap", 0.5, 7, session="a", features={"size": 9.0}),
            "",
            line("cheap", 0.4, 8, session="b"),
            line("dear", 0.8, 90, session="a", features={"size": 9}),
        ]
    )

    assert (found.small, found.large) == ("cheap", "dear")
    assert [(each.session, each.small, each.large) for each in found.requests] == [
        ("b", Outcome(0.4, 8), Outcome(0.9, 100)),
        ("a", Outcome(0.5, 7), Outcome(0.8, 90)),
    ]


def test_pairs_requests_that_look_alike_in_their_order() -> None:
    found = read_labelled(
        [line("a", 0.1, 1), line("a", 0.2, 1), line("b", 0.3, 2), line("b", 0.4, 2)]
    )

    scores = [(each.small.score, each.large.score) for each in found.requests]
    assert scores == [(0.1, 0.3), (0.2, 0.4)]


def test_takes_the_model_whose_answers_cost_more_for_the_large_one() -> None:
    twice = [line("few", 1, 30), line("many", 1, 20), line("few", 1, 30), line("many", 1, 50)]

    assert read_labelled(twice).large == "many"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{", "line 2: this is no JSON"),
        ("[" * 100_000, "line 2: this is no JSON"),
        ("[]", "line 2: line: Input should be"),
        (line(score=1.1), "line 2: score: Input should be less than or equal to 1"),
        (line(score=float("nan")), "line 2: score:"),
        (line(cost_nanos=-1), "line 2: cost_nanos: Input should be greater than or equal to 0"),
        (json.dumps({**json.loads(line()), "cost_nanos": 1.5}), "line 2: cost_nanos:"),
        (line(features={"length": 1.0}), "line 2: features: length is no feature: take code_share"),
        (line(features={"size": float("inf")}), "line 2: features.size:"),
        (line(features={}), "line 2: features:"),
        (line(scores=1), "line 2: scores: Extra inputs are not permitted"),
    ],
)
def test_names_a_bad_line_by_its_number(wrong: str, told: str) -> None:
    with pytest.raises(Unusable) as refused:
        read_labelled([line(), wrong, line("large", 1, 20)])

    assert str(refused.value).startswith(told)


def test_names_a_line_whose_features_are_others() -> None:
    lines = [line(), line("large", 1, 20, features={"size": 8, "turns": 1})]

    with pytest.raises(Unusable, match=r"^line 2: features are not those of the first line"):
        read_labelled(lines)


def test_names_a_line_without_the_other_model_s() -> None:
    lines = [line(), line("large", 1, 20), line(session="alone")]

    with pytest.raises(Unusable, match=r"^line 3: no line of large is for the same request$"):
        read_labelled(lines)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c"]])
def test_refuses_a_file_that_is_not_of_two_models(names: list[str]) -> None:
    told = ", ".join(names) or "none"

    with pytest.raises(Unusable, match=f"between two models, and the file has: {told}$"):
        read_labelled([line(name) for name in names])


def test_names_no_more_lines_than_can_be_read() -> None:
    with pytest.raises(Unusable) as refused:
        read_labelled(["{"] * (MOST_TOLD + 3))

    assert str(refused.value).splitlines()[-1] == "and 3 more"
