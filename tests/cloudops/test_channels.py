"""`scripts/cloudops channels`, against a live API."""

import json
import re

import pytest

from tests.cloudops.conftest import Cloudops

OPS = ["channels", "add", "ops", "--kind", "slack", "--secret", "CHANNEL_OPS"]


def test_lists_what_it_adds(cloudops: Cloudops) -> None:
    said = cloudops(*OPS, "--event", "incident.", "--min-severity", "error").output
    hook = ["--kind", "webhook", "--secret", "CHANNEL_HOOK", "--address", "https://a.example.com/x"]
    cloudops("channels", "add", "hook", *hook)

    lines = cloudops("channels", "list").output.splitlines()

    assert said == "Channel ops is as asked.\n"
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["name", "kind", "secret", "wants", "last", "reason"],
        ["hook", "webhook", "CHANNEL_HOOK", "everything", "-", "-"],
        ["ops", "slack", "CHANNEL_OPS", "incident., from error", "-", "-"],
        ["2 channels for notifications."],
    ]


def test_replaces_one_whole(cloudops: Cloudops) -> None:
    cloudops(*OPS, "--scope", "team:acme/*", "--per-hour", "5")
    cloudops(*OPS, "--quiet", "22:00-07:00/Europe/Berlin")

    [row] = json.loads(cloudops("channels", "list", "--json").stdout)["data"]
    assert (row["scopes"], row["per_hour"], row["quiet"]) == (
        [],
        None,
        {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"},
    )


def test_tries_and_removes_one(cloudops: Cloudops) -> None:
    cloudops(*OPS)

    tried = cloudops("channels", "test", "ops")
    removed = cloudops("channels", "remove", "ops")

    assert tried.output == "Channel ops is sent a message; read it to see how.\n"
    assert removed.output == "Channel ops is removed.\n"
    assert cloudops("channels", "list").output.splitlines()[-1] == "0 channels for notifications."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--quiet", "22:00"], "--quiet '22:00' is not START-END"),
        (["--address", "https://hooks.slack.com/x"], "422 invalid_input (url)"),
        (["--min-severity", "worst"], "422 invalid_input (min_severity)"),
    ],
)
def test_says_in_one_line_what_is_wrong(cloudops: Cloudops, given: list[str], said: str) -> None:
    result = cloudops(*OPS, *given)

    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output.splitlines()) == 1
