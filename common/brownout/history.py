"""What became of scopes: the changes behind a given one, and the word that a scope has settled.

That a scope has stayed normal for long is told once of each return, under an id that is made of it.
A change to normal is marked as unsettled in the commit that makes it, so that nothing but the marks
has to be looked at.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from common.brownout.changes import CHANGES, Change
from common.brownout.policies import Policies
from common.brownout.state import read_state
from common.core.brownout_events import BrownoutModeChanged, BrownoutSettled
from common.core.ports import Bus, Document, Documents, Put, Query

_PAGE = 50


async def changes_behind(
    documents: Documents, seq: int, since: datetime | None = None
) -> list[BrownoutModeChanged]:
    """The changes of all scopes with a greater `seq`, the oldest first.

    Args:
        documents: the state.
        seq: of the last one that is known.
        since: leaves out what is older.

    Raises:
        StoreUnavailable: no answer in time.
    """
    found: list[Change] = []
    after: str | None = None
    while True:
        page = await documents.query(Query(CHANGES, after=after, limit=_PAGE))
        changes = [Change.from_document(each) for each in page]
        wanted = [each for each in changes if each.seq > seq]
        found += [each for each in wanted if since is None or each.event_time > since]
        # The newest come first.
        is_last = len(page) < _PAGE or len(wanted) < len(page)
        if is_last or (since is not None and changes[-1].event_time <= since):
            return [each.event for each in sorted(found, key=lambda change: change.seq)]
        after = page[-1].ref.id


async def settle(documents: Documents, bus: Bus, policies: Policies, now: datetime) -> int:
    """Tell which scopes have stayed normal for as long as the policy asks; how many that were.

    Raises:
        StoreUnavailable, PublishFailed: the rest is told the next time.
    """
    state = await read_state(documents)
    resolve_after = (await policies.of(state.policy_version)).incidents.resolve_after
    pinned = {pin.scope for pin in state.pins if pin.until > now}
    told = 0
    for scope, returns in (await _unsettled(documents)).items():
        if scope in state.scopes or scope in pinned:
            continue
        newest = max((Change.from_document(each) for each in returns), key=lambda each: each.seq)
        if newest.event_time + resolve_after > now:
            continue
        event = settled_event(newest, resolve_after)
        await bus.publish(event.topic, event)
        await _mark(documents, returns)
        told += 1
    return told


def settled_event(change: Change, resolve_after: timedelta) -> BrownoutSettled:
    """The word that a scope has stayed normal since this change."""
    return BrownoutSettled(
        id=sha256(f"brownout.settled {change.scope} {change.seq}".encode()).hexdigest()[:32],
        event_time=change.event_time + resolve_after,
        scope=change.scope,
        seq=change.seq,
        since=change.event_time,
        episode=change.episode,
    )


async def _unsettled(documents: Documents) -> dict[str, list[Document]]:
    """The returns to normal that are not told to have lasted, by scope."""
    found: dict[str, list[Document]] = defaultdict(list)
    after: str | None = None
    while True:
        query = Query(CHANGES, {"settled": False}, after=after)
        page = await documents.query(query)
        for document in page:
            found[document.data["scope"]].append(document)
        if len(page) < query.limit:
            return found
        after = page[-1].ref.id


async def _mark(documents: Documents, returns: Iterable[Document]) -> None:
    for document in returns:
        settled = {**document.data, "settled": True}
        # One that is marked as published at this moment is told again, under the same id.
        await documents.commit([Put(document.ref, settled, if_version=document.version)])
