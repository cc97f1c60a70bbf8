"""A monitor that fires at another threshold than the policy says is told, and no other."""

from decimal import Decimal
from typing import Any

import pytest

from common.adapters.datadog_monitors import MEASURES
from common.brownout.drift import Measure, Watched, drifts
from common.brownout.modes import Mode
from common.brownout.policy_file import read_policy, shipped_policy
from tests.brownout.policy_scenes import SMALL
from tests.repository.sources import ROOT

SHIPPED = shipped_policy()
OWN = """\
per_scope:
  "provider:openai": {thresholds: {hard: {latency_p95: 20s}}}
  "provider:google": {thresholds: {hard: {latency_p95: {above: 5s, of: total}}}}
"""


def watched(
    measure: Measure = "latency_p95", fires_at: str = "5", level: Mode = Mode.HARD, **fields: Any
) -> Watched:
    members: dict[str, Any] = {"monitor": "17", "scope": "provider:anthropic", "link": None}
    return Watched(level=level, measure=measure, fires_at=Decimal(fires_at), **members | fields)


@pytest.mark.parametrize(
    ("measure", "soft", "hard", "emergency"),
    [
        ("latency_p95", "2", "5.0", "10"),
        ("error_rate", "0.05", "0.1", "0.2"),
        ("token_cost_per_hour", "50", "100.0", "200"),
    ],
)
def test_says_nothing_where_they_are_the_same(
    measure: Measure, soft: str, hard: str, emergency: str
) -> None:
    levels = {Mode.SOFT: soft, Mode.HARD: hard, Mode.EMERGENCY: emergency}

    assert drifts([watched(measure, at, level) for level, at in levels.items()], SHIPPED) == []


@pytest.mark.parametrize(
    ("measure", "fires_at", "level", "told"),
    [
        ("latency_p95", "6.0", Mode.HARD, "6 s, the policy says 5 s"),
        ("latency_p95", "5", Mode.SOFT, "5 s, the policy says 2 s"),
        ("latency_p95", "0.25", Mode.EMERGENCY, "0.25 s, the policy says 10 s"),
        ("error_rate", "0.0501", Mode.SOFT, "5.01 %, the policy says 5 %"),
        ("token_cost_per_hour", "1E+2", Mode.SOFT, "100 USD an hour, the policy says 50 USD"),
    ],
)
def test_says_both(measure: Measure, fires_at: str, level: Mode, told: str) -> None:
    [drift] = drifts([watched(measure, fires_at, level)], SHIPPED)

    assert drift.told.startswith(f"monitor 17 fires at {told}")


def test_overlooks_what_is_lost_in_digits() -> None:
    nearly = watched("error_rate", "0.10000000001")

    assert drifts([nearly], SHIPPED) == []


def test_says_that_the_policy_has_no_such_threshold() -> None:
    small = read_policy(SMALL, None)

    found = drifts([watched("error_rate", "0.1"), watched(level=Mode.EMERGENCY)], small)

    assert [drift.told for drift in found] == [
        "monitor 17 fires at 10 %, the policy says no such threshold",
        "monitor 17 fires at 5 s, the policy says no such threshold",
    ]


def test_holds_it_against_what_its_scope_has() -> None:
    policy = read_policy(SMALL + OWN, None)
    scopes = ("provider:anthropic", "provider:openai", "provider:google")

    found = drifts([watched(scope=scope) for scope in scopes], policy)

    assert [drift.policy_says for drift in found] == [Decimal(20), None]


def test_is_kept_as_it_is() -> None:
    one = watched("error_rate", "0.1", link="https://dd.example/17")

    assert Watched.from_data(one.to_data()) == one


@pytest.mark.parametrize("queried", MEASURES)
def test_knows_what_the_module_asks_for(queried: str) -> None:
    """Also that its monitors have the tags by which they are known."""
    module = (ROOT / "terraform/modules/datadog/monitors.tf").read_text()

    assert queried % "service:${var.service}" in module
    assert '"brownout:${each.value.level}"' in module
    assert '"brownout_scope:${each.value.scope}"' in module
    assert '"service:${var.service}"' in module
