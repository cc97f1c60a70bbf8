"""`scripts/cloudops price-overrides`, against a live API."""

import json
import re

import pytest

from tests.cloudops.conftest import Cloudops

SET = ("price-overrides", "set", "acme-4o", "--org", "acme", "--provider", "openai")
MODEL = ("--model", "gpt-4o")
RATES = ("--rate", "input_tokens=2", "--rate", "output_tokens=8.5")
SINCE = ("--from", "2026-01-01T00:00:00Z")


@pytest.mark.usefixtures("acme")
def test_sets_shows_and_lists_one(cloudops: Cloudops) -> None:
    said = cloudops(*SET, *MODEL, *RATES, *SINCE, "--note", "contract 7")
    shown = cloudops("price-overrides", "show", "acme-4o").output.splitlines()
    lines = cloudops("price-overrides", "list").output.splitlines()

    assert said.output == "Price override acme-4o counts from the next call on.\n"
    assert "note         contract 7" in shown
    assert shown[-1] == "Price override acme-4o counts now."
    names, row = (re.split(r" {2,}", line) for line in lines[:2])
    assert dict(zip(names, row, strict=True)) == {
        "id": "acme-4o",
        "org": "acme",
        "provider": "openai",
        "model": "gpt-4o",
        "kind": "negotiated",
        "rates": "input_tokens=2,output_tokens=8.5",
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "-",
    }
    assert lines[-1] == "1 price override."


@pytest.mark.usefixtures("acme")
def test_replaces_one_whole_and_ends_it(cloudops: Cloudops) -> None:
    cloudops(*SET, *MODEL, *RATES, *SINCE, "--note", "contract 7")

    said = cloudops(*SET, *MODEL, *RATES[:2], *SINCE, "--until", "2026-02-01T00:00:00Z")
    [row] = json.loads(cloudops("price-overrides", "list", "--json").stdout)["data"]

    assert "is over" in said.output
    assert [each["unit"] for each in row["rates"]] == ["input_tokens"]
    assert (row["note"], row["valid_until"]) == ("", "2026-02-01T00:00:00Z")


@pytest.mark.usefixtures("acme")
def test_removes_one(cloudops: Cloudops) -> None:
    cloudops(*SET, *MODEL, *RATES)

    removed = cloudops("price-overrides", "remove", "acme-4o")
    again = cloudops("price-overrides", "remove", "acme-4o")

    assert removed.output.startswith("Price override acme-4o is removed")
    assert (again.exit_code, "404 not_found" in again.output) == (1, True)
    assert cloudops("price-overrides", "list").output.splitlines()[-1] == "0 price overrides."


def test_says_before_it_removes_one_what_becomes_of_its_calls(cloudops: Cloudops) -> None:
    said = cloudops("price-overrides", "remove", "--help").output

    told = " ".join(re.findall(r"[\w/.-]+", said))
    assert "once scripts/reprice restates them" in told
    assert "end it instead" in told


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*MODEL, "--rate", "input_tokens"), "'input_tokens' is not UNIT=DOLLARS"),
        ((*MODEL, "--rate", "input_tokens="), "'input_tokens=' is not UNIT=DOLLARS"),
        ((*MODEL, "--rate", "input_tokens=-1"), "422 invalid_input (rates)"),
        ((*MODEL, "--rate", "input_token=1"), "did you mean input_tokens?"),
        (MODEL, "422 invalid_input (rates)"),
        ((*MODEL, *RATES, "--kind", "free"), "422 invalid_input (kind)"),
        ((*MODEL, *RATES, "--from", "today"), "422 invalid_input (valid_from)"),
        ((*MODEL, *RATES, "--until", "2020-01-01T00:00:00Z"), "422 invalid_input (valid_until)"),
        ((*MODEL, *RATES, "--org", "nobody"), "422 invalid_input (org)"),
        ((*MODEL, *RATES, "--provider", "openia"), "422 invalid_input (provider)"),
    ],
)
def test_says_in_one_line_what_is_wrong(
    cloudops: Cloudops, arguments: tuple[str, ...], says: str
) -> None:
    result = cloudops(*SET, *arguments)

    assert result.exit_code == 1
    assert says in result.output
    assert cloudops("price-overrides", "list").output.splitlines()[-1] == "0 price overrides."
