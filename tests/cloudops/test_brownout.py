"""`scripts/cloudops brownout`, against a live API."""

import asyncio
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.brownout.drift import Watched
from common.brownout.modes import Mode
from common.brownout.policy_file import read_policy, shipped_policy
from common.brownout.sources import SourceStatus
from common.core.ports import Put
from scripts.commands.cloudops import app
from tests.api.conftest import NOW
from tests.api.test_episodes import an_episode, keep
from tests.chosen_engines import state_of
from tests.cloudops.conftest import Cloudops

PIN = ["brownout", "pin", "model:m", "soft", "--reason", "load test"]
BODY = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def policy_file(cloudops: Cloudops, tmp_path: Path) -> Path:
    """The policy in force, enforced."""
    text = cloudops("brownout", "policy", "show").output
    file = tmp_path / "policy.yaml"
    file.write_text(text.replace("enforcement: shadow", "enforcement: enforce"))
    return file


async def noted(folder: Path, status: SourceStatus) -> None:
    """Note how a source stands in the state of the installation in this folder."""
    documents = state_of(folder)
    await documents.commit([Put(status.ref, status.to_data())])
    await documents.aclose()


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_shows_that_all_is_normal(cloudops: Cloudops) -> None:
    assert cloudops("brownout", "status").output == (
        "The mode is normal; all scopes are normal."
        " Version 0 of the policy only records what it would do.\n"
    )


def test_shows_which_monitor_differs_from_the_policy(cloudops: Cloudops, tmp_path: Path) -> None:
    six = Watched("17", "provider:openai", Mode.HARD, "latency_p95", Decimal(6), None)
    asyncio.run(noted(tmp_path, SourceStatus("datadog", "answers", NOW, watched=(six,))))

    told, sentence = cloudops("brownout", "status").output.splitlines()

    assert told == "monitor 17 fires at 6 s, the policy says 5 s (hard, provider:openai)"
    assert sentence.startswith("The mode is normal")


def test_pins_and_shows_it(cloudops: Cloudops) -> None:
    said = cloudops(*PIN, "--for", "2h").output
    names, pin, sentence = cloudops("brownout", "status").output.splitlines()
    pinned = json.loads(cloudops("brownout", "status", "--json").output)["data"]["pins"]

    assert re.fullmatch(r"model:m is pinned to soft until \S+Z\.\n", said)
    assert cells(names) == ["pinned", "mode", "until", "by", "reason", "id"]
    shown = [pinned[0][name] for name in ("until", "actor", "reason", "id")]
    assert cells(pin) == ["model:m", "soft", *shown]
    assert shown[1:3] == ["operator@localhost", "load test"]
    assert sentence.startswith("The mode is normal; 1 is pinned.")


@pytest.mark.parametrize("by_id", [True, False])
def test_unpins_by_scope_or_id(cloudops: Cloudops, *, by_id: bool) -> None:
    cloudops(*PIN)
    [pin] = json.loads(cloudops("brownout", "status", "--json").output)["data"]["pins"]

    said = cloudops("brownout", "unpin", pin["id"] if by_id else "model:m").output

    assert said.startswith("model:m is not pinned any more, since ")
    assert "pinned" not in cloudops("brownout", "status").output


def test_lists_changes(cloudops: Cloudops) -> None:
    cloudops(*PIN)
    cloudops("brownout", "unpin", "model:m")

    names, newest, oldest, count = cloudops("brownout", "changes").output.splitlines()
    none = cloudops("brownout", "changes", "--scope", "global").output.splitlines()

    assert cells(names) == ["time", "scope", "before", "after", "cause", "signals", "policy"]
    assert cells(newest)[1:] == ["model:m", "soft", "normal", "override", "-", "0, shadow"]
    assert cells(oldest)[1:] == ["model:m", "normal", "soft", "override", "-", "0, shadow"]
    assert (count, none[-1]) == ("2 changes.", "0 changes.")


def test_shows_a_policy_as_it_takes_one(cloudops: Cloudops) -> None:
    text = cloudops("brownout", "policy", "show").output

    assert text.startswith("# version 0: ships with the code\n")
    assert read_policy(text) == shipped_policy()


def test_puts_a_policy_in_force(cloudops: Cloudops, policy_file: Path) -> None:
    said = cloudops("brownout", "policy", "set", str(policy_file), "--note", "go").output
    shown = cloudops("brownout", "policy", "show", "--version", "1").output
    late = cloudops("brownout", "policy", "set", str(policy_file), "--note", "go", "--version", "0")

    assert said == "Version 1 is in force.\n"
    assert shown.startswith("# version 1, by operator@localhost: go\n")
    assert read_policy(shown).enforced
    assert late.exit_code == 1
    assert late.output.startswith("412 version_conflict: version 1 of the policy is in force")


def test_checks_a_policy_without_a_server(policy_file: Path) -> None:
    text = policy_file.read_text().replace("output_cap: 1024", "output_cap: 8192")
    policy_file.write_text(text)
    command = ["--url", "http://127.0.0.1:9", "brownout", "policy", "check", str(policy_file)]

    answer = CliRunner().invoke(app, command)

    assert answer.exit_code == 0
    assert answer.output.splitlines() == [
        "warning: strategies.default.hard: has a weaker output_cap than soft",
        f"{policy_file} is a policy; its enforcement is enforce.",
    ]


@pytest.mark.parametrize("verb", [["check"], ["set", "--note", "go"]])
def test_names_every_error_of_a_policy_with_its_line(
    cloudops: Cloudops, policy_file: Path, verb: list[str]
) -> None:
    lines = policy_file.read_text().splitlines()
    wrong = {"enforcement: enforce": "enforcement: maybe", "version: 1": "version: 9"}
    policy_file.write_text("\n".join(wrong.get(line, line) for line in lines))

    answer = cloudops("brownout", "policy", *verb, str(policy_file))

    assert answer.exit_code == 1
    said = answer.output.splitlines()
    assert said[0] == f"{policy_file}: the policy has 2 errors:"
    assert [line.split(": ")[:3] for line in said[1:]] == [
        ["line 2", "version", "9 must be 1"],
        ["line 3", "enforcement", "maybe is not known here"],
    ]


def test_shows_what_a_mode_gives_up(cloudops: Cloudops, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(BODY))
    asked = ["brownout", "dry-run", str(file), "--mode", "hard"]

    lines = cloudops(*asked).output.splitlines()
    whole = json.loads(cloudops(*asked, "--json").output)

    assert cells(lines[0]) == ["edit", "to", "outcome", "reason"]
    assert cells(lines[1]) == ["model", "gpt-5-mini", "applied", "-"]
    assert lines[-1].startswith("In hard this call goes out with model=gpt-5-mini, ")
    assert whole["data"]["body"]["model"] == "gpt-5-mini"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*PIN, "--for", "4m"], "422 invalid_input (minutes)"),
        ([*PIN, "--for", "soon"], "'soon' is no duration: write 30m or 2h"),
        (["brownout", "pin", "team", "soft", "--reason", "x"], "422 invalid_input (scope)"),
        (["brownout", "pin", "global", "off", "--reason", "x"], "422 invalid_input (mode)"),
        (["brownout", "unpin", "model:m"], "'model:m' is not pinned"),
        (["brownout", "unpin", "none"], "404 not_found: there is no pin 'none'"),
        (["brownout", "policy", "show", "--version", "9"], "404 not_found"),
        (["brownout", "policy", "check", "/nowhere"], "/nowhere cannot be read"),
        (["brownout", "dry-run", "/nowhere"], "/nowhere cannot be read as JSON"),
    ],
)
def test_says_what_is_wrong_in_one_line(
    cloudops: Cloudops, arguments: list[str], said: str
) -> None:
    answer = cloudops(*arguments)

    assert answer.exit_code == 1
    assert said in answer.output
    assert len(answer.output.splitlines()) == 1


def test_lists_brownouts_that_have_ended_and_what_they_saved(
    cloudops: Cloudops, tmp_path: Path
) -> None:
    none = cloudops("brownout", "episodes").output.splitlines()

    async def end() -> None:
        documents = state_of(tmp_path)
        try:
            await keep(documents, an_episode(), an_episode(1, scope="org:acme"))
        finally:
            await documents.aclose()

    asyncio.run(end())
    names, newest, oldest, count = cloudops("brownout", "episodes").output.splitlines()
    one = cloudops("brownout", "episodes", "e1").output

    assert none[-1] == "0 episodes."
    assert cells(names) == ["opened", "closed", "scope", "peak", "id", "saved"]
    saved = "cost saved: $12.35 (95 %: 10.00 to 14.69)"
    assert cells(newest)[2:] == ["global", "hard", "e0", saved]
    assert cells(oldest)[2:] == ["org:acme", "hard", "e1", saved]
    assert count == "2 episodes."
    assert "seconds: hard=900,soft=300\n" in one
    assert one.endswith(f"org:acme was off normal for 20 min, hard at its worst. {saved}.\n")
    assert len(cloudops("brownout", "episodes", "--scope", "org:acme").output.splitlines()) == 2 + 1
