"""Policies for tests: a small one as a file, and any valid one."""

from datetime import timedelta
from itertools import combinations
from typing import Literal

import pytest
from hypothesis import strategies as st

from common.brownout.modes import Mode, Priority
from common.brownout.policy import (
    Admit,
    Baseline,
    CostReading,
    CostThreshold,
    Edit,
    ErrorReading,
    EscalationStep,
    IncidentRules,
    LatencyOf,
    LatencyReading,
    LatencyThreshold,
    LevelThresholds,
    Meaning,
    ModelMap,
    PlannedEdit,
    Policy,
    Reading,
    Retries,
    Shed,
    SignalRules,
    Strategy,
    Thresholds,
)
from common.brownout.policy_edits import EDIT_NAMES
from common.brownout.policy_file import read_policy
from common.brownout.policy_problems import PolicyInvalid
from common.brownout.trajectory import Recovery
from common.core.money import NANOS_PER_USD
from common.llm.reductions.wanted import (
    EFFORTS,
    EffortAtMost,
    EffortDown,
    Hint,
    LowMediaDetail,
    LowVerbosity,
    OneCandidate,
    OutputCap,
    StandardTier,
    WithoutServerTools,
)

SMALL = """\
version: 1
thresholds:
  soft: {latency_p95: 2s}
  hard: {latency_p95: 5s}
strategies:
  default: {}
"""


def refused(text: str) -> list[str]:
    """The problems of a file, in order."""
    with pytest.raises(PolicyInvalid) as refusal:
        read_policy(text)
    return [each.text for each in refusal.value.problems]


def with_line(line: str) -> str:
    """The small policy and in line 7 something more."""
    return f"{SMALL}{line}\n"


def with_soft(thresholds: str) -> str:
    return SMALL.replace("soft: {latency_p95: 2s}", f"soft: {thresholds}")


def with_edits(edits: str) -> str:
    """The small policy with these edits in its soft mode, in line 6."""
    return SMALL.replace("default: {}", f"default: {{soft: {edits}}}")


MILLISECOND = timedelta(milliseconds=1)
NAMES = st.sampled_from(["default", "brief", "cheaper", "a", "0-_x"])
SCOPES = st.sampled_from(["global", "team:acme/search", "model:gpt-5.2", "provider:openai"])
LINKS = st.just("https://wiki.example.com/x?y=1#z")


def durations(least: timedelta, most: timedelta) -> st.SearchStrategy[timedelta]:
    micros = timedelta(microseconds=1)
    return st.integers(least // micros, most // micros).map(lambda each: each * micros)


def shares(least: float, most: float) -> st.SearchStrategy[float]:
    digits = st.integers(int(least * 10_000), int(most * 10_000))
    return digits.map(lambda each: each / 10_000)


def multiples() -> st.SearchStrategy[float]:
    return st.integers(101, 10_000).map(lambda each: each / 100)


OF: st.SearchStrategy[LatencyOf | None] = st.sampled_from(["first_chunk", "total", None])
BASELINES: st.SearchStrategy[Baseline] = st.one_of(st.none(), st.just("off"), multiples())
READING_BASELINES: st.SearchStrategy[tuple[float, float, float] | None] = st.none() | st.lists(
    multiples(), min_size=3, max_size=3, unique=True
).map(lambda each: (min(each), sorted(each)[1], max(each)))


AMOUNTS = st.lists(
    st.tuples(
        st.integers(1, 1_000), st.booleans(), st.booleans(), st.booleans(), st.booleans(), BASELINES
    ),
    min_size=3,
    max_size=3,
    unique_by=lambda each: each[0],
).map(lambda rows: sorted(rows, key=lambda each: each[0]))


@st.composite
def levels(draw: st.DrawFn) -> Thresholds:
    """Thresholds that rise, each of which may be missing."""
    of = draw(OF)
    soft, hard, emergency = (
        LevelThresholds(
            LatencyThreshold(amount * 7 * MILLISECOND, of, baseline) if latency else None,
            amount / 1_000 if errors else None,
            CostThreshold(amount * NANOS_PER_USD // 7, baseline) if cost else None,
            amount if pending else None,
        )
        for amount, latency, errors, cost, pending, baseline in draw(AMOUNTS)
    )
    return Thresholds(soft, hard, emergency)


WINDOWS = durations(timedelta(seconds=10), timedelta(hours=1))
CALLS = st.integers(1, 1_000_000)
READINGS = st.builds(
    Reading,
    st.builds(
        LatencyReading,
        st.sampled_from(["first_chunk", "total"]),
        WINDOWS,
        CALLS,
        shares(0.01, 1),
        READING_BASELINES,
    ),
    st.builds(ErrorReading, WINDOWS, CALLS, shares(0.01, 1)),
    st.builds(CostReading, WINDOWS, shares(0.01, 1), READING_BASELINES),
    shares(0.5, 0.9999),
)
LEASES = durations(timedelta(seconds=30), timedelta(hours=24))
DEGRADED = st.sampled_from(list(Mode)[1:])
MEANINGS = st.builds(Meaning, DEGRADED, st.none() | SCOPES) | st.builds(
    Meaning, st.none() | DEGRADED, SCOPES
)
SIGNALS = st.builds(
    SignalRules,
    LEASES,
    LEASES,
    LEASES,
    LEASES,
    st.dictionaries(st.sampled_from(["monitor:17", "monitor:x.y"]), MEANINGS, max_size=2),
)
HINTS = {"brief": "Be brief.", "kurz": "Kurz, bitte: ja?"}
MAPS = {
    "cheaper": ModelMap("cheaper", {"gpt-5*": "gpt-5-mini", "gpt-5-nano*": "gpt-5-nano"}),
    "other": ModelMap("other", {"claude-*": "claude-haiku-4-5"}),
}
EDIT: st.SearchStrategy[Edit] = st.one_of(
    st.sampled_from(
        [
            StandardTier(),
            OneCandidate(),
            LowVerbosity(),
            LowMediaDetail(),
            WithoutServerTools(),
            Shed(),
            *(Hint(text) for text in HINTS.values()),
            *MAPS.values(),
        ]
    ),
    st.builds(EffortAtMost, st.sampled_from(EFFORTS)),
    st.builds(EffortDown, st.integers(1, 6)),
    st.builds(OutputCap, st.integers(1, 1_000_000)),
    st.builds(Admit, shares(0, 1)),
    st.builds(Retries, st.integers(0, 5)),
)
PRIORITY_SETS = st.sampled_from(
    [
        frozenset(each)
        for size in (1, 2, 3)
        for each in combinations((Priority.CRITICAL, Priority.NORMAL, Priority.BATCH), size)
    ]
)
EDITS = st.lists(
    st.builds(PlannedEdit, EDIT, PRIORITY_SETS),
    max_size=6,
    unique_by=lambda each: EDIT_NAMES[type(each.edit)],
).map(tuple)
STRATEGIES = st.builds(Strategy, EDITS, EDITS, EDITS)
ESCALATIONS = st.lists(
    st.builds(
        EscalationStep,
        WINDOWS,
        st.lists(NAMES, min_size=1, max_size=2).map(tuple),
        st.sampled_from([None, "unacknowledged"]),
        st.sampled_from([None, "info", "critical"]),
    ),
    max_size=2,
).map(tuple)
INCIDENTS = st.builds(
    IncidentRules,
    DEGRADED,
    WINDOWS,
    WINDOWS,
    st.dictionaries(SCOPES | st.just("provider:*"), LINKS, max_size=2),
)
RECOVERIES = st.builds(Recovery, WINDOWS, WINDOWS)
STRATEGY_NAMES = st.sets(NAMES, max_size=2)
ASSIGNED = st.dictionaries(SCOPES, st.just("default"), max_size=2)
SOME_SCOPES = st.sets(SCOPES, max_size=2)
LEVELS = levels()
HOLDOUTS = shares(0, 0.5)
ENFORCEMENTS: st.SearchStrategy[Literal["shadow", "enforce"]] = st.sampled_from(
    ["shadow", "enforce"]
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy that is valid."""
    general = draw(LEVELS)
    return Policy(
        enforcement=draw(ENFORCEMENTS),
        thresholds=general,
        reading=draw(READINGS),
        # All of them, so that they rise whatever the general ones are.
        per_scope=dict.fromkeys(draw(SOME_SCOPES), general),
        recovery=draw(RECOVERIES),
        holdout=draw(HOLDOUTS),
        signals=draw(SIGNALS),
        strategies={name: draw(STRATEGIES) for name in {"default", *draw(STRATEGY_NAMES)}},
        assigned=draw(ASSIGNED),
        maps=MAPS,
        hints=HINTS,
        incidents=draw(INCIDENTS),
        escalation=draw(ESCALATIONS),
    )
