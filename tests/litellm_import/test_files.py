"""A file that is none of LiteLLM's is refused with the line that is wrong, and cannot do harm."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.commands.cloudops import app
from scripts.commands.litellm_file import MOST_BYTES
from tests.litellm_import.conftest import Import, entry, not_imported, upstreams


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", "1", "no config of LiteLLM's proxy"),
        ("- a\n", "1", "no config of LiteLLM's proxy"),
        ("# x\napiVersion: v1\nkind: Pod\n", "2", "no config of LiteLLM's proxy"),
        ("name: acme\nupstreams: []\n", "1", "no config of LiteLLM's proxy"),
        ("model_list:\n  a: b\n", "1", "model_list is no list"),
        ("model_list:\n  - model_name: m\n", "2", "a model needs litellm_params, an object"),
        ("model_list:\n  - x\n", "2", "a model needs a model_name, as text"),
        (
            "model_list:\n  - model_name: m\n    litellm_params: {model: [a]}\n",
            "3",
            "litellm_params needs a model, as text",
        ),
        (
            "router_settings: []\nmodel_list:\n  - litellm_params: {}\n",
            "1",
            "router_settings is no object",
        ),
        ("model_list: []\nmodel_list: []\n", "2", "this member stands here twice"),
        ("model_list:\n  - {\n", "3", "no YAML"),
        ("model_list: !!python/name:os.system\n", "1", "a tag that is not of a config"),
        ("model_list: []\n---\nmodel_list: []\n", "2", "no YAML"),
        ("model_list: []\n? [a]\n: b\n", "2", "a name that is no text"),
        ("model_list: []\nx: &a [*a]\n", "", "no YAML that can be read"),
        ("model_list: " + "[" * 5_000, "", "no YAML that can be read"),
        ("model_list: \x00", "", "no YAML that can be read"),
        ("model_list: []\n" + "#" * MOST_BYTES, "", "more than 512 KiB"),
    ],
)
def test_says_in_one_line_what_is_wrong_with_a_file(
    imported: Import, tmp_path: Path, text: str, place: str, said: str
) -> None:
    result = imported(text)

    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'config.yaml'}:{place}{':' if place else ''} ")
    assert said in line


def test_counts_what_aliases_stand_for(imported: Import) -> None:
    levels = [f"l{at}: &l{at} [{', '.join([f'*l{at - 1}'] * 10)}]" for at in range(1, 9)]
    text = "\n".join(["model_list: []", "l0: &l0 [a]", *levels]) + "\n"

    result = imported(text)

    assert result.exit_code == 1
    assert "more than 50000 values, aliases written out" in result.stderr


def test_takes_anchors_and_merged_parameters(imported: Import) -> None:
    text = (
        "model_list:\n"
        "  - model_name: groq/a\n"
        "    litellm_params: &shared {model: groq/a, api_key: os.environ/TEAM_API_KEY}\n"
        "  - model_name: groq/b\n"
        "    litellm_params: {<<: *shared, model: groq/b}\n"
    )

    result = imported(text)

    [groq] = upstreams(result)
    assert (groq["models"], len(groq["credentials"])) == (["a", "b"], 1)
    assert not_imported(result) == []


def test_writes_no_line_of_its_own_for_a_name_with_a_line_break(imported: Import) -> None:
    name = r'"m\nkeys: [x]"'

    result = imported(f"model_list:\n{entry('model: groq/a', name)}")

    assert upstreams(result)[0]["name"] == "groq"
    assert "keys: [x]" not in result.stdout


def test_says_that_there_is_no_file(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.yaml")

    result = CliRunner().invoke(app, ["import", "litellm", path])

    assert (result.exit_code, "No such file" in result.stderr) == (1, True)
