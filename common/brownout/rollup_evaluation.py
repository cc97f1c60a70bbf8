"""The gateway's own counters as a source of signals: what all instances together have seen.

Once a minute the newest minutes of all scopes are judged, and what they call for is stored as
signals, which the fold takes like those of any source. Their leases are short: while the sums stay
above the recovery limit each run renews them, and when nobody runs or nobody calls they run out.

Calls of a minute are still being counted when it has just ended. A minute counts as whole GRACE
after its end; until then it can raise a mode, because what is missing makes nothing worse than it
is, but the minute before it is judged too, as its calm is the one that is known.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.brownout.baselines import read_usual
from common.brownout.fold import stored_signals
from common.brownout.minute_sums import MINUTE, Rollups, minute_of
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.rollup_judgement import Finding, Held, RollupJudge, Scopes
from common.brownout.signals import Evidence, Signal, raised
from common.brownout.state import read_state
from common.brownout.storing import store_signals
from common.brownout.trajectory import About
from common.core.ports import Clock, Documents
from common.core.transactions import Entropy

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class RollupEvaluation:
    """Judges the rollups by the policy in force."""

    documents: Documents
    clock: Clock
    entropy: Entropy
    policies: Policies
    rollups: Rollups

    async def __call__(self, now: datetime) -> None:
        """Judge, and store a signal for each scope and thing that exceeds its limit.

        Args:
            now: by which the newest minutes are chosen.

        Raises:
            StoreUnavailable, VersionConflict: not all of it is stored; the next run does it.
        """
        version = (await read_state(self.documents)).policy_version
        policy = await self.policies.of(version)
        usual = await read_usual(self.documents, now)
        held = _held(await stored_signals(self.documents), now)
        judge = RollupJudge(policy)
        found = [
            (finding, judge.evidence(finding, recent, usual))
            for recent in await self._windows(judge.minutes, now)
            for finding in judge.judge(recent, held, usual)
        ]
        # Of two about one thing the higher one counts.
        highest = {_subject(each[0]): each for each in sorted(found, key=_level)}
        told = [
            raised(self._signal(finding, evidence, now), policy.signals.rollup)
            for finding, evidence in highest.values()
        ]
        # Where not all can be stored, what protects most comes first.
        told.sort(key=lambda signal: (-signal.level, signal.id))
        await store_signals(self.documents, self.clock, self.entropy, told)
        if told:
            logger.info("brownout.rollups_exceed", extra={"signals": len(told)})

    async def _windows(self, minutes: int, now: datetime) -> list[Sequence[Scopes]]:
        """The minutes before each moment that is judged."""
        last = minute_of(now)
        ends = [last] if now - last >= GRACE else [last - MINUTE, last]
        since = ends[0] - MINUTE * minutes
        read = self.rollups.minutes(since, last)
        scopes = {minute.start: minute.scopes async for minute in read}
        back = range(minutes, 0, -1)
        return [[scopes.get(end - MINUTE * number, {}) for number in back] for end in ends]

    def _signal(self, finding: Finding, evidence: Evidence, now: datetime) -> Signal:
        return Signal(
            source="rollup",
            monitor=finding.about,
            group="",
            scope=finding.scope,
            level=finding.level,
            observed_at=now,
            received_at=self.clock.now(),
            lease_until=now,
            about=finding.about,
            evidence=evidence,
        )


def _subject(finding: Finding) -> tuple[str, About]:
    return finding.scope, finding.about


def _level(found: tuple[Finding, Evidence]) -> Mode:
    return found[0].level


def _held(signals: Sequence[Signal], now: datetime) -> Held:
    """What earlier runs hold, by scope."""
    live = [each for each in signals if each.source == "rollup" and each.lease_until > now]
    return {
        scope: {each.about: each.level for each in live if each.scope == scope and each.about}
        for scope in {each.scope for each in live}
    }
