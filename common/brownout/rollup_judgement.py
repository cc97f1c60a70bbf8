"""Which modes the sums of minutes call for: pure, and the same for now and for the past.

Errors and latencies are judged by the bound that instances judge their own calls by, which finds
what no instance sees, because each has too few calls. Cost is judged here alone: only the sum of
all instances tells it. A mode that is held goes on until the sums are below its recovery limit.

All scopes are judged every minute, so that among thousands of judgements a sure one is wrong now
and then. Each must therefore be surer than the policy says, the more so the more scopes there are.

What is usual is known of costs alone: rollups of hours hold no latencies. So a limit of the first
chunk is about streamed calls, and one of the whole time about calls that are not streamed.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from common.brownout.evidence import BEYOND_P95, Counts, Judgement, Slow, judge
from common.brownout.minute_sums import MINUTE, MinuteSums
from common.brownout.modes import Mode, kind_of
from common.brownout.policy import (
    CostLimit,
    LatencyLimit,
    LatencyOf,
    LevelLimits,
    Limits,
    Policy,
)
from common.brownout.signals import Evidence
from common.brownout.trajectory import About
from common.brownout.units import dollars_text, duration_text, share_text
from common.core.latency_bins import Cut, cut_at, percentile_s, slower
from common.core.money import Nanos

SURER = 50
"""By so much a single scope must be surer. There are 1,440 minutes in a day: at 99 % an upstream
with 3 % errors would seem to exceed 5 % up to 12 times, depending on how many calls there are."""

SPENDERS = frozenset({"global", "org", "team", "agent"})
"""Kinds of scopes whose cost is judged: those who spend, not those who are paid."""

_MINUTES_AN_HOUR = 60
_P95 = 0.95
_CENT: Nanos = 10_000_000

Scopes: TypeAlias = Mapping[str, MinuteSums]
Held: TypeAlias = Mapping[str, Mapping[About, Mode]]
Usual: TypeAlias = Callable[[str], Nanos | None]
"""What the hour usually costs a scope; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A mode that a scope's sums call for."""

    scope: str
    about: About
    level: Mode


@dataclass(frozen=True, slots=True)
class _LatencyCuts:
    """Where the limit of one level lies among the bins, and where what it recovers at."""

    of: LatencyOf
    above: Cut
    recovery: Cut


@dataclass(frozen=True, slots=True)
class _ScopeLimits:
    """The limits of one scope, and the lowest of each kind, by which most scopes are found calm."""

    limits: Limits
    cuts: tuple[_LatencyCuts | None, _LatencyCuts | None, _LatencyCuts | None]
    least_error_rate: float | None
    least_chunk_bin: int | None
    least_total_bin: int | None
    least_cost: Nanos | None


class RollupJudge:
    """Judges by one policy. `minutes` is how many it looks back."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        reading = policy.reading
        self._error_minutes = _minutes(reading.error_rate.window)
        self._latency_minutes = _minutes(reading.latency_p95.window)
        self._cost_minutes = _minutes(reading.token_cost_per_hour.window)
        self._least_calls = min(reading.error_rate.min_calls, reading.latency_p95.min_calls)
        self._limits: dict[str, _ScopeLimits] = {}
        self.minutes = max(self._error_minutes, self._latency_minutes, self._cost_minutes)

    def judge(self, recent: Sequence[Scopes], held: Held, usual: Usual) -> list[Finding]:
        """What the last minutes call for.

        Args:
            recent: the sums of minutes that follow one another, the newest last.
            held: what earlier judgements hold.
            usual: the costs to compare with.
        """
        by_errors = _summed(recent[-self._error_minutes :])
        one = self._error_minutes == self._latency_minutes
        by_latency = by_errors if one else _summed(recent[-self._latency_minutes :])
        findings: list[Finding] = []
        suspect = [
            (scope, sums, by_latency.get(scope, _NOTHING))
            for scope, sums in by_errors.items()
            if scope in held or self._is_suspect(scope, sums, by_latency.get(scope, _NOTHING))
        ]
        if not one:
            suspect += [
                (scope, _NOTHING, sums)
                for scope, sums in by_latency.items()
                if scope not in by_errors
                if scope in held or self._is_suspect(scope, _NOTHING, sums)
            ]
        if suspect:
            confidence = self._confidence(by_errors.values())
            for scope, errors, latency in suspect:
                holds = held.get(scope, _NOTHING_HELD)
                findings += self._of_upstreams(scope, errors, latency, holds, confidence)
        findings += self._of_costs(recent[-self._cost_minutes :], held, usual)
        return findings

    def evidence(self, finding: Finding, recent: Sequence[Scopes], usual: Usual) -> Evidence:
        """What shows it, for people: a value, and the limit that it exceeds or does not yet leave.

        Args:
            finding: one of `judge`.
            recent: what it was found in.
            usual: the costs to compare with.
        """
        scope = finding.scope
        level = _level(self._limits_of(scope).limits, finding.level)
        match finding.about:
            case "errors":
                sums = _summed(recent[-self._error_minutes :]).get(scope, _NOTHING)
                value = f"{sums.failed / max(1, sums.calls):.1%} of {sums.calls} calls"
                return Evidence("error_rate", value, share_text(level.error_rate or 0.0))
            case "latency":
                limit = level.latency_p95
                sums = _summed(recent[-self._latency_minutes :]).get(scope, _NOTHING)
                bins = sums.durations if limit and limit.of == "total" else sums.first_chunks
                p95_s = percentile_s(bins, _P95)
                shown = "clients that left" if p95_s is None else f"about {p95_s:.2g}s"
                above = timedelta(0) if limit is None else limit.above
                return Evidence("latency_p95", shown, duration_text(above))
            case "cost":
                above_nanos = cost_limit(level.token_cost_per_hour, usual(scope)) or 0
                an_hour = self._an_hour(scope, recent[-self._cost_minutes :])
                shown = dollars_text(an_hour - an_hour % _CENT)
                return Evidence("token_cost_per_hour", shown, dollars_text(above_nanos))

    def _confidence(self, judged: Collection[MinuteSums]) -> float:
        scopes = sum(sums.calls >= self._least_calls for sums in judged)
        return 1 - (1 - self._policy.reading.confidence) / (SURER * max(1, scopes))

    def _is_suspect(self, scope: str, errors: MinuteSums, latency: MinuteSums) -> bool:
        """Whether more than a limit allows failed, or were slow: without that nothing is sure."""
        limits = self._limits.get(scope) or self._limits_of(scope)
        rate = limits.least_error_rate
        if rate is not None and errors.failed > rate * errors.calls:
            return True
        return _may_be_slow(latency.first_chunks, limits.least_chunk_bin, latency.awaited) or (
            _may_be_slow(latency.durations, limits.least_total_bin)
        )

    def _of_upstreams(
        self,
        scope: str,
        errors: MinuteSums,
        latency: MinuteSums,
        held: Mapping[About, Mode],
        confidence: float,
    ) -> Iterator[Finding]:
        known = self._limits.get(scope) or self._limits_of(scope)
        soft, hard, emergency = (_slow(latency, cuts) for cuts in known.cuts)
        judged = judge(
            Counts(errors.calls, errors.failed, (soft, hard, emergency)),
            known.limits,
            self._policy.reading,
            confidence,
            Judgement(
                errors=held.get("errors", Mode.NORMAL), latency=held.get("latency", Mode.NORMAL)
            ),
        )
        if judged.errors > Mode.NORMAL:
            yield Finding(scope, "errors", judged.errors)
        if judged.latency > Mode.NORMAL:
            yield Finding(scope, "latency", judged.latency)

    def _of_costs(self, recent: Sequence[Scopes], held: Held, usual: Usual) -> Iterator[Finding]:
        for scope in dict.fromkeys(scope for minute in recent for scope in minute):
            limits = self._limits.get(scope) or self._limits_of(scope)
            if limits.least_cost is None:
                continue
            an_hour = self._an_hour(scope, recent)
            before = held[scope].get("cost", Mode.NORMAL) if scope in held else Mode.NORMAL
            if an_hour <= limits.least_cost and before == Mode.NORMAL:
                continue
            for level in (Mode.EMERGENCY, Mode.HARD, Mode.SOFT):
                limit = cost_limit(_level(limits.limits, level).token_cost_per_hour, usual(scope))
                if limit is not None and an_hour > self._part(limit, held=level <= before):
                    yield Finding(scope, "cost", level)
                    break

    def _an_hour(self, scope: str, recent: Sequence[Scopes]) -> Nanos:
        spent = sum([minute[scope].cost for minute in recent if scope in minute])
        return spent * _MINUTES_AN_HOUR // self._cost_minutes

    def _part(self, limit: Nanos, *, held: bool) -> Nanos:
        """What a cost must not exceed: less where it has to recover."""
        recover_at = self._policy.reading.token_cost_per_hour.recover_at
        return int(limit * Decimal(str(recover_at))) if held else limit

    def _limits_of(self, scope: str) -> _ScopeLimits:
        limits = self._policy.limits_for(scope)
        levels = (limits.soft, limits.hard, limits.emergency)
        recover_at = self._policy.reading.latency_p95.recover_at
        soft, hard, emergency = (_cuts(each.latency_p95, recover_at) for each in levels)
        cuts = [each for each in (soft, hard, emergency) if each is not None]
        rates = [each.error_rate for each in levels if each.error_rate is not None]
        costs = [each.token_cost_per_hour for each in levels]
        spends = kind_of(scope) in SPENDERS
        known = _ScopeLimits(
            limits=limits,
            cuts=(soft, hard, emergency),
            least_error_rate=min(rates, default=None),
            least_chunk_bin=_least_bin(cuts, "first_chunk"),
            least_total_bin=_least_bin(cuts, "total"),
            least_cost=min((e.above for e in costs if e is not None), default=None)
            if spends
            else None,
        )
        self._limits[scope] = known
        return known


def cost_limit(limit: CostLimit | None, usual: Nanos | None) -> Nanos | None:
    """What an hour may cost: the threshold, or a multiple of what is usual if that is more."""
    if limit is None or limit.baseline is None or usual is None:
        return None if limit is None else limit.above
    return max(limit.above, int(usual * Decimal(str(limit.baseline))))


_NOTHING = MinuteSums()
_NOTHING_HELD: Mapping[About, Mode] = MappingProxyType({})


def _summed(minutes: Sequence[Scopes]) -> Scopes:
    """The sums of several minutes together; what they cost is not asked."""
    if len(minutes) == 1:
        return minutes[0]
    scopes = dict.fromkeys(scope for minute in minutes for scope in minute)
    return {scope: _together([m[scope] for m in minutes if scope in m]) for scope in scopes}


def _together(sums: Sequence[MinuteSums]) -> MinuteSums:
    first_chunks, awaited, durations = Counter[int](), Counter[int](), Counter[int]()
    for each in sums:
        first_chunks.update(each.first_chunks)
        awaited.update(each.awaited)
        durations.update(each.durations)
    return MinuteSums(
        calls=sum(each.calls for each in sums),
        failed=sum(each.failed for each in sums),
        first_chunks=first_chunks,
        awaited=awaited,
        durations=durations,
    )


def _slow(sums: MinuteSums, cuts: _LatencyCuts | None) -> Slow:
    if cuts is None:
        return Slow()
    if cuts.of == "total":
        bins = sums.durations
        timed = sum(bins.values())
        return Slow(timed, slower(bins, cuts.above), slower(bins, cuts.recovery))
    bins = sums.first_chunks
    # Of a call that nobody awaited any longer it is not known that it was fast.
    gone = slower(sums.awaited, cuts.recovery)
    return Slow(
        timed=sum(bins.values()) + gone,
        above=slower(bins, cuts.above) + slower(sums.awaited, cuts.above),
        above_recovery=slower(bins, cuts.recovery) + gone,
    )


def _may_be_slow(
    bins: Mapping[int, int], least: int | None, awaited: Mapping[int, int] | None = None
) -> bool:
    if least is None:
        return False
    slow = sum([count for number, count in bins.items() if number >= least])
    if awaited:
        slow += sum([count for number, count in awaited.items() if number >= least])
    return slow > 0 and slow > BEYOND_P95 * sum(bins.values())


def _cuts(limit: LatencyLimit | None, recover_at: float) -> _LatencyCuts | None:
    if limit is None:
        return None
    above_s = limit.above.total_seconds()
    return _LatencyCuts(limit.of, cut_at(above_s), cut_at(above_s * recover_at))


def _least_bin(cuts: Sequence[_LatencyCuts], of: LatencyOf) -> int | None:
    return min((each.above.bin for each in cuts if each.of == of), default=None)


def _level(limits: Limits, mode: Mode) -> LevelLimits:
    return (limits.soft, limits.hard, limits.emergency)[mode - Mode.SOFT]


def _minutes(window: timedelta) -> int:
    """How many whole minutes a window takes."""
    return max(1, -(-window // MINUTE))
