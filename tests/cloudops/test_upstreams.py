"""`scripts/cloudops upstreams`, against a live API."""

import json
import re
import shlex

import pytest

from tests.cloudops.conftest import Cloudops
from tests.repository.sources import ROOT

GROQ = ["upstreams", "set", "groq", "--base-url", "https://api.groq.com/openai/v1"]
VERTEX = ["upstreams", "set", "vertex", "--identity", "google", "--project", "acme-prod"]


def test_lists_what_it_sets(cloudops: Cloudops) -> None:
    keys = ["--credential", "main=GROQ_API_KEY:3", "--credential", "spare=GROQ_2_API_KEY"]
    said = cloudops(*GROQ, "--provider", "groq", *keys).output
    cloudops(*VERTEX, "--location", "global")
    cloudops("upstreams", "set", "openai", "--credential", "main=OPENAI_2_API_KEY")

    lines = cloudops("upstreams", "list").output.splitlines()

    assert said == "Upstream groq is as asked.\n"
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["name", "address", "provider", "credentials"],
        [
            "groq",
            "https://api.groq.com/openai/v1",
            "groq",
            "main=GROQ_API_KEY:3, spare=GROQ_2_API_KEY",
        ],
        ["openai", "the vendor's own", "-", "main=OPENAI_2_API_KEY"],
        ["vertex", "Vertex AI: acme-prod, global", "-", "-"],
        ["3 upstreams configured."],
    ]


def test_shows_one(cloudops: Cloudops) -> None:
    cloudops(*GROQ, "--model", "a", "--model", "b", "--credential", "main=GROQ_API_KEY")

    assert cloudops("upstreams", "show", "groq").output.splitlines() == [
        "address      https://api.groq.com/openai/v1",
        "provider     -",
        "private      refused",
        "credentials  main=GROQ_API_KEY",
        "models       a, b",
    ]


def test_replaces_one_whole(cloudops: Cloudops) -> None:
    cloudops(*GROQ, "--provider", "groq", "--credential", "main=GROQ_API_KEY")
    again = cloudops("upstreams", "set", "groq", "--base-url", "http://10.0.0.1", "--allow-private")

    data = json.loads(cloudops("upstreams", "show", "groq", "--json").stdout)["data"]
    assert again.exit_code == 0
    assert (data["base_url"], data["allow_private"], data["provider"], data["credentials"]) == (
        "http://10.0.0.1",
        True,
        None,
        [],
    )


def test_removes_one(cloudops: Cloudops) -> None:
    cloudops(*GROQ)

    assert cloudops("upstreams", "remove", "groq").output == "Upstream groq is removed.\n"
    assert (
        cloudops("upstreams", "list", "--json").stdout
        == json.dumps({"data": [], "total": {"count": 0}}, indent=2) + "\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*GROQ, "--provider", "gorq"], "422 invalid_input (provider): the price book has no"),
        (["upstreams", "set", "groq"], "422 invalid_input (base_url)"),
        (
            ["upstreams", "set", "a?b", "--base-url", "https://x.example.com"],
            "invalid_input (name): 'a",
        ),
        (["upstreams", "show", "groq"], "404 not_found: there is no upstream 'groq'"),
        (["upstreams", "remove", "groq"], "404 not_found: there is no upstream 'groq'"),
        ([*GROQ, "--credential", "GROQ_API_KEY"], "is not NAME=VARIABLE"),
        ([*GROQ, "--credential", "main=GROQ_API_KEY:heavy"], "is not NAME=VARIABLE"),
    ],
)
def test_says_what_is_wrong_in_one_line(
    cloudops: Cloudops, arguments: list[str], said: str
) -> None:
    answer = cloudops(*arguments)

    assert answer.exit_code == 1
    assert said in answer.output
    assert len(answer.output.splitlines()) == 1


def test_does_not_repeat_a_key_that_stands_in_place_of_its_variable(cloudops: Cloudops) -> None:
    answer = cloudops(*GROQ, "--credential", "sk-0123456789abcdef")

    assert answer.exit_code == 1
    assert "sk-0123456789abcdef" not in answer.output


def test_takes_every_upstream_of_the_readme(cloudops: Cloudops) -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Upstreams\n")[2]
    [block] = re.findall(
        r"^```sh\n(.*?)^```", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL
    )
    commands = [shlex.split(line)[1:] for line in block.replace("\\\n", "").splitlines()]

    answers = [cloudops(*command) for command in commands]

    assert [answer.exit_code for answer in answers] == [0] * len(commands)
    assert answers[-1].output.splitlines()[-1] == "9 upstreams configured."
