"""A policy is stored as what it is, and read without YAML."""

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.brownout.policy import Policy
from common.brownout.policy_file import read_policy, shipped_policy
from common.brownout.policy_models import policy_data, policy_from_data
from common.brownout.policy_problems import PolicyInvalid
from common.brownout.policy_weaknesses import weaknesses
from scripts.commands.bundle import ROOT, contents
from tests.brownout.policy_scenes import SMALL, policies


@settings(max_examples=50, deadline=None)
@given(policies())
def test_reads_what_it_writes_as_the_same_whatever_the_order_of_members(policy: Policy) -> None:
    stored = json.dumps(policy_data(policy), sort_keys=True)

    assert policy_from_data(json.loads(stored)) == policy


SHIPPED = json.dumps(policy_data(shipped_policy()))
PLACES = [
    ("version",),
    ("thresholds", "soft", "latency_p95"),
    ("thresholds", "hard"),
    ("reading", "latency_p95", "of"),
    ("reading", "latency_p95", "baseline"),
    ("per_scope",),
    ("per_scope", "global"),
    ("recovery", "dwell"),
    ("signals", "map"),
    ("strategies",),
    ("strategies", "default", "soft"),
    ("strategies", "support", "hard"),
    ("assign",),
    ("maps", "cheaper"),
    ("hints", "brief"),
    ("incidents", "procedures"),
    ("escalation",),
]
WORDS = st.sampled_from(["global", "scope", "strategy", "effort", "for", "map", "hint", "$1", "of"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PLACES), ANYTHING)
def test_refuses_or_takes_whatever_stands_somewhere(place: tuple[str, ...], value: Any) -> None:
    data = json.loads(SHIPPED)
    inside: Any = data
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value

    with suppress(PolicyInvalid):
        assert isinstance(policy_from_data(data), Policy)


def test_ships_a_policy_without_anything_unwise() -> None:
    assert weaknesses(shipped_policy()) == ()


def test_ships_a_policy_that_only_records() -> None:
    assert shipped_policy().enforced is False


def test_fills_what_is_left_out_as_the_shipped_policy_has_it() -> None:
    left_out = read_policy(SMALL)
    shipped = shipped_policy()

    assert left_out.reading == shipped.reading
    assert (left_out.recovery, left_out.holdout) == (shipped.recovery, shipped.holdout)
    assert left_out.signals == shipped.signals
    assert left_out.incidents == shipped.incidents
    assert left_out.enforcement == shipped.enforcement


def test_is_in_every_bundle() -> None:
    assert b"version: 1" in contents(ROOT, "proxy")["common/brownout/defaults.yaml"]


@pytest.mark.parametrize("data", [None, [], "version: 1", 7])
def test_refuses_what_is_no_object(data: Any) -> None:
    with pytest.raises(PolicyInvalid, match="is no object"):
        policy_from_data(data)


def test_needs_no_yaml_for_a_stored_policy() -> None:
    loaded = (
        "import sys, common.brownout.policy, common.brownout.policy_models\n"
        "sys.exit('yaml' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=False).returncode == 0
