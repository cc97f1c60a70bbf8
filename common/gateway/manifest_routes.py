"""The rules of an organisation as one object of a manifest: there while it has any.

Who has no rules has none to change or to end, so rules that were emptied and come back are made
anew, and pruning, which empties them, ends what was made.
"""

from dataclasses import replace

from common.core.errors import InvalidInput, NotFound
from common.core.ports import Documents
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.gateway.route_book import routes_ref
from common.gateway.route_changes import RouteVersion, put_routes
from common.routing.rules import RouteTable

_NONE = "[]"


def routes_change(org: str, table: RouteTable | None) -> Plan[RouteVersion]:
    """Plan to have these rules and no others; None ends all there are.

    The plan raises InvalidInput for an unknown organisation.
    """
    put = put_routes(org, RouteTable() if table is None else table, lambda _: True)

    async def plan(read: Read, moment: Moment) -> Change[RouteVersion]:
        try:
            change = await put(read, moment)
        except NotFound:
            raise InvalidInput(f"there is no organisation {org}", field="org") from None
        before = change.before
        if before is not None and before["rules"] == _NONE:
            before = None
        return replace(change, before=before, after=None if table is None else change.after)

    return plan


async def there_are_rules(documents: Documents, org: str) -> bool:
    """Whether an organisation has any now."""
    [stored] = await documents.get_many([routes_ref(org)])
    return stored is not None and stored.data["rules"] != _NONE
