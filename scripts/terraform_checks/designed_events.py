"""The way of an event, as designed: topics, subscriptions, dead letters, schedules, tables."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.core.events import TOPICS
from common.warehouse.tables import Definitions
from scripts.functions_table import Function, Table, TopicTrigger
from scripts.terraform_checks.mocked_apply import Installation

Row = tuple[str, dict[str, Any]]
"""Address and arguments of one resource."""

A_WEEK = "604800s"
A_MONTH = "2678400s"
NEVER = [{"ttl": ""}]
AGAIN = [{"minimum_backoff": "10s", "maximum_backoff": "600s"}]


@dataclass(frozen=True, slots=True)
class Sources:
    """What an installation is made from, beside the variables."""

    table: Table
    warehouse: Definitions
    documents: dict[str, list[str]]
    bundles: Path

    def manifest(self, of: Installation) -> dict[str, dict[str, str]]:
        """What the installation's bundles are called, by function."""
        other = of.variables.get("bundle_dir")
        folder = self.bundles.parent / "terraform" / other if other else self.bundles
        rows: dict[str, dict[str, str]] = json.loads((folder / "manifest.json").read_text())
        return rows


def events(of: Installation, sources: Sources) -> Iterator[Row]:
    """Topics, who is pushed what of them, and what the schedules publish."""
    regions = [{"allowed_persistence_regions": [of.region]}]
    common = {"project": of.project, "labels": of.labels}
    for topic in TOPICS:
        yield (
            f'google_pubsub_topic.topic["{topic}"]',
            common
            | {
                "name": f"{of.prefix}-{topic}",
                "message_storage_policy": regions,
                "message_retention_duration": A_WEEK if topic == "usage" else None,
            },
        )
    yield (
        "google_pubsub_topic.dead_letter",
        common | {"name": f"{of.prefix}-dead-letter", "message_storage_policy": regions},
    )
    yield (
        "google_pubsub_subscription.dead_letter",
        common
        | {
            "name": f"{of.prefix}-dead-letter",
            "topic": "topics/dead-letter",
            "message_retention_duration": A_MONTH,
            "ack_deadline_seconds": 600,
            "expiration_policy": NEVER,
        },
    )
    yield (
        "google_project_service_identity.pubsub",
        {"project": of.project, "service": "pubsub.googleapis.com"},
    )
    for key, function in sources.table.functions.items():
        for trigger in function.triggers:
            if isinstance(trigger, TopicTrigger):
                yield _push(of, key, function, trigger)
    for key, schedule in sources.table.schedules.items():
        yield (
            f'google_cloud_scheduler_job.command["{key}"]',
            {
                "project": of.project,
                "region": of.region,
                "name": f"{of.prefix}-{key}",
                "schedule": schedule.cron,
                "time_zone": "Etc/UTC",
                "pubsub_target": [
                    {
                        "topic_name": "topics/commands",
                        "data": _base64(json.dumps(schedule.data, separators=(",", ":"))),
                        "attributes": {"type": schedule.command},
                    }
                ],
            },
        )


def _push(of: Installation, key: str, function: Function, trigger: TopicTrigger) -> Row:
    filter_, digest = _filter(trigger.types)
    address = f"https://{key.replace('_', '-')}.run.app"
    return (
        f'google_pubsub_subscription.push["{key}-{trigger.topic}"]',
        _delivered(of)
        | {
            "name": f"{of.prefix}-{key.replace('_', '-')}-{trigger.topic}-{digest}",
            "topic": f"topics/{trigger.topic}",
            "filter": filter_,
            "ack_deadline_seconds": min(600, max(10, function.timeout)),
            "push_config": [
                {
                    "push_endpoint": address,
                    "oidc_token": [
                        {"service_account_email": of.account("invoker"), "audience": address}
                    ],
                }
            ],
        },
    )


def _delivered(of: Installation) -> dict[str, Any]:
    """What subscriptions have that hand on what they get."""
    return {
        "project": of.project,
        "labels": of.labels,
        "message_retention_duration": A_WEEK,
        "retry_policy": AGAIN,
        "dead_letter_policy": [
            {"dead_letter_topic": "topics/dead-letter", "max_delivery_attempts": 10}
        ],
        "expiration_policy": NEVER,
    }


def warehouse(of: Installation, sources: Sources) -> Iterator[Row]:
    """The dataset, its tables and views, and the subscriptions that fill tables."""
    protected = of.is_protected
    yield (
        "google_bigquery_dataset.warehouse",
        {
            "project": of.project,
            "dataset_id": of.dataset,
            "location": of.variables.get("warehouse_location", of.region),
            "labels": of.labels,
            "delete_contents_on_destroy": not protected,
            "access": [],
        },
    )
    common = {
        "project": of.project,
        "dataset_id": of.dataset,
        "labels": of.labels,
        "deletion_protection": protected,
    }
    for name, table in sources.warehouse.tables.items():
        expiry = table.expiry_days
        yield (
            f'google_bigquery_table.table["{name}"]',
            common
            | {
                "table_id": name,
                "description": table.description,
                "clustering": list(table.clustering),
                "time_partitioning": [
                    {
                        "type": "DAY",
                        "field": table.partition_field,
                        "expiration_ms": None if expiry is None else expiry * 86_400_000,
                    }
                ],
            },
        )
        if table.source:
            filter_, digest = _filter(table.source.types)
            yield (
                f'google_pubsub_subscription.warehouse["{name}"]',
                _delivered(of)
                | {
                    "name": f"{of.prefix}-warehouse-{name.replace('_', '-')}-{digest}",
                    "topic": f"topics/{table.source.topic}",
                    "filter": filter_,
                    "bigquery_config": [
                        {
                            "table": f"{of.project}.{of.dataset}.{name}",
                            "use_table_schema": True,
                            "write_metadata": True,
                            "drop_unknown_fields": True,
                            "service_account_email": of.account("warehouse-writer"),
                        }
                    ],
                },
            )
    for name, view in sources.warehouse.views.items():
        query = view.select_from(f"{of.project}.{of.dataset}")
        yield (
            f'google_bigquery_table.view["{name}"]',
            common | {"table_id": name, "view": [{"query": query, "use_legacy_sql": False}]},
        )


def _filter(types: Sequence[str]) -> tuple[str, str]:
    """A subscription's filter, and the end of its name."""
    text = " OR ".join(
        f'hasPrefix(attributes.type, "{type_}")'
        if type_.endswith(".")
        else f'attributes.type = "{type_}"'
        for type_ in types
    )
    return text, hashlib.sha256(text.encode()).hexdigest()[:6]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
