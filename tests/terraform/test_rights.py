"""Who may do what, in everything that an apply makes, is what was designed and nothing else."""

from collections.abc import Callable

import pytest

from scripts.terraform_checks import rights
from scripts.terraform_checks.mocked_apply import PUBSUB_AGENT, Applied
from tests.terraform.conftest import NAMES, Installations
from tests.terraform.seeds import changed, with_one_more, without

Seed = Callable[[Applied], Applied]

each_installation = pytest.mark.parametrize("name", NAMES)


@each_installation
@pytest.mark.parametrize("rule", rights.RULES.values(), ids=rights.RULES)
def test_grants_what_is_designed(
    installations: Installations, name: str, rule: Callable[[Applied], list[str]]
) -> None:
    assert rule(installations[name]) == []


def test_opens_the_proxy_and_the_webhook_alone_to_everybody(installations: Installations) -> None:
    public = {
        grant.resource
        for grant in rights.grants(installations.plain)
        if grant.member in rights.EVERYBODY
    }

    assert public == {"service brownout-webhook", "service proxy"}


def test_lets_nobody_in_who_is_not_named(installations: Installations) -> None:
    callers = {
        grant.resource: grant.member
        for grant in rights.grants(installations.plain)
        if grant.role == "roles/run.invoker"
    }

    assert callers == {
        "service brownout-webhook": "allUsers",
        "service proxy": "allUsers",
        "service brownout-tick": "invoker",
        "service notifier": "invoker",
        "service usage": "invoker",
        "service budgets": "invoker",
        "service incidents": "invoker",
        "service insights": "invoker",
        "service pricing": "invoker",
    }


def test_binds_on_the_project_only_what_has_no_smaller_place(installations: Installations) -> None:
    on_project = {
        (grant.member, grant.role)
        for grant in rights.grants(installations.plain)
        if grant.resource.startswith("project ") and not grant.condition
    }

    assert on_project == {
        ("api", "roles/bigquery.jobUser"),
        ("budgets", "roles/bigquery.jobUser"),
        ("insights", "roles/bigquery.jobUser"),
        ("pricing", "roles/bigquery.jobUser"),
        ("builder", "roles/logging.logWriter"),
    }


PUSH = 'module.function["usage"].google_cloud_run_v2_service_iam_member.invoker["push"]'
STATE = 'google_project_iam_member.state["usage"]'
LEAVES = 'google_pubsub_subscription_iam_member.dead_letters_leave["usage-usage"]'
DATABASE = f"project PROJECT if {rights.ITS_DATABASE}"
ARRIVE = "google_pubsub_topic_iam_member.dead_letters_arrive"


@pytest.mark.parametrize(
    ("rule", "seed", "finding"),
    [
        (
            rights.differs_from_design,
            lambda a: changed(a, STATE, "condition", []),
            "not designed: usage is roles/datastore.user on project PROJECT",
        ),
        (
            rights.differs_from_design,
            lambda a: changed(a, STATE, "project", "another-project"),
            (
                "not designed: usage is roles/datastore.user on project another-project if "
                f"{rights.ITS_DATABASE}"
            ),
        ),
        (
            rights.differs_from_design,
            lambda a: without(a, 'google_pubsub_topic_iam_member.publisher["proxy-usage"]'),
            "missing: proxy is roles/pubsub.publisher on topic usage",
        ),
        (
            rights.opens_to_everybody,
            lambda a: changed(a, PUSH, "member", "allUsers"),
            "allUsers is roles/run.invoker on service usage, and may not be public",
        ),
        (
            rights.opens_to_everybody,
            lambda a: changed(a, PUSH, "member", "allAuthenticatedUsers"),
            "allAuthenticatedUsers is roles/run.invoker on service usage, and may not be public",
        ),
        (
            rights.is_too_wide,
            lambda a: changed(a, STATE, "role", "roles/datastore.owner"),
            f"usage is roles/datastore.owner on {DATABASE}: nobody holds such a role",
        ),
        (
            rights.is_too_wide,
            lambda a: changed(a, STATE, "role", "roles/editor"),
            (f"usage is roles/editor on {DATABASE}: nobody holds such a role"),
        ),
        (
            rights.is_too_wide,
            lambda a: changed(a, STATE, "role", "roles/pubsub.admin"),
            (f"usage is roles/pubsub.admin on {DATABASE}: nobody holds such a role"),
        ),
        (
            rights.has_unknown_grants,
            lambda a: with_one_more(a, "google_project_iam_binding.x", role="roles/viewer"),
            (
                "google_project_iam_binding.x grants in a way that "
                "scripts.terraform_checks.rights does not read"
            ),
        ),
        (
            rights.loses_dead_letters,
            lambda a: without(a, LEAVES),
            "missing: Pub/Sub is roles/pubsub.subscriber on subscription usage-usage",
        ),
        (
            rights.loses_dead_letters,
            lambda a: changed(a, LEAVES, "member", PUBSUB_AGENT.replace("-1@", "-2@")),
            "missing: Pub/Sub is roles/pubsub.subscriber on subscription usage-usage",
        ),
        (
            rights.loses_dead_letters,
            lambda a: without(a, ARRIVE),
            "missing: Pub/Sub is roles/pubsub.publisher on topic dead-letter",
        ),
        (
            rights.loses_dead_letters,
            lambda a: changed(
                a, 'google_pubsub_subscription.warehouse["usage_raw"]', "dead_letter_policy", []
            ),
            'google_pubsub_subscription.warehouse["usage_raw"] has no dead letter policy',
        ),
    ],
)
def test_finds_a_right_that_is_wrong(
    installations: Installations,
    rule: Callable[[Applied], list[str]],
    seed: Seed,
    finding: str,
) -> None:
    assert finding in rule(seed(installations.plain))


def test_finds_a_right_that_is_given_twice(installations: Installations) -> None:
    plain = installations.plain
    twice = with_one_more(plain, "google_project_iam_member.again", **plain[STATE])

    assert rights.differs_from_design(twice) == [
        f"granted twice: usage is roles/datastore.user on project PROJECT if {rights.ITS_DATABASE}"
    ]
