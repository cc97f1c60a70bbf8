"""`scripts/cloudops budgets`, against a live API."""

import json
import re

import pytest

from tests.cloudops.conftest import Cloudops, Installation, a_recent_call

CREATE = ["budgets", "create", "search", "--scope", "team:acme/search", "--limit", "20"]


def shown(cloudops: Cloudops, budget: str = "search") -> dict[str, object]:
    data: dict[str, object] = json.loads(cloudops("budgets", "show", budget, "--json").stdout)[
        "data"
    ]
    return data


def test_lists_what_it_creates(cloudops: Cloudops, installation: Installation, acme: None) -> None:
    installation.record(a_recent_call(1))
    said = cloudops(*CREATE, "--period", "total").output
    cloudops("budgets", "create", "all", "--scope", "org:acme", "--limit", "0.5", "--soft",
             "--period", "total")  # fmt: skip

    lines = cloudops("budgets", "list").output.splitlines()

    assert said == "Budget search is created: $0.004200000 of $20.000000000 is spent.\n"
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["id", "scope", "period", "enforcement", "state", "limit_usd", "settled", "remaining",
         "resets_at"],
        ["all", "org:acme", "total", "soft", "ok", "0.500000000", "0.004200000", "0.495800000",
         "-"],
        ["search", "team:acme/search", "total", "hard", "ok, arming", "20.000000000", "0.004200000",
         "19.995800000", "-"],
        ["2 budgets."],
    ]  # fmt: skip


def test_shows_one(cloudops: Cloudops, acme: None) -> None:
    cloudops(*CREATE, "--period", "total", "--model", "gpt-*", "--threshold", "90", "--strict")

    assert cloudops("budgets", "show", "search").output.splitlines() == [
        "scope        team:acme/search",
        "models       gpt-*",
        "period       total, UTC, from 1",
        "enforcement  hard, fit, strict",
        "state        ok, arming",
        "limit        20.000000000",
        "top-ups      0.000000000",
        "settled      0.000000000",
        "leased       0.000000000",
        "unproven     0.000000000",
        "remaining    20.000000000",
        "resets at    -",
        "thresholds   90 %",
        "tools        -",
    ]


def test_changes_what_is_given_and_keeps_the_rest(cloudops: Cloudops, acme: None) -> None:
    cloudops(*CREATE, "--period", "week", "--anchor", "3", "--no-fit", "--tool-allowance", "0.1")
    before = shown(cloudops)

    answer = cloudops("budgets", "set", "search", "--limit", "30", "--tz", "Europe/Zurich")

    after = shown(cloudops)
    assert answer.output.startswith("Budget search is as asked: ")
    changed = {name for name in before if before[name] != after[name]}
    assert (after["limit_usd"], after["tz"]) == ("30.000000000", "Europe/Zurich")
    assert changed - {"resets_at", "version"} == {
        "limit_usd",
        "limit_nanos",
        "remaining_usd",
        "remaining_nanos",
        "tz",
    }


def test_pauses_and_limits_again(cloudops: Cloudops, acme: None) -> None:
    cloudops(*CREATE)
    paused = cloudops("budgets", "pause", "search")
    listed = cloudops("budgets", "list").output
    cloudops("budgets", "set", "search")

    assert paused.output.startswith("Budget search is paused: ")
    assert re.search(r"search +team:acme/search +month +hard +paused", listed)
    assert shown(cloudops)["paused"] is False


def test_tops_up(cloudops: Cloudops, acme: None) -> None:
    cloudops(*CREATE)

    said = cloudops("budgets", "top-up", "search", "2.5", "--reason", "launch").output

    assert said == "Budget search is topped up: $0.000000000 of $22.500000000 is spent.\n"


def test_lists_leases(cloudops: Cloudops, acme: None) -> None:
    for state, said in (("open", "open"), ("written_off", "written off")):
        lines = cloudops("budgets", "leases", "--state", state).output.splitlines()
        assert lines[-1] == f"0 leases {said}."


def test_creates_a_key_with_its_budget(cloudops: Cloudops, acme: None) -> None:
    made = cloudops(
        "keys", "create", "ci", "--org", "acme", "--agent", "crawler",
        "--budget", "20", "--budget-period", "day",
    )  # fmt: skip

    [budget] = re.findall(r"Its budget is (key-[0-9a-f]{12})\.", made.output)
    data = shown(cloudops, budget)
    assert (data["limit_usd"], data["period"], data["enforcement"]) == (
        "20.000000000",
        "day",
        "hard",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*CREATE[:-1], "0"], "422 invalid_input (limit_usd): a limit is above 0"),
        ([*CREATE[:-1], "20.0000000001"], "422 invalid_input (limit_usd)"),
        ([*CREATE, "--period", "year"], "422 invalid_input (period)"),
        ([*CREATE, "--tz", "Europe/Zurch"], "did you mean Europe/Zurich?"),
        ([*CREATE, "--scope", "team:acme/serch"], "did you mean acme:search?"),
        (["budgets", "show", "none"], "404 not_found: there is no budget 'none'"),
        (["budgets", "set", "none", "--limit", "1"], "404 not_found"),
        (["budgets", "pause", "none"], "404 not_found"),
        (["budgets", "correct", "none", "--refund", "1", "--reason", "x"], "404 not_found"),
        (["budgets", "leases", "--state", "closed"], "422 invalid_input (state)"),
        (
            ["keys", "create", "ci", "--org", "acme", "--agent", "crawler", "--budget-period",
             "day"],
            "says nothing without --budget",
        ),
    ],
)  # fmt: skip
def test_says_what_is_wrong_in_one_line(
    cloudops: Cloudops, acme: None, arguments: list[str], said: str
) -> None:
    answer = cloudops(*arguments)

    assert answer.exit_code == 1
    assert said in answer.output
    assert len(answer.output.splitlines()) == 1
