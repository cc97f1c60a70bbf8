"""What an apply comes to is what was designed: resources, arguments, tables, outputs, settings."""

from collections.abc import Callable

import pytest

from scripts.terraform_checks import dashboard_rules, resource_rules
from scripts.terraform_checks.designed_events import Sources
from scripts.terraform_checks.mocked_apply import Applied
from tests.terraform.conftest import NAMES, Installations
from tests.terraform.seeds import changed, with_one_more, with_output, without

Seed = Callable[[Applied], Applied]

PROXY = 'module.function["proxy"].google_cloudfunctions2_function.function'
SETTINGS = "service_config.0.environment_variables"
PUSH = 'google_pubsub_subscription.push["usage-usage"]'
ALERT = 'google_monitoring_alert_policy.watch["dead-letters"]'
BUNDLE = 'google_storage_bucket_object.bundle["proxy"]'
TABLE = 'google_bigquery_table.table["usage_raw"]'


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", resource_rules.RULES.values(), ids=resource_rules.RULES)
def test_makes_what_is_designed(
    installations: Installations, sources: Sources, name: str, rule: resource_rules.Rule
) -> None:
    assert rule(installations[name], sources) == []


@pytest.mark.parametrize(
    ("rule", "seed", "finding"),
    [
        (
            resource_rules.has_other_addresses,
            lambda a: without(a, "google_firestore_backup_schedule.daily"),
            "missing: google_firestore_backup_schedule.daily",
        ),
        (
            resource_rules.has_other_addresses,
            lambda a: with_one_more(a, "google_compute_instance.x", name="x"),
            "not designed: google_compute_instance.x",
        ),
        (
            resource_rules.has_other_arguments,
            lambda a: changed(a, PUSH, "expiration_policy", []),
            f"{PUSH}.expiration_policy: [] instead of [{{'ttl': ''}}]",
        ),
        (
            resource_rules.has_other_arguments,
            lambda a: changed(a, PUSH, "topic", "topics/events"),
            f"{PUSH}.topic: 'topics/events' instead of 'topics/usage'",
        ),
        (
            resource_rules.has_other_arguments,
            lambda a: changed(a, "google_storage_bucket.source", "labels", {"app": "x", "b": "c"}),
            (
                "google_storage_bucket.source.labels: {'app': 'x', 'b': 'c'} instead of "
                "{'app': 'open-cloud-ops'}"
            ),
        ),
        (
            resource_rules.has_other_arguments,
            lambda a: changed(a, PUSH, "push_config.0.oidc_token.0.audience", None),
            f"{PUSH}.push_config[0].oidc_token[0].audience: None instead of 'https://usage.run.app'",
        ),
        (
            resource_rules.has_other_places,
            lambda a: changed(a, PROXY, "location", "us-east1"),
            f"{PROXY}: in location us-east1",
        ),
        (
            resource_rules.has_other_places,
            lambda a: changed(a, PUSH, "project", "another-project"),
            f"{PUSH}: in project another-project",
        ),
        (
            resource_rules.tells_nobody,
            lambda a: changed(a, ALERT, "notification_channels", ["channels/x"]),
            f"{ALERT}: tells channels/x",
        ),
        (
            resource_rules.has_other_bundles,
            lambda a: changed(a, BUNDLE, "source", "./../dist/api-0.zip"),
            f"{BUNDLE}: uploads api-0.zip",
        ),
        (
            resource_rules.has_other_tables,
            lambda a: changed(a, TABLE, "schema", '[{"name": "id"}]'),
            f"{TABLE}: not the columns of common/warehouse/usage_raw.json",
        ),
        (
            resource_rules.has_other_outputs,
            lambda a: with_output(a, "proxy_url", "https://api.run.app"),
            "output proxy_url: 'https://api.run.app' instead of 'https://proxy.run.app'",
        ),
        (
            resource_rules.has_other_outputs,
            lambda a: with_output(a, "next_steps", a.outputs["next_steps"].replace("/gemini", "")),
            "output next_steps: 'https://proxy.run.app/gemini\\n' is missing",
        ),
        (
            resource_rules.does_not_start,
            lambda a: changed(a, PROXY, SETTINGS, {"BUS_URL": "pubsub://my-project/oco"}),
            "proxy: Value error, STATE_URL must be set on Cloud Run",
        ),
        (
            resource_rules.does_not_start,
            lambda a: changed(a, PROXY, "service_config.0.secret_environment_variables", []),
            "proxy: Value error, FINGERPRINT_KEY must be set on Cloud Run",
        ),
        (
            resource_rules.does_not_start,
            lambda a: changed(a, PROXY, f"{SETTINGS}.STATE_URL", "firestore://my-project"),
            "proxy: String should match pattern '^(sqlite:///.+|firestore://[^/]+/[^/]+)$'",
        ),
        (
            resource_rules.does_not_start,
            lambda a: changed(
                a, PROXY, SETTINGS, {"STATE_URL": "firestore://my-project/oco-state"}
            ),
            "proxy: Value error, BUS_URL must be set on Cloud Run",
        ),
        (
            resource_rules.does_not_start,
            lambda a: changed(a, PROXY, f"{SETTINGS}.PUBSUB_EMULATOR_HOST", "localhost:1"),
            "proxy: Value error, PUBSUB_EMULATOR_HOST must not be set on Cloud Run",
        ),
        (
            resource_rules.does_not_start,
            lambda a: changed(a, PROXY, f"{SETTINGS}.BUS_URI", "pubsub://my-project/oco"),
            "proxy: nobody reads BUS_URI",
        ),
        (
            resource_rules.does_not_start,
            lambda a: without(a, PROXY),
            "proxy: no such function",
        ),
    ],
)
def test_finds_what_is_made_otherwise(
    installations: Installations,
    sources: Sources,
    rule: resource_rules.Rule,
    seed: Seed,
    finding: str,
) -> None:
    assert finding in rule(seed(installations.plain), sources)


DASHBOARD = "google_monitoring_dashboard.installation"


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("(oco)", "", "dashboard: its name does not tell installations apart"),
        ('"displayName"', '"name"', "dashboard: not of the form that the API takes"),
        ('"columns":48', '"columns":49', "dashboard: 49 columns instead of 48"),
        ('"xPos"', '"x"', "dashboard, tile 1: x is no field of a tile"),
        ('"xPos"', '"x"', "dashboard, tile 1: not in a place of its own"),
        ('"title"', '"text"', "dashboard, tile 0: no title"),
        ('"dataSets"', '"sets"', "dashboard, tile 0: nothing to show"),
        ('"prometheusQuery"', '"query"', "dashboard, tile 0: no query"),
        ('"Y1"', '"Y3"', "dashboard, tile 0: not drawn"),
    ],
)
def test_finds_what_is_wrong_with_the_dashboard(
    installations: Installations, sources: Sources, old: str, new: str, finding: str
) -> None:
    text = installations.plain[DASHBOARD]["dashboard_json"]
    seeded = changed(installations.plain, DASHBOARD, "dashboard_json", text.replace(old, new))

    assert old in text
    assert finding in dashboard_rules.has_a_broken_dashboard(seeded, sources)


@pytest.mark.parametrize("name", NAMES)
def test_gives_settings_that_lead_to_what_is_made(installations: Installations, name: str) -> None:
    applied = installations[name]
    [service] = applied['module.function["api"].google_cloudfunctions2_function.function'][
        "service_config"
    ]
    settings = service["environment_variables"]
    database = applied["google_firestore_database.state"]
    topics = [values["name"] for values in applied.of_type("google_pubsub_topic").values()]
    project, prefix = settings["BUS_URL"].removeprefix("pubsub://").split("/")

    assert settings["STATE_URL"] == f"firestore://{database['project']}/{database['name']}"
    assert project == applied.of.project
    assert {f"{prefix}-{topic}" for topic in ("usage", "events", "commands")} <= {*topics}
    assert settings["WAREHOUSE_URL"].split("/")[2:] == [
        applied["google_bigquery_dataset.warehouse"]["project"],
        applied["google_bigquery_dataset.warehouse"]["dataset_id"],
    ]


def test_tells_two_installations_apart_by_their_prefix(installations: Installations) -> None:
    """Everything that has a name of its own in a project begins with the prefix."""
    names = {
        (address, values[key])
        for address, values in installations.full.resources.items()
        for key in ("account_id", "dataset_id", "name", "repository_id", "secret_id")
        if isinstance(values.get(key), str)
        and not address.startswith(("random_", "google_monitoring_"))
    }
    named = {name for _, name in names if "acme" in name or "-" in name}

    assert [name for name in named if "acme-ops" not in name and "acme_ops" not in name] == []
    assert len(named) > 20
