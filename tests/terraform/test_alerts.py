"""What the modules of alert sources make is what the gateway understands, by its own readers."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from common.adapters.alert_readings import Understood
from common.adapters.cloud_monitoring import read_incident
from common.adapters.datadog import FIELDS, read_webhook
from common.api.webhooks import DATADOG_PATH, MONITORING_PATH, TOKEN_HEADER
from common.brownout.modes import MODES
from common.brownout.policy_file import shipped_policy
from common.brownout.receiving import Received
from common.core.money import NANOS_PER_USD
from scripts.terraform_checks.checkouts import Checkout
from tests.repository.sources import ROOT
from tests.terraform.companions import State, states

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "https://webhook.run.app"
GIVEN = {"brownout_url": ADDRESS, "token": "0123456789abcdef"}
LEVELS = ("soft", "hard", "emergency")
METRICS = {
    "custom.brownout.actions",
    "custom.brownout.activations.count",
    "custom.brownout.cost_lost",
    "custom.brownout.cost_saved",
    "custom.brownout.current_mode",
    "custom.brownout.recovery.duration",
    "custom.llm.calls.unpriced",
    "custom.llm.cost.per_request",
    "custom.llm.cost.total",
    "custom.llm.response.duration",
    "custom.llm.ttft.p95",
    "custom.response.empty",
    "custom.response.quality_score",
    "custom.response.truncated",
    "custom.service.availability",
    "custom.service.requests",
    "custom.token_cost_per_hour",
    "gcp.run.container.memory.utilizations.p95",
    "gcp.run.pending_queue.pending_requests",
    "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens",
    "gen_ai.client.operation.time_to_first_chunk",
}
"""What monitors and panels may ask Datadog for."""


def resources(state: State, kind: str) -> dict[str, State]:
    found = state["root_module"]["resources"]
    return {row.get("index", ""): row["values"] for row in found if row["type"] == kind}


@pytest.fixture(scope="module")
def datadog(checkout: Checkout) -> State:
    chosen = {"google_integration": True, "percentiles": True, "published": True}
    [state] = states(checkout, "modules/datadog", {"all": {**GIVEN, **chosen}}, "datadog")
    return state


@pytest.fixture(scope="module")
def monitoring(checkout: Checkout) -> State:
    given = {**GIVEN, "project_id": "my-project"}
    [state] = states(checkout, "modules/monitoring", {"all": given}, "google")
    return state


def test_sends_datadog_to_the_webhook_with_a_token(datadog: State) -> None:
    [webhook] = resources(datadog, "datadog_webhook").values()
    [token] = resources(datadog, "datadog_webhook_custom_variable").values()
    [(header, value)] = json.loads(webhook["custom_headers"]).items()

    assert webhook["url"] == ADDRESS + DATADOG_PATH
    assert header.lower() == TOKEN_HEADER
    assert value == f"${token['name']}"
    assert (token["is_secret"], token["value"]) == (True, GIVEN["token"])
    assert {*json.loads(webhook["payload"])} == {"v", *FIELDS}


def told(datadog: State, transition: str) -> Iterator[tuple[str, Received]]:
    """What the webhook reads of each monitor's words, as Datadog fills the payload in."""
    [webhook] = resources(datadog, "datadog_webhook").values()
    for key, monitor in resources(datadog, "datadog_monitor").items():
        said = {
            "$ID": "7",
            "$ALERT_CYCLE_KEY": "8",
            "$ALERT_ID": "1234567",
            "$ALERT_TRANSITION": transition,
            "$ALERT_TYPE": "error",
            "$TAGS": ",".join(monitor["tags"]),
            "$LAST_UPDATED": str(int(NOW.timestamp() * 1000)),
        }
        payload = {
            name: said.get(value, "null") for name, value in json.loads(webhook["payload"]).items()
        }
        read = read_webhook(
            json.dumps(payload).encode(), received_at=NOW, default_org=None, monitors={}
        )
        assert isinstance(read, Understood), key
        yield key, read.received


def test_makes_alerts_that_the_webhook_understands(datadog: State) -> None:
    meant, expected = {}, {}

    for key, received in told(datadog, "Triggered"):
        signals = received.signals
        meant[key] = [(signal.level, signal.scope, signal.observed_at) for signal in signals]
        level, measure, *provider = key.split("-")
        scope = f"provider:{provider[0]}" if measure == "latency" else "global"
        expected[key] = [(MODES[level], scope, NOW)]

    assert meant == expected
    assert len(meant) == 17


def test_tells_the_webhook_when_an_alert_is_over(datadog: State) -> None:
    ends = [(each.deed, each.alert.monitor) for _, each in told(datadog, "Recovered")]

    assert ends == [("end", "1234567")] * 17


def test_tells_the_webhook_of_every_monitor(datadog: State) -> None:
    [webhook] = resources(datadog, "datadog_webhook").values()
    silent = [
        key
        for key, monitor in resources(datadog, "datadog_monitor").items()
        if f"@webhook-{webhook['name']}" not in monitor["message"].split()
    ]

    assert silent == []


def test_asks_datadog_for_no_metric_of_another_name(datadog: State) -> None:
    monitors = resources(datadog, "datadog_monitor").values()
    [dashboard] = resources(datadog, "datadog_dashboard_json").values()
    texts = [*(monitor["query"] for monitor in monitors), dashboard["dashboard"]]
    asked = {
        name for text in texts for name in re.findall(r"(?:avg|max|min|sum|p\d\d):([\w.]+)\{", text)
    }

    assert asked == METRICS


def test_watches_the_thresholds_of_the_shipped_policy(datadog: State) -> None:
    limits = shipped_policy().limits_for("provider:openai")
    monitors = resources(datadog, "datadog_monitor")
    watched = {
        level: [
            Fraction(monitors[f"{level}-{name}"]["monitor_thresholds"][0]["critical"])
            for name in ("latency-openai", "errors", "cost")
        ]
        for level in LEVELS
    }

    assert watched == {
        level: [
            Fraction(of.latency_p95.above.total_seconds()),
            Fraction(str(of.error_rate)),
            Fraction(of.token_cost_per_hour.above, NANOS_PER_USD),
        ]
        for level, of in zip(LEVELS, (limits.soft, limits.hard, limits.emergency), strict=True)
        if of.latency_p95 and of.token_cost_per_hour
    }


def test_sends_cloud_monitoring_to_its_webhook_with_a_password(monitoring: State) -> None:
    [channel] = resources(monitoring, "google_monitoring_notification_channel").values()
    [secret] = channel["sensitive_labels"]

    assert channel["labels"] == {"url": ADDRESS + MONITORING_PATH, "username": "brownout"}
    assert secret["password"] == GIVEN["token"]


def test_makes_incidents_that_the_webhook_understands(monitoring: State) -> None:
    policies = resources(monitoring, "google_monitoring_alert_policy")
    meant = {}

    for key, policy in policies.items():
        incident = {
            "incident_id": "0.abc",
            "state": "open",
            "started_at": int(NOW.timestamp()),
            "ended_at": None,
            "policy_name": policy["display_name"],
            "policy_user_labels": policy["user_labels"],
        }
        read = read_incident(
            json.dumps({"version": "1.2", "incident": incident}).encode(),
            received_at=NOW,
            default_org=None,
            monitors={},
        )
        signals = getattr(getattr(read, "received", None), "signals", ())
        meant[key] = [(signal.level, signal.scope) for signal in signals]

    assert meant == {key: [(MODES[key.split("-")[0]], "global")] for key in policies}
    assert len(meant) == 5


def test_has_the_commands_that_the_readme_names() -> None:
    """Each module that people apply is named where they look for it, with its variables."""
    text = (ROOT / "terraform/README.md").read_text()

    for module in ("datadog", "monitoring"):
        assert f"terraform -chdir=terraform/modules/{module} apply" in text
