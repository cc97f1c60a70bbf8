"""Our side of a reconciliation: what calls to one provider used and cost, from the warehouse."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files

from common.core.errors import InvalidInput
from common.core.ports import Row, Warehouse
from common.reconciliation.rows import Called, Tokens

DAY = timedelta(days=1)
LONGEST_CALL = timedelta(hours=1)
"""A call that began on a day has ended so long after it."""
MOST_ROWS = 20_000


async def calls_of(
    warehouse: Warehouse,
    provider: str,
    hosts: Collection[str],
    day: date,
    *,
    simulated: bool = False,
) -> list[Called]:
    """What our calls of a day used and cost, by key and model, those over its midnights apart.

    Args:
        warehouse: where the events of calls are.
        provider: whose price list applies.
        hosts: the provider's own; what goes elsewhere is on another bill.
        day: of UTC.
        simulated: those that a simulated provider answered, and no others.

    Raises:
        StoreUnavailable: no answer in time.
        InvalidInput: more keys and models than can be compared.
    """
    since = datetime.combine(day, time(), UTC)
    rows = await warehouse.query(
        _sql(),
        {
            "provider": provider,
            "hosts": sorted(hosts),
            "simulated": simulated,
            "since": since,
            "until": since + DAY,
            "later": since + DAY + LONGEST_CALL,
            "limit": MOST_ROWS + 1,
        },
    )
    if len(rows) > MOST_ROWS:
        raise InvalidInput(f"{provider} has more than {MOST_ROWS} keys and models on {day}")
    return [_called(row) for row in rows]


def _called(row: Row) -> Called:
    return Called(
        key=row["key"],
        managed=bool(row["managed"]),
        model=row["model"],
        tokens=Tokens(
            input=int(row["input_tokens"]),
            cache_read=int(row["cache_read_tokens"]),
            cache_write=int(row["cache_write_tokens"]),
            output=int(row["output_tokens"]),
        ),
        nanos=int(row["priced_nanos"]),
        calls=int(row["calls"]),
        estimated_nanos=int(row["estimated_nanos"]),
        unpriced=int(row["unpriced_calls"]),
        unproven_nanos=int(row["unproven_nanos"]),
        edge=row["edge"],
    )


@cache
def _sql() -> str:
    return (files("common.reconciliation") / "sql/calls_of_day.sql").read_text("utf-8")
