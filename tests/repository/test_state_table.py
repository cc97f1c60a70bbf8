"""`terraform/state.yaml` says of the state what the code does.

Neither SQLite nor Firestore's emulator asks for an index or deletes what has expired, so a missing
row would be seen in production alone.
"""

import dataclasses
from pathlib import Path

import yaml

from common.adapters.document_rules import UNINDEXED, UNINDEXED_COLLECTIONS
from common.brownout import changes, deliveries, episodes, receiving, signals, telemetry
from common.budgets import accounts, alerts, proven_days, rate_windows, reconciled
from common.core import transactions
from common.core.ports import Query
from common.incidents import incidents, notices
from common.pricing import claims
from common.usage import apply_events, episode_sums, rollups
from tests.repository.sources import ROOT, texts

TTL_FIELD = "delete_at"
EXPIRING = {
    Path("common/api/writes.py"): {"idempotency"},
    Path("common/brownout/changes.py"): {changes.CHANGES},
    Path("common/brownout/episodes.py"): {episodes.EPISODES},
    Path("common/brownout/deliveries.py"): {deliveries.DELIVERIES},
    Path("common/brownout/receiving.py"): {receiving.EVENTS},
    Path("common/brownout/signals.py"): {signals.SIGNALS},
    Path("common/brownout/telemetry.py"): {telemetry.MARKERS},
    Path("common/budgets/accounts.py"): {accounts.LEASES, accounts.PERIODS},
    Path("common/budgets/alerts.py"): {alerts.ALERTS},
    Path("common/budgets/rate_windows.py"): {rate_windows.RATES},
    Path("common/budgets/proven_days.py"): {proven_days.TOLD},
    Path("common/budgets/reconciled.py"): {reconciled.CORRECTIONS},
    Path("common/core/transactions.py"): {transactions.MARKERS},
    Path("common/incidents/taking.py"): {incidents.MARKERS},
    Path("common/incidents/notices.py"): {notices.NOTICES},
    Path("common/pricing/claims.py"): {claims.CLAIMS},
    Path("common/usage/apply_events.py"): {apply_events.MARKERS},
    Path("common/usage/episode_sums.py"): {episode_sums.EPISODE_SUMS},
    Path("common/usage/rollups.py"): set(rollups.COLLECTIONS.values()),
}
"""The collections of each module that writes documents with a time to be deleted at."""

STATE = yaml.safe_load((ROOT / "terraform/state.yaml").read_text())


def test_knows_every_module_whose_documents_expire() -> None:
    writing = {
        path
        for path, source in texts(".py").items()
        if path.parts[0] == "common" and path.parts[1] != "adapters" and f'"{TTL_FIELD}":' in source
    }

    assert writing == set(EXPIRING)


def test_lists_the_collections_whose_documents_expire() -> None:
    assert STATE["ttl"] == sorted(set().union(*EXPIRING.values()))


def test_lets_no_engine_filter_by_the_field_without_an_index() -> None:
    assert {TTL_FIELD} == UNINDEXED


def test_keeps_no_index_of_the_fields_of_rollups() -> None:
    sums = {episode_sums.EPISODE_SUMS, *rollups.COLLECTIONS.values()}
    assert STATE["unindexed"] == sorted(sums)
    assert set(STATE["unindexed"]) == UNINDEXED_COLLECTIONS


def test_needs_no_composite_index() -> None:
    """Another form of query (a range, another order) needs one, and a check that it has it."""
    assert STATE["indexes"] == []
    assert [field.name for field in dataclasses.fields(Query)] == [
        "collection",
        "where",
        "after",
        "limit",
    ]
