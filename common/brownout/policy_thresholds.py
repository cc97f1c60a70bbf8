"""The thresholds of a policy as they are written, and what their words mean.

A threshold is a scalar (``2000ms``) or an object that says more
(``{above: 60s, of: total, baseline: off}``). Thresholds rise from soft to emergency; two latencies
are compared only if they are latencies of the same thing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, PlainValidator

from common.brownout import units
from common.brownout.policy import (
    Baseline,
    CostReading,
    CostThreshold,
    ErrorReading,
    LatencyOf,
    LatencyReading,
    LatencyThreshold,
    LevelThresholds,
    Reading,
    Thresholds,
)
from common.brownout.policy_edits import Count, Share, between
from common.brownout.policy_problems import At, Part, Problem, shown, word_of
from common.core.money import Nanos

LEVELS = ("soft", "hard", "emergency")
MEASURES: Mapping[str, Callable[[Any], Any]] = {
    "latency_p95": units.duration,
    "error_rate": units.share,
    "token_cost_per_hour": units.dollars,
    "pending_requests": units.count,
}
"""What a threshold can be about, and how its amount is read."""

_OFF = "off"
_MOST_CALLS = 1_000_000


def lasting(low: str, high: str) -> AfterValidator:
    """Take durations of this range only."""
    least, most = units.duration(low), units.duration(high)

    def checked(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(f"is not between {low} and {high}")
        return value

    return AfterValidator(checked)


def share_from(low: float, high: float) -> AfterValidator:
    """Take shares of this range only, its ends among them."""

    def checked(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"is not between {units.share_text(low)} and {units.share_text(high)}")
        return value

    return AfterValidator(checked)


def _cost(written: Any) -> Nanos:
    nanos = units.dollars(written)
    if nanos == 0:
        raise ValueError("must be more than nothing")
    return nanos


def _multiple(written: Any) -> float:
    multiple = units.number(written)
    if multiple <= 1:
        raise ValueError("must be more than 1: it is a multiple of what is usual")
    return multiple


def _is_off(written: Any) -> bool:
    return written is False or written == _OFF  # YAML 1.1 reads the word as false.


def _one_multiple(written: Any) -> Baseline:
    if _is_off(written):
        return "off"
    return _multiple(written)


def _three_multiples(written: Any) -> tuple[float, float, float] | None:
    if _is_off(written):
        return None
    if not isinstance(written, list | tuple) or len(written) != len(LEVELS):
        raise ValueError("must be three multiples, for soft, hard and emergency, or off")
    soft, hard, emergency = (_multiple(each) for each in written)
    if not soft < hard < emergency:
        raise ValueError("must rise from soft to emergency")
    return soft, hard, emergency


_Of: TypeAlias = Annotated[LatencyOf, BeforeValidator(word_of(("first_chunk", "total")))]
_Multiple: TypeAlias = Annotated[float | Literal["off"], PlainValidator(_one_multiple)]
_Multiples: TypeAlias = Annotated[
    tuple[float, float, float] | None, PlainValidator(_three_multiples)
]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(units.duration)]
_Latency: TypeAlias = Annotated[Duration, lasting("1ms", "1h")]
_Errors: TypeAlias = Annotated[Share, share_from(0.0001, 1.0)]
_Window: TypeAlias = Annotated[Duration, lasting("10s", "1h")]
_Calls: TypeAlias = Annotated[Count, between(1, _MOST_CALLS)]
_RecoverAt: TypeAlias = Annotated[Share, share_from(0.01, 1.0)]
_Confidence: TypeAlias = Annotated[Share, share_from(0.5, 0.9999)]


class _LatencyPart(Part):
    scalar: ClassVar[str | None] = "above"

    above: _Latency
    of: _Of | None = None
    baseline: _Multiple | None = None


class _ErrorsPart(Part):
    scalar: ClassVar[str | None] = "above"

    above: _Errors


class _CostPart(Part):
    scalar: ClassVar[str | None] = "above"

    above: Annotated[Nanos, BeforeValidator(_cost)]
    baseline: _Multiple | None = None


class _PendingPart(Part):
    scalar: ClassVar[str | None] = "above"

    above: _Calls


class _LevelPart(Part):
    latency_p95: _LatencyPart | None = None
    error_rate: _ErrorsPart | None = None
    token_cost_per_hour: _CostPart | None = None
    pending_requests: _PendingPart | None = None

    def thresholds(self) -> LevelThresholds:
        latency, errors = self.latency_p95, self.error_rate
        cost, pending = self.token_cost_per_hour, self.pending_requests
        return LevelThresholds(
            None if latency is None else LatencyThreshold(**dict(latency)),
            None if errors is None else errors.above,
            None if cost is None else CostThreshold(**dict(cost)),
            None if pending is None else pending.above,
        )


class ThresholdsPart(Part):
    """What leads to each mode."""

    soft: _LevelPart = _LevelPart()
    hard: _LevelPart = _LevelPart()
    emergency: _LevelPart = _LevelPart()

    def thresholds(self) -> Thresholds:
        return Thresholds(
            self.soft.thresholds(), self.hard.thresholds(), self.emergency.thresholds()
        )


class _LatencyReadingPart(Part):
    of: _Of = "first_chunk"
    window: _Window = timedelta(seconds=60)
    min_calls: _Calls = 20
    recover_at: _RecoverAt = 0.7
    baseline: _Multiples = (1.5, 2.5, 4.0)


class _ErrorReadingPart(Part):
    window: _Window = timedelta(seconds=60)
    min_calls: _Calls = 20
    recover_at: _RecoverAt = 0.6


class _CostReadingPart(Part):
    window: _Window = timedelta(minutes=5)
    recover_at: _RecoverAt = 0.7
    baseline: _Multiples = (1.5, 3.0, 6.0)


class ReadingPart(Part):
    """What the words of the thresholds mean; what is left out is as the shipped policy has it."""

    latency_p95: _LatencyReadingPart = _LatencyReadingPart()
    error_rate: _ErrorReadingPart = _ErrorReadingPart()
    token_cost_per_hour: _CostReadingPart = _CostReadingPart()
    confidence: _Confidence = 0.99

    def reading(self) -> Reading:
        latency, errors, cost = self.latency_p95, self.error_rate, self.token_cost_per_hour
        return Reading(
            LatencyReading(**dict(latency)),
            ErrorReading(**dict(errors)),
            CostReading(**dict(cost)),
            self.confidence,
        )


def thresholds_data(thresholds: Thresholds) -> dict[str, Any]:
    """The thresholds as `ThresholdsPart` reads them."""
    return {
        "soft": _level_data(thresholds.soft),
        "hard": _level_data(thresholds.hard),
        "emergency": _level_data(thresholds.emergency),
    }


def reading_data(reading: Reading) -> dict[str, Any]:
    """The reading as `ReadingPart` reads it."""
    latency, errors, cost = reading.latency_p95, reading.error_rate, reading.token_cost_per_hour
    return {
        "latency_p95": {
            "of": latency.of,
            "window": units.duration_text(latency.window),
            "min_calls": latency.min_calls,
            "recover_at": units.share_text(latency.recover_at),
            "baseline": _OFF if latency.baseline is None else list(latency.baseline),
        },
        "error_rate": {
            "window": units.duration_text(errors.window),
            "min_calls": errors.min_calls,
            "recover_at": units.share_text(errors.recover_at),
        },
        "token_cost_per_hour": {
            "window": units.duration_text(cost.window),
            "recover_at": units.share_text(cost.recover_at),
            "baseline": _OFF if cost.baseline is None else list(cost.baseline),
        },
        "confidence": units.share_text(reading.confidence),
    }


def _level_data(level: LevelThresholds) -> dict[str, Any]:
    latency, cost = level.latency_p95, level.token_cost_per_hour
    data: dict[str, Any] = {}
    if latency is not None:
        more = {"of": latency.of, "baseline": latency.baseline}
        data["latency_p95"] = _cell(units.duration_text(latency.above), more)
    if level.error_rate is not None:
        data["error_rate"] = units.share_text(level.error_rate)
    if cost is not None:
        more = {"baseline": cost.baseline}
        data["token_cost_per_hour"] = _cell(units.dollars_text(cost.above), more)
    if level.pending_requests is not None:
        data["pending_requests"] = level.pending_requests
    return data


def _cell(above: str, more: Mapping[str, Any]) -> Any:
    said = {name: value for name, value in more.items() if value is not None}
    return {"above": above, **said} if said else above


@dataclass(frozen=True, slots=True)
class _Threshold:
    """One threshold of what is being checked: its amount, and what it is a latency of."""

    level: str
    at: At
    amount: Any
    of: str | None
    written: str | None


def not_rising(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Thresholds of a policy, as it is written, that are no higher than those of a lower mode.

    What cannot be read is passed over here: it is an error elsewhere.
    """
    of = str(inside(data, "reading", "latency_p95").get("of", "first_chunk"))
    scopes = inside(data, "per_scope")
    for measure in MEASURES:
        general = _thresholds(data, ("thresholds",), measure, of)
        yield from _falls(list(general.values()), "thresholds")
        for scope in scopes:
            own = _thresholds(data, ("per_scope", scope, "thresholds"), measure, of)
            both = {**general, **own}
            yield from _falls([both[level] for level in LEVELS if level in both], "per_scope")


def inside(data: Any, *names: str) -> Mapping[str, Any]:
    """An object in what is written; an empty one if there is none."""
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def _thresholds(
    data: Mapping[str, Any], at: tuple[str, ...], measure: str, of: str
) -> dict[str, _Threshold]:
    found = {}
    for level in LEVELS:
        cell = inside(data, *at, level).get(measure)
        said = cell if isinstance(cell, Mapping) else {"above": cell}
        try:
            amount = MEASURES[measure](said.get("above"))
        except ValueError:
            continue
        thing = str(said.get("of", of)) if measure == "latency_p95" else None
        written = shown(said.get("above"))
        found[level] = _Threshold(level, (*at, level, measure), amount, thing, written)
    return found


def _falls(thresholds: list[_Threshold], section: str) -> Iterator[Problem]:
    """Those of a section that are no higher than the nearest lower one of the same kind."""
    lower: dict[str | None, _Threshold] = {}
    for each in thresholds:
        below = lower.get(each.of)
        lower[each.of] = each
        if below is None or each.amount > below.amount:
            continue
        if each.at[0] == section:
            detail = f"must be above the {below.written} of {below.level}"
            yield Problem(each.at, each.written, detail)
        elif below.at[0] == section:
            detail = f"must be below the {each.written} of {each.level}"
            yield Problem(below.at, below.written, detail)
