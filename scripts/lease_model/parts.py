"""What the model's world is made of: processes, their calls, and commits on their way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from common.budgets.accounts import Lease, Period
from common.budgets.leases import Hold, LeaseHead

Item: TypeAlias = Lease | Period

SCOPE_SETS = (
    ("org",),
    ("org", "red"),
    ("org", "red", "red-1"),
    ("org", "red", "red-2"),
    ("blue", "org"),
    ("blue", "blue-1", "org"),
)
PERIODS = sorted({name for scope_set in SCOPE_SETS for name in scope_set})


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults planted on purpose, to see that the model finds them."""

    free_on_expiry: bool = False
    ignore_flight: bool = False
    settle_twice: bool = False
    close_without_settling: bool = False


@dataclass(slots=True)
class Commit:
    """Writes with the versions they rest on; applied whole or not at all."""

    id: str
    items: Mapping[str, Item]
    versions: Mapping[str, int]
    plan_heads: tuple[LeaseHead, ...] = ()


@dataclass(slots=True)
class Call:
    hold: Hold
    head: LeaseHead
    cost: int


@dataclass(slots=True)
class Instance:
    """One process. `pending` is its commit without an answer, `fence` the fence it has sent."""

    name: str
    skew: timedelta
    heads: dict[tuple[str, ...], LeaseHead] = field(default_factory=dict)
    retired: list[LeaseHead] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    pending: Commit | None = None
    fences: dict[str, str] = field(default_factory=dict)
    frozen: bool = False
