"""Which fact does what to which incident.

A row of `ROWS` says it for facts of one type; its texts are templates over the event's fields. Only
brownouts are more than a row: what a change of a mode means depends on the mode from which on the
policy wants an incident. Events of all other types do nothing to incidents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, TypeAlias

from common.core.brownout_events import BrownoutModeChanged, BrownoutSettled
from common.core.events import Event
from common.core.incident_events import IncidentSeverity
from common.core.money import usd_text
from common.core.ports import Value
from common.incidents.timeline import Kind

Effect: TypeAlias = Literal["raise", "ease", "calm", "settle"]
"""raise: it goes wrong, or worse. ease: less wrong, but not right. calm: its cause is gone.
settle: and has stayed away."""

MOST_CAUSES = 3
"""Of one fact."""
_KINDS = ("global", "org", "provider", "model", "team", "agent")
MODES = ("normal", "soft", "hard", "emergency")
"""Ascending."""
SEVERITY_OF: Mapping[str, IncidentSeverity] = {
    "soft": "warning",
    "hard": "error",
    "emergency": "critical",
}


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Which channels are told so long after an incident was raised. None: in any case."""

    after: timedelta
    to: tuple[str, ...]
    when: Literal["unacknowledged"] | None = None
    min_severity: IncidentSeverity | None = None

    @property
    def name(self) -> str:
        """What tells it apart from other steps, also of other versions of the policy."""
        condition = f"{self.when or 'always'} {self.min_severity or 'any'}"
        return f"{self.after.total_seconds():.0f}s {condition} {','.join(self.to)}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the policy says of incidents. `procedures` are links by pattern of a scope."""

    open_at: str = "soft"
    join_window: timedelta = timedelta(minutes=15)
    resolve_after: timedelta = timedelta(minutes=30)
    procedures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    escalation: tuple[EscalationStep, ...] = ()

    def procedure_for(self, scope: str) -> str | None:
        """The link of the pattern that fits the scope, of several that of the longest."""
        fitting = [pattern for pattern in self.procedures if fnmatchcase(scope, pattern)]
        if not fitting:
            return None
        return self.procedures[max(fitting, key=lambda pattern: (len(pattern), pattern))]


@dataclass(frozen=True, slots=True)
class Fact:
    """What an event says of the incidents of one key.

    `opens` says whether it opens an incident where there is none. `seq` numbers changes of a mode,
    0 for facts of something else. `link` and `done` are what its readers are told. `part` tells
    apart what a key has several of. Facts with one of their `causes` in common are one incident.
    """

    id: str
    key: str
    scope: str
    at: datetime
    kind: Kind
    effect: Effect
    opens: bool
    severity: IncidentSeverity | None
    title: str
    told: str
    details: Mapping[str, Value]
    done: str | None = None
    link: str | None = None
    episode: str | None = None
    seq: int = 0
    part: str = ""
    causes: tuple[str, ...] = ()
    alike: "Alike | None" = None

    @property
    def tracked(self) -> str:
        """The key under which it is known what was taken."""
        return f"{self.key}:{self.part}" if self.part else self.key

    def is_like(self, other: "Fact") -> bool:
        """Whether the two happened in one moment and say the same, each of a scope of its own."""
        mine = (self.at, self.kind, self.effect, self.causes, self.alike)
        return self.alike is not None and mine == (
            other.at, other.kind, other.effect, other.causes, other.alike,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alike:
    """What facts that are alike say together, behind the names of their scopes.

    `done` goes on after `Calls of ...`; None where what is done needs no name.
    """

    told: str
    done: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """What the facts of a type do. `least` holds the smallest value of a field that counts.

    `if_set` is a field without which another row holds. `part` and `cause` are as in a fact.
    """

    kind: Kind
    effect: Effect
    severity: IncidentSeverity | None
    key: str
    scope: str
    title: str
    told: str
    least: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    link: str | None = None
    if_set: str | None = None
    part: str = ""
    cause: str | None = None


ROWS: Mapping[str, tuple[Row, ...]] = {
    "brownout.blind": (Row(
        "blind", "raise", "warning", "blind:{source}:{monitor}", "global",
        "Monitor {monitor} of {source}{of_group} sees no data",
        "Monitor {monitor} of {source}{of_group} sees no data: what it said before counts on until"
        " its lease ends.",
        link="link", if_set="monitor", part="{group}", cause="blind:{source}:{monitor}",
    ), Row(
        "blind", "raise", "warning", "blind:{source}", "global", "{source} cannot be relied on",
        "{source} is blind ({cause}): what it said before counts on until its leases end.",
        link="link",
    )),
    "brownout.sighted": (Row(
        "sighted", "calm", None, "blind:{source}:{monitor}", "global",
        "Monitor {monitor} of {source}{of_group} sees no data",
        "Monitor {monitor} of {source}{of_group} tells how things stand again.",
        if_set="monitor", part="{group}",
    ), Row(
        "sighted", "calm", None, "blind:{source}", "global", "{source} cannot be relied on",
        "{source} tells how things stand again.",
    )),
    "budget.threshold_crossed": (Row(
        "budget", "raise", "error", "budget:{budget_id}", "budget:{budget_id}",
        "Budget {budget_id} is spent",
        "{percent} % of budget {budget_id} is spent in its period {period}.",
        least={"percent": 100},
    ),),
    "cost.anomaly_found": (Row(
        "anomaly", "raise", "warning", "anomaly:{series}", "{series}",
        "{series} spends more than usual", "{told}",
        # One that is over when it is first seen is an insight, and nothing to be called for.
        if_set="going_on",
    ),),
    "cost.anomaly_closed": (Row(
        "usual", "calm", None, "anomaly:{series}", "{series}",
        "{series} spends more than usual", "{series} spends as usual again.",
    ),),
    "spend.drift_found": (Row(
        "drift", "raise", "warning", "drift:{provider}:{account}", "provider:{provider}",
        "The bill of {provider} ({account}) is not what our calls cost",
        "The bill of {provider} ({account}) of {day} differs by {drift_nanos_usd} USD: {cause}.",
    ),),
}  # fmt: skip
"""By the type of the event: the first row holds whose fields are set."""

_SHOWN_AS_USD = frozenset({"drift_nanos"})
"""Fields whose dollars are in texts, under their name and `_usd`."""


def brownout_key(scope: str) -> str:
    """The key of the incidents of a scope's brownouts."""
    return f"brownout:{scope}"


def fact_of(event: Event, rules: Rules) -> Fact | None:
    """What the event says of incidents, None if it says nothing."""
    if isinstance(event, BrownoutModeChanged):
        return _mode_changed(event, rules)
    if isinstance(event, BrownoutSettled):
        return _settled(event)
    fields = event.model_dump()
    fields["of_group"] = f" ({fields['group']})" if fields.get("group") else ""
    fields |= {f"{name}_usd": usd_text(fields[name]) for name in fields if name in _SHOWN_AS_USD}
    rows = ROWS.get(event.type, ())
    row = next((row for row in rows if row.if_set is None or fields[row.if_set]), None)
    if row is None or any(fields[name] < least for name, least in row.least.items()):
        return None
    return Fact(
        id=event.id,
        key=row.key.format_map(fields),
        scope=row.scope.format_map(fields),
        at=event.event_time,
        kind=row.kind,
        effect=row.effect,
        opens=row.effect == "raise",
        severity=row.severity,
        title=row.title.format_map(fields),
        told=row.told.format_map(fields),
        details=event.model_dump(mode="json"),
        link=None if row.link is None else fields[row.link],
        part=row.part.format_map(fields),
        causes=() if row.cause is None else (row.cause.format_map(fields),),
    )


def _mode_changed(event: BrownoutModeChanged, rules: Rules) -> Fact:
    before, after = MODES.index(event.before), MODES.index(event.after)
    counts = after >= MODES.index(rules.open_at)
    effect: Effect = "raise" if counts and after > before else "ease"
    if after == 0:
        effect = "calm"
    by_person = event.cause == "override"
    return Fact(
        id=event.id,
        key=brownout_key(event.scope),
        scope=event.scope,
        at=event.event_time,
        kind="override" if by_person else "mode_change",
        effect=effect,
        opens=counts,
        severity=SEVERITY_OF[event.after] if counts else None,
        title=f"Brownout of {event.scope}",
        told=f"{event.scope} goes from {event.before} to {event.after}, {_because(event)}.",
        details=event.model_dump(mode="json"),
        done=_done(event),
        link=next((each.link for each in event.signals if each.link is not None), None),
        episode=event.episode,
        seq=event.seq,
        causes=_causes(event),
        alike=Alike(
            f"go from {event.before} to {event.after}, {_because(event)}.", _done_to_calls(event)
        ),
    )


def _causes(event: BrownoutModeChanged) -> tuple[str, ...]:
    """The alerts that led to it. What the gateway's own counters say is of each scope by itself."""
    if event.cause != "signal":
        return ()
    alerts = [f"{each.source}:{each.monitor}" for each in event.signals if each.source != "rollup"]
    return tuple(dict.fromkeys(alerts))[:MOST_CAUSES]


def by_width(fact: Fact) -> int:
    """Smaller for a scope that more calls are of."""
    kind = fact.scope.partition(":")[0]
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS)


def is_around(outer: str, inner: str) -> bool:
    """Whether a scope holds for whoever another one holds for."""
    if outer == "global":
        return True
    kind, _, org = outer.partition(":")
    return kind == "org" and inner.startswith((f"team:{org}/", f"agent:{org}/"))


def _settled(event: BrownoutSettled) -> Fact:
    return Fact(
        id=event.id,
        key=brownout_key(event.scope),
        scope=event.scope,
        at=event.event_time,
        kind="resolved",
        effect="settle",
        opens=False,
        severity=None,
        title=f"Brownout of {event.scope}",
        told=f"{event.scope} has stayed normal since {event.since:%H:%M} UTC.",
        details={},
        episode=event.episode,
        seq=event.seq,
    )


def _because(event: BrownoutModeChanged) -> str:
    match event.cause:
        case "signal" if event.signals:
            told = event.signals[0]
            more = f" and {len(event.signals) - 1} more" if len(event.signals) > 1 else ""
            return f"because {told.source} says {told.level} (monitor {told.monitor}){more}"
        case "override":
            return "because somebody pins it or ends a pin"
        case "expiry":
            return "because what held it ran out"
        case "recovery":
            return "because what held it is over"
    return "because of a signal"


def _done(event: BrownoutModeChanged) -> str:
    done = _done_to_calls(event)
    if done is None:
        return "Nothing is changed: the policy in force only records what it would do."
    return f"Calls of {event.scope} {done}"


def _done_to_calls(event: BrownoutModeChanged) -> str | None:
    if event.after == "normal":
        return "are answered as they are asked again."
    return f"are answered as the policy says for {event.after}." if event.enforced else None
