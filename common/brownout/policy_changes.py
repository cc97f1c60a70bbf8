"""Another version of the policy: stored once, and in force in the commit that stores it.

What has happened until then is decided by the version that held until then: the state is folded
under that one first, so that no step on the way back to normal is taken back by a longer ramp.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from common.brownout.fold import fold
from common.brownout.policies import SHIPPED, Policies, policy_ref
from common.brownout.policy import Policy
from common.brownout.policy_models import policy_data
from common.brownout.state import STATE, read_state
from common.brownout.written import check_written
from common.core.errors import NotFound, VersionConflict
from common.core.ports import Create, Documents, Put, Write
from common.core.transactions import Read

MAX_NOTE_CHARS = 500


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A version as it is stored. Nobody wrote `SHIPPED`, which comes with the code.

    `policy` is in the form of `policy_data`.
    """

    version: int
    policy: Mapping[str, Any]
    author: str | None
    note: str
    created_at: datetime | None

    def to_data(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "policy": dict(self.policy),
            "author": self.author,
            "note": self.note,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class PolicySaved:
    """A version that is in force now, and what to write for it."""

    saved: PolicyVersion
    before: int
    writes: tuple[Write, ...]


async def running_version(documents: Documents) -> int:
    """The number of the version in force.

    Raises:
        StoreUnavailable: no answer in time.
    """
    return (await read_state(documents)).policy_version


async def stored_versions(
    documents: Documents, policies: Policies, newest: int, most: int
) -> list[PolicyVersion]:
    """Versions from `newest` down to the one that ships with the code, at most so many.

    Raises:
        StoreUnavailable: no answer in time.
    """
    wanted = range(newest, max(newest - most, SHIPPED - 1), -1)
    kept = [number for number in wanted if number != SHIPPED]
    found = await documents.get_many([policy_ref(number) for number in kept]) if kept else []
    versions = [
        PolicyVersion(
            version=number,
            policy=document.data["policy"],
            author=document.data.get("author"),
            note=document.data.get("note", ""),
            created_at=document.data.get("created_at"),
        )
        for number, document in zip(kept, found, strict=True)
        if document is not None
    ]
    if SHIPPED in wanted:
        shipped = policy_data(await policies.of(SHIPPED))
        versions.append(PolicyVersion(SHIPPED, shipped, None, "ships with the code", None))
    return versions


async def stored_version(documents: Documents, policies: Policies, number: int) -> PolicyVersion:
    """One version.

    Raises:
        NotFound: there is none with this number.
        StoreUnavailable: no answer in time.
    """
    found = await stored_versions(documents, policies, number, 1)
    if not found:
        raise NotFound(f"there is no version {number} of the policy")
    return found[0]


async def save_policy(
    read: Read,
    policy: Policy,
    note: str,
    *,
    is_expected: Callable[[int], bool],
    author: str,
    now: datetime,
    documents: Documents,
    policies: Policies,
) -> PolicySaved:
    """Put another version of the policy in force.

    Args:
        read: of the transaction.
        policy: the version.
        note: why there is another one.
        is_expected: whether its author has seen the version in force.
        author: email.
        now: by the clock of whoever saves it.
        documents: where the signals are.
        policies: where the version in force is.

    Raises:
        InvalidInput: there is no note that can be shown.
        VersionConflict: the version in force is not the expected one.
        StoreUnavailable: no answer in time.
    """
    check_written(note, "note", MAX_NOTE_CHARS)
    until_now, found = await fold(documents, read, policies, now)
    state = found.state
    if not is_expected(state.policy_version):
        raise VersionConflict(
            f"version {state.policy_version} of the policy is in force by now: read it, then save"
        )
    number = await _free_number(read, state.policy_version + 1)
    saved = PolicyVersion(number, policy_data(policy), author, note.strip(), now)
    moved = replace(state, policy_version=number)
    writes = (
        *(each for each in until_now if each.ref != STATE),
        Put(STATE, moved.to_data()),
        Create(policy_ref(number), saved.to_data()),
    )
    return PolicySaved(saved, state.policy_version, writes)


async def _free_number(read: Read, number: int) -> int:
    """The first number from this one on that no version has: a version never changes."""
    while (await read([policy_ref(number)]))[0] is not None:
        number += 1
    return number
