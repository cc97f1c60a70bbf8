"""Values of secrets are in no state, no plan and no output; the one that is made here is listed."""

import json
import re
from collections.abc import Callable

import pytest

from common.incidents.channels import Channel, check_channel
from scripts.functions_table import setting_of
from scripts.terraform_checks.checkouts import Checkout, errors
from scripts.terraform_checks.mocked_apply import (
    CANARIES,
    FULL,
    GENERATED,
    Applied,
    key_of,
    mocked_test,
    write_test,
)
from scripts.terraform_checks.resource_rules import leaks, leaves
from tests.terraform.conftest import Installations
from tests.terraform.seeds import changed, with_output

IN_THE_STATE = [
    'google_secret_manager_secret_version.generated["fingerprint-key"].secret_data',
    'random_password.generated["fingerprint-key"].result',
]
"""Where the value stands that Terraform makes itself: why the state belongs in a private bucket."""


def test_stores_no_value_that_people_give(installations: Installations) -> None:
    assert leaks(installations.full, installations.printed, CANARIES) == []


def test_sends_every_value_that_people_give(installations: Installations) -> None:
    """Were they not given at all, finding none would prove nothing."""
    given = installations.full.of_type("google_secret_manager_secret_version")
    numbers = {address: values["secret_data_wo_version"] for address, values in given.items()}

    assert {*CANARIES} <= {*FULL.variables["secret_values"]}
    assert {
        numbers[f'google_secret_manager_secret_version.given["{name}"]'] for name in CANARIES
    } == {3, 4, 5, 6}


def test_keeps_the_value_that_it_makes_in_two_places_alone(installations: Installations) -> None:
    found = [
        f"{address}{path}"
        for address, values in [
            *installations.full.resources.items(),
            ("outputs", installations.full.outputs),
        ]
        for path, value in leaves(values, "")
        if GENERATED in str(value)
    ]

    assert found == IN_THE_STATE


def test_mounts_a_version_and_never_a_value(installations: Installations) -> None:
    [service] = installations.full[
        'module.function["proxy"].google_cloudfunctions2_function.function'
    ]["service_config"]
    mounted = {
        row["key"]: (row["secret"], row["version"])
        for row in service["secret_environment_variables"]
    }

    assert mounted == {
        "FINGERPRINT_KEY": ("acme-ops-fingerprint-key", "5"),
        "OPENAI_API_KEY": ("acme-ops-openai-api-key", "6"),
        "ANTHROPIC_API_KEY": ("acme-ops-anthropic-api-key", "7"),
        "GEMINI_API_KEY": ("acme-ops-gemini-api-key", "8"),
    }


def test_mounts_the_secret_of_a_channel_where_channels_are_written_to(
    installations: Installations,
) -> None:
    mounted = {
        key_of(address): [row["secret"] for row in service["secret_environment_variables"]]
        for address, values in installations.full.of_type("google_cloudfunctions2_function").items()
        for service in values["service_config"]
        if "CHANNEL_OPS_SLACK" in {row["key"] for row in service["secret_environment_variables"]}
    }

    assert mounted == {"notifier": ["acme-ops-channel-ops-slack"]}
    check_channel(Channel("ops", "slack", setting_of("channel-ops-slack")))


CANARY = CANARIES["openai-api-key"]
VERSION = 'google_secret_manager_secret_version.given["openai-api-key"]'


@pytest.mark.parametrize(
    ("seed", "text", "finding"),
    [
        (
            lambda a: changed(a, VERSION, "secret_data", CANARY),
            "",
            f"{VERSION}.secret_data: the value of openai-api-key",
        ),
        (
            lambda a: with_output(a, "api_url", f"https://{CANARY}"),
            "",
            "outputs.api_url: the value of openai-api-key",
        ),
        (lambda a: a, f"Error: {CANARY}", "printed: the value of openai-api-key"),
    ],
)
def test_finds_a_value_that_is_stored(
    installations: Installations, seed: Callable[[Applied], Applied], text: str, finding: str
) -> None:
    assert leaks(seed(installations.full), text, CANARIES) == [finding]


def test_prints_no_value_in_a_plan_that_fails(checkout: Checkout) -> None:
    """Terraform quotes values in its errors; not these."""
    wrong = {**FULL.variables, "secret_versions": dict.fromkeys(CANARIES, 0), "runtime": "go121"}
    document = mocked_test(FULL, [], {"plan": {"command": "plan"}})
    write_test(
        checkout, "failing", {**document, "variables": {**document["variables"], **wrong}}, "plan"
    )

    printed = checkout.test("-verbose", "-test-directory=failing")

    assert any("runtime is a Python runtime" in error for error in errors(printed))
    assert [name for name, canary in CANARIES.items() if canary in printed] == []


def test_has_no_value_in_a_plan_that_changes_them(checkout: Checkout) -> None:
    runs = {
        "before": {},
        "after": {
            "command": "plan",
            "variables": {"secret_versions": dict.fromkeys(CANARIES, 9)},
        },
    }
    write_test(checkout, "rotating", mocked_test(FULL, [], runs), "rotate")

    printed = checkout.test("-verbose", "-test-directory=rotating")

    assert errors(printed) == []
    assert '"secret_data_wo_version":9' in re.sub(r"\\s", "", printed)
    assert [name for name, canary in CANARIES.items() if canary in json.dumps(printed)] == []
