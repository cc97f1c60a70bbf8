"""What became of the calls of a time, and what brownouts gave up of them, as the warehouse tells.

Calls are counted by team, by how they ended and by what was given up of them; how often one of them
was is told apart by nothing else, so the rows are few, however many calls there are.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from common.core.errors import StoreUnavailable
from common.core.ports import Row, Warehouse

MOST_GROUPS = 20_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls: all of them, or those of any that is named. Names are in lower case.

    Teams and agents stand behind their organisation: ``acme/search``.
    """

    since: datetime
    until: datetime
    everything: bool = False
    orgs: Sequence[str] = ()
    teams: Sequence[str] = ()
    agents: Sequence[str] = ()
    providers: Sequence[str] = ()
    models: Sequence[str] = ()
    episodes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TreatedCalls:
    """Calls that agree in these. `edits` are names and outcomes; `first_at` the first arrival."""

    org: str | None
    team: str | None
    outcome: str
    edits: tuple[tuple[str, str], ...]
    calls: int
    first_at: datetime


async def read_treated_calls(warehouse: Warehouse, asked: Asked) -> list[TreatedCalls]:
    """The calls that are asked for.

    Raises:
        StoreUnavailable: no answer in time, or so many kinds of calls that they are not counted.
    """
    rows = await warehouse.query(
        _sql(),
        {
            "since": asked.since,
            "until": asked.until,
            "everything": asked.everything,
            "orgs": list(asked.orgs),
            "teams": list(asked.teams),
            "agents": list(asked.agents),
            "providers": list(asked.providers),
            "models": list(asked.models),
            "episodes": list(asked.episodes),
            "limit": MOST_GROUPS + 1,
        },
    )
    if len(rows) > MOST_GROUPS:
        raise StoreUnavailable(f"there are more than {MOST_GROUPS} kinds of calls")
    return [_read(row) for row in rows]


def _read(row: Row) -> TreatedCalls:
    edits = json.loads(row["given_up"] or "[]") or []
    return TreatedCalls(
        row["org"],
        row["team"],
        row["outcome"],
        tuple((edit["name"], edit["outcome"]) for edit in edits),
        int(row["calls"]),
        row["first_at"],
    )


@cache
def _sql() -> str:
    return (files("common.usage") / "sql" / "treated_calls.sql").read_text("utf-8")
