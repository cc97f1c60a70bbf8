"""`scripts/cloudops channels`, against a live API."""

import asyncio
import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.core.ports import Put
from common.incidents.notices import Broken, ChannelState, LastAttempt, Status, state_ref
from tests.chosen_engines import state_of
from tests.cloudops.conftest import DEADLINE_S, Cloudops, Installation

OPS = ["channels", "add", "ops", "--kind", "slack", "--secret", "CHANNEL_OPS"]


def test_lists_what_it_adds(cloudops: Cloudops) -> None:
    said = cloudops(*OPS, "--event", "incident.", "--min-severity", "error").output
    hook = ["--kind", "webhook", "--secret", "CHANNEL_HOOK", "--address", "https://a.example.com/x"]
    cloudops("channels", "add", "hook", *hook)

    lines = cloudops("channels", "list").output.splitlines()

    assert said == "Channel ops is as asked.\n"
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["name", "kind", "secret", "wants", "from", "quiet", "an hour", "last", "state"],
        ["hook", "webhook", "CHANNEL_HOOK", "everything", "info", "-", "-", "-", "not tried yet"],
        ["ops", "slack", "CHANNEL_OPS", "incident.", "error", "-", "-", "-", "not tried yet"],
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

    tried = cloudops("channels", "test", "ops", "--wait", "0")
    removed = cloudops("channels", "remove", "ops")

    assert tried.output == (
        "Channel ops is sent a message; `cloudops channels list` shows how that went.\n"
    )
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


async def note(folder: Path, state: ChannelState) -> None:
    documents = state_of(folder)
    await documents.commit([Put(state_ref("ops"), state.to_data())])
    await documents.aclose()


def test_shows_what_a_channel_wants_and_that_it_rests(cloudops: Cloudops, tmp_path: Path) -> None:
    cloudops(*OPS, "--quiet", "22:00-07:00/Europe/Berlin", "--per-hour", "5")
    now = datetime.now(UTC).replace(microsecond=0)
    broken = Broken(now, now + timedelta(hours=1), 1, rests=True, reason="It answered 404.")
    last = LastAttempt(now, "incident.opened", "failed", "It answered 404.")
    asyncio.run(note(tmp_path, ChannelState(last=last, broken=broken)))

    _, row, _ = cloudops("channels", "list").output.splitlines()

    until = f"{broken.until:%Y-%m-%dT%H:%M:%SZ}"
    assert re.split(r" {2,}", row)[3:] == [
        "everything",
        "info",
        "22:00-07:00/Europe/Berlin",
        "5",
        f"{now:%Y-%m-%dT%H:%M:%SZ} failed",
        f"rests until {until}: It answered 404.",
    ]


@pytest.mark.parametrize(
    ("status", "reason", "said", "code"),
    [
        ("sent", None, "Channel ops has taken it.", 0),
        (
            "failed",
            "The variable CHANNEL_OPS is not set.",
            "Channel ops did not take it (failed): The variable CHANNEL_OPS is not set.",
            1,
        ),
    ],
)
def test_says_how_a_test_went(  # noqa: PLR0917 - fixtures and the columns of the table
    cloudops: Cloudops,
    installation: Installation,
    tmp_path: Path,
    status: Status,
    reason: str | None,
    said: str,
    code: int,
) -> None:
    cloudops(*OPS)
    last = LastAttempt(datetime.now(UTC), "notification.test", status, reason)

    def answer() -> None:
        """Stands for the notifier."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            if "/api/v1/channels/ops:test" in installation.paths:
                asyncio.run(note(tmp_path, ChannelState(last=last)))
                return

    notifier = threading.Thread(target=answer)
    notifier.start()
    result = cloudops("channels", "test", "ops", "--wait", str(DEADLINE_S))
    notifier.join(DEADLINE_S)

    assert (result.output.splitlines()[-1], result.exit_code) == (said, code)
