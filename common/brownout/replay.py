"""What a policy would have done with the calls of the past, by the rollups alone.

The same judgement and the same trajectory as now, minute by minute. What Datadog, Cloud Monitoring,
the instances themselves and people would have said takes no part, and neither does the effect that
a brownout has on the calls after it: this is what the policy makes of calls as they were.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from common.brownout.minute_sums import MINUTE, Minute
from common.brownout.modes import Mode
from common.brownout.policy import Policy
from common.brownout.rollup_judgement import RollupJudge, Scopes
from common.brownout.trajectory import About, Lease, ScopeState, Step, advance, receive
from common.core.money import Nanos

UsualAt: TypeAlias = Callable[[str, datetime], Nanos | None]
"""What the hour that a time is in usually costs a scope; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A scope from leaving normal to being back; `closed_at` is None where it was not back yet.

    `lasted` is how long it was in each mode, `about` what went wrong.
    """

    scope: str
    opened_at: datetime
    closed_at: datetime | None
    peak: Mode
    lasted: Mapping[Mode, timedelta]
    about: tuple[About, ...]


@dataclass(slots=True)
class _Course:
    """What happens to a scope that is off normal."""

    state: ScopeState
    steps: list[Step] = field(default_factory=list)
    about: set[About] = field(default_factory=set)


def nothing_known(_scope: str, _time: datetime) -> Nanos | None:
    """Where no cost is known."""
    return None


def replay(
    policy: Policy, minutes: Iterable[Minute], usual: UsualAt = nothing_known
) -> list[Episode]:
    """The episodes of a span, by time and scope.

    Args:
        policy: to be tried.
        minutes: in the order of time; those that hold nothing may be missing.
        usual: the costs to compare with.
    """
    replaying = Replay(policy, usual)
    for minute in minutes:
        replaying.take(minute)
    return replaying.episodes()


class Replay:
    """A replay that is given one minute after the other, and keeps only the newest."""

    def __init__(self, policy: Policy, usual: UsualAt = nothing_known) -> None:
        self._policy = policy
        self._usual = usual
        self._judge = RollupJudge(policy)
        self._recent: list[Scopes] = [{}] * self._judge.minutes
        self._now: datetime | None = None
        self._leases: dict[str, dict[About, Lease]] = {}
        self._courses: dict[str, _Course] = {}
        self._episodes: list[Episode] = []

    def take(self, minute: Minute) -> None:
        """The next minute in which there were calls."""
        if self._now is not None:
            missing = (minute.start - self._now) // MINUTE
            # Behind so many empty minutes there is nothing left that could be found.
            for _ in range(min(missing, self._judge.minutes)):
                self._now += MINUTE
                self._take({}, self._now)
        self._now = minute.start + MINUTE
        self._take(minute.scopes, self._now)

    def episodes(self, until: datetime | None = None) -> list[Episode]:
        """What has happened up to `until`, or the end of the last minute."""
        end = until or self._now
        found = list(self._episodes)
        if end is not None:
            for scope, course in self._courses.items():
                _, steps = advance(course.state, end, self._policy.recovery)
                found.append(_episode(scope, course, [*course.steps, *steps], end))
        return sorted(found, key=lambda episode: (episode.opened_at, episode.scope))

    def _take(self, scopes: Scopes, now: datetime) -> None:
        self._recent = [*self._recent[1:], scopes]
        found = self._judge.judge(
            self._recent, self._held(now), lambda scope: self._usual(scope, now - MINUTE)
        )
        until = now + self._policy.signals.rollup
        told: dict[str, set[About]] = {}
        for finding in found:
            lease = Lease(finding.level, until, finding.about)
            self._leases.setdefault(finding.scope, {})[finding.about] = lease
            told.setdefault(finding.scope, set()).add(finding.about)
        for scope, about in told.items():
            self._move(scope, about, now)

    def _held(self, now: datetime) -> dict[str, dict[About, Mode]]:
        held = {
            scope: {about: lease.level for about, lease in leases.items() if lease.until > now}
            for scope, leases in self._leases.items()
        }
        for scope in [scope for scope, levels in held.items() if not levels]:
            del self._leases[scope], held[scope]
        return held

    def _move(self, scope: str, about: set[About], now: datetime) -> None:
        """Let the leases of a scope move it; one of them is of now."""
        course = self._courses.pop(scope, None)
        before = None if course is None else course.state
        leases = self._leases[scope].values()
        state, steps = receive(before, leases, now, self._policy.recovery)
        for step in steps:
            if course is not None and step.before > Mode.NORMAL:
                course.steps.append(step)
            if course is not None and step.after == Mode.NORMAL:
                self._episodes.append(_episode(scope, course, course.steps, step.at))
                course = None
            elif course is None and state is not None:
                course = _Course(state, [step])
        if state is not None and course is not None:
            course.state = state
            course.about |= about
            self._courses[scope] = course


def _episode(scope: str, course: _Course, steps: list[Step], end: datetime) -> Episode:
    lasted: dict[Mode, timedelta] = {}
    ends = [*(step.at for step in steps[1:]), end]
    for step, until in zip(steps, ends, strict=True):
        if step.after > Mode.NORMAL:
            lasted[step.after] = lasted.get(step.after, timedelta(0)) + (until - step.at)
    last = steps[-1]
    return Episode(
        scope=scope,
        opened_at=steps[0].at,
        closed_at=last.at if last.after == Mode.NORMAL else None,
        peak=max(step.after for step in steps),
        lasted=lasted,
        about=tuple(sorted(course.about)),
    )
