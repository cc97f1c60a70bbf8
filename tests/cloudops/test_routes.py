"""`scripts/cloudops routes`, against a live API."""

import json
import re
from pathlib import Path

import pytest

from tests.cloudops.conftest import Cloudops

pytestmark = pytest.mark.usefixtures("acme")

ORG = ("--org", "acme")
WHO = (*ORG, "--team", "search", "--agent", "crawler")
FIRST = """
rules:
  - name: small
    match: {model: gpt-5, stream: false, input_tokens_to: 10000}
    use: {fixed: gpt-5-mini}
    fallbacks: [anthropic/claude-haiku-4-5]
"""
LADDER = """
rules:
  - name: down
    match: {tags: {env: dev}}
    use:
      ladder:
        - {model: gpt-5, until: 80}
        - {model: gpt-5-nano, until: 100}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Rules to set."""
    written = tmp_path / "rules.yaml"
    written.write_text(FIRST)
    return written


def test_sets_and_shows_what_a_file_says(cloudops: Cloudops, file: Path) -> None:
    said = cloudops("routes", "set", str(file), *ORG)

    shown = cloudops("routes", "show", *ORG).output
    assert said.output == "1 rule of acme, version 1, in force.\n"
    assert re.match(r"# acme, version 1, by .+, \d{4}-", shown)
    file.write_text(shown)
    assert cloudops("routes", "set", str(file), *ORG).output == said.output


def test_takes_json_as_well_and_keeps_every_digit(cloudops: Cloudops, file: Path) -> None:
    structural = {
        "small": "gpt-5-mini",
        "large": "gpt-5",
        "intercept": -11.0716,
        "weights": {"size": 0.504427},
        "threshold": 0.1592,
    }
    rule = {"name": "by-form", "use": {"structural": structural}, "shadow": True}
    file.write_text(json.dumps({"rules": [rule]}, indent=2))

    cloudops("routes", "set", str(file), *ORG)

    data = json.loads(cloudops("routes", "show", *ORG, "--json").stdout)["data"]
    assert data["rules"] == [rule]


def test_lists_versions_and_shows_an_earlier_one(cloudops: Cloudops, file: Path) -> None:
    cloudops("routes", "set", str(file), *ORG)
    file.write_text(LADDER)
    cloudops("routes", "set", str(file), *ORG)
    file.write_text("rules: []")
    cloudops("routes", "set", str(file), *ORG)

    lines = cloudops("routes", "versions", *ORG).output.splitlines()
    last = cloudops("routes", "versions", *ORG, "--limit", "1").output.splitlines()
    earlier = cloudops("routes", "show", *ORG, "--version", "1").output

    rows = [re.split(r" {2,}", line.strip()) for line in lines[1:-1]]
    assert [(row[0], row[-1]) for row in rows] == [("3", "-"), ("2", "down"), ("1", "small")]
    assert lines[-1] == last[-1] == "3 versions of the rules of acme."
    assert len(last) == 3
    assert "gpt-5-mini" in earlier


def test_lists_nothing_where_nobody_has_written_rules(cloudops: Cloudops) -> None:
    lines = cloudops("routes", "versions", *ORG).output.splitlines()

    assert len(lines) == 2
    assert lines[-1] == "0 versions of the rules of acme."


def test_overwrites_only_the_version_it_is_told(cloudops: Cloudops, file: Path) -> None:
    cloudops("routes", "set", str(file), *ORG, "--version", "0")
    file.write_text(LADDER)

    refused = cloudops("routes", "set", str(file), *ORG, "--version", "0")

    assert refused.exit_code == 1
    assert "version 1 of the rules is in force" in refused.stderr
    assert "gpt-5-mini" in cloudops("routes", "show", *ORG).output


def test_tries_the_rules_in_force(cloudops: Cloudops, file: Path) -> None:
    cloudops("routes", "set", str(file), *ORG)

    tried = cloudops("routes", "dry-run", *WHO, "--model", "gpt-5")
    other = cloudops("routes", "dry-run", *WHO, "--model", "gpt-4o")

    assert tried.output == (
        "Rule small chooses gpt-5-mini (fixed). The call goes to gpt-5-mini at openai, then "
        "claude-haiku-4-5 at anthropic.\n"
    )
    assert other.output == "No rule is for this call. It goes to gpt-4o at openai.\n"


def test_tries_other_rules_with_a_request_from_a_file(
    cloudops: Cloudops, file: Path, tmp_path: Path
) -> None:
    file.write_text(LADDER)
    body = tmp_path / "request.json"
    body.write_text(json.dumps({"model": "claude-sonnet-4-5", "messages": []}))
    native = ("--body", str(body), "--path", "/anthropic/v1/messages")
    rules = ("--rules", str(file), "--tag", "env=dev")

    used = cloudops("routes", "dry-run", *WHO, "--model", "o3", *rules, "--budget-used", "85")
    elsewhere = cloudops("routes", "dry-run", *WHO, *native)

    assert "goes to gpt-5-nano at openai" in used.output
    assert elsewhere.output.endswith("It goes to claude-sonnet-4-5 at anthropic.\n")


def test_says_what_a_rule_leaves_out(cloudops: Cloudops, file: Path) -> None:
    file.write_text("rules: [{name: a, use: {fixed: nobody/x}, fallbacks: [gpt-5-mini]}]")

    tried = cloudops("routes", "dry-run", *WHO, "--model", "gpt-5", "--rules", str(file))

    assert tried.output.splitlines()[-1] == "! rule a: nobody/x left out (unknown_upstream)"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rules: [", "rules.yaml:1: no YAML"),
        ("rules:\n  - {name: a, name: b}\n", "rules.yaml:2: no YAML"),
        ("[]", "rules.yaml:1: write an object whose one member is `rules`"),
        ("{rules: [], more: 1}", "rules.yaml:1: write an object whose one member is `rules`"),
        ("rules: [{name: A, use: {}}]", "422 invalid_input (rules): rules[0].name"),
        ("rules: 5", "422 invalid_input (rules)"),
    ],
)
def test_says_what_is_wrong_with_a_file(
    cloudops: Cloudops, file: Path, content: str, said: str
) -> None:
    file.write_text(content)

    refused = cloudops("routes", "set", str(file), *ORG)

    assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either --model or --body"),
        (["--model", "a", "--body", "b"], "give either --model or --body"),
        (["--body", "nowhere.json"], "nowhere.json: No such file"),
        (["--model", "a", "--tag", "x"], "--tag 'x' is not NAME=VALUE"),
        (["--model", "a", "--path", "/nowhere"], "422 invalid_input (path)"),
    ],
)
def test_says_what_a_dry_run_needs(cloudops: Cloudops, arguments: list[str], said: str) -> None:
    refused = cloudops("routes", "dry-run", *WHO, *arguments)

    assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr


def test_says_that_there_is_no_such_organisation(cloudops: Cloudops, file: Path) -> None:
    refused = cloudops("routes", "set", str(file), "--org", "nobody")

    assert (refused.exit_code, "404 not_found" in refused.stderr) == (1, True)
