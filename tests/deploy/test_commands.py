"""What the texts tell people to type does what they say, as far as it goes without an account.

The bundles are made and Terraform is initialised by the very lines of the README, in a copy of the
repository; what is applied stops at mocked providers. The commands that an installation then prints
are run against one behind a simulated Cloud Run.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from common.runtime.function_settings import ProxySettings
from scripts.commands import cloudops, dead_letters
from scripts.functions_table import read_functions
from scripts.terraform_checks.checkouts import LEFT_OUT, NO_PROVIDERS, Checkout
from scripts.terraform_checks.mocked_apply import Applied, Installation, apply_mocked
from tests.deploy.cloud import Cloud, a_token
from tests.deploy.conftest import Pubsub
from tests.repository.sources import ROOT

README, GUIDE = "README.md", "terraform/README.md"
VARIABLE = re.compile(r"-var (?:'([^']+)'|(\S+))")
APPLIES = re.compile(r"terraform -chdir=(\S+) (?:apply|destroy)")
COPIED = ("common", "functions", "scripts", "terraform")


def section(file: str, heading: str) -> str:
    text = (ROOT / file).read_text()
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def lines(block: str) -> list[str]:
    """The commands of a block, each in one line."""
    return block.replace("\\\n", " ").splitlines()


def given(command: str) -> dict[str, Any]:
    """The variables that a command sets, as Terraform reads them."""
    pairs = [(quoted or plain).split("=", 1) for quoted, plain in VARIABLE.findall(command)]
    return {name: json.loads(text) if text[0] in '[{"' else text for name, text in pairs}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository in which the README's first two commands have been run."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    root = tmp_path_factory.mktemp("clone")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=LEFT_OUT)
    for file in ("pyproject.toml", "tests/requirements.txt"):
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    (root / ".venv").symlink_to(ROOT / ".venv")
    [block] = blocks(section(README, "Deploy"), "sh")
    for command in lines(block)[:2]:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=root, capture_output=True, text=True, check=False
        )
        if any(text in done.stderr for text in NO_PROVIDERS):
            pytest.skip("terraform init found no providers")
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    return Checkout(root)


@pytest.fixture(scope="module")
def applied(copy: Checkout) -> Applied:
    """What the third command comes to, with the variables that it sets."""
    [block] = blocks(section(README, "Deploy"), "sh")
    _, _, command = lines(block)
    variables = given(command)
    chosen = Installation(
        name="readme",
        project=variables.pop("project_id"),
        region="europe-west1",
        prefix="oco",
        variables=variables,
    )
    found, _ = apply_mocked(copy, read_functions(ROOT), [chosen])
    return found["readme"]


@pytest.mark.slow
def test_makes_an_installation_with_the_three_commands_of_the_readme(applied: Applied) -> None:
    functions = applied.of_type("google_cloudfunctions2_function")

    api = functions['module.function["api"].google_cloudfunctions2_function.function']
    [settings] = api["service_config"]
    assert len(functions) == len(read_functions(ROOT))
    assert settings["environment_variables"]["CONSOLE_ADMINS"] == "ada@example.com"


@pytest.mark.slow
def test_prints_next_steps_that_lead_to_a_key(
    applied: Applied, cloud: Cloud, pubsub: Pubsub, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {
        "https://api.run.app": cloud.api_url,
        "https://proxy.run.app": cloud.proxy_url,
        "pubsub://my-project/oco": pubsub.url,
        "$(gcloud auth print-identity-token)": a_token(),
    }
    text = applied.outputs["next_steps"]
    for place, here in places.items():
        text = text.replace(place, here)
    commands, _, urls = text.partition("\n\n")
    done = []
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
        else:
            assert words[0] == "scripts/cloudops"
            done.append(CliRunner().invoke(cloudops.app, words[1:]))

    assert [each.output for each in done if each.exit_code] == []
    assert done[0].output.startswith("Nothing is wrong.\n")
    assert re.search(r"^ocg_\w", done[-1].output, re.MULTILINE)
    assert urls.split()[-6:] == [
        *("OpenAI", f"{cloud.proxy_url}/openai/v1"),
        *("Anthropic", f"{cloud.proxy_url}/anthropic"),
        *("Gemini", f"{cloud.proxy_url}/gemini"),
    ]


@pytest.mark.slow
def test_keeps_the_state_in_a_bucket_by_the_lines_of_the_guide(copy: Checkout) -> None:
    _, backend = blocks(section(GUIDE, "Deploy"), "hcl")
    override = copy.terraform / "backend_override.tf"
    override.write_text(backend)
    try:
        assert copy.run("fmt", "-check", "backend_override.tf").stdout == ""
        assert [each for each in copy.validate() if each["severity"] == "error"] == []
    finally:
        override.unlink()


def variables_of(module: str) -> set[str]:
    text = (ROOT / module / "variables.tf").read_text()
    return set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))


@pytest.mark.parametrize("file", [README, GUIDE])
def test_sets_variables_that_exist(file: str) -> None:
    text = (ROOT / file).read_text()
    named = {("terraform", name) for name in re.findall(r"`TF_VAR_(\w+)", text)}
    for block in blocks(text, "hcl")[:1]:
        named |= {("terraform", name) for name in re.findall(r"^(\w+) +=", block, re.MULTILINE)}
    for block in blocks(text, "sh"):
        exported = set(re.findall(r"^export TF_VAR_(\w+)", block, re.MULTILINE))
        for command in lines(block):
            if applies := APPLIES.search(command):
                names = {*given(command), *re.findall(r"TF_VAR_(\w+)", command), *exported}
                named |= {(applies[1], name) for name in names}

    unknown = {(module, name) for module, name in named if name not in variables_of(module)}
    assert unknown == set()
    root = {name for module, name in named if module == "terraform"}
    assert {"project_id", "console_admins", "private_callers"} <= root


def test_lists_and_replays_dead_letters_as_the_guide_says(pubsub: Pubsub) -> None:
    pubsub.publish("dead-letter", b"{}", {"type": "budgets.sweep"})
    [block] = blocks(section(GUIDE, "Operate"), "sh")

    def run(line: str) -> Result:
        script, *words = shlex.split(line.replace("pubsub://my-project/oco", pubsub.url))
        assert script == "scripts/dead_letters"
        return CliRunner().invoke(dead_letters.cli, words)

    listed, replayed = map(run, lines(block))

    assert listed.output.endswith("1 dead letter.\n")
    assert replayed.output == "1 replayed\n"


def containers(heading: str) -> Mapping[str, Any]:
    [block] = blocks(section(GUIDE, heading), "yaml")
    [container] = yaml.safe_load(block)["spec"]["template"]["spec"]["containers"]
    found: Mapping[str, Any] = container
    return found


def test_gives_the_container_on_knative_all_that_the_proxy_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    container = containers("Knative and Kubernetes")
    fields = {name.upper() for name in ProxySettings.model_fields}

    monkeypatch.setenv("K_SERVICE", "proxy")
    for each in container["env"]:
        monkeypatch.setenv(each["name"], each.get("value", "a-secret-of-some-length"))

    assert ProxySettings().on_cloud_run
    assert {each["name"] for each in container["env"]} <= fields
    assert container["securityContext"]["runAsNonRoot"] is True
    assert Path(container["readinessProbe"]["httpGet"]["path"]).name == "health"
