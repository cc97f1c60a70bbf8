"""The numbers of an incident: how fast it was handled, what it did to calls, and what it cost.

They are computed, never typed: from the incident's own times, from the calls of its scope minute by
minute, from what became of each call, and from what its brownouts saved. Pure. What cannot be known
is None, with the reason why; nothing is guessed.

An incident lasts from its opening until its cause is gone, or somebody says that it is over, or
now. Calls are compared with those of the hour before, and cost with those of the hour after too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from common.core.latency_bins import percentile_s
from common.core.money import Nanos
from common.incidents.incidents import Incident
from common.incidents.timeline import Entry

MINUTE = timedelta(minutes=1)
BESIDE = timedelta(hours=1)
"""How much is looked at before and behind it."""
_P95 = 0.95

NO_SCOPE = "it is not about a part of the calls"
TOO_EARLY = "an hour has not passed since"


@dataclass(frozen=True, slots=True)
class MinuteOfCalls:
    """The calls of its scope that ended in one minute. Bins are those of `latency_bins.py`.

    `judged` calls tell whether their upstream works, `failed` are those that say it does not.
    """

    start: datetime
    judged: int
    failed: int
    cost: Nanos
    first_chunks: Mapping[int, int]
    durations: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on calls go wrong, as the policy says for soft; None: it says nothing."""

    error_rate: float | None = None
    slow_s: float | None = None
    slow_of: Literal["first_chunk", "total"] = "first_chunk"


@dataclass(frozen=True, slots=True)
class CallGroup:
    """Calls of one team that ended alike and gave up the same. `edits` are names and outcomes.

    `first_at` is when the first of them came in.
    """

    org: str | None
    team: str | None
    outcome: str
    edits: Sequence[tuple[str, str]]
    calls: int
    first_at: datetime

    @property
    def is_treated(self) -> bool:
        """Whether a brownout did something to these calls."""
        applied = any(outcome == "applied" for _, outcome in self.edits)
        return applied or self.outcome == "shed"


@dataclass(frozen=True, slots=True)
class Saved:
    """What its brownouts saved; negative: a loss. None: unknown, as the note says."""

    nanos: Nanos | None
    low: Nanos | None
    high: Nanos | None
    method: str | None
    note: str


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to compute from. A text in place of something says why it is not there."""

    minutes: Sequence[MinuteOfCalls] | str
    calls: Sequence[CallGroup] | str
    limits: Limits
    saved: Saved


@dataclass(frozen=True, slots=True)
class Took:
    """How long something took, in seconds."""

    seconds: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """All but `detect` count from the opening.

    `detect`: from when calls went wrong, without a break, until the opening. `enforce`: until the
    first call that a brownout did something to. `mitigate`: until its cause was gone. `recover`:
    until that had lasted, or somebody said that it is over.
    """

    detect: Took
    enforce: Took
    acknowledge: Took
    mitigate: Took
    recover: Took


@dataclass(frozen=True, slots=True)
class TeamCalls:
    """`degraded` calls were answered, and gave something up for it."""

    org: str | None
    team: str | None
    calls: int = 0
    degraded: int = 0
    shed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls while it lasted, and what they gave up: by name, and by what became of it."""

    total: TeamCalls
    teams: Sequence[TeamCalls]
    edits: Mapping[str, Mapping[str, int]]

    def edits_that(self, *outcomes: str) -> int:
        """How many edits ended so."""
        return sum(each.get(name, 0) for each in self.edits.values() for name in outcomes)


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost in a time, as far as it is known."""

    nanos: Nanos | None
    per_hour: Nanos | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Slowness:
    """Latencies that 95 % of the calls did not exceed, in seconds, within 14 %."""

    first_chunk_s: float | None = None
    duration_s: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """All of them. `until` is when it ended, or when they were computed."""

    since: datetime
    until: datetime
    times: Times
    calls: Calls | str
    cost_before: Cost
    cost_during: Cost
    cost_after: Cost
    slow_before: Slowness
    slow_during: Slowness
    saved: Saved


@dataclass(slots=True)
class _Sums:
    """Of some minutes."""

    cost: Nanos = 0
    first_chunks: Counter[int] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)


def span_of(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    """From when until when it lasted."""
    ended = incident.mitigated_at or incident.resolved_at or now
    return incident.opened_at, max(ended, incident.opened_at)


def minutes_around(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    """The whole minutes that numbers are computed from."""
    first, last = _minutes(*span_of(incident, now))
    return first - BESIDE, last + BESIDE


def numbers_of(
    incident: Incident, entries: Sequence[Entry], found: Found, now: datetime
) -> Numbers:
    """The numbers of an incident at `now`.

    Args:
        incident: as it stands.
        entries: its timeline.
        found: the calls of its scope while it lasted, and the minutes of `minutes_around`.
        now: when they are computed.
    """
    since, until = span_of(incident, now)
    first, last = _minutes(since, until)
    after = _cost(found.minutes, last, last + BESIDE)
    if now < last + BESIDE:
        after = Cost(None, reason=TOO_EARLY)
    return Numbers(
        since=since,
        until=until,
        times=Times(
            detect=_detected(incident, found),
            enforce=_enforced(incident, entries, found.calls),
            acknowledge=_acknowledged(incident, entries),
            mitigate=_until(incident, incident.mitigated_at, _why_not_mitigated(incident)),
            recover=_until(incident, incident.resolved_at, "it is not resolved"),
        ),
        calls=found.calls if isinstance(found.calls, str) else _calls(found.calls),
        cost_before=_cost(found.minutes, first - BESIDE, first),
        cost_during=_cost(found.minutes, first, last),
        cost_after=after,
        slow_before=_slowness(found.minutes, first - BESIDE, first),
        slow_during=_slowness(found.minutes, first, last),
        saved=found.saved,
    )


def _detected(incident: Incident, found: Found) -> Took:
    if isinstance(found.minutes, str):
        return Took(None, found.minutes)
    opening = _minute(incident.opened_at)
    wrong = {each.start for each in found.minutes if _is_wrong(each, found.limits)}
    began = opening if opening in wrong else None
    earlier = opening - MINUTE
    while earlier in wrong and earlier >= opening - BESIDE:
        began, earlier = earlier, earlier - MINUTE
    if began is None:
        return Took(None, "no calls before it exceeded what the policy allows for soft")
    longer = "at least: no more than an hour before it is looked at"
    return Took(_seconds(incident.opened_at - began), longer if began == opening - BESIDE else None)


def _is_wrong(minute: MinuteOfCalls, limits: Limits) -> bool:
    rate, slow_s = limits.error_rate, limits.slow_s
    if rate is not None and minute.failed > rate * minute.judged:
        return True
    bins = minute.durations if limits.slow_of == "total" else minute.first_chunks
    p95_s = percentile_s(bins, _P95)
    return slow_s is not None and p95_s is not None and p95_s > slow_s


def _enforced(
    incident: Incident, entries: Iterable[Entry], calls: Sequence[CallGroup] | str
) -> Took:
    if isinstance(calls, str):
        return Took(None, calls)
    treated = [each.first_at for each in calls if each.is_treated]
    if treated:
        return Took(_seconds(max(min(treated) - incident.opened_at, timedelta())))
    enforced = [each.details["enforced"] for each in entries if "enforced" in each.details]
    if enforced and not any(enforced):
        return Took(None, "the policy only recorded what it would do")
    return Took(None, "no call was changed or refused")


def _acknowledged(incident: Incident, entries: Iterable[Entry]) -> Took:
    at = min((each.at for each in entries if each.kind == "acknowledged"), default=None)
    return _until(incident, at, "nobody has acknowledged it")


def _why_not_mitigated(incident: Incident) -> str:
    return "somebody resolved it before" if incident.closed else "its cause is not gone"


def _until(incident: Incident, at: datetime | None, why_not: str) -> Took:
    if at is None:
        return Took(None, why_not)
    return Took(_seconds(max(at - incident.opened_at, timedelta())))


def _calls(groups: Iterable[CallGroup]) -> Calls:
    teams: dict[tuple[str | None, str | None], TeamCalls] = {}
    edits: dict[str, Counter[str]] = {}
    for group in groups:
        key = (group.org, group.team)
        teams[key] = _added(teams.get(key, TeamCalls(*key)), group)
        for name, outcome in group.edits:
            edits.setdefault(name, Counter())[outcome] += group.calls
    ordered = sorted(teams.values(), key=lambda each: (each.org or "", each.team or ""))
    total = TeamCalls(
        None,
        None,
        *(sum(getattr(each, name) for each in ordered) for name in _COUNTS),
    )
    return Calls(total, ordered, {name: dict(counts) for name, counts in sorted(edits.items())})


_COUNTS = ("calls", "degraded", "shed", "failed")


def _added(known: TeamCalls, group: CallGroup) -> TeamCalls:
    calls = group.calls
    return TeamCalls(
        known.org,
        known.team,
        known.calls + calls,
        known.degraded + (calls if group.outcome == "ok" and group.is_treated else 0),
        known.shed + (calls if group.outcome == "shed" else 0),
        known.failed + (calls if group.outcome in {"upstream_error", "gateway_error"} else 0),
    )


def _cost(minutes: Sequence[MinuteOfCalls] | str, since: datetime, until: datetime) -> Cost:
    if isinstance(minutes, str):
        return Cost(None, reason=minutes)
    nanos = _summed(minutes, since, until).cost
    return Cost(nanos, nanos * BESIDE // (until - since))


def _slowness(minutes: Sequence[MinuteOfCalls] | str, since: datetime, until: datetime) -> Slowness:
    if isinstance(minutes, str):
        return Slowness(reason=minutes)
    sums = _summed(minutes, since, until)
    chunk_s, whole_s = (percentile_s(bins, _P95) for bins in (sums.first_chunks, sums.durations))
    nothing = chunk_s is None and whole_s is None
    return Slowness(chunk_s, whole_s, "no call was answered" if nothing else None)


def _summed(minutes: Iterable[MinuteOfCalls], since: datetime, until: datetime) -> _Sums:
    sums = _Sums()
    for each in minutes:
        if since <= each.start < until:
            sums.cost += each.cost
            sums.first_chunks.update(each.first_chunks)
            sums.durations.update(each.durations)
    return sums


def _minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


def _minutes(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The whole minutes around a time, one at least."""
    first, last = _minute(since), _minute(until)
    return first, last if last == until and last > first else last + MINUTE


def _seconds(time: timedelta) -> int:
    return round(time.total_seconds())
