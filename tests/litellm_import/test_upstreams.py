"""Where a deployment's calls go is an upstream, or it is said why none can be."""

from typing import Any

import pytest
import yaml

from common.gateway.upstream_records import UpstreamRecord, check_record
from common.llm.price_book import bundled_book
from scripts.commands.litellm_providers import PROVIDERS
from tests.litellm_import.conftest import Import, config, not_imported, upstreams

AZURE = "https://r.openai.azure.com"
OWN = "https://llm.example.com/v1"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            "model: mistral/mistral-small-latest",
            {
                "name": "mistral",
                "base_url": "https://api.mistral.ai/v1",
                "provider": "mistral",
                "credentials": [{"name": "mistral", "env": "MISTRAL_API_KEY"}],
            },
        ),
        (
            "model: xai/grok-4, api_key: os.environ/GROK_TEAM_API_KEY",
            {
                "name": "xai",
                "base_url": "https://api.x.ai/v1",
                "provider": "x-ai",
                "credentials": [{"name": "grok-team", "env": "GROK_TEAM_API_KEY"}],
            },
        ),
        (
            "model: openai/llama-3.3-70b, api_base: https://api.groq.com/openai/v1/",
            {
                "name": "groq",
                "base_url": "https://api.groq.com/openai/v1",
                "provider": "groq",
                "models": ["llama-3.3-70b"],
                "credentials": [{"name": "groq", "env": "GROQ_API_KEY"}],
            },
        ),
        (
            "model: azure/o_series/o3, api_version: '2024-10-21', api_base: "
            + AZURE
            + "/openai/deployments/o3",
            {
                "name": "azure",
                "base_url": "https://r.openai.azure.com/openai/v1",
                "provider": "azure",
                "credentials": [{"name": "azure", "env": "AZURE_API_KEY"}],
            },
        ),
        (
            "model: ollama_chat/llama3.2",
            {
                "name": "ollama",
                "base_url": "http://localhost:11434/v1",
                "allow_private": True,
                "models": ["llama3.2"],
                "credentials": [{"name": "ollama", "env": "OLLAMA_API_KEY"}],
            },
        ),
        (
            "model: own/q, custom_llm_provider: openai, api_base: " + OWN + "/chat/completions",
            {
                "name": "llm-example-com",
                "base_url": "https://llm.example.com/v1",
                "models": ["own/q"],
                "credentials": [{"name": "llm-example-com", "env": "LLM_EXAMPLE_COM_API_KEY"}],
            },
        ),
        (
            "model: openai/qwen, api_base: http://10.1.2.3/v1, api_key: os.environ/QWEN_API_KEY",
            {
                "name": "10-1-2-3",
                "base_url": "http://10.1.2.3/v1",
                "allow_private": True,
                "models": ["qwen"],
                "credentials": [{"name": "qwen", "env": "QWEN_API_KEY"}],
            },
        ),
        (
            "model: openai/qwen, api_base: http://openai/v1",
            {
                "name": "openai-2",
                "base_url": "http://openai/v1",
                "allow_private": True,
                "models": ["qwen"],
                "credentials": [{"name": "openai-2", "env": "OPENAI_2_API_KEY"}],
            },
        ),
        (
            "model: gemini/gemini-2.5-pro, api_key: os.environ/GOOGLE_API_KEY",
            {"name": "gemini", "credentials": [{"name": "google", "env": "GOOGLE_API_KEY"}]},
        ),
        (
            "model: groq/*",
            {
                "name": "groq",
                "base_url": "https://api.groq.com/openai/v1",
                "provider": "groq",
                "credentials": [{"name": "groq", "env": "GROQ_API_KEY"}],
            },
        ),
    ],
)
def test_makes_an_upstream_of_a_provider(
    imported: Import, params: str, expected: dict[str, Any]
) -> None:
    assert upstreams(imported(config(params))) == [expected]


@pytest.mark.parametrize(
    "params",
    [
        "model: gpt-5-mini",
        "model: openai/gpt-5-mini, api_key: os.environ/OPENAI_API_KEY, weight: 7",
        "model: openai/gpt-5-mini, api_base: https://api.openai.com/v1",
        "model: anthropic/claude-haiku-4-5",
        "model: claude-haiku-4-5, api_key: os.environ/ANTHROPIC_API_KEY",
        "model: gemini/gemini-2.5-pro",
    ],
)
def test_makes_none_of_a_vendor_that_its_own_variable_pays(imported: Import, params: str) -> None:
    assert upstreams(imported(config(params))) == []


def test_lists_no_model_whose_name_may_be_a_key(imported: Import) -> None:
    key = "c0ffee00c0ffee00c0ffee00c0ffee00"

    result = imported(
        config(f"model: openai/{key}, api_base: {OWN}", f"model: openai/m, api_base: {OWN}")
    )

    [own] = upstreams(result)
    assert own["models"] == ["m"]
    assert "line 2: 1 models of llm-example-com: at most 200 proper names are listed" in (
        not_imported(result)
    )


def test_leaves_an_address_from_the_environment_to_be_filled_in(imported: Import) -> None:
    result = imported(config("model: azure/a, api_base: os.environ/AZURE_API_BASE"), "--strict")

    assert result.exit_code == 1
    [azure] = yaml.safe_load(result.stdout)["upstreams"]
    assert azure["base_url"] == "https://azure-api-base.invalid/openai/v1"
    said = "put the value of AZURE_API_BASE in place of its .invalid address"
    assert f"line 2: the address of azure: {said}" in not_imported(result)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("model: sagemaker/m", "LiteLLM translates for this provider"),
        ("model: vertex_ai/gemini-2.5-pro", "a project and a location, written out"),
        (
            "model: vertex_ai/gemini-2.5-pro, vertex_project: os.environ/P, vertex_location: eu",
            "a project and a location, written out",
        ),
        (
            "model: vertex_ai/claude-haiku, vertex_project: p, vertex_location: global",
            "only Google's Gemini models",
        ),
        (
            f"model: vertex_ai/gemini-x, vertex_project: p, vertex_location: eu, api_base: {OWN}",
            "a project and a location, written out",
        ),
        ("model: anthropic/c, api_base: https://claude.example.com", "anthropic's own format"),
        ("model: azure/a", "the config has no api_base for it"),
        ("model: azure/a, api_base: https://gw.example.com/team/azure", "no address of an Azure"),
        ("model: openai/responses/gpt-5-mini", "LiteLLM translates to Responses"),
        ("model: some-model", "whose model it is"),
        ("model: os.environ/MODEL", "whose model it is"),
        ("model: openai/q, api_base: https://user:pw@llm.example.com", "an address has no user"),
        ("model: openai/q, api_base: ftp://llm.example.com", "an address begins with https://"),
        ("model: openai/q, api_base: nowhere", "an address is needed"),
        ("model: openai/q, api_base: 'https://[::1'", "an address is needed"),
    ],
)
def test_makes_none_of_what_no_upstream_can_stand_for(
    imported: Import, params: str, said: str
) -> None:
    result = imported(config(params))

    assert upstreams(result) == []
    [loss, *_] = not_imported(result)
    assert loss.startswith("line 2: ")
    assert said in loss


def test_knows_providers_whose_prices_and_addresses_can_be_used() -> None:
    named = {name for each in PROVIDERS.values() if (name := each.prices) is not None}
    addresses = {each.base_url for each in PROVIDERS.values() if each.base_url is not None}

    assert named - set(bundled_book().providers) == set()
    for address in addresses:
        check_record(UpstreamRecord("own", address, allow_private=address.startswith("http://")))


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0xa9fea9fe", "[fe80::1]", "metadata.google.internal"]
)
def test_imports_no_metadata_server(imported: Import, host: str) -> None:
    text = config(f"model: openai/m, api_base: 'http://{host}/v1'", "model: mistral/a")

    result = imported(text)

    assert [each["name"] for each in upstreams(result)] == ["mistral"]
    assert any("they are never an upstream" in line for line in not_imported(result))


def test_gives_one_notice_for_each_private_address(imported: Import) -> None:
    addresses = ("http://one.internal/v1", "http://10.0.0.1/v1", "http://10.0.0.1/v1", OWN)
    text = config(*(f"model: openai/m, api_base: '{each}'" for each in addresses))

    result = imported(text)

    allowed = [each["name"] for each in upstreams(result) if each.get("allow_private")]
    noticed = [line for line in result.stdout.splitlines() if " has allow_private" in line]
    assert len(allowed) == len(noticed) == 2
    assert all(f"{name} has allow_private" in "".join(noticed) for name in allowed)
