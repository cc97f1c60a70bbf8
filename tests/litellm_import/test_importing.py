"""`scripts/cloudops import litellm`: a manifest that is applied as it is, and what it lacks."""

from pathlib import Path

import pytest

from tests.cloudops.conftest import Cloudops
from tests.litellm_import.conftest import WHOLE, Import, config, entry, not_imported

LOSSES = """\
line 11: model_name quick: clients send groq/llama-3.1-8b-instant; with --org it becomes a rule
line 15: litellm_params.rpm: limits are a gateway key's: policy.limits with rpm, tpm and concurrency
line 16: model_name balanced: clients send one of azure/gpt-5-mini, azure-2/gpt-5-mini; with --org it becomes a rule
line 27: model bedrock/anthropic.claude-haiku: LiteLLM translates for this provider, the gateway does not; if it speaks OpenAI's format somewhere, make an upstream of that address
line 28: litellm_params.aws_region_name: nothing here corresponds to it
line 30: router_settings.fallbacks (quick to balanced, gpt-5-mini): with --org they become fallbacks of rules
line 32: general_settings.master_key: calls take gateway keys, and CONSOLE_ADMINS may use the API
"""  # noqa: E501 - as they are printed


def test_prints_a_manifest_that_is_applied_as_it_is(
    cloudops: Cloudops, imported: Import, tmp_path: Path
) -> None:
    manifest = tmp_path / "gateway.yaml"
    manifest.write_text(imported(WHOLE).stdout)

    planned = cloudops("apply", "-f", str(manifest), "--plan")
    applied = cloudops("apply", "-f", str(manifest), "--yes")
    again = cloudops("apply", "-f", str(manifest), "--plan")

    assert (planned.exit_code, planned.output.splitlines()) == (
        2,
        [
            "+ create  upstream openai",
            "+ create  upstream groq",
            "+ create  upstream azure",
            "+ create  upstream azure-2",
            "+ create  upstream vertex",
            "+ create  upstream vllm",
            "6 changes, 0 as they are.",
        ],
    )
    assert applied.exit_code == 0
    assert (again.exit_code, again.output) == (0, "0 changes, 6 as they are.\n")


def test_says_what_it_cannot_import_where_and_what_to_do(imported: Import) -> None:
    result = imported(WHOLE)

    assert not_imported(result) == LOSSES.splitlines()


def test_says_the_same_of_several_lines_once(imported: Import) -> None:
    twice = ", ".join(["{model_name: groq/a, litellm_params: {model: groq/a, rpm: 1}}"] * 2)
    text = f"model_list:\n  [{twice},\n  {twice}]\n"

    [loss] = not_imported(imported(text))

    assert loss.startswith("lines 2, 3: litellm_params.rpm: ")


def test_says_that_keys_teams_and_budgets_are_not_in_the_file(imported: Import) -> None:
    said = "# Keys, teams and their budgets are in LiteLLM's database"

    assert said in imported(WHOLE).stdout
    assert said in imported("model_list: []\n").stdout


def test_names_the_variables_that_the_proxy_needs(imported: Import) -> None:
    _, _, rest = imported(WHOLE).stdout.partition("# Variables that the proxy needs")

    assert rest.splitlines()[1:7] == [
        "#   AZURE_API_KEY: azure, azure-2",
        "#   GROQ_API_KEY: groq",
        "#   OPENAI_API_KEY: openai",
        "#   SPARE_OPENAI_API_KEY: openai",
        "#   VLLM_API_KEY: vllm",
        "#",
    ]


def test_prints_the_same_whatever_the_environment_holds(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = WHOLE.replace("https://eu.openai.azure.com/", "os.environ/AZURE_BASE")
    before = imported(text).stdout
    monkeypatch.setenv("AZURE_BASE", "https://real.openai.azure.com")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")

    assert imported(text).stdout == before


@pytest.mark.parametrize(
    ("name", "params", "sent"),
    [
        ("gpt-5-mini", "model: openai/gpt-5-mini", None),
        ("openai/gpt-5-mini", "model: openai/gpt-5-mini", None),
        ("groq/a", "model: groq/a", None),
        ("a", "model: groq/a", "groq/a"),
        (
            "claude-haiku-4-5",
            "model: claude-haiku-4-5",
            "anthropic/claude-haiku-4-5, or this name at /anthropic",
        ),
        ("anthropic/*", "model: anthropic/*", None),
    ],
)
def test_tells_of_names_that_clients_send_otherwise(
    imported: Import, name: str, params: str, sent: str | None
) -> None:
    losses = not_imported(imported("model_list:\n" + entry(params, f"'{name}'")))

    told = f"line 2: model_name {name}: clients send {sent}; with --org it becomes a rule"
    assert losses == ([] if sent is None else [told])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("model_list: []\n", 0),
        (config("model: openai/gpt-5-mini").replace(" m\n", " gpt-5-mini\n"), 0),
        ("general_settings: {}\nlitellm_settings:\n", 0),
        (config("model: bedrock/x"), 1),
        ("litellm_settings: {drop_params: true}\n", 1),
        (config("model: groq/a").replace(" m\n", " groq/a\n    model_info: {}\n"), 0),
        ("model_list: []\nguardrails: [{guardrail_name: g}]\n", 1),
        (config("model: groq/a").replace(" m\n", " groq/a\n    model_info: {mode: chat}\n"), 1),
    ],
)
def test_is_strict_about_what_is_lost_when_told(imported: Import, text: str, code: int) -> None:
    lenient, strict = imported(text), imported(text, "--strict")

    assert (lenient.exit_code, strict.exit_code) == (0, code)
    assert strict.stdout == lenient.stdout
    assert ("things are not imported" in strict.stderr) == bool(code)
