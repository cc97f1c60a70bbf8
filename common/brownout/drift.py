"""Monitors that fire at another threshold than the policy says.

Who applies Terraform makes monitors of the policy's thresholds. After the policy has changed they
fire at the old ones until it is applied again; whoever edits a monitor by hand makes the same
difference. What a monitor fires at is noted when its source is asked, and held against the policy
when somebody looks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from common.brownout.modes import Mode
from common.brownout.policy import LevelLimits, Policy
from common.core.money import NANOS_PER_USD
from common.core.ports import Value

Measure: TypeAlias = Literal["latency_p95", "error_rate", "token_cost_per_hour"]

_NEARLY = Decimal("0.000001")
"""Of a threshold: so much is lost where it is written in digits."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a monitor fires at: seconds to the first chunk, a share of calls, or USD an hour."""

    monitor: str
    scope: str
    level: Mode
    measure: Measure
    fires_at: Decimal
    link: str | None

    def to_data(self) -> dict[str, Value]:
        return {
            "monitor": self.monitor,
            "scope": self.scope,
            "level": int(self.level),
            "measure": self.measure,
            "fires_at": str(self.fires_at),
            "link": self.link,
        }

    @classmethod
    def from_data(cls, data: Any) -> "Watched":
        return cls(
            monitor=data["monitor"],
            scope=data["scope"],
            level=Mode(data["level"]),
            measure=data["measure"],
            fires_at=Decimal(data["fires_at"]),
            link=data["link"],
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """A monitor, and what the policy says instead; None: it has no such threshold."""

    watched: Watched
    policy_says: Decimal | None

    @property
    def told(self) -> str:
        """The difference as a sentence."""
        watched = self.watched
        says = "no such threshold"
        if self.policy_says is not None:
            says = _amount(self.policy_says, watched.measure)
        fires = _amount(watched.fires_at, watched.measure)
        return f"monitor {watched.monitor} fires at {fires}, the policy says {says}"


def drifts(watched: Iterable[Watched], policy: Policy) -> list[Drift]:
    """The monitors whose threshold is another one than that of their mode and scope."""
    found = [Drift(each, _policy_says(each, policy)) for each in watched]
    return [each for each in found if not _is_same(each.watched.fires_at, each.policy_says)]


def _policy_says(watched: Watched, policy: Policy) -> Decimal | None:
    limits = policy.limits_for(watched.scope)
    match watched.level:
        case Mode.SOFT:
            return _threshold(limits.soft, watched.measure)
        case Mode.HARD:
            return _threshold(limits.hard, watched.measure)
        case Mode.EMERGENCY:
            return _threshold(limits.emergency, watched.measure)
        case Mode.NORMAL:
            return None


def _threshold(limits: LevelLimits, measure: Measure) -> Decimal | None:
    """In the unit in which monitors have it."""
    if measure == "error_rate":
        return None if limits.error_rate is None else Decimal(str(limits.error_rate))
    if measure == "token_cost_per_hour":
        cost = limits.token_cost_per_hour
        return None if cost is None else Decimal(cost.above) / NANOS_PER_USD
    latency = limits.latency_p95
    if latency is None or latency.of != "first_chunk":
        return None
    return Decimal(latency.above // timedelta(microseconds=1)) / 1_000_000


def _is_same(one: Decimal, other: Decimal | None) -> bool:
    return other is not None and abs(one - other) <= _NEARLY * abs(other)


def _amount(value: Decimal, measure: Measure) -> str:
    match measure:
        case "latency_p95":
            return f"{_digits(value)} s"
        case "error_rate":
            return f"{_digits(value * 100)} %"
        case "token_cost_per_hour":
            return f"{_digits(value)} USD an hour"


def _digits(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
