"""`scripts/cloudops apply`, against a live API."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloudops.conftest import Cloudops
from tests.repository.sources import ROOT

FILE = """\
name: acme-platform
orgs:
  - {id: acme, name: Acme}
teams:
  - {org: acme, id: search}
agents:
  - {org: acme, id: crawler, team: search}
keys:
  - org: acme
    name: ci
    agent: crawler
    expires_at: 2099-01-01T00:00:00Z
    policy: {models: [gpt-*]}
budgets:
  - id: acme-month
    scope: org:acme
    limit_usd: 123456789.123456789
"""
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a manifest and answers its path."""

    def write(text: str) -> str:
        path = tmp_path / "gateway.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_shows_the_plan_and_exits_2_where_something_would_change(
    cloudops: Cloudops, write: Write
) -> None:
    answer = cloudops("apply", "-f", write(FILE), "--plan")

    assert answer.exit_code == 2
    assert answer.output.splitlines() == [
        "+ create  org acme",
        "+ create  team acme/search",
        "+ create  agent acme/crawler",
        "+ create  key acme/ci",
        "+ create  budget acme-month",
        "5 changes, 0 as they are.",
    ]
    assert "0 orgs." in cloudops("orgs", "list").output


def test_applies_and_then_has_nothing_to_change(cloudops: Cloudops, write: Write) -> None:
    first = cloudops("apply", "-f", write(FILE), "--yes")
    second = cloudops("apply", "-f", write(FILE), "--plan")
    third = cloudops("apply", "-f", write(FILE))

    assert first.exit_code == 0
    assert "5 changes applied." in first.output
    assert re.search(r"^key acme/ci: ocg_\w", first.output, re.MULTILINE)
    assert "not shown again" in first.output
    assert (second.exit_code, second.output) == (0, "0 changes, 5 as they are.\n")
    assert third.exit_code == 0


def test_keeps_every_digit_of_an_amount(cloudops: Cloudops, write: Write) -> None:
    cloudops("apply", "-f", write(FILE), "--yes")

    [budget] = json.loads(cloudops("budgets", "list", "--json").stdout)["data"]
    assert budget["limit_usd"] == "123456789.123456789"


def test_says_what_an_update_changes(cloudops: Cloudops, write: Write) -> None:
    cloudops("apply", "-f", write(FILE), "--yes")

    answer = cloudops("apply", "-f", write(FILE.replace("name: Acme}", "name: Acme Inc}")), "--yes")

    assert answer.exit_code == 0
    assert "~ update  org acme: name Acme -> Acme Inc" in answer.output.splitlines()


def test_asks_first_and_applies_nothing_without_an_answer(cloudops: Cloudops, write: Write) -> None:
    answer = cloudops("apply", "-f", write(FILE))

    assert answer.exit_code == 1
    assert "Apply?" in answer.output
    assert "0 orgs." in cloudops("orgs", "list").output


def test_prunes_when_told(cloudops: Cloudops, write: Write) -> None:
    cloudops("apply", "-f", write(FILE), "--yes")

    answer = cloudops("apply", "-f", write("name: acme-platform\n"), "--prune", "--yes")

    assert answer.output.splitlines()[:3] == [
        "- paused  budget acme-month",
        "- revoked key acme/ci",
        "2 changes, 0 as they are.",
    ]


def test_writes_new_keys_where_only_the_owner_reads_them(
    cloudops: Cloudops, write: Write, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets.json"

    answer = cloudops("apply", "-f", write(FILE), "--yes", "--secrets-out", str(secrets))

    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    [(name, secret)] = json.loads(secrets.read_text()).items()
    assert (name, secret[:4]) == ("acme/ci", "ocg_")
    assert secret not in answer.output


def test_overwrites_no_secrets_and_applies_nothing_then(
    cloudops: Cloudops, write: Write, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text("kept")

    answer = cloudops("apply", "-f", write(FILE), "--yes", "--secrets-out", str(secrets))

    assert (answer.exit_code, secrets.read_text()) == (1, "kept")
    assert "is not overwritten" in answer.output
    assert "0 orgs." in cloudops("orgs", "list").output


def test_leaves_no_file_where_no_key_is_made(
    cloudops: Cloudops, write: Write, tmp_path: Path
) -> None:
    cloudops("apply", "-f", write(FILE), "--yes")
    secrets = tmp_path / "secrets.json"

    cloudops("apply", "-f", write(FILE), "--yes", "--secrets-out", str(secrets))

    assert not secrets.exists()


def test_prints_one_json_document(cloudops: Cloudops, write: Write) -> None:
    planned = json.loads(cloudops("apply", "-f", write(FILE), "--plan", "--json").stdout)
    applied = json.loads(cloudops("apply", "-f", write(FILE), "--yes", "--json").stdout)

    assert len(planned["data"]["changes"]) == len(applied["data"]["changes"]) == 5
    assert applied["data"]["keys"][0]["secret"].startswith("ocg_")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("models:", "modles:", 13, "keys.0.policy.modles: invalid_input: there is no such field"),
        ("agent: crawler\n", "agent: crawlr\n", 11, "keys.0.agent: invalid_input: there is no"),
        ("    agent: crawler\n", "", 9, "keys.0.agent: invalid_input: Field required"),
        ("scope: org:acme", "scope: org:acm", 16, "budgets.0.scope: invalid_input"),
        ("name: Acme}", "name: sk-proj-0123456789abc}", 3, "orgs.0.name: secret_in_manifest"),
        (
            "budgets:",
            "routes:\n  - org: acme\n    rules:\n      - {name: A, use: {fixed: o3}}\nbudgets:",
            17,
            "routes.0.rules.0.name: invalid_input",
        ),
        ("name: ci", "name: ci\n    name: cd", 11, "this member stands here twice"),
        ("name: ci", "name: 010", 10, "write one with digits alone and no 0 before them"),
        ("orgs:", "orgs: [", 3, "no YAML"),
        (FILE, "- 1\n", 1, "a manifest is an object with a name"),
        (FILE, "", 1, "a manifest is an object with a name"),
        (FILE, "name: &a [*a]\n", None, "no YAML that can be read"),
    ],
)
def test_says_in_one_line_where_the_file_is_wrong(  # noqa: PLR0917 - fixtures and columns
    cloudops: Cloudops, write: Write, old: str, new: str, line: int | None, said: str
) -> None:
    path = write(FILE.replace(old, new))

    answer = cloudops("apply", "-f", path, "--yes")

    assert answer.exit_code == 1
    assert len(answer.output.splitlines()) == 1
    assert answer.output.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert said in answer.output
    assert "sk-proj" not in answer.output


def test_says_that_there_is_no_file(cloudops: Cloudops, tmp_path: Path) -> None:
    answer = cloudops("apply", "-f", str(tmp_path / "gone.yaml"))

    assert (answer.exit_code, "No such file" in answer.output) == (1, True)


def test_takes_the_manifest_of_the_readme(cloudops: Cloudops, write: Write) -> None:
    [block] = re.findall(
        r"^```yaml\n(name: .*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )

    answer = cloudops("apply", "-f", write(block), "--yes")

    assert answer.exit_code == 0, answer.output
