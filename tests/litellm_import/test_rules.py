"""With an organisation the names of a config become its rules, and their fallbacks too."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from common.api.manifest_models import read_manifest
from tests.cloudops.conftest import Cloudops
from tests.litellm_import.conftest import WHOLE, Import, entry, not_imported

ORG = ("--org", "acme")
OPENAI, GROQ = "model: gpt-5-mini", "model: groq/llama-3.1-8b-instant"
TWO = "model_list:\n" + entry(OPENAI, "a") + entry(GROQ, "a")


def deployments(*named: tuple[str, str]) -> str:
    return "model_list:\n" + "".join(entry(params, name) for name, params in named)


def rules(imported: Import, text: str) -> list[dict[str, Any]]:
    """What is printed, as the API reads it."""
    result = imported(text, *ORG)
    assert result.exit_code == 0, result.output
    content = yaml.safe_load(result.stdout)
    read_manifest(content)
    found: list[dict[str, Any]] = content.get("routes", [{"rules": []}])[0]["rules"]
    return found


def test_makes_rules_of_a_whole_config(imported: Import) -> None:
    assert rules(imported, WHOLE) == [
        {
            "name": "quick",
            "match": {"model": "quick"},
            "use": {"fixed": "groq/llama-3.1-8b-instant"},
            "fallbacks": ["azure/gpt-5-mini", "azure-2/gpt-5-mini", "gpt-5-mini"],
        },
        {
            "name": "balanced",
            "match": {"model": "balanced"},
            "use": {"weighted": {"azure/gpt-5-mini": 1, "azure-2/gpt-5-mini": 1}},
        },
    ]


def test_says_what_is_still_lost(imported: Import) -> None:
    told = "\n".join(not_imported(imported(WHOLE, *ORG)))

    assert "model_name" not in told
    assert "fallbacks" not in told
    assert "litellm_params.rpm" in told


def test_is_applied_and_sends_calls_there(
    cloudops: Cloudops, imported: Import, tmp_path: Path
) -> None:
    manifest = tmp_path / "gateway.yaml"
    manifest.write_text(imported(WHOLE, *ORG).stdout)
    cloudops("orgs", "create", "acme")
    cloudops("teams", "create", "t", *ORG)
    cloudops("agents", "create", "a", *ORG, "--team", "t")

    applied = cloudops("apply", "-f", str(manifest), "--yes")
    who = (*ORG, "--team", "t", "--agent", "a")
    tried = cloudops("routes", "dry-run", *who, "--model", "quick").output

    assert applied.exit_code == 0, applied.output
    assert "+ create  routes acme" in applied.output
    assert tried.endswith(
        "The call goes to llama-3.1-8b-instant at groq, then gpt-5-mini at azure, then gpt-5-mini "
        "at azure-2, then gpt-5-mini at openai.\n"
    )


def test_adds_up_the_weights_of_one_model_s_keys(imported: Import) -> None:
    keys = [f"{OPENAI}, api_key: os.environ/K{n}_API_KEY, weight: {n}.5" for n in (1, 2)]

    [rule] = rules(imported, deployments(("a", keys[0]), ("a", GROQ), ("a", keys[1])))

    assert rule["use"] == {"weighted": {"gpt-5-mini": 4, "groq/llama-3.1-8b-instant": 1}}


@pytest.mark.parametrize(
    ("weights", "use"),
    [
        ((0, 2), {"fixed": "groq/llama-3.1-8b-instant"}),
        ((3, 0), {"fixed": "gpt-5-mini"}),
        ((0.25, 1), {"weighted": {"gpt-5-mini": 1, "groq/llama-3.1-8b-instant": 4}}),
        (("x", 2), {"weighted": {"gpt-5-mini": 1, "groq/llama-3.1-8b-instant": 2}}),
        ((1, 100_000), {"weighted": {"gpt-5-mini": 1, "groq/llama-3.1-8b-instant": 1}}),
    ],
)
def test_shares_calls_by_weight(
    imported: Import, weights: tuple[object, object], use: dict[str, Any]
) -> None:
    first, second = (
        f"{params}, weight: {weight}"
        for params, weight in zip((OPENAI, GROQ), weights, strict=True)
    )

    [rule] = rules(imported, deployments(("a", first), ("a", second)))

    assert rule["use"] == use


def test_makes_no_rule_of_weights_that_are_all_zero(imported: Import) -> None:
    text = deployments(("a", f"{OPENAI}, weight: 0"), ("a", f"{GROQ}, weight: 0"))

    result = imported(text, *ORG)

    assert rules(imported, text) == []
    assert any("all its weights are 0: no rule is made" in each for each in not_imported(result))


def test_makes_a_rule_of_a_name_that_only_falls_back(imported: Import) -> None:
    text = deployments(("gpt-5-mini", OPENAI), ("quick", GROQ)) + (
        "litellm_settings: {fallbacks: [{gpt-5-mini: [quick, nobody]}]}\n"
    )

    first, _ = rules(imported, text)

    assert first == {
        "name": "gpt-5-mini",
        "match": {"model": "gpt-5-mini"},
        "use": {"fixed": "gpt-5-mini"},
        "fallbacks": ["groq/llama-3.1-8b-instant"],
    }
    said = "model_name nobody: it has no upstream here, so gpt-5-mini does not fall back to it"
    assert not_imported(imported(text, *ORG)) == [f"line 2: {said}"]


def test_falls_back_by_default_where_nothing_else_is_said(imported: Import) -> None:
    text = deployments(("a", GROQ), ("gpt-5-mini", OPENAI), ("b", "model: o3")) + (
        "router_settings: {fallbacks: [{b: [a]}], default_fallbacks: [gpt-5-mini]}\n"
    )

    found = {rule["match"]["model"]: rule.get("fallbacks") for rule in rules(imported, text)}

    assert found == {"a": ["gpt-5-mini"], "b": ["groq/llama-3.1-8b-instant"]}


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("fast-*", GROQ, "no rule is for all names of a kind"),
        ("'*'", "model: groq/*", "no rule is for all names of a kind"),
        ("team/fast", GROQ, "team before the / would be an upstream"),
    ],
)
def test_says_of_which_names_no_rule_can_be(
    imported: Import, name: str, params: str, said: str
) -> None:
    text = deployments((name, params))

    assert rules(imported, text) == []
    assert said in not_imported(imported(text, *ORG))[0]


def test_names_rules_apart(imported: Import) -> None:
    found = rules(imported, deployments(("My Model", GROQ), ("my-model", GROQ), ("é", GROQ)))

    assert [rule["name"] for rule in found] == ["my-model", "my-model-2", "rule"]


def test_repeats_no_key_that_stands_for_a_name(imported: Import) -> None:
    key = "sk-proj-Kj3LiteralKey0123456789"

    result = imported(deployments((key, GROQ)), *ORG)

    assert key not in result.output


def test_is_strict_about_fallbacks_only_without_an_organisation(imported: Import) -> None:
    text = TWO + "router_settings: {fallbacks: [{a: [a]}]}\n"

    assert imported(text, "--strict").exit_code == 1
    assert imported(text, "--strict", *ORG).exit_code == 0
