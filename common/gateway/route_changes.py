"""The rules of an organisation, replaced whole and kept as versions.

A version never changes, and the one in force is the last. It is stored together with the member of
`gateway/control` that has busy instances read it again: no rule changes unnoticed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.core.errors import NotFound, VersionConflict
from common.core.events import RoutesChanged
from common.core.ids import time_ordered_id
from common.core.ports import Create, Document, Documents, Put, Ref
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL, control_with
from common.gateway.identity import org_ref
from common.gateway.route_book import ROUTES_CHANGED, routes_ref, table_of
from common.routing.rules import RouteTable

ROUTE_VERSIONS = "route_versions"
NONE_YET = 0
"""The version of an organisation whose rules nobody has written."""


@dataclass(frozen=True, slots=True)
class RouteVersion:
    """One version of an organisation's rules. Nobody has written `NONE_YET`."""

    org: str
    version: int
    table: RouteTable
    author: str | None
    written_at: datetime | None

    def to_data(self) -> dict[str, Any]:
        return {
            "org": self.org,
            "version": self.version,
            "rules": json.dumps(self.table.to_data().get("rules", [])),
            "author": self.author,
            "written_at": self.written_at,
        }

    @classmethod
    def of(cls, document: Document) -> "RouteVersion":
        """Raises InvalidInput: the rules are none that this code can read."""
        data: Mapping[str, Any] = document.data
        return cls(
            data["org"], data["version"], table_of(document), data["author"], data["written_at"]
        )


def version_ref(org: str, version: int) -> Ref:
    return Ref(ROUTE_VERSIONS, f"{org}-{version}")


async def routes_of(documents: Documents, org: str) -> RouteVersion:
    """The rules in force.

    Raises:
        NotFound: there is no such organisation.
        StoreUnavailable: no answer in time.
    """
    known, stored = await documents.get_many([org_ref(org), routes_ref(org)])
    if known is None:
        raise _no_org(org)
    return _none_yet(org) if stored is None else RouteVersion.of(stored)


async def route_version(documents: Documents, org: str, version: int) -> RouteVersion:
    """One version.

    Raises:
        NotFound: there is none with this number.
        StoreUnavailable: no answer in time.
    """
    [stored] = await documents.get_many([version_ref(org, version)])
    if stored is None:
        raise NotFound(f"there is no version {version} of the rules of {org[:80]}")
    return RouteVersion.of(stored)


def put_routes(
    org: str, table: RouteTable, is_expected: Callable[[int], bool]
) -> Plan[RouteVersion]:
    """Plan to put these rules in force; those that are in force already stay as they are.

    The plan raises NotFound for an unknown organisation, and VersionConflict if the version in
    force is not the expected one.
    """

    async def plan(read: Read, moment: Moment) -> Change[RouteVersion]:
        known, stored, control = await read([org_ref(org), routes_ref(org), CONTROL])
        if known is None:
            raise _no_org(org)
        before = _none_yet(org) if stored is None else RouteVersion.of(stored)
        if not is_expected(before.version):
            raise VersionConflict(f"version {before.version} of the rules is in force: read it")
        if before.table == table:
            return Change(before, "routes.put", f"routes/{org}", None, None, ())
        after = RouteVersion(org, before.version + 1, table, moment.actor.email, moment.now)
        data = after.to_data()
        write = (
            Create(routes_ref(org), data)
            if stored is None
            else Put(routes_ref(org), data, if_version=stored.version)
        )
        event = RoutesChanged(
            id=time_ordered_id(moment.now, moment.entropy(10)),
            event_time=moment.now,
            org=org,
            version=after.version,
            actor=moment.actor.email,
        )
        return Change(
            result=after,
            action="routes.put",
            target=f"routes/{org}",
            before=before.to_data(),
            after=data,
            writes=(
                write,
                Create(version_ref(org, after.version), data),
                control_with(control, {ROUTES_CHANGED: moment.now}),
            ),
            events=(event,),
        )

    return plan


def _none_yet(org: str) -> RouteVersion:
    return RouteVersion(org, NONE_YET, RouteTable(), None, None)


def _no_org(org: str) -> NotFound:
    return NotFound(f"there is no organisation {org[:80]!r}")
