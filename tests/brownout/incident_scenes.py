"""What Cloud Monitoring posts, as its documentation shows it, with the field's defaults.

https://cloud.google.com/monitoring/support/notification-options#schema-pubsub
"""

from typing import Any

from tests.brownout.scenes import T0

SECONDS = int(T0.timestamp())


def an_incident(**changed: Any) -> dict[str, Any]:
    """A body of version 1.2: an incident that opened at T0, of a policy that asks for hard."""
    labels = changed.pop("labels", a_label())
    version = changed.pop("version", "1.2")
    incident = {
        "incident_id": "0.opqiw61fsv7p",
        "scoping_project_id": "my-project",
        "scoping_project_number": 12345,
        "url": "https://console.cloud.google.com/monitoring/alerting/alerts/0.opqiw61fsv7p",
        "started_at": SECONDS,
        "ended_at": None,
        "state": "open",
        "summary": "Latency of chat is above the threshold of 5.000 with a value of 7.250.",
        "observed_value": "7.250",
        "threshold_value": "5.000",
        "severity": "Critical",
        "resource": {"type": "cloud_run_revision", "labels": {"location": "europe-west1"}},
        "metric": {"type": "run.googleapis.com/request_latencies", "labels": {}},
        "policy_name": "Chat latency",
        "policy_user_labels": labels,
        "condition_name": "p95 above 5 s",
        "condition": {"name": "projects/my-project/alertPolicies/1/conditions/2"},
    }
    return {"version": version, "incident": {**incident, **changed}}


def a_label(**changed: str) -> dict[str, str]:
    """The labels of a policy that asks for hard, for one team of one organisation."""
    labels = {
        "brownout": "hard",
        "brownout_scope_kind": "team",
        "brownout_scope_name": "search",
        "brownout_org": "acme",
        "owner": "somebody",
    }
    return {name: text for name, text in {**labels, **changed}.items() if text}


def an_old_incident(**changed: Any) -> dict[str, Any]:
    """A body of version 1.1, which knows no labels and no severity."""
    incident = {
        "incident_id": "f2e08c333dc64cb09f75eaab355393bz",
        "resource_id": "i-4a266a2d",
        "resource_name": "webserver-85",
        "state": "open",
        "started_at": str(SECONDS),
        "ended_at": None,
        "policy_name": "Webserver Health",
        "condition_name": "CPU usage",
        "url": "https://app.google.stackdriver.com/incidents/f2e08c333dc64cb09f75eaab355393bz",
        "summary": "CPU for webserver-85 is above the threshold",
    }
    return {"version": "1.1", "incident": {**incident, **changed}}
