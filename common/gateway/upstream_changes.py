"""The life of a configured upstream: made or replaced, removed, and found again.

A change and the time in `gateway/control` that tells busy instances of the proxy to read the
upstreams again are one commit: no upstream is changed unnoticed. A vendor's document may be removed
like any other; the vendor then has the one key of its own variable again.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal, TypeAlias

from common.core.errors import InvalidInput, NotFound, VersionConflict
from common.core.events import UpstreamEvent
from common.core.ids import time_ordered_id
from common.core.ports import Create, Delete, Document, Documents, Put, Query, Write
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL, UPSTREAMS_CHANGED, control_with
from common.gateway.destinations import VENDOR_VARIABLES
from common.gateway.upstream_records import (
    UPSTREAMS,
    UpstreamRecord,
    check_record,
    upstream_ref,
)

IsExpected: TypeAlias = Callable[[UpstreamRecord | None], bool]
"""Whether what is stored, None for nothing, is what the one who asks has seen."""


def put_upstream(
    record: UpstreamRecord, providers: Collection[str], is_expected: IsExpected
) -> Plan[UpstreamRecord]:
    """Plan to make an upstream or replace it whole. `providers` are those of the price list.

    The plan raises InvalidInput and, if the stored one is not expected, VersionConflict.
    """
    check_record(record)
    _check_provider(record.provider, providers)

    async def plan(read: Read, moment: Moment) -> Change[UpstreamRecord]:
        document, control = await read([upstream_ref(record.name), CONTROL])
        stored = None if document is None else UpstreamRecord.from_document(document)
        if not is_expected(stored):
            raise _unexpected(record.name, stored)
        write: Write | None = None
        if document is None:
            write = Create(upstream_ref(record.name), record.to_data())
        elif stored != record:
            write = Put(document.ref, record.to_data(), if_version=document.version)
        return _change(record, moment, control, write, before=stored, after=record)

    return plan


def remove_upstream(name: str, is_expected: IsExpected) -> Plan[UpstreamRecord]:
    """Plan to remove an upstream; the result is what it was.

    The plan raises NotFound and, if the stored one is not expected, VersionConflict.
    """

    async def plan(read: Read, moment: Moment) -> Change[UpstreamRecord]:
        document, control = await read([upstream_ref(name), CONTROL])
        if document is None:
            raise _missing(name)
        stored = UpstreamRecord.from_document(document)
        if not is_expected(stored):
            raise _unexpected(name, stored)
        removal = Delete(document.ref, if_version=document.version)
        return _change(stored, moment, control, removal, before=stored, after=None)

    return plan


async def get_upstream(documents: Documents, name: str) -> UpstreamRecord:
    """Read one configured upstream.

    Raises:
        NotFound: it is not configured.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([upstream_ref(name)])
    if document is None:
        raise _missing(name)
    return UpstreamRecord.from_document(document)


async def list_upstreams(
    documents: Documents, *, after: str | None, limit: int
) -> list[UpstreamRecord]:
    """One page of configured upstreams, ordered by name, behind `after`."""
    page = await documents.query(Query(UPSTREAMS, after=after, limit=limit))
    return [UpstreamRecord.from_document(document) for document in page]


def _change(
    result: UpstreamRecord,
    moment: Moment,
    control: Document | None,
    write: Write | None,
    *,
    before: UpstreamRecord | None,
    after: UpstreamRecord | None,
) -> Change[UpstreamRecord]:
    """The change with what is told of it; nothing is told where nothing is written."""
    action: Literal["create", "update", "remove"] = "update"
    if before is None or after is None:
        action = "create" if before is None else "remove"
    change = Change(
        result=result,
        action=f"upstream.{action}",
        target=f"{UPSTREAMS}/{result.name}",
        before=None if before is None else before.to_data(),
        after=None if after is None else after.to_data(),
        writes=(),
    )
    if write is None:
        return change
    event = UpstreamEvent(
        id=time_ordered_id(moment.now, moment.entropy(10)),
        event_time=moment.now,
        upstream=result.name,
        action=action,
        actor=moment.actor.email,
    )
    told = control_with(control, {UPSTREAMS_CHANGED: moment.now})
    return replace(change, writes=(write, told), events=(event,))


def _check_provider(provider: str | None, providers: Collection[str]) -> None:
    if provider is None or provider in providers:
        return
    near = get_close_matches(provider.lower(), sorted(providers), n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(providers))}"
    raise InvalidInput(
        f"the price book has no provider {provider[:80]!r}: {hint}", field="provider"
    )


def _missing(name: str) -> NotFound:
    variable = VENDOR_VARIABLES.get(name)
    usual = "" if variable is None else f"; its calls are paid with {variable}, if that is set"
    return NotFound(f"there is no upstream {name[:80]!r} configured{usual}")


def _unexpected(name: str, stored: UpstreamRecord | None) -> VersionConflict:
    if stored is None:
        return VersionConflict(f"there is no upstream {name} that could be replaced")
    return VersionConflict(f"upstream {name} exists and is not what was read; read it again")
