"""A stronger mode that gives up less than the one below it is told, not refused."""

import pytest

from common.brownout.policy_file import read_policy
from common.brownout.policy_weaknesses import weaknesses
from tests.brownout.policy_scenes import SMALL


def told(soft: str, hard: str) -> list[str]:
    """What is told of a policy whose soft and hard mode are these, and whose emergency sheds."""
    modes = f"{{soft: {soft}, hard: {hard}, emergency: [{{shed: {{}}}}]}}"
    return [each.text for each in weaknesses(read_policy(SMALL.replace("{}", modes)))]


@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [
        ("[{output_cap: 512}]", "[{output_cap: 513}]", "has a weaker output_cap than soft"),
        ("[{retries: 0}]", "[{retries: 1}]", "has a weaker retries than soft"),
        ("[{effort: {down: 2}}]", "[{effort: {down: 1}}]", "has a weaker effort than soft"),
        ("[{effort: {at_most: low}}]", "[{effort: {down: 1}}]", "has a weaker effort than soft"),
        (
            "[{effort: {at_most: low}}]",
            "[{effort: {at_most: medium}}]",
            "has a weaker effort than soft",
        ),
        ("[{admit: {share: 50%}}]", "[{admit: {share: 51%}}]", "has a weaker admit than soft"),
        ("[{tier: standard}]", "[]", "has no tier, as soft has"),
        ("[{shed: {}}]", "[{admit: {share: 0%}}]", "has no shed, as soft has"),
        (
            "[{output_cap: 512}]",
            "[{output_cap: 512, for: [normal]}]",
            "has no output_cap, as soft has, for critical and batch calls",
        ),
    ],
)
def test_tells_of_a_mode_that_gives_up_less(soft: str, hard: str, said: str) -> None:
    assert told(soft, hard) == [f"strategies.default.hard: {said}"]


@pytest.mark.parametrize(
    ("soft", "hard"),
    [
        ("[{output_cap: 512}]", "[{output_cap: 512}, {retries: 0}]"),
        ("[{effort: {down: 1}}]", "[{effort: {at_most: low}}]"),
        ("[{tier: standard}, {admit: {share: 50%}}]", "[{shed: {}}]"),
        ("[{tier: standard, for: [batch]}]", "[{shed: {for: [batch]}}]"),
    ],
)
def test_is_silent_about_a_mode_that_gives_up_as_much_or_more(soft: str, hard: str) -> None:
    assert told(soft, hard) == []


def test_compares_emergency_with_hard() -> None:
    modes = "{hard: [{tier: standard}]}"

    [weakness] = weaknesses(read_policy(SMALL.replace("{}", modes)))

    assert weakness.path == "strategies.default.emergency"
