"""What was used and spent: sums over the calls in the warehouse, and the calls themselves.

The SQL stands in `sql/`, in BigQuery's dialect, and reads the view that shows each call once. A
summary is fetched with one statement and its total is added up here from the very rows it answers,
so the total equals the sum of the rows to the nano-dollar. `summaries.py` answers the recent past
from rollups instead. A call without a known cost adds the
part that could be priced and is counted as unpriced with its reason; calls of the simulated
provider are included, and counted once more for themselves.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from common.core.errors import InvalidInput
from common.core.money import Nanos
from common.core.ports import Row, Value, Warehouse

Dimension: TypeAlias = Literal[
    "org", "team", "project", "agent", "key", "model", "provider", "mode", "tag"
]
"""`mode`: of a brownout, in which a call was treated, or would have been in shadow."""

Granularity: TypeAlias = Literal["hour", "day", "none"]

TOKEN_KINDS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "output_reasoning_tokens",
)
"""Summed kinds of tokens; input_tokens includes the cached ones, output_tokens the reasoning."""

LONGEST_SPAN = timedelta(days=400)
MOST_GROUPS = 20_000
_UNUSED_PATH = '$."-"'


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls: from `since` up to, not including, `until`, and equal to what is not None.

    `key` is a line of keys, `model` the model billed, or the one asked for if none was billed, and
    `failed` whether the outcome is another than ok.
    """

    since: datetime
    until: datetime
    org: str | None = None
    team: str | None = None
    project: str | None = None
    agent: str | None = None
    key: str | None = None
    model: str | None = None
    provider: str | None = None
    outcome: str | None = None
    failed: bool | None = None
    error_code: str | None = None
    cost_source: str | None = None
    simulated: bool | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over calls. `priced_nanos` is what could be priced, estimated and simulated included.

    `restated_calls` cost something else by now than their events said, which is in the sums.
    """

    calls: int = 0
    ok_calls: int = 0
    priced_nanos: Nanos = 0
    estimated_calls: int = 0
    estimated_nanos: Nanos = 0
    restated_calls: int = 0
    simulated_calls: int = 0
    simulated_nanos: Nanos = 0
    unpriced_reasons: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TOKEN_KINDS, 0))

    @property
    def unpriced_calls(self) -> int:
        return sum(self.unpriced_reasons.values())

    @property
    def cost_nanos(self) -> Nanos | None:
        """The sum, or None when there are calls and nothing about any of them could be priced."""
        if self.calls and self.unpriced_calls == self.calls and not self.priced_nanos:
            return None
        return self.priced_nanos

    @property
    def cost_reason(self) -> str | None:
        """Why the cost is None: the most frequent reason, the first by name of equal ones."""
        if self.cost_nanos is not None:
            return None
        return min(self.unpriced_reasons.items(), key=lambda entry: (-entry[1], entry[0]))[0]


@dataclass(frozen=True, slots=True)
class Group:
    """One row of a summary: the start of its hour or day, and its value in each dimension."""

    bucket: datetime | None
    values: tuple[str | None, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Summary:
    """All groups, ordered by bucket and values, and their sum."""

    groups: tuple[Group, ...]
    total: Figures


@dataclass(frozen=True, slots=True)
class Position:
    """A call's place in the list of calls."""

    time: datetime
    id: str


async def summarise(
    warehouse: Warehouse,
    chosen: Filter,
    dimensions: Sequence[Dimension] = (),
    *,
    tag: str | None = None,
    granularity: Granularity = "none",
) -> Summary:
    """Sum the chosen calls in the warehouse by `dimensions`.

    `tag` names the tag that the dimension `tag` reads.

    Raises:
        InvalidInput: no time or too long a time between since and until, or too many groups.
        StoreUnavailable: no answer in time.
    """
    rows = await warehouse.query(
        _sql("summary"),
        {
            **_parameters(chosen),
            "dimensions": list(dimensions),
            "granularity": granularity,
            "tag_path": _UNUSED_PATH if tag is None else f'$."{tag}"',
            "limit": MOST_GROUPS + 1,
        },
    )
    if len(rows) > MOST_GROUPS:
        raise _too_many_groups()
    return merge(
        Group(
            row["bucket_time"],
            tuple(row["line" if name == "key" else name] for name in dimensions),
            _figures(row),
        )
        for row in rows
    )


def merge(parts: Iterable[Group]) -> Summary:
    """One group of those of the same bucket and values, and the sum of all.

    Raises:
        InvalidInput: too many groups.
    """
    gathered: dict[tuple[datetime | None, tuple[str | None, ...]], list[Figures]] = {}
    for part in parts:
        gathered.setdefault((part.bucket, part.values), []).append(part.figures)
    if len(gathered) > MOST_GROUPS:
        raise _too_many_groups()
    groups = tuple(
        Group(bucket, values, add_up(parts))
        for (bucket, values), parts in sorted(gathered.items(), key=lambda entry: _order(*entry[0]))
    )
    return Summary(groups, add_up(group.figures for group in groups))


async def list_calls(
    warehouse: Warehouse, chosen: Filter, *, after: Position | None, limit: int
) -> list[Row]:
    """The chosen calls, newest first, behind `after`; columns as in the usage event.

    `units`, `tags` and `edits` are JSON text.

    Raises:
        InvalidInput: no time or too long a time between since and until.
        StoreUnavailable: no answer in time.
    """
    return await warehouse.query(
        _sql("calls"),
        {
            **_parameters(chosen),
            "after_time": None if after is None else after.time,
            "after_id": None if after is None else after.id,
            "limit": limit,
        },
    )


def add_up(parts: Iterable[Figures]) -> Figures:
    """The exact sum of figures."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    tokens: Counter[str] = Counter(dict.fromkeys(TOKEN_KINDS, 0))
    for part in parts:
        for name in _SUMMED:
            counts[name] += getattr(part, name)
        reasons.update(part.unpriced_reasons)
        tokens.update(part.tokens)
    return Figures(
        **{name: counts[name] for name in _SUMMED},
        unpriced_reasons=dict(sorted(reasons.items())),
        tokens=dict(tokens),
    )


_SUMMED = (
    "calls",
    "ok_calls",
    "priced_nanos",
    "estimated_calls",
    "estimated_nanos",
    "restated_calls",
    "simulated_calls",
    "simulated_nanos",
)


def _figures(row: Row) -> Figures:
    reason = row["cost_reason"]
    return Figures(
        **{name: int(row[name]) for name in _SUMMED},
        unpriced_reasons={} if reason is None else {reason: int(row["calls"])},
        tokens={kind: int(row[kind]) for kind in TOKEN_KINDS},
    )


def _order(
    bucket: datetime | None, values: tuple[str | None, ...]
) -> tuple[float, list[tuple[bool, str]]]:
    start = 0.0 if bucket is None else bucket.timestamp()
    return start, [(value is not None, value or "") for value in values]


def check_span(chosen: Filter) -> None:
    """Refuse a time that nobody can be answered for.

    Raises:
        InvalidInput: no time or too long a time between since and until.
    """
    if chosen.since >= chosen.until:
        raise InvalidInput("since must be before until", field="since")
    if chosen.until - chosen.since > LONGEST_SPAN:
        raise InvalidInput(
            f"at most {LONGEST_SPAN.days} days can be asked for at once", field="since"
        )


def _too_many_groups() -> InvalidInput:
    return InvalidInput(
        f"the answer has more than {MOST_GROUPS} rows; choose a shorter time, fewer dimensions"
        " or a coarser granularity",
        field="group",
    )


def _parameters(chosen: Filter) -> dict[str, Value]:
    check_span(chosen)
    return {
        "since": chosen.since,
        "until": chosen.until,
        "org": chosen.org,
        "team": chosen.team,
        "project": chosen.project,
        "agent": chosen.agent,
        "key": chosen.key,
        "model": chosen.model,
        "provider": chosen.provider,
        "outcome": chosen.outcome,
        "failed": chosen.failed,
        "error_code": chosen.error_code,
        "cost_source": chosen.cost_source,
        "simulated": chosen.simulated,
    }


@cache
def _sql(name: str) -> str:
    return (files("common.usage") / "sql" / f"{name}.sql").read_text("utf-8")
