"""Read, decide, commit: one function for every change that depends on what is there.

The decision may be taken several times, its effect happens at most once. Every commit also creates
a marker document with an id of its own. When the outcome is unknown, the same marker is created
again with the word `fenced`: if that works, the commit has not landed and no longer can, since its
own Create would conflict; if it conflicts, the marker says which of the two came first. That needs
no clock, no lock and nothing from the documents that are changed, and it covers increments too.

What is promised: the documents that are written were, at the commit, as they were read. Documents
that were only read may have changed meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from math import ldexp
from typing import TypeAlias, TypeVar

from common.core.errors import StoreUnavailable, VersionConflict
from common.core.ports import (
    Clock,
    Committed,
    Conflict,
    Create,
    Delete,
    Document,
    Documents,
    Put,
    Ref,
    Write,
)

T = TypeVar("T")

Read: TypeAlias = Callable[[Sequence[Ref]], Awaitable[list[Document | None]]]
Decide: TypeAlias = Callable[[Read], Awaitable[tuple[Sequence[Write], T]]]
"""Reads what it needs and says what to write and what to answer. Runs again after a conflict, so it
has no effects of its own. A Put or Delete names a document that it has read; the version is filled
in. At most 499 writes."""

Entropy: TypeAlias = Callable[[int], bytes]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

MARKERS = "commits"
MARKER_LIFE = timedelta(days=1)
"""Far longer than any store goes on with a commit whose caller has given up."""

ATTEMPTS = 12
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 1.0


async def transact(
    documents: Documents,
    clock: Clock,
    decide: Decide[T],
    *,
    entropy: Entropy,
    attempts: int = ATTEMPTS,
    sleep: Sleep = asyncio.sleep,
) -> T:
    """Apply what `decide` decides, once, and return its answer.

    Args:
        documents: where to read and commit.
        clock: dates the marker.
        decide: reads what it needs, says what to write and what to answer.
        entropy: random bytes, for the marker's id and for pauses.
        attempts: how often to try, and how often to ask after an unknown outcome.
        sleep: waits the given seconds between attempts.

    Raises:
        VersionConflict: others were faster `attempts` times; nothing is stored.
        StoreUnavailable: no answer in time; the writes are stored once, or not at all.
    """
    for attempt in range(attempts):
        versions: dict[Ref, str | None] = {}
        writes, answer = await decide(_recording(documents, versions))
        if not writes:
            return answer
        marker = Ref(MARKERS, entropy(16).hex())
        delete_at = clock.now() + MARKER_LIFE
        mark = Create(marker, {"state": "applied", "delete_at": delete_at})
        outcome = await documents.commit([*_guarded(writes, versions), mark])
        if isinstance(outcome, Committed):
            return answer
        # A store that repeats a commit by itself meets its own marker: that is no conflict.
        if not isinstance(outcome, Conflict) or marker in outcome.refs:
            fence = Create(marker, {"state": "fenced", "delete_at": delete_at})
            if await _landed(documents, fence, attempts, sleep, entropy):
                return answer
        await sleep(_pause_s(attempt, entropy))
    raise VersionConflict(f"the documents changed {attempts} times meanwhile: try again")


async def _landed(
    documents: Documents, fence: Create, attempts: int, sleep: Sleep, entropy: Entropy
) -> bool:
    """Whether the commit with this marker is stored; if not, it never will be."""
    for attempt in range(attempts):
        outcome = await documents.commit([fence])
        if isinstance(outcome, Committed):
            return False
        if isinstance(outcome, Conflict):
            [marker] = await documents.get_many([fence.ref])
            return marker is not None and marker.data["state"] == "applied"
        await sleep(_pause_s(attempt, entropy))
    raise StoreUnavailable("the store does not say whether the last change is stored: look again")


def _recording(documents: Documents, versions: dict[Ref, str | None]) -> Read:
    """Reads that note the version of every document when it was first read."""

    async def read(refs: Sequence[Ref]) -> list[Document | None]:
        found = await documents.get_many(refs)
        for ref, document in zip(refs, found, strict=True):
            versions.setdefault(ref, None if document is None else document.version)
        return found

    return read


def _guarded(writes: Sequence[Write], versions: dict[Ref, str | None]) -> list[Write]:
    """The writes, each Put and Delete bound to what was read."""
    return [_bound(write, versions) for write in writes if not _is_void(write, versions)]


def _is_void(write: Write, versions: dict[Ref, str | None]) -> bool:
    return isinstance(write, Delete) and write.ref in versions and versions[write.ref] is None


def _bound(write: Write, versions: dict[Ref, str | None]) -> Write:
    if not isinstance(write, Put | Delete):
        return write
    if write.ref not in versions:
        raise LookupError(f"{write.ref} is written without having been read")
    version = versions[write.ref]
    if isinstance(write, Delete):
        return Delete(write.ref, version)
    return Create(write.ref, write.data) if version is None else Put(write.ref, write.data, version)


def _pause_s(attempt: int, entropy: Entropy) -> float:
    """Seconds up to a bound that doubles with every attempt: callers who collided spread out."""
    bound = min(LONGEST_PAUSE_S, ldexp(FIRST_PAUSE_S, attempt))
    return bound * int.from_bytes(entropy(4), "big") / (1 << 32)
