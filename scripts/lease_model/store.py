"""The store of the model's world: documents with versions, and commits that apply whole or not."""

from collections.abc import Mapping
from dataclasses import replace

from common.budgets.accounts import Lease, LeaseState, Period
from scripts.lease_model.parts import Commit, Item


class Store:
    """Leases and periods, each with a version that rises with every write."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._versions: dict[str, int] = {}
        self.open_leases: dict[str, Lease] = {}

    def put(self, *items: Item) -> None:
        for item in items:
            self._items[item.id] = item
            self._versions[item.id] = self.version(item.id) + 1
            if isinstance(item, Lease):
                self.open_leases.pop(item.id, None)
                if item.state is LeaseState.OPEN:
                    self.open_leases[item.id] = item

    def version(self, name: str) -> int:
        """0 where nothing is."""
        return self._versions.get(name, 0)

    def apply(self, commit: Commit) -> bool:
        """Whether all was as the commit read it; nothing is stored if not."""
        if any(self.version(name) != seen for name, seen in commit.versions.items()):
            return False
        self.put(*commit.items.values())
        return True

    def lease(self, name: str) -> Lease | None:
        item = self._items.get(name)
        return item if isinstance(item, Lease) else None

    def period(self, name: str) -> Period:
        item = self._items[name]
        assert isinstance(item, Period)
        return item

    def periods_of(self, lease: Lease) -> list[Period]:
        return [self.period(name) for name in lease.periods]

    def without_settling(
        self, leases: Mapping[str, Lease], items: Mapping[str, Item]
    ) -> dict[str, Item]:
        """A planted fault: what these leases would store if closing forgot what calls cost."""
        changed = dict(items)
        for lease in leases.values():
            before = self.lease(lease.id)
            told = lease.reported - (before.reported if before is not None else 0)
            if lease.state is LeaseState.CLOSED and told:
                for name in lease.periods:
                    period = changed[name]
                    assert isinstance(period, Period)
                    changed[name] = replace(period, settled=period.settled - told)
        return changed
