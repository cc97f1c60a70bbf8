"""The life of a price override: made or replaced, removed, and found again.

A change and the time in `gateway/control` that tells instances of the proxy to read overrides again
are one commit, and so is the version that the events of calls name.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from common.core.errors import InvalidInput, NotFound, VersionConflict
from common.core.paging import every_document
from common.core.ports import Create, Delete, Document, Documents, Put, Query, Write
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL, control_with
from common.gateway.identity import org_ref
from common.pricing.overrides import (
    OVERRIDES,
    OVERRIDES_CHANGED,
    Override,
    check_override,
    override_ref,
)

IsExpected: TypeAlias = Callable[[Override | None], bool]
"""Whether what is stored, None for nothing, is what the one who asks has seen."""


def put_override(
    override: Override, providers: Collection[str], is_expected: IsExpected
) -> Plan[Override]:
    """Plan to make an override or replace it whole. `providers` are those of the price list.

    The plan raises InvalidInput and, if the stored one is not expected, VersionConflict.
    """
    check_override(override, providers)

    async def plan(read: Read, moment: Moment) -> Change[Override]:
        orgs = () if override.org is None else (org_ref(override.org),)
        document, control, version, *known = await read(
            [override.ref, CONTROL, override.version_ref, *orgs]
        )
        if known == [None]:
            raise InvalidInput(
                f"there is no organisation {(override.org or '')[:80]!r}", field="org"
            )
        stored = None if document is None else Override.from_document(document)
        if not is_expected(stored):
            raise _unexpected(override.id, stored)
        data = override.to_data()
        writes: tuple[Write, ...] = ()
        if document is None:
            writes = (Create(override.ref, data),)
        elif stored != override:
            writes = (Put(document.ref, data, if_version=document.version),)
        if writes and version is None:
            writes = (*writes, Create(override.version_ref, data))
        return _change(override, moment, control, writes, before=stored, after=override)

    return plan


def remove_override(id_: str, is_expected: IsExpected) -> Plan[Override]:
    """Plan to remove an override; the result is what it was. Calls then pay the list's price.

    So do those that it priced, once they are restated: what shall stay as it was ends by its
    `valid_until` instead.

    The plan raises NotFound and, if the stored one is not expected, VersionConflict.
    """

    async def plan(read: Read, moment: Moment) -> Change[Override]:
        document, control = await read([override_ref(id_), CONTROL])
        if document is None:
            raise _missing(id_)
        stored = Override.from_document(document)
        if not is_expected(stored):
            raise _unexpected(id_, stored)
        removal = Delete(document.ref, if_version=document.version)
        return _change(stored, moment, control, (removal,), before=stored, after=None)

    return plan


async def get_override(documents: Documents, id_: str) -> Override:
    """Read one override.

    Raises:
        NotFound: there is none of this id.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([override_ref(id_)])
    if document is None:
        raise _missing(id_)
    return Override.from_document(document)


async def overlapping(documents: Documents, override: Override) -> list[Override]:
    """Others that are for the same organisation, name or pattern, and time, by id.

    Raises:
        StoreUnavailable: no answer in time.
    """
    where = {"org": override.org, "provider": override.provider}
    found: list[Override] = []
    async for document in every_document(documents, Query(OVERRIDES, where)):
        # What this code cannot read prices nothing either.
        with suppress(InvalidInput):
            found.append(Override.from_document(document))
    return [each for each in found if override.meets(each)]


async def list_overrides(documents: Documents, *, after: str | None, limit: int) -> list[Override]:
    """One page of overrides, ordered by id, behind `after`."""
    page = await documents.query(Query(OVERRIDES, after=after, limit=limit))
    return [Override.from_document(document) for document in page]


def _change(
    result: Override,
    moment: Moment,
    control: Document | None,
    writes: tuple[Write, ...],
    *,
    before: Override | None,
    after: Override | None,
) -> Change[Override]:
    """The change; nothing is told where nothing is written."""
    action = "update"
    if before is None or after is None:
        action = "create" if before is None else "remove"
    change = Change(
        result=result,
        action=f"price_override.{action}",
        target=f"{OVERRIDES}/{result.id}",
        before=None if before is None else before.to_data(),
        after=None if after is None else after.to_data(),
        writes=(),
    )
    if not writes:
        return change
    return replace(change, writes=(*writes, control_with(control, {OVERRIDES_CHANGED: moment.now})))


def _missing(id_: str) -> NotFound:
    return NotFound(f"there is no price override {id_[:80]!r}")


def _unexpected(id_: str, stored: Override | None) -> VersionConflict:
    if stored is None:
        return VersionConflict(f"there is no price override {id_} that could be replaced")
    return VersionConflict(f"price override {id_} exists and is not what was read; read it again")
