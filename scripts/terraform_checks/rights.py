"""Who may do what: every grant of an apply, beside the table of what is designed.

A grant is member, role, resource and condition. Members and resources carry the names they have
without prefix and project, so that one table says it for every installation. There is no other way
in: rights that replace what others granted (policies, bindings) are findings by themselves.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from scripts.terraform_checks.mocked_apply import (
    IAP_AGENT,
    PUBSUB_AGENT,
    Applied,
    Installation,
    Values,
    type_of,
)

AGENTS = {PUBSUB_AGENT: "Pub/Sub", IAP_AGENT: "IAP"}
EVERYBODY = ("allUsers", "allAuthenticatedUsers")
TOO_WIDE = re.compile(
    r"^roles/(owner|editor|viewer|.*\.owner|.*admin|iam\.serviceAccount(User|TokenCreator|KeyAdmin))$",
    re.IGNORECASE,
)
FILTER_HASH = re.compile(r"-[0-9a-f]{6}$")

RESOURCES = {
    "google_artifact_registry_repository_iam_member": "repository {repository}",
    "google_bigquery_dataset_iam_member": "dataset {dataset_id}",
    "google_bigquery_table_iam_member": "table {dataset_id}.{table_id}",
    "google_cloud_run_v2_service_iam_member": "service {name}",
    "google_iap_web_cloud_run_service_iam_member": "IAP of {cloud_run_service_name}",
    "google_project_iam_member": "project {project}",
    "google_pubsub_subscription_iam_member": "subscription {subscription}",
    "google_pubsub_topic_iam_member": "topic {topic}",
    "google_secret_manager_secret_iam_member": "secret {secret_id}",
    "google_service_account_iam_member": "account {service_account_id}",
    "google_storage_bucket_iam_member": "bucket {bucket}",
}
"""What each kind of grant is bound to."""

IS_A_GRANT = re.compile(r"_iam_|_access$|_acl$|_access_control$")


class Grant(NamedTuple):
    """One right. `condition` is empty where it always holds."""

    member: str
    role: str
    resource: str
    condition: str = ""

    def __str__(self) -> str:
        condition = f" if {self.condition}" if self.condition else ""
        return f"{self.member} is {self.role} on {self.resource}{condition}"


ITS_DATABASE = 'resource.name == "projects/PROJECT/databases/PREFIX-state"'
COPIES_OF_SOURCES = 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-")'

_STATE = ("roles/datastore.user", "project PROJECT", ITS_DATABASE)
_JOBS = ("roles/bigquery.jobUser", "project PROJECT")
_READS_WAREHOUSE = ("roles/bigquery.dataViewer", "dataset warehouse")
_TAKES_DEAD_LETTERS = "roles/pubsub.subscriber"

DESIGNED = (
    Grant("proxy", "roles/pubsub.publisher", "topic usage"),
    Grant("proxy", "roles/pubsub.publisher", "topic events"),
    Grant("proxy", *_STATE),
    Grant("proxy", "roles/secretmanager.secretAccessor", "secret fingerprint-key"),
    Grant("brownout-webhook", "roles/pubsub.publisher", "topic events"),
    Grant("brownout-webhook", *_STATE),
    Grant("brownout-tick", "roles/pubsub.publisher", "topic events"),
    Grant("brownout-tick", *_STATE),
    Grant("invoker", "roles/run.invoker", "service brownout-tick"),
    Grant("incidents", "roles/pubsub.publisher", "topic events"),
    Grant("incidents", *_STATE),
    Grant("invoker", "roles/run.invoker", "service incidents"),
    Grant("notifier", "roles/pubsub.publisher", "topic events"),
    Grant("notifier", *_STATE),
    Grant("invoker", "roles/run.invoker", "service notifier"),
    Grant("usage", *_STATE),
    Grant("invoker", "roles/run.invoker", "service usage"),
    Grant("budgets", "roles/pubsub.publisher", "topic events"),
    Grant("budgets", *_STATE),
    Grant("budgets", *_READS_WAREHOUSE),
    Grant("budgets", *_JOBS),
    Grant("invoker", "roles/run.invoker", "service budgets"),
    Grant("pricing", "roles/pubsub.publisher", "topic events"),
    Grant("pricing", *_STATE),
    Grant("pricing", *_READS_WAREHOUSE),
    Grant("pricing", *_JOBS),
    Grant("invoker", "roles/run.invoker", "service pricing"),
    Grant("insights", "roles/pubsub.publisher", "topic events"),
    Grant("insights", *_STATE),
    Grant("insights", *_READS_WAREHOUSE),
    Grant("insights", *_JOBS),
    Grant("invoker", "roles/run.invoker", "service insights"),
    Grant("api", "roles/pubsub.publisher", "topic events"),
    Grant("api", *_STATE),
    Grant("api", *_READS_WAREHOUSE),
    Grant("api", *_JOBS),
    Grant("warehouse-writer", "roles/bigquery.dataEditor", "table warehouse.usage_raw"),
    Grant("builder", "roles/logging.logWriter", "project PROJECT"),
    Grant("builder", "roles/artifactregistry.writer", "repository functions"),
    Grant("builder", "roles/storage.objectViewer", "bucket source"),
    Grant("builder", "roles/storage.objectViewer", "project PROJECT", COPIES_OF_SOURCES),
    Grant("Pub/Sub", "roles/pubsub.publisher", "topic dead-letter"),
    Grant("Pub/Sub", "roles/iam.serviceAccountTokenCreator", "account invoker"),
    Grant("Pub/Sub", "roles/iam.serviceAccountTokenCreator", "account warehouse-writer"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription usage-usage"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription brownout-tick-commands"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription notifier-events"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription budgets-commands"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription budgets-events"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription incidents-events"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription insights-commands"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription pricing-commands"),
    Grant("Pub/Sub", _TAKES_DEAD_LETTERS, "subscription warehouse-usage-raw"),
)
"""Everything that anybody may do, whatever is installed."""

DESIGNED_FOR = {
    "plain": (
        Grant("allUsers", "roles/run.invoker", "service proxy"),
        Grant("allUsers", "roles/run.invoker", "service brownout-webhook"),
    ),
    "minimal": (
        Grant("allUsers", "roles/run.invoker", "service proxy"),
        Grant("allUsers", "roles/run.invoker", "service brownout-webhook"),
    ),
    "complete": (
        Grant("group:applications@example.com", "roles/run.invoker", "service proxy"),
        Grant("group:applications@example.com", "roles/run.invoker", "service brownout-webhook"),
        Grant("user:ada@example.com", "roles/run.invoker", "service api"),
        Grant(
            "serviceAccount:ci@my-project-123.iam.gserviceaccount.com",
            "roles/run.invoker",
            "service api",
        ),
        Grant("proxy", "roles/secretmanager.secretAccessor", "secret openai-api-key"),
        Grant("proxy", "roles/secretmanager.secretAccessor", "secret anthropic-api-key"),
        Grant("proxy", "roles/aiplatform.user", "project my-models-123"),
    ),
    "full": (
        Grant("group:apps@example.com", "roles/run.invoker", "service proxy"),
        Grant("group:apps@example.com", "roles/run.invoker", "service brownout-webhook"),
        Grant("group:ci@example.com", "roles/run.invoker", "service api"),
        Grant("user:ada@example.com", "roles/run.invoker", "service api"),
        Grant("proxy", "roles/secretmanager.secretAccessor", "secret openai-api-key"),
        Grant("proxy", "roles/secretmanager.secretAccessor", "secret anthropic-api-key"),
        Grant("proxy", "roles/secretmanager.secretAccessor", "secret gemini-api-key"),
        Grant("notifier", "roles/secretmanager.secretAccessor", "secret channel-ops-slack"),
        Grant("proxy", "roles/aiplatform.user", "project my-models-123"),
    ),
    "iap": (
        Grant("allUsers", "roles/run.invoker", "service proxy"),
        Grant("allUsers", "roles/run.invoker", "service brownout-webhook"),
        Grant("IAP", "roles/run.invoker", "service console"),
        Grant("user:ada@example.com", "roles/iap.httpsResourceAccessor", "IAP of console"),
        Grant("group:operations@example.com", "roles/iap.httpsResourceAccessor", "IAP of console"),
        Grant("console-image", "roles/pubsub.publisher", "topic events"),
        Grant("console-image", "roles/datastore.viewer", "project PROJECT", ITS_DATABASE),
        Grant("console-image", "roles/bigquery.dataEditor", "dataset warehouse"),
        Grant("console-image", *_JOBS),
        Grant("console-image", "roles/secretmanager.secretAccessor", "secret fingerprint-key"),
    ),
}
"""What else there is with the variables of each installation."""

ACTS_AS = tuple(grant for grant in DESIGNED if grant.resource.startswith("account "))
"""Pub/Sub pushes and writes as two accounts, and may ask for tokens of these two alone."""

PUBLIC = ("service proxy", "service brownout-webhook")
"""What everybody may call."""


def grants(applied: Applied) -> list[Grant]:
    return [
        _grant(applied.of, type_of(address), values)
        for address, values in applied.resources.items()
        if type_of(address) in RESOURCES
    ]


def differs_from_design(applied: Applied) -> list[str]:
    """Grants that nobody designed, and designed ones that are missing."""
    found = grants(applied)
    wanted = {*DESIGNED, *DESIGNED_FOR[applied.of.name]}
    twice = {grant for grant in found if found.count(grant) > 1}
    return [
        *(f"not designed: {grant}" for grant in sorted({*found} - wanted)),
        *(f"missing: {grant}" for grant in sorted(wanted - {*found})),
        *(f"granted twice: {grant}" for grant in sorted(twice)),
    ]


def opens_to_everybody(applied: Applied) -> list[str]:
    return [
        f"{grant}, and may not be public"
        for grant in grants(applied)
        if grant.member in EVERYBODY and grant.resource not in PUBLIC
    ]


def is_too_wide(applied: Applied) -> list[str]:
    """Roles of owners, editors and administrators, wherever they are bound."""
    return [
        f"{grant}: nobody holds such a role"
        for grant in grants(applied)
        if TOO_WIDE.match(grant.role) and grant not in ACTS_AS
    ]


def has_unknown_grants(applied: Applied) -> list[str]:
    """Resources that give rights in a way the table of rights does not see."""
    return [
        f"{address} grants in a way that {__name__} does not read"
        for address in applied.resources
        if IS_A_GRANT.search(type_of(address)) and type_of(address) not in RESOURCES
    ]


def loses_dead_letters(applied: Applied) -> list[str]:
    """Subscriptions whose dead letters Pub/Sub may not move: they would be delivered for ever."""
    found = {*grants(applied)}
    return [
        *(f"missing: {grant}" for grant in _moves_of_dead_letters(applied) if grant not in found),
        *(
            f"{address} has no dead letter policy"
            for address, values in applied.of_type("google_pubsub_subscription").items()
            if not values["dead_letter_policy"]
            and (values["push_config"] or values["bigquery_config"])
        ),
    ]


def _moves_of_dead_letters(applied: Applied) -> Iterator[Grant]:
    topics = {
        values["id"]: _short(applied.of, values["name"])
        for values in applied.of_type("google_pubsub_topic").values()
    }
    for values in applied.of_type("google_pubsub_subscription").values():
        for policy in values["dead_letter_policy"]:
            topic = topics.get(policy["dead_letter_topic"], policy["dead_letter_topic"])
            yield Grant("Pub/Sub", "roles/pubsub.publisher", f"topic {topic}")
            name = FILTER_HASH.sub("", _short(applied.of, values["name"]))
            yield Grant("Pub/Sub", "roles/pubsub.subscriber", f"subscription {name}")


RULES = {
    "rights differ from the design": differs_from_design,
    "rights for everybody": opens_to_everybody,
    "rights that are too wide": is_too_wide,
    "rights of an unknown kind": has_unknown_grants,
    "dead letters without rights": loses_dead_letters,
}


def _grant(of: Installation, kind: str, values: Values) -> Grant:
    what, _, name = RESOURCES[kind].partition(" ")
    named = name.format(**{key: _short(of, value) for key, value in values.items()})
    return Grant(
        member=_member(of, values["member"]),
        role=values["role"],
        resource=f"{what} {FILTER_HASH.sub('', named) if what == 'subscription' else named}",
        condition=_condition(of, values),
    )


def _condition(of: Installation, values: Values) -> str:
    expressions = [row["expression"] for row in values.get("condition") or []]
    return (
        " and ".join(expressions)
        .replace(f"projects/{of.project}/", "projects/PROJECT/")
        .replace(f"/{of.prefix}-state", "/PREFIX-state")
    )


def _member(of: Installation, member: str) -> str:
    """An account of this installation goes by its name, everybody else by the whole address."""
    if agent := AGENTS.get(member):
        return agent
    account = re.fullmatch(
        rf"serviceAccount:{of.prefix}-([a-z-]+)@{of.project}\.iam\.gserviceaccount\.com",
        member or "",
    )
    return account[1] if account else str(member)


def _short(of: Installation, value: Any) -> str:
    """A resource's name without what every name of the installation begins with."""
    text = str(value).rpartition("/serviceAccounts/")[2].partition("@")[0]
    if text == of.project:
        return "PROJECT"
    for start in (f"{of.project}-{of.prefix}-", f"{of.prefix}-", f"{of.prefix.replace('-', '_')}_"):
        if text.startswith(start):
            return text.removeprefix(start)
    return text
