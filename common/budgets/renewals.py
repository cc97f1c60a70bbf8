"""What to commit for leases: how much each takes of its periods, from one snapshot of them.

Slices are sized so that owners rarely ask and nobody sits on what another needs: large while there
is plenty, nothing beyond the need near the end of the money. Pure and synchronous.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from common.budgets.accounts import Lease, LeaseState, Period
from common.budgets.leases import Flight, LeaseHead, is_owned
from common.core.money import Nanos

LEASE_FOR = timedelta(minutes=20)
"""After this long without a commit a lease may be written off."""
RENEWED_AFTER = timedelta(minutes=10)
SHARES = 4
"""A slice is at most this part of what an equal share of the remaining money would be."""
SMALLEST_PART = 500
"""No slice is more than this part of the limit, unless the limit is small beside single calls."""
TYPICAL_HOLDS = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner wants of a lease with the next commit.

    `need` is what waiting calls will hold beside `head.held`, `demand` what it would like to have
    at hand, `typical` a usual hold. `close` gives everything back.
    """

    head: LeaseHead
    need: Nanos = 0
    demand: Nanos = 0
    typical: Nanos = 0
    close: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One commit: leases and periods as they will be, and what each head sends.

    `refused` are leases whose need does not fit, with the period that is short. `gone` are heads
    whose lease is not theirs any more, with the lease as it is.
    """

    leases: Mapping[str, Lease]
    periods: Mapping[str, Period]
    flights: Sequence[tuple[LeaseHead, Flight]]
    refused: Mapping[str, str]
    gone: Sequence[tuple[LeaseHead, Lease | None]]


@dataclass(slots=True)
class _Drawing:
    """The periods while one plan after another draws on them."""

    periods: dict[str, Period]
    changed: set[str] = field(default_factory=set)

    def exhaust(self, name: str, now: datetime) -> None:
        """Note when a period first had no room for a call."""
        if self.periods[name].exhausted_at is None:
            self.change(replace(self.periods[name], exhausted_at=now))

    def change(self, period: Period) -> None:
        self.periods[period.id] = period
        self.changed.add(period.id)


def plan_renewals(
    wishes: Iterable[Wish],
    leases: Mapping[str, Lease],
    periods: Mapping[str, Period],
    *,
    instance: str,
    commit: str,
    now: datetime,
) -> Plan:
    """What to commit for these wishes, from one snapshot of their leases and periods.

    A shrinking lease gives back first, so that what one scope set does not need serves another.

    Args:
        wishes: at most one for each lease, the longest waiting first.
        leases: those that are stored, by id.
        periods: every period of every wish, by id.
        instance: the owner.
        commit: the id of this commit.
        now: the owner's time.
    """
    drawing = _Drawing(dict(periods))
    stored: dict[str, Lease] = {}
    flights: list[tuple[LeaseHead, Flight]] = []
    refused: dict[str, str] = {}
    gone: list[tuple[LeaseHead, Lease | None]] = []
    for wish in wishes:
        head, lease = wish.head, leases.get(wish.head.id)
        if not is_owned(head, lease):
            gone.append((head, lease))
            continue
        flight, short = _draw(wish, lease, drawing, commit=commit, now=now)
        if short is not None:
            refused[head.id] = short
            # What would not fit an unspent period either says nothing of how much is spent.
            if wish.need <= drawing.periods[short].limit_at(now):
                drawing.exhaust(short, now)
        if flight is None:
            continue
        flights.append((head, flight))
        closed = flight.amount == 0
        stored[head.id] = Lease(
            id=head.id,
            instance=instance,
            periods=head.periods,
            amount=flight.amount,
            reported=(lease.reported if lease is not None else 0) + flight.spent,
            seq=head.seq + 1,
            last_commit=commit,
            state=LeaseState.CLOSED if closed else LeaseState.OPEN,
            expires_at=flight.expires_at,
            policy_epoch=head.policy_epoch,
        )
    changed = {name: drawing.periods[name] for name in drawing.changed}
    return Plan(stored, changed, flights, refused, gone)


def _draw(
    wish: Wish, lease: Lease | None, drawing: _Drawing, *, commit: str, now: datetime
) -> tuple[Flight | None, str | None]:
    """The new amount of one lease, and the period that is short of what it needs."""
    head = wish.head
    own = [drawing.periods[name] for name in head.periods]
    binding = min(own, key=lambda period: period.room(now))
    spent = head.spent
    kept = head.amount - spent
    target = head.held + wish.need
    if not wish.close:
        target += slice_of(wish, own, now)
    most = kept + max(0, binding.room(now))
    # Kept is less than what is held only where a bound was wrong: then the truth is told first.
    amount = max(head.held, min(target, most))
    short = binding.id if amount < head.held + wish.need else None
    if lease is None and amount == 0:
        return None, short
    if spent == 0 and amount == head.amount and amount > 0 and not _ages(head, now):
        return None, short
    opened = 1 if lease is None else 0
    ended = 1 if amount == 0 else 0
    for period in own:
        drawing.change(
            replace(
                period.told(head.policy_epoch, spent, head.unproven),
                leased=period.leased + amount - head.amount,
                open_leases=period.open_leases + opened - ended,
            )
        )
    flight = Flight(
        commit=commit,
        spent=spent,
        unproven=head.unproven,
        amount=amount,
        expires_at=now + LEASE_FOR,
    )
    return flight, short


def _ages(head: LeaseHead, now: datetime) -> bool:
    """Whether a commit is due only so that nobody takes the owner for dead."""
    return head.expires_at is not None and now >= head.expires_at - LEASE_FOR + RENEWED_AFTER


def slice_of(wish: Wish, periods: Sequence[Period], now: datetime) -> Nanos:
    """What is taken beyond the need, so that the next calls find room. 0 near the end of money.

    Many owners share what is left: each takes a part of its equal share, so that none sits on what
    another needs.
    """
    slices = [wish.demand]
    for period in periods:
        owners = max(1, period.open_leases)
        slices.append(max(0, period.room(now) - wish.need) // (SHARES * owners))
        slices.append(max(period.limit_at(now) // SMALLEST_PART, TYPICAL_HOLDS * wish.typical))
    smallest = min(slices)
    return smallest if smallest >= wish.typical else 0
