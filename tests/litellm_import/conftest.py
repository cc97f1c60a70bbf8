"""Configs of LiteLLM's proxy, imported where no server is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from common.api.manifest_models import read_manifest
from scripts.commands.cloudops import app
from tests.cloudops.conftest import cloudops, installation

__all__ = ["cloudops", "installation"]

WHOLE = """\
model_list:
  - model_name: gpt-5-mini
    litellm_params:
      model: openai/gpt-5-mini
      api_key: os.environ/OPENAI_API_KEY
      weight: 3
  - model_name: gpt-5-mini
    litellm_params:
      model: gpt-5-mini
      api_key: os.environ/SPARE_OPENAI_API_KEY
  - model_name: quick
    litellm_params:
      model: groq/llama-3.1-8b-instant
      api_key: gsk_Kj3LiteralKeyOfGroq99
      rpm: 60
  - model_name: balanced
    litellm_params: {model: azure/gpt-5-mini, api_base: https://eu.openai.azure.com/}
  - model_name: balanced
    litellm_params: {model: azure/gpt-5-mini, api_base: https://us.openai.azure.com/}
  - model_name: vertex/gemini-2.5-pro
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_project: my-project
      vertex_location: europe-west4
  - model_name: vllm/qwen3
    litellm_params: {model: hosted_vllm/qwen3, api_base: http://vllm:8000/v1}
  - model_name: claude
    litellm_params: {model: bedrock/anthropic.claude-haiku, aws_region_name: eu-west-1}
router_settings:
  fallbacks: [{quick: [balanced, gpt-5-mini]}]
general_settings:
  master_key: sk-1234
"""
Import = Callable[..., Result]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Imports a config."""

    def imported(text: str, *options: str) -> Result:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        nowhere = ["--url", "http://127.0.0.1:9"]
        return CliRunner().invoke(app, [*nowhere, "import", "litellm", str(path), *options])

    return imported


def entry(params: str, name: str = "m") -> str:
    """One deployment, two lines of a config."""
    return f"  - model_name: {name}\n    litellm_params: {{{params}}}\n"


def config(*deployments: str) -> str:
    """A config of such deployments: the first stands in lines 2 and 3."""
    return "model_list:\n" + "".join(entry(each) for each in deployments)


def upstreams(result: Result) -> list[dict[str, Any]]:
    """What is printed, as the API reads it."""
    assert result.exit_code == 0, result.output
    content = yaml.safe_load(result.stdout)
    read_manifest(content)
    found: list[dict[str, Any]] = content["upstreams"]
    return found


def not_imported(result: Result) -> list[str]:
    """The comments about what is lost."""
    _, _, losses = result.stdout.partition("# Not imported:\n")
    return [line.removeprefix("#   ") for line in losses.splitlines()]
