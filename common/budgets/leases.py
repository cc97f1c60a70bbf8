"""The owner's side of a lease: calls are admitted in memory, without asking a store.

An instance of the proxy takes a lease on the periods of all hard budgets that apply to a call (the
scope set), admits calls against it, and tells what they cost with the next commit. Between a commit
and its answer both outcomes are possible, so both must have room for what is admitted.

Everything here is pure and synchronous. `renewals.py` decides what to commit, `renewal.py` carries
it to the store, `settlement.py` looks after leases whose owner is gone, and
`tests/budgets/test_model.py` interleaves all of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from common.budgets.accounts import Lease, LeaseState
from common.core.money import Nanos

SAFETY = timedelta(seconds=5)
"""Nothing is admitted so shortly before the end of a lease."""


@dataclass(slots=True)
class Hold:
    """What one attempt of a call may cost, held until it is settled."""

    nanos: Nanos
    settled: Nanos | None = None


@dataclass(frozen=True, slots=True)
class Flight:
    """A commit that has left and is not answered yet: what it tells, and the lease's new amount."""

    commit: str
    spent: Nanos
    unproven: Nanos
    amount: Nanos
    expires_at: datetime


@dataclass(slots=True)
class LeaseHead:
    """The owner's side of one lease, in memory.

    `reported` is what commits have told, `spent` what is settled and not yet told, `held` the sum
    of open holds. A head whose lease was written off is `gone`: it admits nothing and only counts.
    """

    id: str
    periods: tuple[str, ...]
    policy_epoch: int
    ends_at: datetime
    amount: Nanos = 0
    seq: int = 0
    expires_at: datetime | None = None
    reported: Nanos = 0
    spent: Nanos = 0
    unproven: Nanos = 0
    held: Nanos = 0
    flight: Flight | None = None
    gone: bool = False
    closed: bool = False
    repeated_settlements: int = 0

    @property
    def room(self) -> Nanos:
        """What can be admitted now, whether the commit in flight arrives or not."""
        room = self.amount - self.spent - self.held
        if self.flight is not None:
            untold = self.spent - self.flight.spent
            room = min(room, self.flight.amount - untold - self.held)
        return room

    def admit(self, nanos: Nanos, now: datetime) -> Hold | None:
        """Hold the bound of a call's cost, or None where there is no room for it."""
        if self.gone or self.closed or nanos > self.room or now >= self._valid_until():
            return None
        self.held += nanos
        return Hold(nanos)

    def settle(self, hold: Hold, nanos: Nanos, *, unproven: Nanos = 0) -> None:
        """Put what a call cost in place of its hold; a second time changes nothing.

        Args:
            hold: as `admit` gave it.
            nanos: the cost; above the hold only where the bound was wrong.
            unproven: the part of it that the provider has not told.
        """
        if hold.settled is not None:
            self.repeated_settlements += 1
            return
        hold.settled = nanos
        self.held -= hold.nanos
        self.spent += nanos
        self.unproven += unproven

    def send(self, flight: Flight) -> None:
        """From now on the commit may arrive at any time."""
        self.flight = flight

    def arrived(self) -> None:
        """The commit in flight is stored."""
        flight = self.flight
        if flight is None:
            return
        self.flight = None
        self.reported += flight.spent
        self.spent -= flight.spent
        self.unproven -= flight.unproven
        self.amount = flight.amount
        self.expires_at = flight.expires_at
        self.seq += 1
        self.closed = flight.amount == 0

    def lost(self) -> None:
        """The commit in flight was refused: it is not stored and never will be."""
        self.flight = None

    def fenced(self) -> None:
        """The commit in flight can never be stored any more, because a fence has raised `seq`."""
        self.flight = None
        self.seq += 1
        self.closed = self.expires_at is None

    def disown(self, reported: Nanos) -> None:
        """Somebody else has closed the account; `reported` is what the store has of it."""
        if self.flight is not None and reported != self.reported:
            # The commit in flight has arrived before that, with all that it told.
            self.unproven -= self.flight.unproven
        self.flight = None
        self.spent += self.reported - reported
        self.reported = reported
        self.gone = True

    def _valid_until(self) -> datetime:
        if self.expires_at is None:
            return datetime.min.replace(tzinfo=self.ends_at.tzinfo)
        return min(self.ends_at, self.expires_at - SAFETY)


def is_owned(head: LeaseHead, lease: Lease | None) -> bool:
    """Whether the stored lease is as its owner left it: whatever changes one raises its `seq`."""
    return head.seq == (0 if lease is None else lease.seq)


def fence(head: LeaseHead, lease: Lease | None, *, instance: str, commit: str) -> Lease | None:
    """What must be stored so that a commit without an answer cannot arrive later.

    None where nothing must: it has arrived, or the lease is not the owner's any more.
    """
    if not is_owned(head, lease):
        return None
    if lease is not None:
        return replace(lease, seq=lease.seq + 1, last_commit=commit)
    return Lease(
        id=head.id,
        instance=instance,
        periods=head.periods,
        amount=0,
        reported=0,
        seq=1,
        last_commit=commit,
        state=LeaseState.CLOSED,
        expires_at=head.flight.expires_at if head.flight is not None else head.ends_at,
        policy_epoch=head.policy_epoch,
    )


def conclude(head: LeaseHead, lease: Lease | None, *, fence_commit: str | None) -> bool:
    """Tell a head what became of its commit without an answer; False where it is still open.

    Args:
        head: with a flight.
        lease: as it is stored now.
        fence_commit: the id of the fence that was sent, if one was.
    """
    if head.flight is None:
        return True
    if lease is not None and lease.last_commit == head.flight.commit:
        head.arrived()
    elif lease is not None and lease.last_commit == fence_commit:
        head.fenced()
    elif not is_owned(head, lease):
        head.disown(lease.reported if lease is not None else 0)
    else:
        return False
    return True
