"""Which of our keys is which key on a bill: found by what both used, for no API tells it.

We know fingerprints of keys, a provider its own ids. Keys that used the same on both sides are one.
The installation's keys are on its bill: each that is left is the key there that used most nearly
what our events have of it. A caller's own key may be of another account: what is left of these may
be a key there that used more, or is on another bill.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from common.reconciliation.rows import Bill, Called, Tokens

PERCENT = 100
"""Counts within one part of so many are the same: calls over midnight, and estimates."""

ByModel: TypeAlias = Mapping[str, Tokens]
OurKey: TypeAlias = tuple[bool, str | None]
"""Whether the installation's, and the fingerprint."""
_Used: TypeAlias = dict[str | None, dict[str, Tokens]]


@dataclass(frozen=True, slots=True)
class Matched:
    """Keys on the bill by ours. `perhaps` are callers' keys that used less here than there."""

    surely: Mapping[OurKey, str | None] = field(default_factory=dict)
    perhaps: Mapping[OurKey, str | None] = field(default_factory=dict)

    def is_billed(self, row: Called) -> bool:
        """Whether these calls are on the bill: all that the installation's keys paid for are."""
        return row.managed or _name(row) in self.surely

    def may_be_billed(self, row: Called) -> bool:
        return self.is_billed(row) or _name(row) in self.perhaps

    def key_of(self, row: Called) -> tuple[str | None] | None:
        """The key on the bill, which may be None there; None where it is not known."""
        name = _name(row)
        return (self.surely[name],) if name in self.surely else None

    @property
    def installations(self) -> set[str | None]:
        """Those keys on the bill that are the installation's."""
        return {theirs for (managed, _), theirs in self.surely.items() if managed}


def match(ledger: Sequence[Called], bill: Bill) -> Matched:
    """Each of our keys that can be told with its id on the bill."""
    free: _Used = defaultdict(dict)
    for used in bill.used:
        free[used.key][used.model] = free[used.key].get(used.model, Tokens()) + used.tokens
    within = _used(row for row in ledger if row.edge == "within")
    with_edges = _used(ledger)
    surely: dict[OurKey, str | None] = {}
    perhaps: dict[OurKey, str | None] = {}
    for name, ours in _most_first(within):
        at_most = with_edges[name]
        same = [k for k, their in free.items() if _covers(their, ours) and _covers(at_most, their)]
        _take(name, ours, same, free, surely)
    for name, ours in _most_first(within):
        if name not in surely and name[0]:
            alike = [key for key, their in free.items() if _is_alike(their, ours)]
            _take(name, ours, alike, free, surely)
    for name, ours in _most_first(within):
        if name not in surely and not name[0]:
            _take(name, ours, [k for k, t in free.items() if _covers(t, ours)], free, perhaps)
    return Matched(surely, perhaps)


def _take(
    name: OurKey,
    ours: ByModel,
    candidates: Sequence[str | None],
    free: _Used,
    found: dict[OurKey, str | None],
) -> None:
    """Give a key the nearest of the candidates."""
    if candidates:
        found[name] = best = min(candidates, key=partial(_distance, free, ours))
        del free[best]


def _name(row: Called) -> OurKey:
    return row.managed, row.key


def _used(rows: Iterable[Called]) -> dict[OurKey, dict[str, Tokens]]:
    """What each of our keys used."""
    used: dict[OurKey, dict[str, Tokens]] = defaultdict(dict)
    for row in rows:
        if row.tokens.weight:
            by_model = used[_name(row)]
            by_model[row.model] = by_model.get(row.model, Tokens()) + row.tokens
    return used


def _most_first(used: Mapping[OurKey, ByModel]) -> list[tuple[OurKey, ByModel]]:
    """The key with the most to tell chooses first."""
    return sorted(used.items(), key=lambda each: (not each[0][0], -_weight(each[1]), str(each[0])))


def _is_alike(theirs: ByModel, ours: ByModel) -> bool:
    """Whether half of what we have may be of this key."""
    both = sum(min(e.weight, theirs.get(m, Tokens()).weight) for m, e in ours.items())
    return 2 * both >= _weight(ours)


def _distance(theirs: _Used, ours: ByModel, name: str | None) -> int:
    found = theirs[name]
    nothing = Tokens()
    models = {*found, *ours}
    return sum(abs(found.get(m, nothing).weight - ours.get(m, nothing).weight) for m in models)


def _covers(more: ByModel, less: ByModel) -> bool:
    return all(
        each.weight * (PERCENT - 1) <= more.get(model, Tokens()).weight * PERCENT
        for model, each in less.items()
    )


def _weight(used: ByModel) -> int:
    return sum(each.weight for each in used.values())
