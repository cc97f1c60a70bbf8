"""An edit that nobody knows, or that says two things, is refused with the word that is right."""

import pytest

from tests.brownout.policy_scenes import refused, with_edits

TWELVE_EDITS = (
    "tier, candidates, effort, output_cap, verbosity, hint, media_detail, server_tools, model, "
    "admit, shed, retries"
)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ("[{tire: standard}]", "[0].tire: tire is not known here: do you mean tier?"),
        ("[{tier: standart}]", "[0].tier: standart is not known here: do you mean standard?"),
        ("[{candidates: 2}]", "[0].candidates: 2 must be 1"),
        (
            "[{effort: {at_most: lowest}}]",
            "[0].effort.at_most: lowest is not known here: do you mean low?",
        ),
        ("[{effort: {}}]", "[0].effort: needs one of at_most and down"),
        ("[{effort: {at_most: low, down: 1}}]", "[0].effort: needs one of at_most and down"),
        ("[{effort: {down: 0}}]", "[0].effort.down: 0 is not between 1 and 6"),
        ("[{effort: low}]", "[0].effort: low is no object"),
        ("[{output_cap: 0}]", "[0].output_cap: 0 is not between 1 and 1000000"),
        ("[{verbosity: high}]", "[0].verbosity: high is not known here: write low"),
        ("[{hint: breif}]", "[0].hint: breif is not known here: none is defined (names of hints)"),
        (
            "[{model: {map: cheaper}}]",
            "[0].model.map: cheaper is not known here: none is defined (names of maps)",
        ),
        (
            "[{admit: {share: 50}}]",
            "[0].admit.share: 50 is no share: write 50%, or a number from 0.0 to 1.0",
        ),
        ("[{admit: {for: [batch]}}]", "[0].admit.share: is missing"),
        ("[{shed: {for: [bach]}}]", "[0].shed.for[0]: bach is not known here: do you mean batch?"),
        ("[{shed: {for: []}}]", "[0].shed.for: is empty"),
        ("[{shed: {}, for: [batch]}]", "[0]: has `for` in a wrong place: write it in shed"),
        ("[{retries: 9}]", "[0].retries: 9 is not between 0 and 5"),
        ("[{for: [batch]}]", f"[0]: names no edit: write one of {TWELVE_EDITS}"),
        (
            "[{tier: standard, retries: 0}]",
            "[0]: names several edits (tier, retries): write an item for each",
        ),
        ("[shed]", "[0]: shed is no object"),
        (
            "[{retries: 0}, {retries: 1, for: [normal, batch]}]",
            "[1]: retries stands twice for normal and batch calls",
        ),
        (
            "[{effort: {down: 1}}, {effort: {at_most: low, for: [batch]}}]",
            "[1]: effort stands twice for batch calls",
        ),
    ],
)
def test_says_what_is_wrong_with_an_edit(edits: str, said: str) -> None:
    assert refused(with_edits(edits)) == [f"line 6: strategies.default.soft{said}"]


def test_finds_the_nearest_of_the_names_that_are_defined() -> None:
    text = with_edits("[{hint: breif}, {model: {map: cheper}}]") + (
        "hints: {brief: Short.}\nmaps: {cheaper: {a: b}}\n"
    )

    assert refused(text) == [
        (
            "line 6: strategies.default.soft[0].hint: breif is not known here: "
            "do you mean brief? (names of hints)"
        ),
        (
            "line 6: strategies.default.soft[1].model.map: cheper is not known here: "
            "do you mean cheaper? (names of maps)"
        ),
    ]
