"""The one document that says which scopes are not at rest.

`brownout_state/current` is small: a scope in normal mode that nothing holds is not in it, so one
read serves every call. Readers compute from it what holds at any later time (`trajectory.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from common.brownout.modes import Mode
from common.brownout.trajectory import Lease, ScopeState
from common.core.ports import Document, Documents, Ref, Value

STATE = Ref("brownout_state", "current")


@dataclass(frozen=True, slots=True)
class Pin:
    """A mode that a person sets for a scope, whatever signals say, until it ends by itself."""

    id: str
    scope: str
    mode: Mode
    reason: str
    actor: str
    created_at: datetime
    until: datetime

    def to_data(self) -> dict[str, Value]:
        return {
            "id": self.id,
            "scope": self.scope,
            "mode": self.mode.word,
            "reason": self.reason,
            "actor": self.actor,
            "created_at": self.created_at,
            "until": self.until,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Pin":
        return cls(
            id=data["id"],
            scope=data["scope"],
            mode=Mode[data["mode"].upper()],
            reason=data["reason"],
            actor=data["actor"],
            created_at=data["created_at"],
            until=data["until"],
        )


@dataclass(frozen=True, slots=True)
class State:
    """What is stored.

    `seq` numbers the changes of all scopes. `policy_version` 0 is the policy that ships with the
    code. `pins` may hold some that have ended: they no longer count.
    """

    seq: int = 0
    policy_version: int = 0
    scopes: Mapping[str, ScopeState] = field(default_factory=lambda: MappingProxyType({}))
    pins: tuple[Pin, ...] = ()

    @property
    def at_rest(self) -> bool:
        return not self.scopes and not self.pins

    def to_data(self) -> dict[str, Value]:
        return {
            "seq": self.seq,
            "policy_version": self.policy_version,
            "scopes": {name: _scope_data(state) for name, state in self.scopes.items()},
            "pins": [pin.to_data() for pin in self.pins],
        }

    @classmethod
    def from_document(cls, document: Document | None) -> "State":
        if document is None:
            return cls()
        data: Any = document.data
        scopes = {name: _scope_state(each) for name, each in data["scopes"].items()}
        return cls(
            seq=data["seq"],
            policy_version=data["policy_version"],
            scopes=MappingProxyType(scopes),
            pins=tuple(Pin.from_data(each) for each in data["pins"]),
        )


async def read_state(documents: Documents) -> State:
    """The state as it is stored now.

    Raises:
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([STATE])
    return State.from_document(document)


def _scope_data(state: ScopeState) -> dict[str, Value]:
    return {
        "mode": state.mode.word,
        "since": state.since,
        "dwells_from": state.dwells_from,
        "opened_at": state.opened_at,
        "peak": state.peak.word,
        "leases": [
            {
                "level": lease.level.word,
                "until": lease.until,
                "about": lease.about,
                "told_over": lease.told_over,
            }
            for lease in state.leases
        ],
    }


def _scope_state(data: Mapping[str, Any]) -> ScopeState:
    return ScopeState(
        mode=Mode[data["mode"].upper()],
        since=data["since"],
        dwells_from=data["dwells_from"],
        opened_at=data["opened_at"],
        peak=Mode[data["peak"].upper()],
        leases=tuple(
            Lease(Mode[each["level"].upper()], each["until"], each["about"], each["told_over"])
            for each in data["leases"]
        ),
    )
