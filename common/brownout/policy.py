"""The policy: when a scope goes into a mode, what a mode gives up of a request, and who is told.

It is written by people, as a file or in the console, and checked by `policy_models`; here it is as
the gateway asks it. A policy never changes: another one is another version. Thresholds are kept as
they are written, and `limits_for` says what they mean for a scope.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from common.brownout.modes import Mode, Priority
from common.brownout.trajectory import Recovery
from common.core.money import Nanos
from common.llm.reductions.wanted import (
    EffortAtMost,
    EffortDown,
    Hint,
    LowMediaDetail,
    LowVerbosity,
    OneCandidate,
    OutputCap,
    StandardTier,
    UseModel,
    WithoutServerTools,
)

EVERYBODY = frozenset(Priority)
DEFAULT_STRATEGY = "default"

LatencyOf: TypeAlias = Literal["first_chunk", "total"]
Baseline: TypeAlias = float | Literal["off"] | None
"""A multiple of what is usual, or none; None is the one that the policy's `reading` says."""


@dataclass(frozen=True, slots=True)
class LatencyThreshold:
    """A latency as a policy writes it. None is as the policy's `reading` says."""

    above: timedelta
    of: LatencyOf | None = None
    baseline: Baseline = None


@dataclass(frozen=True, slots=True)
class CostThreshold:
    """A cost per hour as a policy writes it."""

    above: Nanos
    baseline: Baseline = None


@dataclass(frozen=True, slots=True)
class LevelThresholds:
    """What leads to one mode. None: this does not.

    `error_rate` is a share of the calls, `pending_requests` are calls of the scope in flight on an
    instance.
    """

    latency_p95: LatencyThreshold | None = None
    error_rate: float | None = None
    token_cost_per_hour: CostThreshold | None = None
    pending_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    soft: LevelThresholds = LevelThresholds()
    hard: LevelThresholds = LevelThresholds()
    emergency: LevelThresholds = LevelThresholds()


@dataclass(frozen=True, slots=True)
class LatencyReading:
    """How latencies are judged.

    A latency is over when it is below the threshold times `recover_at`. `baseline` holds the
    multiples of soft, hard and emergency.
    """

    of: LatencyOf
    window: timedelta
    min_calls: int
    recover_at: float
    baseline: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class ErrorReading:
    """How errors are judged."""

    window: timedelta
    min_calls: int
    recover_at: float


@dataclass(frozen=True, slots=True)
class CostReading:
    """How costs are judged."""

    window: timedelta
    recover_at: float
    baseline: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the words of the thresholds mean. `confidence` is how sure a judgement must be."""

    latency_p95: LatencyReading
    error_rate: ErrorReading
    token_cost_per_hour: CostReading
    confidence: float


@dataclass(frozen=True, slots=True)
class LatencyLimit:
    """The p95 latency above which a mode begins: `above`, or `baseline` times the usual one."""

    above: timedelta
    of: LatencyOf
    baseline: float | None


@dataclass(frozen=True, slots=True)
class CostLimit:
    """The cost per hour above which a mode begins: `above`, or `baseline` times the usual one."""

    above: Nanos
    baseline: float | None


@dataclass(frozen=True, slots=True)
class LevelLimits:
    """What leads a scope to one mode. None: this does not."""

    latency_p95: LatencyLimit | None
    error_rate: float | None
    token_cost_per_hour: CostLimit | None
    pending_requests: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What leads a scope to each mode."""

    soft: LevelLimits
    hard: LevelLimits
    emergency: LevelLimits


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an alert says whose own tags cannot. None: as its tags say."""

    level: Mode | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class SignalRules:
    """How long the word of each source holds, and what certain monitors mean.

    `own` is what an instance sees itself. Datadog's monitors are named ``monitor:ID``, policies of
    Cloud Monitoring ``monitoring:NAME``.
    """

    datadog: timedelta
    monitoring: timedelta
    rollup: timedelta
    own: timedelta
    monitors: Mapping[str, Meaning]


@dataclass(frozen=True, slots=True)
class ModelMap:
    """Which model stands in for which: patterns of the model asked for, ``*`` for any text.

    Of the patterns that fit, the longest counts.
    """

    name: str
    patterns: Mapping[str, str]

    def model_for(self, asked: str) -> UseModel | None:
        """The model to use instead, None if it is that one already or no pattern fits."""
        fitting = [pattern for pattern in self.patterns if fnmatchcase(asked, pattern)]
        if not fitting:
            return None
        used = self.patterns[max(fitting, key=lambda pattern: (len(pattern), pattern))]
        return None if used == asked else UseModel(used)


@dataclass(frozen=True, slots=True)
class Admit:
    """Of the calls, let this share through, and ask the others to come back soon."""

    share: float


@dataclass(frozen=True, slots=True)
class Shed:
    """Refuse the call, and ask its client not to try again."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Try again at most so many times where the upstream fails."""

    most: int


Reduction: TypeAlias = (
    StandardTier
    | OneCandidate
    | EffortAtMost
    | EffortDown
    | OutputCap
    | LowVerbosity
    | Hint
    | LowMediaDetail
    | WithoutServerTools
)
"""What is given up of the request itself."""
Edit: TypeAlias = Reduction | ModelMap | Admit | Shed | Retries


@dataclass(frozen=True, slots=True)
class PlannedEdit:
    """An edit, and the priorities of the calls that it is meant for."""

    edit: Edit
    priorities: frozenset[Priority] = EVERYBODY


@dataclass(frozen=True, slots=True)
class Strategy:
    """What each mode does to a call. Complete in itself: what is not listed is not done."""

    soft: tuple[PlannedEdit, ...] = ()
    hard: tuple[PlannedEdit, ...] = ()
    emergency: tuple[PlannedEdit, ...] = ()

    def of(self, mode: Mode) -> tuple[PlannedEdit, ...]:
        match mode:
            case Mode.NORMAL:
                return ()
            case Mode.SOFT:
                return self.soft
            case Mode.HARD:
                return self.hard
            case Mode.EMERGENCY:
                return self.emergency

    def edits(self, mode: Mode, priority: Priority) -> tuple[Edit, ...]:
        """What the mode does to a call of this priority, at most one edit of a kind.

        In the order of the policy, which means nothing.
        """
        return tuple(each.edit for each in self.of(mode) if priority in each.priorities)


Severity: TypeAlias = Literal["info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """From which mode on there is an incident, and which link its readers are given.

    `procedures` are links by pattern of a scope.
    """

    open_at: Mode
    join_window: timedelta
    resolve_after: timedelta
    procedures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Who is told so long after an incident was opened. None: in any case."""

    after: timedelta
    to: tuple[str, ...]
    when: Literal["unacknowledged"] | None = None
    min_severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the policy.

    Scopes are in canonical form. `holdout` is the share of the calls that soft and hard leave as
    they are, to know what the others would have cost. `strategies` hold one named ``default``.
    """

    enforcement: Literal["shadow", "enforce"]
    thresholds: Thresholds
    reading: Reading
    per_scope: Mapping[str, Thresholds]
    recovery: Recovery
    holdout: float
    signals: SignalRules
    strategies: Mapping[str, Strategy]
    assigned: Mapping[str, str]
    maps: Mapping[str, ModelMap]
    hints: Mapping[str, str]
    incidents: IncidentRules
    escalation: tuple[EscalationStep, ...]

    @property
    def enforced(self) -> bool:
        """False: what would be done is only recorded."""
        return self.enforcement == "enforce"

    def limits_for(self, scope: str) -> Limits:
        """What leads the scope to each mode: its own thresholds, and where it has none, all's."""
        own = self.per_scope.get(scope, Thresholds())
        general = self.thresholds
        return Limits(
            soft=_limits(own.soft, general.soft, self.reading, Mode.SOFT),
            hard=_limits(own.hard, general.hard, self.reading, Mode.HARD),
            emergency=_limits(own.emergency, general.emergency, self.reading, Mode.EMERGENCY),
        )

    def strategy_name(self, scopes: Sequence[str]) -> str:
        """The name of the strategy for a call in these scopes, the most specific first."""
        names = (self.assigned[scope] for scope in scopes if scope in self.assigned)
        return next(names, DEFAULT_STRATEGY)


def _limits(
    own: LevelThresholds, general: LevelThresholds, reading: Reading, mode: Mode
) -> LevelLimits:
    latency = own.latency_p95 or general.latency_p95
    cost = own.token_cost_per_hour or general.token_cost_per_hour
    errors = general.error_rate if own.error_rate is None else own.error_rate
    pending = own.pending_requests
    return LevelLimits(
        latency_p95=None
        if latency is None
        else LatencyLimit(
            latency.above,
            latency.of or reading.latency_p95.of,
            _multiple(latency.baseline, reading.latency_p95.baseline, mode),
        ),
        error_rate=errors,
        token_cost_per_hour=None
        if cost is None
        else CostLimit(
            cost.above, _multiple(cost.baseline, reading.token_cost_per_hour.baseline, mode)
        ),
        pending_requests=general.pending_requests if pending is None else pending,
    )


def _multiple(
    written: Baseline, reading: tuple[float, float, float] | None, mode: Mode
) -> float | None:
    if written is not None:
        return None if written == "off" else written
    return None if reading is None else reading[mode - Mode.SOFT]
