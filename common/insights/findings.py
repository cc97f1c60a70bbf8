"""What is found in the ledger, and what becomes of it: an insight is a finding that is kept.

A finding says what was seen of one scope in one window, what it costs a month, how sure that is and
where the calls are. Its id follows from kind, scope and window alone, so a run that is repeated
changes what is stored and never adds to it. The state belongs to people: a run leaves it as it is.
What comes back in a later window is a new insight, and open, unless the one before is snoozed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal, TypeAlias

from common.core.errors import InvalidInput
from common.core.money import Nanos
from common.core.ports import Document, Ref, Value

INSIGHTS = "insights"

Kind: TypeAlias = Literal[
    "spike",
    "burn",
    "loop",
    "error_rate",
    "latency",
    "unit_cost",
    "session_tokens",
    "failed",
    "cut",
    "abandoned",
    "unpriced",
    "over_held",
    "cheaper_model",
    "cacheable",
    "batchable",
    "unused_key",
    "unused_budget",
    "new_model",
    "new_agent",
]
Confidence: TypeAlias = Literal["low", "medium", "high"]
State: TypeAlias = Literal["open", "dismissed", "snoozed", "done"]

SAVINGS: frozenset[Kind] = frozenset({"cheaper_model", "cacheable", "batchable"})
"""Kinds that are proposed to whoever gathers ways to spend less."""
PASSING: frozenset[Kind] = frozenset({"spike"})
"""Kinds that are over after a while, by themselves."""

PROPOSED = "recommendation.proposed"
FOUND = "cost.anomaly_found"
CLOSED = "cost.anomaly_closed"

LONGEST_SNOOZE = timedelta(days=365)
MONTH = timedelta(days=30)
"""What money at stake is told for."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` up to, not including, `until`; aware UTC."""

    since: datetime
    until: datetime

    @classmethod
    def day_of(cls, time: datetime) -> "Window":
        start = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(start, start + timedelta(days=1))

    @classmethod
    def month_of(cls, time: datetime) -> "Window":
        start = cls.day_of(time).since.replace(day=1)
        return cls(start, (start + timedelta(days=32)).replace(day=1))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen.

    `stake` is nano-USD a month, 0 where no money depends on it. `rows` are filters of the list of
    calls that show it again. `over` says that it has passed.
    """

    kind: Kind
    org: str
    scope: str
    window: Window
    told: str
    evidence: Mapping[str, int | str]
    stake: Nanos
    confidence: Confidence
    rows: Mapping[str, str]
    over: bool = False

    @property
    def id(self) -> str:
        """32 hex digits."""
        return insight_id(self.kind, self.scope, self.window)


@dataclass(frozen=True, slots=True)
class Insight:
    """A finding as it is kept.

    `latest` is set on the newest window of a kind and scope. `rounds` counts how often it began
    within its window. `untold` are the events that are decided and not published yet, each its type
    and the round it tells of, as ``cost.anomaly_found 2``. `after` is
    the insight of the window before, which somebody had already dealt with.
    """

    finding: Finding
    state: State
    found_at: datetime
    changed_at: datetime
    latest: bool = True
    rounds: int = 1
    untold: tuple[str, ...] = ()
    snoozed_until: datetime | None = None
    after: str | None = None
    actor: str | None = None
    version: str | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        return self.finding.id

    def state_at(self, now: datetime) -> State:
        """What snoozes wakes up by itself."""
        if self.state == "snoozed" and self.snoozed_until is not None and self.snoozed_until <= now:
            return "open"
        return self.state

    @classmethod
    def from_document(cls, document: Document) -> "Insight":
        data = document.data
        finding = Finding(
            kind=data["kind"],
            org=data["org"],
            scope=data["scope"],
            window=Window(data["since"], data["until"]),
            told=data["told"],
            evidence=data["evidence"],
            stake=data["stake_nanos"],
            confidence=data["confidence"],
            rows=data["rows"],
            over=data["over"],
        )
        return cls(
            finding=finding,
            state=data["state"],
            found_at=data["found_at"],
            changed_at=data["changed_at"],
            latest=data["latest"],
            rounds=data["rounds"],
            untold=tuple(data["untold"]),
            snoozed_until=data["snoozed_until"],
            after=data["after"],
            actor=data["actor"],
            version=document.version,
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data; id and version are not repeated."""
        found = self.finding
        return {
            "kind": found.kind,
            "org": found.org,
            "scope": found.scope,
            "since": found.window.since,
            "until": found.window.until,
            "told": found.told,
            "evidence": dict(found.evidence),
            "stake_nanos": found.stake,
            "confidence": found.confidence,
            "rows": dict(found.rows),
            "over": found.over,
            "state": self.state,
            "found_at": self.found_at,
            "changed_at": self.changed_at,
            "latest": self.latest,
            "rounds": self.rounds,
            "untold": list(self.untold),
            "waiting": bool(self.untold),
            "snoozed_until": self.snoozed_until,
            "after": self.after,
            "actor": self.actor,
        }


def insight_id(kind: Kind, scope: str, window: Window) -> str:
    facts = f"{kind}\n{scope}\n{window.since.isoformat()}\n{window.until.isoformat()}"
    return sha256(facts.encode()).hexdigest()[:32]


def insight_ref(insight: str) -> Ref:
    return Ref(INSIGHTS, insight)


def merge(
    finding: Finding, stored: Insight | None, latest: Insight | None, now: datetime
) -> Sequence[Insight]:
    """What is to be written when a run finds this; nothing where it is known as it is.

    Args:
        finding: what the run sees.
        stored: the insight under the finding's id, if there is one.
        latest: that of the newest window of the same kind and scope, if there is one.
        now: dates the change.
    """
    if stored is None:
        return _added(finding, latest, now)
    if stored.finding == finding:
        return ()
    changed = replace(stored, finding=finding, changed_at=now)
    if stored.finding.over == finding.over or not stored.latest:
        return (changed,)
    if finding.over:
        return (replace(changed, untold=(*stored.untold, f"{CLOSED} {stored.rounds}")),)
    again = stored.rounds + 1
    return (replace(changed, rounds=again, untold=(*stored.untold, f"{FOUND} {again}")),)


def _added(finding: Finding, latest: Insight | None, now: datetime) -> Sequence[Insight]:
    added = Insight(finding, "open", found_at=now, changed_at=now, untold=_first_told(finding))
    if latest is None:
        return (added,)
    if finding.window.since < latest.finding.window.since:
        # A run of the past, delivered late: what is newer has told it already.
        return (replace(added, latest=False, untold=()),)
    if latest.state_at(now) == "snoozed":
        added = replace(added, state="snoozed", snoozed_until=latest.snoozed_until)
    elif latest.state != "open":
        added = replace(added, after=latest.id)
    if finding.kind in PASSING and not latest.finding.over:
        # It goes on from one window into the next: nobody is told again.
        added = replace(added, untold=added.untold[1:])
    return (added, replace(latest, latest=False))


def _first_told(finding: Finding) -> tuple[str, ...]:
    if finding.kind in SAVINGS:
        return (f"{PROPOSED} 1",)
    if finding.kind in PASSING:
        return (f"{FOUND} 1", f"{CLOSED} 1") if finding.over else (f"{FOUND} 1",)
    return ()


def dismiss(insight: Insight, actor: str, now: datetime) -> Insight:
    """It is wrong, or nobody minds."""
    return _moved(insight, "dismissed", actor, now)


def finish(insight: Insight, actor: str, now: datetime) -> Insight:
    """What it advises is done."""
    return _moved(insight, "done", actor, now)


def reopen(insight: Insight, actor: str, now: datetime) -> Insight:
    return _moved(insight, "open", actor, now)


def snooze(insight: Insight, until: datetime, actor: str, now: datetime) -> Insight:
    """Nobody wants to see it before `until`.

    Raises:
        InvalidInput: that is not in the future, or more than a year away.
    """
    if not now < until <= now + LONGEST_SNOOZE:
        raise InvalidInput("until is in the future, and within a year", field="until")
    return replace(_moved(insight, "snoozed", actor, now), snoozed_until=until)


def _moved(insight: Insight, state: State, actor: str, now: datetime) -> Insight:
    return replace(insight, state=state, snoozed_until=None, actor=actor, changed_at=now)


def a_month(nanos: Nanos, over: timedelta) -> Nanos:
    """What comes to `nanos` in this time comes to in a month, rounded down."""
    return nanos * (MONTH // timedelta(seconds=1)) // max(1, over // timedelta(seconds=1))


def per_cent(part: int, whole: int) -> int:
    """Rounded down; 0 of nothing."""
    return 100 * part // whole if whole else 0
