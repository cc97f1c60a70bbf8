"""What one instance sees of its upstreams, and the modes that this brings to that instance alone.

Calls are counted in memory by provider and model, and judged when one of them finds 10 s over, so
there is no timer, no thread and no read. What the counts show is a lease in a trajectory like the
stored one. It ends by itself and is never written, and no other instance hears of it: what moves
all of them is the sum of what all have seen.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from common.brownout.evidence import Judgement, judge
from common.brownout.modes import LONGEST_NAME, Mode, scopes_of_upstream
from common.brownout.own_counters import Counter, Ended
from common.brownout.policy import Policy, Thresholds
from common.brownout.trajectory import About, Lease, ScopeState, advance, receive

logger = logging.getLogger(__name__)

MOST_SCOPES = 64
"""Those used last. So many models are rarely in use; more names would only take memory."""
SURER = 50
"""By so much an instance must doubt less than the policy allows: it judges 8,640 times a day, and
each call six times over. At 99 % an upstream with 3 % errors would seem to exceed 5 % up to 19
times a day, depending on how many calls there are."""


@dataclass(slots=True)
class _Watched:
    """One scope: its calls, and the leases that they led to."""

    counter: Counter
    leases: tuple[Lease, ...] = ()


class OwnEvidence:
    """The evidence of one instance, and the modes it leads to. One per process.

    `scopes` are those off rest, as the stored state has them. One that is back to normal may still
    be among them. `reads_in_flight`: the policy of the last call limits how many may wait.
    """

    def __init__(self) -> None:
        self.scopes: dict[str, ScopeState] = {}
        self._policy: Policy | None = None
        self._watched: OrderedDict[str, _Watched] = OrderedDict()
        self._in_flight: dict[str, int] = {}
        self.reads_in_flight = False

    def enter(
        self, policy: Policy, provider: str, model: str | None, now: datetime
    ) -> tuple[str, ...]:
        """Count a call that is about to be sent as in flight. What it returns is for `leave`."""
        if policy is not self._policy:
            self._follow(policy, now)
        scopes = _scopes(provider, model)
        for scope in scopes:
            self._in_flight[scope] = self._in_flight.get(scope, 0) + 1
            # Where calls wait and none ends, nobody else judges.
            self._counter(policy, scope, now)
        return scopes

    def leave(self, scopes: Iterable[str]) -> None:
        """Count a call as no longer in flight."""
        for scope in scopes:
            self._in_flight[scope] -= 1
            if not self._in_flight[scope]:
                del self._in_flight[scope]

    def record(
        self, policy: Policy, provider: str, model: str | None, ended: Ended, now: datetime
    ) -> None:
        """Count a call that has ended, and judge its scopes if it is time to.

        Args:
            policy: the one in force.
            provider: where it went.
            model: the one it was sent to.
            ended: what it says.
            now: by the instance's clock.
        """
        if policy is not self._policy:
            self._follow(policy, now)
        for scope in _scopes(provider, model):
            self._counter(policy, scope, now).add(ended)

    def _follow(self, policy: Policy, now: datetime) -> None:
        """Count by this policy. What was counted by the limits of another one tells nothing."""
        self._policy = policy
        written = (policy.thresholds, *policy.per_scope.values())
        self.reads_in_flight = any(_names_in_flight(each) for each in written)
        for scope, watched in self._watched.items():
            watched.counter = Counter(policy, scope, now)

    def _counter(self, policy: Policy, scope: str, now: datetime) -> Counter:
        """The counter of a scope, in the step of now."""
        watched = self._watched.get(scope)
        if watched is None:
            if len(self._watched) >= MOST_SCOPES:
                unused, _ = self._watched.popitem(last=False)
                self.scopes.pop(unused, None)
            self._watched[scope] = watched = _Watched(Counter(policy, scope, now))
            return watched.counter
        self._watched.move_to_end(scope)
        if watched.counter.is_over(now):
            self._judge(policy, scope, watched, now)
        return watched.counter

    def _judge(self, policy: Policy, scope: str, watched: _Watched, now: datetime) -> None:
        """Close a step: renew the leases that the last ones give reason to, and let others end."""
        counts = watched.counter.close(now, self._in_flight.get(scope, 0))
        live = [lease for lease in watched.leases if lease.until > now]
        confidence = 1 - (1 - policy.reading.confidence) / SURER
        judged = judge(counts, watched.counter.limits, policy.reading, confidence, _held(live))
        until = now + policy.signals.own
        watched.leases = tuple(_renewed(live, judged, until))
        state = self.scopes.pop(scope, None)
        if state is not None or watched.leases:
            after, steps = receive(state, watched.leases, now, policy.recovery)
            if after is not None:
                self.scopes[scope] = after
            for step in steps:
                told = {"scope": scope, "before": step.before.word, "after": step.after.word}
                logger.warning("brownout.own_mode", extra=told)
        for name, each in list(self.scopes.items()):
            if advance(each, now, policy.recovery)[0].mode == Mode.NORMAL:
                del self.scopes[name]


def _scopes(provider: str, model: str | None) -> tuple[str, ...]:
    """A model's name is what its caller wrote: one of any length is not kept."""
    return _named(provider, model if model is None or len(model) <= LONGEST_NAME else None)


@lru_cache(maxsize=256)
def _named(provider: str, model: str | None) -> tuple[str, ...]:
    return scopes_of_upstream(provider, model)


def _names_in_flight(thresholds: Thresholds) -> bool:
    levels = (thresholds.soft, thresholds.hard, thresholds.emergency)
    return any(level.pending_requests is not None for level in levels)


def _held(leases: Iterable[Lease]) -> Judgement:
    highest: dict[About | None, Mode] = {}
    for lease in leases:
        highest[lease.about] = max(lease.level, highest.get(lease.about, Mode.NORMAL))
    return Judgement(
        errors=highest.get("errors", Mode.NORMAL), latency=highest.get("latency", Mode.NORMAL)
    )


def _renewed(live: Iterable[Lease], judged: Judgement, until: datetime) -> Iterable[Lease]:
    """The leases there are, and those that the judgement gives, which take the place of theirs."""
    about: dict[About | None, Mode] = {
        "errors": judged.errors,
        "latency": judged.latency,
        None: judged.in_flight,
    }
    for lease in live:
        if about[lease.about] != lease.level:
            yield lease
    for name, level in about.items():
        if level > Mode.NORMAL:
            yield Lease(level, until, name)
