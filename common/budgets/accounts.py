"""Budgets' periods and the leases on them, as they are stored.

For every period, on every committed state: ``settled + leased <= limit``. `leased` covers the worst
case of every call out there, because each call holds a bound of its cost first. Money is nano-USD,
times are aware UTC.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from common.budgets.calendar import FOREVER
from common.core.money import Nanos
from common.core.ports import Document, Ref, Value

PERIODS = "budget_periods"
LEASES = "leases"
PERIOD_KEPT = timedelta(days=400)
"""After its end."""
LEASE_KEPT = timedelta(days=40)
"""After the end of its time, where nothing can change it any more."""


class LeaseState(Enum):
    OPEN = "open"
    CLOSED = "closed"
    WRITTEN_OFF = "written_off"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class TopUp:
    """Money added to one period. `expires_at` None: it stays to the period's end."""

    nanos: Nanos
    expires_at: datetime | None = None
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """One period of a budget.

    `settled` is spent, `unproven` the part of it that nobody has proven, `uncharged` the part that
    calls cost which left before the budget applied to them: no lease has told it. `leased` is what
    open leases may still spend. `epoch` is how new the budget is: leases that are older are of
    before it applied. `exhausted_at` is when a call was first refused.
    """

    id: str
    limit: Nanos
    ends_at: datetime
    top_ups: tuple[TopUp, ...] = ()
    settled: Nanos = 0
    leased: Nanos = 0
    unproven: Nanos = 0
    open_leases: int = 0
    budget: str = ""
    org: str = ""
    starts_at: datetime | None = None
    exhausted_at: datetime | None = None
    uncharged: Nanos = 0
    epoch: int = 0

    @classmethod
    def from_document(cls, document: Document) -> "Period":
        data = document.data
        return cls(
            id=document.ref.id,
            limit=data["limit_nanos"],
            ends_at=data["ends_at"],
            top_ups=tuple(
                TopUp(each["nanos"], each["expires_at"], each["reason"], each["actor"])
                for each in data["top_ups"]
            ),
            settled=data["settled_nanos"],
            leased=data["leased_nanos"],
            unproven=data["unproven_nanos"],
            open_leases=data["open_leases"],
            budget=data["budget"],
            org=data["org"],
            starts_at=data["starts_at"],
            exhausted_at=data["exhausted_at"],
            # Periods that were stored before there were these have neither.
            uncharged=data.get("uncharged_nanos", 0),
            epoch=data.get("epoch", 0),
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data; its id is not repeated."""
        return {
            "budget": self.budget,
            "org": self.org,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "limit_nanos": self.limit,
            "top_ups": [
                {
                    "nanos": each.nanos,
                    "expires_at": each.expires_at,
                    "reason": each.reason,
                    "actor": each.actor,
                }
                for each in self.top_ups
            ],
            "settled_nanos": self.settled,
            "leased_nanos": self.leased,
            "unproven_nanos": self.unproven,
            "uncharged_nanos": self.uncharged,
            "open_leases": self.open_leases,
            "exhausted_at": self.exhausted_at,
            "epoch": self.epoch,
            "delete_at": self.delete_at,
        }

    @property
    def delete_at(self) -> datetime | None:
        """None where the period never ends."""
        return _later(self.ends_at, PERIOD_KEPT)

    def limit_at(self, now: datetime) -> Nanos:
        """The limit and the top-ups that live."""
        live = (t.nanos for t in self.top_ups if t.expires_at is None or now < t.expires_at)
        return self.limit + sum(live)

    def room(self, now: datetime) -> Nanos:
        """What may still be leased; negative where a limit was lowered below what is spent."""
        return self.limit_at(now) - self.settled - self.leased

    def told(self, epoch: int, spent: Nanos, unproven: Nanos) -> "Period":
        """As it is when a lease of `epoch` tells what its calls cost, and what of it is unproven.

        Of an older lease only the unproven part counts. The rest is in the sum of the calls that
        left before, which is added as a whole (`late_calls.py`).
        """
        counted = spent if epoch >= self.epoch else unproven
        return replace(self, settled=self.settled + counted, unproven=self.unproven + unproven)


@dataclass(frozen=True, slots=True)
class Lease:
    """Money that one instance has taken from the periods of a scope set.

    `amount` is taken from every one of `periods` and not given back; `reported` is the sum of what
    its commits told. Each commit raises `seq` and leaves its own id in `last_commit`.
    """

    id: str
    instance: str
    periods: tuple[str, ...]
    amount: Nanos
    reported: Nanos
    seq: int
    last_commit: str
    state: LeaseState
    expires_at: datetime
    policy_epoch: int
    written_off: Nanos = 0

    @classmethod
    def from_document(cls, document: Document) -> "Lease":
        data = document.data
        return cls(
            id=document.ref.id,
            instance=data["instance"],
            periods=tuple(data["periods"]),
            amount=data["amount_nanos"],
            reported=data["reported_nanos"],
            seq=data["seq"],
            last_commit=data["last_commit"],
            state=LeaseState(data["state"]),
            expires_at=data["expires_at"],
            policy_epoch=data["policy_epoch"],
            written_off=data["written_off_nanos"],
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data; its id is not repeated."""
        return {
            "instance": self.instance,
            "periods": list(self.periods),
            "amount_nanos": self.amount,
            "reported_nanos": self.reported,
            "seq": self.seq,
            "last_commit": self.last_commit,
            "state": self.state.value,
            "expires_at": self.expires_at,
            "policy_epoch": self.policy_epoch,
            "written_off_nanos": self.written_off,
            "delete_at": self.delete_at,
        }

    @property
    def delete_at(self) -> datetime | None:
        """None where it is open, or written off and may still be corrected."""
        if self.state in (LeaseState.CLOSED, LeaseState.CORRECTED):
            return _later(self.expires_at, LEASE_KEPT)
        return None


def period_ref(period: str) -> Ref:
    return Ref(PERIODS, period)


def lease_ref(lease: str) -> Ref:
    return Ref(LEASES, lease)


def _later(time: datetime, kept: timedelta) -> datetime | None:
    return time + kept if time < FOREVER - kept else None
