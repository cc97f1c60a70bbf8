"""The operators' command line, against a live API."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.commands.cloudops import app
from tests.chosen_engines import ON_A_LAPTOP
from tests.cloudops.conftest import Cloudops, Installation, a_recent_call

ROOT = Path(__file__).parents[2]
KEY = re.compile(r"ocg_[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}")


def test_lists_what_it_creates(cloudops: Cloudops, acme: None) -> None:
    assert cloudops("projects", "create", "q4", "--org", "acme").output == (
        "Project acme:q4 is created.\n"
    )
    assert cloudops("agents", "list").output.splitlines() == [
        "org   id       team    name     tags",
        "acme  crawler  search  crawler  env=prod",
        "1 agent.",
    ]


def test_prints_a_new_key_once_and_its_life(cloudops: Cloudops, acme: None) -> None:
    created = cloudops("keys", "create", "ci", "--org", "acme", "--agent", "crawler")
    [first] = re.findall(r"Key ([0-9a-f]{12})", created.output)
    rotated = cloudops("keys", "rotate", first, "--overlap-s", "60")
    [second] = re.findall(r"Key ([0-9a-f]{12})", rotated.output)
    revoked = cloudops("keys", "revoke", second)
    listed = cloudops("keys", "list", "--org", "acme").output

    assert len(KEY.findall(created.output)) == len(KEY.findall(rotated.output)) == 1
    assert revoked.output == f"Key {second} (ci) is revoked.\n"
    assert re.search(rf"{first} +ci +usable", listed)
    assert re.search(rf"{second} +ci +revoked", listed)
    assert KEY.search(listed) is None


def test_makes_a_key_with_limits(cloudops: Cloudops, acme: None) -> None:
    limits = ["--rpm", "60", "--tpm", "100000", "--concurrency", "4"]
    key = ["keys", "create", "ci", "--org", "acme", "--agent", "crawler"]

    document = json.loads(cloudops(*key, *limits, "--json").stdout)

    assert document["data"]["policy"]["limits"] == {"rpm": 60, "tpm": 100_000, "concurrency": 4}


def test_makes_a_key_for_some_upstreams_that_expires(cloudops: Cloudops, acme: None) -> None:
    key = ["keys", "create", "ci", "--org", "acme", "--agent", "crawler"]
    bound = ["--upstream", "openai", "--upstream", "gr*", "--expires", "30d"]

    data = json.loads(cloudops(*key, *bound, "--json").stdout)["data"]

    assert data["policy"]["upstreams"] == ["openai", "gr*"]
    lives = datetime.fromisoformat(data["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < lives <= timedelta(days=30)


def test_a_key_expires_at_the_time_that_is_named(cloudops: Cloudops, acme: None) -> None:
    key = ["keys", "create", "ci", "--org", "acme", "--agent", "crawler", "--expires"]

    data = json.loads(cloudops(*key, "2999-01-01", "--json").stdout)["data"]

    assert datetime.fromisoformat(data["expires_at"]) == datetime(2999, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "revoke", "../orgs/acme"],
        ["keys", "rotate", "../keys"],
        ["keys", "rotate", "a\\b"],
        ["budgets", "show", "late/periods"],
        ["budgets", "show", ".."],
        ["budgets", "pause", "."],
        ["budgets", "correct", "a/b", "--refund", "1", "--reason", "told"],
        ["upstreams", "show", ".."],
        ["upstreams", "remove", "../keys"],
    ],
)
def test_what_is_no_single_segment_is_no_id(
    cloudops: Cloudops, installation: Installation, arguments: list[str]
) -> None:
    answer = cloudops(*arguments)

    said = f"{arguments[2]!r} is no id: ids have lower-case letters, digits and -\n"
    assert (answer.exit_code, answer.output) == (1, said)
    assert installation.paths == []


def test_an_id_reaches_no_other_path(cloudops: Cloudops, installation: Installation) -> None:
    answer = cloudops("keys", "revoke", "a?b=c#d")

    assert answer.exit_code == 1
    assert installation.paths == ["/api/v1/keys/a%3Fb%3Dc%23d:revoke"]


@pytest.mark.parametrize(
    "arguments",
    [["keys", "revoke", ""], ["budgets", "show", ""], ["upstreams", "remove", ""]],
)
def test_an_empty_id_is_not_sent(
    cloudops: Cloudops, installation: Installation, arguments: list[str]
) -> None:
    answer = cloudops(*arguments)

    assert (answer.exit_code, answer.output) == (1, "the id is empty\n")
    assert installation.paths == []


@pytest.mark.parametrize("token", ["two\nlines-of-it", "spaces in-it", "gr\u00fcn-of-it", "", "\r"])
def test_does_not_repeat_a_token_that_cannot_be_one(cloudops: Cloudops, token: str) -> None:
    answer = cloudops("--token", token, "orgs", "list")

    assert (answer.exit_code, len(answer.output.splitlines())) == (1, 1)
    assert answer.output.startswith("the token is none: ")
    assert "of-it" not in answer.output
    assert "in-it" not in answer.output


def test_prints_exact_spend_and_what_is_not_exact(
    cloudops: Cloudops, installation: Installation
) -> None:
    installation.record(
        a_recent_call(1, cost_nanos=1, priced_nanos=1),
        a_recent_call(2, team="ops", simulated=True, cost_source="estimated"),
        a_recent_call(3, team="ops", cost_nanos=None, cost_reason="unknown_model", priced_nanos=0),
        a_recent_call(4, team=None, cost_nanos=None, cost_reason="usage_missing", priced_nanos=0),
    )

    answer = cloudops("spend", "--by", "team,model", "--since", "1h")

    assert answer.output.splitlines() == [
        "team    model  calls  ok  input_tokens  output_tokens                 cost_usd",
        "ops     gpt-x      2   2           200             20              0.004200000",
        "search  gpt-x      1   1           100             10              0.000000001",
        "-       gpt-x      1   1           100             10  unknown (usage_missing)",
        "-" * 78,
        "total              4   4           400             40              0.004200001",
        "1 calls estimated: $0.004200000",
        "2 calls unpriced: unknown_model 1, usage_missing 1",
        "1 calls simulated: $0.004200000, no real money",
    ]


@pytest.mark.parametrize(
    ("arguments", "data", "total"),
    [
        (["orgs", "list"], ["acme"], {"count": 1}),
        (["agents", "list"], ["crawler"], {"count": 1}),
        (["keys", "list"], [], {"count": 0}),
        (["prices", "no-such-model"], [], {"count": 0}),
        pytest.param(["doctor"], [], {"count": 0}, marks=ON_A_LAPTOP),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_prints_a_list_as_one_document(
    cloudops: Cloudops,
    acme: None,
    arguments: list[str],
    data: list[str],
    total: dict[str, int],
    *,
    is_first: bool,
) -> None:
    answer = cloudops(*(["--json", *arguments] if is_first else [*arguments, "--json"]))

    document = json.loads(answer.stdout)
    assert document.keys() == {"data", "total"}
    assert [row["id"] for row in document["data"]] == data
    assert document["total"].items() >= total.items()


def test_joins_the_pages_of_a_list(cloudops: Cloudops) -> None:
    document = json.loads(cloudops("prices", "", "--json").stdout)

    models = {(row["provider"], row["model"]) for row in document["data"]}
    assert len(models) == len(document["data"]) == document["total"]["count"] > 500


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [(["calls"], 3), (["calls", "--errors"], 2), (["calls", "--limit", "1"], 1), (["spend"], 1)],
)
def test_prints_exact_figures_of_the_whole_list(
    cloudops: Cloudops, installation: Installation, arguments: list[str], calls: int
) -> None:
    installation.record(
        a_recent_call(1),
        a_recent_call(2, outcome="client_error"),
        a_recent_call(3, outcome="upstream_error"),
    )

    document = json.loads(cloudops(*arguments, "--json").stdout)

    assert len(document["data"]) == calls
    assert document["total"]["cost"] == (
        "0.008400000" if "--errors" in arguments else "0.012600000"
    )


def test_prints_one_thing_as_the_api_answers_it(cloudops: Cloudops) -> None:
    document = json.loads(cloudops("orgs", "create", "acme", "--json").stdout)

    assert (document["answer"], document["data"]["id"]) == ("Org acme is created.", "acme")


@ON_A_LAPTOP
def test_prints_what_is_wrong_as_one_document(
    cloudops: Cloudops, installation: Installation
) -> None:
    installation.clock.moved = timedelta(seconds=30)

    answer = cloudops("doctor", "--json")

    document = json.loads(answer.stdout)
    assert (answer.exit_code, document["total"]["count"]) == (1, 1)
    assert document["data"][0].keys() == {"what", "fix"}


def test_takes_address_and_token_behind_the_command(
    installation: Installation, closed_url: str
) -> None:
    before = ["--url", closed_url, "--token", "first"]
    behind = ["--url", installation.url, "--token", "second"]

    answer = CliRunner().invoke(app, [*before, "orgs", "list", *behind])

    assert (answer.exit_code, answer.stdout.splitlines()[-1]) == (0, "0 orgs.")
    assert installation.authorizations == ["Bearer second"]


def test_lists_failed_calls_of_every_kind(cloudops: Cloudops, installation: Installation) -> None:
    installation.record(
        a_recent_call(1),
        a_recent_call(2, outcome="client_error", status=401, error_code="invalid_gateway_key"),
        a_recent_call(3, outcome="upstream_error", status=502),
    )

    lines = cloudops("calls", "--errors").output.splitlines()[1:]

    assert sorted(re.findall(r"\b(?:401|502)\b", "\n".join(lines))) == ["401", "502"]
    assert len(lines) == 2


def test_prints_prices(cloudops: Cloudops) -> None:
    answer = cloudops("prices", "gpt-4o-mini", "--provider", "openai")

    assert re.search(r"openai +gpt-4o-mini +input_tokens +1,000,000 +0\.15", answer.output)


def test_prints_all_prices_for_an_empty_name(cloudops: Cloudops) -> None:
    answer = cloudops("prices", "", "--provider", "openai")

    assert answer.exit_code == 0
    assert len(answer.output.splitlines()) > 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-model"], "the price book has no model with 'no-such-model' in its id or name"),
        (["", "--provider", "nobody"], "the book has no provider 'nobody'"),
        (
            ["x-y-z", "--provider", "openai"],
            "the price book has no model of 'openai' with 'x-y-z' in its id or name",
        ),
    ],
)
def test_says_for_what_there_is_no_price(
    cloudops: Cloudops, arguments: list[str], said: str
) -> None:
    answer = cloudops("prices", *arguments)

    assert answer.exit_code == 1
    assert said in answer.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["teams", "create", "x", "--org", "nowhere"], "422 invalid_input (org): there is no org"),
        (["orgs", "create", "Bad"], "422 invalid_input (id)"),
        (["keys", "revoke", "0123456789ab"], "404 not_found"),
        (["spend", "--since", "yesterday"], "is not a time"),
        (["spend", "--by", "colour"], "422 invalid_input (group)"),
        (["agents", "create", "x", "--org", "a", "--team", "b", "--tag", "y"], "is not NAME=VALUE"),
    ],
)
def test_says_what_is_wrong_in_one_line(
    cloudops: Cloudops, arguments: list[str], said: str
) -> None:
    answer = cloudops(*arguments)

    assert answer.exit_code == 1
    assert said in answer.output
    assert len(answer.output.splitlines()) == 1


@ON_A_LAPTOP
def test_finds_nothing_wrong_with_a_sound_installation(cloudops: Cloudops) -> None:
    answer = cloudops("doctor")

    nothing, note, left_out = answer.output.splitlines()
    assert (answer.exit_code, nothing) == (0, "Nothing is wrong.")
    assert note.startswith("Note: version 0 of the brownout policy is in shadow: ")
    assert left_out == "Not looked at: keys of upstreams (--key), dead letters (--bus)."


def test_finds_a_clock_that_is_wrong(cloudops: Cloudops, installation: Installation) -> None:
    installation.clock.moved = timedelta(seconds=30)

    answer = cloudops("doctor")

    assert answer.exit_code == 1
    assert re.match(r"the clocks differ by (29|30) s\n    fix: ", answer.output)


@pytest.fixture
def closed_url() -> str:
    """An address of this machine where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_finds_a_proxy_that_does_not_answer(cloudops: Cloudops, closed_url: str) -> None:
    answer = cloudops("doctor", "--proxy", closed_url)

    assert answer.exit_code == 1
    assert answer.output.startswith(f"{closed_url}: the proxy does not answer (")


def test_finds_an_api_that_does_not_answer(closed_url: str) -> None:
    answer = CliRunner().invoke(app, ["--url", closed_url, "doctor"])

    assert answer.exit_code == 1
    assert f"{closed_url}: the API does not answer" in answer.output


def test_says_to_start_the_server_when_there_is_none(closed_url: str) -> None:
    command = [sys.executable, "-m", "scripts.commands.cloudops", "orgs", "list"]
    environment = {**os.environ, "CLOUDOPS_URL": closed_url}

    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"{closed_url} does not answer" in ended.stderr
    assert "scripts/dev" in ended.stderr
    assert "Traceback" not in ended.stderr
