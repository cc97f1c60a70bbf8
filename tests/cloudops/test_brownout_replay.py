"""`scripts/cloudops brownout replay`, against a live API."""

import json
import re
from datetime import timedelta
from pathlib import Path

from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from tests.api.conftest import a_call
from tests.cloudops.conftest import Cloudops, Installation


def burst(installation: Installation) -> None:
    """Calls of an hour ago of which most failed."""
    failed = {"outcome": "upstream_error", "error_code": "upstream_503", "upstream_status": 503}
    time = installation.clock.now() - timedelta(hours=1)
    installation.record(*(a_call(number, event_time=time, **failed) for number in range(30)))


def test_shows_what_the_policy_in_force_would_have_done(
    cloudops: Cloudops, installation: Installation
) -> None:
    burst(installation)

    names, *rows, answer = cloudops("brownout", "replay").output.splitlines()
    shown = json.loads(cloudops("brownout", "replay", "--since", "2h", "--json").output)

    assert re.split(r" {2,}", names) == [
        *("scope", "from", "to", "peak", "soft", "hard", "emergency", "about"),
    ]
    first = shown["data"]["episodes"][0]
    times = [first["opened_at"], first["closed_at"]]
    assert re.split(r" {2,}", rows[0]) == [
        *("agent:acme/crawler", *times, "emergency", "330s", "330s", "420s", "errors"),
    ]
    assert len(rows) == 6
    assert answer == (
        "6 episodes, up to emergency; global would have been off normal for 18 minutes."
    )


def test_tries_a_policy_file(
    cloudops: Cloudops, installation: Installation, tmp_path: Path
) -> None:
    burst(installation)
    file = tmp_path / "policy.yaml"
    lax = {**policy_data(shipped_policy()), "thresholds": {"soft": {"error_rate": "100%"}}}
    file.write_text(json.dumps(lax))

    assert cloudops("brownout", "replay", str(file)).output == "No scope would have left normal.\n"
    assert cloudops("brownout", "replay", str(file), "--until", "90m").output == (
        "There were no calls.\n"
    )
