"""Which facts are told by themselves, and what is said of each.

A fact that opens an incident is told once, through its incident. Everything else that needs a
reader has a row here; what has none is told to nobody.
"""

from collections.abc import Callable
from typing import Any

from common.core.brownout_events import BrownoutModeChanged
from common.core.events import (
    BoundViolated,
    BudgetExhausted,
    CredentialEvent,
    Event,
    LeaseWrittenOff,
    ThresholdCrossed,
)
from common.core.incident_events import IncidentEvent
from common.core.money import Nanos, usd_text
from common.core.notification_events import NotificationFailed, NotificationTest
from common.core.price_events import PriceBookHeld, PriceSourceStale
from common.incidents.facts import SEVERITY_OF
from common.incidents.incidents import named
from common.incidents.told import TEST, Deed, Link, Told, moment_text

OF_AN_INCIDENT_PERCENT = 100
"""From here on a budget's threshold opens an incident."""

_DEEDS: dict[str, Deed | None] = {
    "incident.opened": "trigger",
    "incident.joined": "trigger",
    "incident.reopened": "trigger",
    "incident.escalated": "trigger",
    "incident.acknowledged": "acknowledge",
    "incident.mitigated": None,
    "incident.resolved": "resolve",
    "incident.reviewed": None,
}


def told_of(event: Event, console: str | None) -> Told | None:
    """What is said of an event by itself, None for one that nobody needs to be told of.

    `console` is the address of the console, which links lead to; None where there is none.
    """
    if isinstance(event, IncidentEvent):
        return _incident(event, console)
    teller = TELLERS.get(event.type)
    return None if teller is None else teller(event)


def _incident(event: IncidentEvent, console: str | None) -> Told:
    lines = [event.told]
    if event.owner is not None:
        lines.append(f"It is {event.owner}'s.")
    links = [("The cause", event.link), ("What to do", event.procedure)]
    if console is not None:
        page = f"{console.rstrip('/')}/console/incidents/{event.incident_id}"
        links.insert(0, ("The incident", page))
    return Told(
        id=event.id,
        type=event.type,
        severity=event.severity,
        scope=event.scope,
        title=f"{event.type.removeprefix('incident.').capitalize()}: {event.title}",
        what=tuple(lines),
        since=event.opened_at,
        doing=event.done or "Nothing by itself.",
        affected=_affected(event),
        links=tuple(Link(label, url) for label, url in links if url is not None),
        dedup_key=event.incident_id,
        happened_at=event.event_time,
        deed=_DEEDS[event.type],
        channels=frozenset(event.to) if event.to else None,
        scopes=event.scopes,
    )


def _affected(event: IncidentEvent) -> str:
    scopes = event.scopes or (event.scope,)
    return "Everybody" if "global" in scopes else f"Calls of {named(scopes)}"


def _mode_changed(event: BrownoutModeChanged) -> Told:
    lines = [f"The cause is: {event.cause}."]
    lines += [f"{each.source} says {each.level}: {each.monitor}" for each in event.signals]
    doing = {
        "normal": "Calls are answered as they are asked again.",
        "soft": "Calls are made cheaper where that is safe.",
        "hard": "Calls are made cheaper, and some of low priority are refused.",
        "emergency": "Calls are made as cheap as is safe, and those of low priority are refused.",
    }.get(event.after, "")
    if not event.enforced:
        doing = "Nothing: what would be done is only recorded."
    return Told(
        id=event.id,
        type=event.type,
        severity="info" if event.after == "normal" else SEVERITY_OF.get(event.after, "error"),
        scope=event.scope,
        title=f"{event.scope} went from {event.before} to {event.after}",
        what=tuple(lines),
        since=event.event_time,
        doing=doing,
        affected=f"Calls of {event.scope}",
        links=tuple(
            Link(f"Monitor {each.monitor}", each.link) for each in event.signals if each.link
        ),
        dedup_key=f"{event.type}:{event.scope}",
        happened_at=event.event_time,
        deed="resolve" if event.after == "normal" else "trigger",
    )


def _threshold_crossed(event: ThresholdCrossed) -> Told | None:
    if event.percent >= OF_AN_INCIDENT_PERCENT:
        return None
    ends = "At the pace of now the budget lasts until its period ends."
    if event.projected_exhaustion is not None:
        ends = f"At the pace of now it is used up at {moment_text(event.projected_exhaustion)}."
    return Told(
        id=event.id,
        type=event.type,
        severity="warning",
        scope=f"budget:{event.budget_id}",
        title=f"Budget {event.budget_id} is used to {event.percent} %",
        what=(_spent(event.spent_nanos, event.limit_nanos, event.period), ends),
        since=event.event_time,
        doing="Nothing yet: calls are answered while there is money left.",
        affected=f"Calls that budget {event.budget_id} covers",
        links=(),
        dedup_key=f"budget:{event.budget_id}:{event.period}",
        happened_at=event.event_time,
    )


def _exhausted(event: BudgetExhausted) -> Told:
    until = "no time: it never starts anew"
    if event.resets_at is not None:
        until = moment_text(event.resets_at)
    return Told(
        id=event.id,
        type=event.type,
        severity="error",
        scope=f"budget:{event.budget_id}",
        title=f"Budget {event.budget_id} refuses calls",
        what=(
            _spent(event.settled_nanos, event.limit_nanos, event.period),
            f"{_dollars(event.leased_nanos)} are held for calls that run.",
            f"The period ends at {until}.",
        ),
        since=event.event_time,
        doing="Calls that could go beyond the budget are refused. A top-up admits them again.",
        affected=f"Calls that budget {event.budget_id} covers",
        links=(),
        dedup_key=f"budget:{event.budget_id}:{event.period}",
        happened_at=event.event_time,
    )


def _written_off(event: LeaseWrittenOff) -> Told:
    return Told(
        id=event.id,
        type=event.type,
        severity="warning",
        scope="global",
        title=f"{_dollars(event.written_off_nanos)} count as spent without proof",
        what=(
            f"Instance {event.instance} held them for calls and was not heard of again.",
            f"The periods charged are: {', '.join(event.periods)}.",
        ),
        since=event.expired_at,
        doing="They are released when the provider's bill proves them unspent, or by a correction.",
        affected="Calls under these budgets, which end sooner",
        links=(),
        dedup_key=f"lease:{event.lease_id}",
        happened_at=event.event_time,
    )


def _bound_violated(event: BoundViolated) -> Told:
    model = event.model or "unknown"
    return Told(
        id=event.id,
        type=event.type,
        severity="error",
        scope=f"model:{model}",
        title=f"A call to {model} cost more than was held for it",
        what=(
            f"Call {event.call_id} cost {_dollars(event.cost_nanos)}.",
            f"Its bound was {_dollars(event.hold_nanos)}, from its {event.bound_kind}.",
        ),
        since=event.event_time,
        doing="The whole cost is counted. The bound itself must be mended by somebody.",
        affected=f"Hard budgets with calls to {model}",
        links=(),
        dedup_key=f"bound:{model}:{event.bound_kind}",
        happened_at=event.event_time,
    )


def _credential_failed(event: CredentialEvent) -> Told:
    return Told(
        id=event.id,
        type=event.type,
        severity="error",
        scope=f"upstream:{event.upstream}",
        title=f"{event.upstream} refuses the key {event.credential}",
        what=(f"It answered {event.status}.",),
        since=event.event_time,
        doing="The other keys of this upstream are used, if there are any.",
        affected=f"Calls to {event.upstream} that bring no key of their own",
        links=(),
        dedup_key=f"credential:{event.upstream}:{event.credential}",
        happened_at=event.event_time,
    )


def _prices_held(event: PriceBookHeld) -> Told:
    number = f"{event.count} {'price' if event.count == 1 else 'prices'}"
    more = event.count - len(event.cards)
    lines = [f"{each.provider}/{each.model}: {each.told}" for each in event.cards]
    if more:
        lines.append(f"And {more} more.")
    if event.refused is not None:
        lines = [f"Nothing of the list is taken: {event.refused}"]
    return Told(
        id=event.id,
        type=event.type,
        severity="warning",
        scope="global",
        title="The public price list is refused"
        if event.refused is not None
        else f"{number} of the public list {'waits' if event.count == 1 else 'wait'}",
        what=tuple(lines),
        since=event.event_time,
        doing="Calls are priced as before. Approve the new prices, or leave them.",
        affected="Costs and budgets of calls to these models",
        links=(),
        dedup_key="prices",
        happened_at=event.event_time,
    )


def _prices_stale(event: PriceSourceStale) -> Told:
    return Told(
        id=event.id,
        type=event.type,
        severity="warning",
        scope="global",
        title="Prices may be out of date",
        what=(f"{event.source} has not brought a usable price list. {event.cause}",),
        since=event.since,
        doing="Calls are priced as before. The list is asked for every day.",
        affected="Costs and budgets of calls to models whose prices change",
        links=(),
        dedup_key=f"prices:{event.source}",
        happened_at=event.event_time,
    )


def _failed(event: NotificationFailed) -> Told | None:
    if event.of_type == TEST:
        return None  # Whoever tried the channel looks at it.
    doing = (
        "That message is not tried again; others are. What else fails there is not told for now."
    )
    if event.rests_until is not None:
        doing = (
            f"Nothing is sent there until {moment_text(event.rests_until)}, unless a test of the"
            " channel arrives before."
        )
    return Told(
        id=event.id,
        type=event.type,
        severity="error",
        scope="global",
        title=f"Channel {event.channel} is broken",
        what=(
            f"It did not take {event.of_type} ({event.of_event}): tried {_times(event)}.",
            event.reason,
        ),
        since=event.event_time,
        doing=doing,
        affected=f"Readers of channel {event.channel}",
        links=(),
        dedup_key=f"channel:{event.channel}",
        happened_at=event.event_time,
        not_to=event.channel,
    )


def _times(event: NotificationFailed) -> str:
    return "once" if event.attempts == 1 else f"{event.attempts} times"


def _test(event: NotificationTest) -> Told:
    return Told(
        id=event.id,
        type=event.type,
        severity="info",
        scope="global",
        title=f"A test of channel {event.channel}",
        what=(f"{event.actor} asked for it. Messages arrive here.",),
        since=event.event_time,
        doing="Nothing",
        affected="Nobody",
        links=(),
        dedup_key=f"test:{event.id}",
        happened_at=event.event_time,
        channels=frozenset({event.channel}),
    )


def _spent(spent: Nanos, limit: Nanos, period: str) -> str:
    return f"{_dollars(spent)} of {_dollars(limit)} are spent in the period {period}."


def _dollars(nanos: Nanos) -> str:
    """Dollars with cents, and with all decimals where cents do not tell it exactly."""
    text = usd_text(nanos)
    return f"${text[:-7] if text.endswith('0' * 7) else text.rstrip('0')}"


TELLERS: dict[str, Callable[[Any], Told | None]] = {
    "brownout.mode_changed": _mode_changed,
    "budget.threshold_crossed": _threshold_crossed,
    "budget.exhausted": _exhausted,
    "lease.written_off": _written_off,
    "bound.violated": _bound_violated,
    "credential.failed": _credential_failed,
    "price_book.held": _prices_held,
    "price_source.stale": _prices_stale,
    "notification.failed": _failed,
    "notification.test": _test,
}
"""By the type of the event."""
