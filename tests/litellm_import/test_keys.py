"""Keys become variables that share the calls, and no key is told, wherever it stands."""

from collections.abc import Iterator

import pytest
import yaml

from common.api.manifest_models import read_manifest
from tests.litellm_import.conftest import Import, config, entry, not_imported, upstreams


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (("2", "3"), [2, 3]),
        (("2", None), [2, 1]),
        (("0.75", "0.25"), [3, 1]),
        ((".5", "1.5"), [1, 3]),
        (("2000", "1000"), [2, 1]),
        (("4", "2"), [4, 2]),
        (("5", "0"), [5]),
        (("1", "100000"), [1, 1]),
        (("many", "2"), [1, 2]),
        (("-1", "2"), [1, 2]),
    ],
)
def test_makes_several_keys_of_one_upstream_share_by_weight(
    imported: Import, weights: tuple[str | None, ...], expected: list[int]
) -> None:
    deployments = [
        f"model: mistral/m, api_key: os.environ/M{at}_API_KEY"
        + ("" if weight is None else f", weight: {weight}")
        for at, weight in enumerate(weights)
    ]

    [upstream] = upstreams(imported(config(*deployments)))

    assert [each.get("weight", 1) for each in upstream["credentials"]] == expected
    assert [each["name"] for each in upstream["credentials"]] == ["m0", "m1"][: len(expected)]


def test_ignores_the_weight_of_a_deployment_that_is_alone(imported: Import) -> None:
    text = "model_list:\n" + "".join(
        entry(f"model: mistral/a, api_key: os.environ/{key}_API_KEY, weight: {weight}", name)
        for name, key, weight in (("a", "ONE", 9), ("b", "ONE", 2), ("b", "TWO", 1))
    )

    [upstream] = upstreams(imported(text))

    assert [each.get("weight", 1) for each in upstream["credentials"]] == [2, 1]


def test_tells_of_keys_that_pay_for_more_than_before(imported: Import) -> None:
    text = config(
        "model: mistral/a, api_key: os.environ/A_API_KEY",
        "model: mistral/b, api_key: os.environ/B_API_KEY",
    )

    said = "here every key of an upstream pays for all its models"
    assert any(said in line for line in not_imported(imported(text)))


def test_puts_a_variable_in_the_place_of_a_key_and_warns(imported: Import) -> None:
    text = config(
        "model: groq/a, api_key: first-literal-key",
        "model: groq/a, api_key: other-literal-key",
        "model: groq/a, api_key: first-literal-key",
        "model: groq/a, api_key: os.environ/GROQ_2_API_KEY",
        "model: openai/gpt-5-mini, api_key: own-literal-key",
    )

    result = imported(text)

    [groq] = upstreams(result)
    named = [each["env"] for each in groq["credentials"]]
    assert named == ["GROQ_API_KEY", "GROQ_3_API_KEY", "GROQ_2_API_KEY"]
    assert "literal" not in result.output
    warnings = [line.partition("config.yaml:")[2] for line in result.stderr.splitlines()]
    said = "a key stands in the config itself: it is not copied: give it to the proxy as"
    assert warnings == [
        f"3: {said} GROQ_API_KEY",
        f"5: {said} GROQ_3_API_KEY",
        f"7: {said} GROQ_API_KEY",
        f"11: {said} OPENAI_API_KEY",
    ]
    assert f"#   lines 3, 7: {said} GROQ_API_KEY" in result.stdout.splitlines()


def test_gives_a_key_no_variable_that_holds_another(imported: Import) -> None:
    """LiteLLM reads GROQ_API_KEY for the second, so the first, a literal, needs another."""
    text = config("model: groq/a, api_key: literal", "model: groq/a", "model: groq/b, api_key: ''")

    [groq] = upstreams(imported(text))

    assert [each["env"] for each in groq["credentials"]] == ["GROQ_2_API_KEY", "GROQ_API_KEY"]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("AZURE_KEY", "AZURE_KEY_API_KEY"),
        ("mixed_Key", "MIXED_KEY_API_KEY"),
        ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("_", "AZURE_API_KEY"),
    ],
)
def test_replaces_a_variable_that_no_upstream_may_name(
    imported: Import, named: str, expected: str
) -> None:
    params = f"model: azure/a, api_base: https://r.openai.azure.com, api_key: os.environ/{named}"

    result = imported(config(params))

    [azure] = upstreams(result)
    assert [each["env"] for each in azure["credentials"]] == [expected]
    assert f"3: {named} cannot be named here" in result.stderr
    assert f"give it to the proxy as {expected}\n" in result.stderr


def test_takes_keys_and_addresses_from_the_credential_list(imported: Import) -> None:
    text = (
        config("model: azure/a, litellm_credential_name: eu")
        + entry("model: azure/b, litellm_credential_name: none")
        + "credential_list:\n"
        "  - credential_name: eu\n"
        "    credential_values: {organization: o, api_key: os.environ/EU_API_KEY,"
        " api_base: 'https://eu.openai.azure.com'}\n"
    )

    result = imported(text)

    [azure] = upstreams(result)
    assert azure["base_url"] == "https://eu.openai.azure.com/openai/v1"
    assert [each["env"] for each in azure["credentials"]] == ["EU_API_KEY"]
    losses = not_imported(result)
    assert "line 5: litellm_credential_name: credential_list has none of this name" in losses
    assert "line 8: credential_values.organization: nothing here corresponds to it" in losses


PLACES = """\
model_list:
  - model_name: X
    litellm_params: {model: openai/X, api_base: 'https://llm.example.com/X', api_key: X, weight: X}
  - model_name: X
    litellm_params: {model: X/m, organization: X, extra_headers: {X: X}, X: X}
    model_info: {X: X, base_model: X}
    X: X
  - model_name: a
    litellm_params: {model: azure/m, api_base: X, api_key: os.environ/X, api_version: X}
  - model_name: a
    litellm_params: {model: groq/m, api_key: os.environ/X}
  - model_name: b
    litellm_params: {model: openai/m, api_base: 'https://X.example.com/v1'}
  - model_name: b
    litellm_params: {model: openai/m, api_base: 'https://llm.example.com/v1?key=X'}
  - model_name: c
    litellm_params: {model: groq/m, api_base: os.environ/X, litellm_credential_name: X}
  - model_name: d
    litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: X, vertex_location: X}
  - model_name: e
    litellm_params: {model: m, custom_llm_provider: X}
  - model_name: f
    litellm_params: {model: groq/m, api_key: [X, {X: X}]}
credential_list: [{credential_name: X, credential_values: {api_key: X}}]
router_settings: {redis_password: X, fallbacks: [{X: [X]}], model_group_alias: {X: X}, X: X}
litellm_settings: {X: X, success_callback: [X]}
general_settings: {master_key: X, database_url: 'postgresql://u:X@h/db'}
environment_variables: {X: X}
X: X
"""


def planted(key: str) -> Iterator[str]:
    """The config with a key in one place each, something harmless in all others."""
    pieces = PLACES.split("X")
    for at in range(len(pieces) - 1):
        words = [key if at == other else f"w{other}" for other in range(len(pieces) - 1)]
        yield "".join(a + b for a, b in zip(pieces, [*words, ""], strict=True))


@pytest.mark.parametrize(
    "key",
    ["sk-proj-0123456789abcDEF", "AKIAIOSFODNN7EXAMPLE", "c0ffee00c0ffee00c0ffee00c0ffee00"],
)
def test_tells_no_key_wherever_it_stands(imported: Import, key: str) -> None:
    results = [imported(text) for text in planted(key)]

    assert {result.exit_code for result in results} == {0}
    assert [result.output for result in results if key.lower() in result.output.lower()] == []
    assert all(read_manifest(yaml.safe_load(result.stdout)) for result in results)


@pytest.mark.parametrize(
    "setting",
    [
        "model_list: [{model_name: m, litellm_params: {model: groq/m, api_key: horse-staple}}]",
        "model_list: [{model_name: m, litellm_params: {model: groq/m, api_key: [horse-staple]}}]",
        "model_list: [{model_name: m, litellm_params: {model: groq/m, password: horse-staple}}]",
        "general_settings: {master_key: horse-staple}",
        "environment_variables: {DATABASE_PASSWORD: horse-staple}",
        "model_list: [{model_name: m, litellm_params: {model: groq/m, api_key: *horse-staple}}]",
        "model_list: [{model_name: m, litellm_params: {model: groq/m, api_key: !horse-staple x}}]",
    ],
)
def test_tells_no_value_of_a_key_or_setting(imported: Import, setting: str) -> None:
    assert "horse" not in imported(setting).output


@pytest.mark.parametrize("weight", ["010", "1_000", "0x10", "1:30"])
def test_takes_no_weight_that_readers_take_for_different_numbers(
    imported: Import, weight: str
) -> None:
    text = "model_list:\n" + "".join(
        entry(f"model: mistral/a, api_key: os.environ/{key}_API_KEY, weight: {each}")
        for key, each in (("ONE", weight), ("TWO", "3"))
    )

    result = imported(text)

    [upstream] = upstreams(result)
    assert [each.get("weight", 1) for each in upstream["credentials"]] == [1, 3]
    assert any("no plain number as 10 or 0.5" in line for line in not_imported(result))
