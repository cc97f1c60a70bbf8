"""Rollups: sums of usage per minute and per hour, kept by adding and never by reading.

A call adds one to a *cell*: all calls of one hour (or minute) that agree in who made them, which
model they used and how they ended. Any question by these is a sum of cells, and what is asked by
something else (a tag) is asked of the warehouse. Single sums per team or per model would be fewer
numbers, but could not tell what a team spent on a model.

Cells of an organisation share a few documents, so that a commit of many calls writes little. A
document belongs to one bucket, organisation and shard, and holds one integer per cell and measure;
the field's name is the cell itself, as a JSON list. The time stands first in the id, so that a span
is one range. Which shard a cell is in follows from the cell alone, which spreads them evenly.

A model's name may be whatever a caller made up. As long as no price was found for it, or a provider
answers it with a model of another name, its cell has a document of its own: names without end make
many documents, but none too large to be written.
Sixteen shards hold some 15,000 cells of an organisation and hour before one document reaches
the 1 MiB that Firestore allows.

Minutes are kept for events that come within MINUTES_TAKEN, and for a week, so that a policy can be
tried on them; they also hold what calls say of their upstreams. Hours take every event.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, TypeAlias

from common.core.events import UsageEvent
from common.core.ports import Create, Document, Ref
from common.usage.upstream_evidence import evidence_measures

BucketSize: TypeAlias = Literal["minute", "hour"]

COLLECTIONS: Mapping[BucketSize, str] = {"minute": "minute_rollups", "hour": "hour_rollups"}
LENGTHS: Mapping[BucketSize, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
}
KEPT: Mapping[BucketSize, timedelta] = {
    "minute": timedelta(days=8),
    "hour": timedelta(days=400),
}
"""Time from the start of a bucket to its `delete_at`."""

MINUTES_TAKEN = timedelta(days=3)
"""Older calls are added to hours only, so no document of minutes is written when it may be gone."""

SHARDS = 16

CALLS = "calls"
PRICED_NANOS = "priced_nanos"
RESTATED_CALLS = "restated_calls"
"""Calls whose cost is another one by now than their event said."""
UNIT = "unit:"
"""Prefix of the measures that are units of the price list, such as ``unit:input_tokens``."""

_FORMATS: Mapping[BucketSize, str] = {"minute": "%Y-%m-%dT%H:%M", "hour": "%Y-%m-%dT%H"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What the calls of one sum have in common. `model` is the billed one, else the asked one.

    `cost_reason` is None where the whole cost is known. `sent` is the model that the provider was
    asked for, by which budgets apply; it stands last, and is None in sums that were kept without.
    """

    org: str | None
    team: str | None
    project: str | None
    agent: str | None
    line: str | None
    provider: str | None
    model: str | None
    outcome: str
    error_code: str | None
    cost_source: str | None
    cost_reason: str | None
    simulated: bool
    sent: str | None = None


@dataclass(frozen=True, slots=True)
class CellSum:
    """What was added up in one cell of one bucket, by measure."""

    start: datetime
    cell: Cell
    measures: Mapping[str, int]


Increments: TypeAlias = Mapping[Ref, Mapping[str, int]]
"""What to add, by document and field."""


def cell_of(event: UsageEvent) -> Cell:
    return Cell(
        org=event.org,
        team=event.team,
        project=event.project,
        agent=event.agent,
        line=event.line,
        provider=event.provider,
        model=event.model_asked if event.model_billed is None else event.model_billed,
        outcome=event.outcome,
        error_code=event.error_code,
        cost_source=event.cost_source,
        cost_reason=(event.cost_reason or "unknown") if event.cost_nanos is None else None,
        simulated=event.simulated,
        sent=event.model_sent,
    )


def increments_of(event: UsageEvent, now: datetime) -> Increments:
    """What a call adds, when it is counted at `now`."""
    cell = cell_of(event)
    measures = {CALLS: 1, PRICED_NANOS: event.priced_nanos}
    measures |= {f"{UNIT}{unit}": amount for unit, amount in event.units.items()}
    has_card = event.card is not None
    increments = dict(increments_in(cell, event.event_time, measures, now, has_card=has_card))
    for ref, amounts in increments.items():
        if ref.collection == COLLECTIONS["minute"]:
            evidence = evidence_measures(event).items()
            increments[ref] = {**amounts, **{_field(cell, name): n for name, n in evidence}}
    return increments


def increments_in(
    cell: Cell, time: datetime, measures: Mapping[str, int], now: datetime, *, has_card: bool
) -> Increments:
    """What these measures add to a cell of the hour and, while that is taken, of the minute.

    A price list has the cell's model, or none is named, if `has_card`.
    """
    listed = (cell.model is None or has_card) and _is_plain(cell)
    # A sum that is not there is 0.
    amounts = {_field(cell, measure): amount for measure, amount in measures.items() if amount}
    increments = {_ref("hour", time, cell, listed=listed): amounts}
    if now - time < MINUTES_TAKEN:
        increments[_ref("minute", time, cell, listed=listed)] = amounts
    return increments


def opened(ref: Ref, amounts: Mapping[str, int]) -> Create:
    """The first write of a rollup's document: what to add, and when to delete it."""
    size, start = _bucket_of(ref)
    return Create(ref, {**amounts, "delete_at": start + KEPT[size]})


def floor(time: datetime, size: BucketSize) -> datetime:
    """The start of the bucket that `time` is in."""
    utc = time.astimezone(UTC).replace(second=0, microsecond=0)
    return utc if size == "minute" else utc.replace(minute=0)


def ceiling(time: datetime, size: BucketSize) -> datetime:
    """The first start of a bucket that is not before `time`."""
    start = floor(time, size)
    return start if start == time else start + LENGTHS[size]


def place(size: BucketSize, start: datetime) -> str:
    """What the ids of all documents of a bucket begin with, and none of another."""
    return f"{start.astimezone(UTC):{_FORMATS[size]}}|"


def sums_in(document: Document) -> Iterator[CellSum]:
    """The sums that a rollup's document holds."""
    _, start = _bucket_of(document.ref)
    org = document.ref.id.split("|")[1] or None
    found: dict[Cell, dict[str, int]] = {}
    for name, amount in document.data.items():
        if name.startswith("["):
            cell, measure = _read_field(org, name)
            found.setdefault(cell, {})[measure] = amount
    return (CellSum(start, cell, measures) for cell, measures in found.items())


def _is_plain(cell: Cell) -> bool:
    """Whether the sent name is the model's own, or its beginning: of others there is no end."""
    return cell.sent is None or (cell.model or "").startswith(cell.sent)


def _ref(size: BucketSize, time: datetime, cell: Cell, *, listed: bool) -> Ref:
    prefix = place(size, floor(time, size))
    return Ref(COLLECTIONS[size], f"{prefix}{cell.org or ''}|{_shard(cell, listed=listed)}")


@lru_cache(maxsize=10_000)
def _shard(cell: Cell, *, listed: bool) -> str:
    digest = blake2b(json.dumps(astuple(cell)).encode(), digest_size=10)
    return str(digest.digest()[0] % SHARDS) if listed else digest.hexdigest()


def _bucket_of(ref: Ref) -> tuple[BucketSize, datetime]:
    size = next(size for size, collection in COLLECTIONS.items() if collection == ref.collection)
    text = ref.id.split("|")[0]
    return size, datetime.strptime(text, _FORMATS[size]).replace(tzinfo=UTC)


@lru_cache(maxsize=20_000)
def _field(cell: Cell, measure: str) -> str:
    # The organisation stands in the document's id.
    return json.dumps([*astuple(cell)[1:], measure], ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=20_000)
def _read_field(org: str | None, name: str) -> tuple[Cell, str]:
    *values, measure = json.loads(name)
    return Cell(org, *values), measure
