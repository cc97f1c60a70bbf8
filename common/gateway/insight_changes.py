"""What people do to insights, planned with its audit entry."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from common.core.errors import NotFound
from common.core.ports import Documents, Put, Value
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.insights.findings import INSIGHTS, Insight, insight_ref

Act: TypeAlias = Callable[[Insight, str, datetime], Insight]
"""From an insight, who does it and when, to what becomes of it."""


async def get_insight(documents: Documents, id_: str) -> Insight:
    """Read one insight.

    Raises:
        NotFound: there is none.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([insight_ref(id_)])
    if document is None:
        raise _unknown(id_)
    return Insight.from_document(document)


def act_on(id_: str, name: str, act: Act) -> Plan[Insight]:
    """Plan what somebody does to an insight. `name` is that of the audit entry.

    The plan raises NotFound and whatever `act` refuses with.
    """

    async def plan(read: Read, moment: Moment) -> Change[Insight]:
        [document] = await read([insight_ref(id_)])
        if document is None:
            raise _unknown(id_)
        before = Insight.from_document(document)
        after = act(before, moment.actor.email, moment.now)
        return Change(
            result=after,
            action=f"insight.{name}",
            target=f"{INSIGHTS}/{id_}",
            before=_states(before),
            after=_states(after),
            writes=(Put(insight_ref(id_), after.to_data()),),
        )

    return plan


def _states(insight: Insight) -> dict[str, Value]:
    return {"state": insight.state, "snoozed_until": insight.snoozed_until}


def _unknown(id_: str) -> NotFound:
    return NotFound(f"there is no insight {id_[:80]!r}")
