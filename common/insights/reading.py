"""What detectors look at, read from the warehouse; one statement for each.

The SQL stands in `sql/`, in BigQuery's dialect, and runs on every engine. Sums leave as integers,
hours without calls are filled in by `series.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from statistics import median

from common.core.ports import Row, Value, Warehouse
from common.insights import caching, changes, drifts, loops, newcomers, spikes, waste, what_if
from common.insights.series import HOUR, Series, gathered

MOST_ROWS = 2_000
"""Calls of an agent to a model that are priced again: enough to say what share is saved."""
MOST_SHARING = 10_000
CUT = ("length", "max_tokens", "max_output_tokens")
"""What providers call an answer that ended at its cap, in small letters."""
REFUSED_BY_BUDGETS = (
    "budget_exceeded",
    "unpriced_model",
    "unbounded_request",
    "async_not_bounded",
    "budget_unavailable",
)
"""Codes of errors with which a hard budget refuses a call."""
LEAST_HABIT = 10
"""Spans with fewer equal calls raise no limit."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers from the warehouse. Every method raises StoreUnavailable: no answer in time."""

    warehouse: Warehouse

    async def series(self, since: datetime, until: datetime) -> list[Series]:
        """What each organisation, team and agent spent, from `since` up to `until`, whole hours."""
        rows = await self._rows("scope_hours", since, until)
        sums: dict[tuple[str, str], list[tuple[datetime, int]]] = {}
        for row in rows:
            scope = _scope(row["level"], row["org"], row["name"])
            sums.setdefault((row["org"], scope), []).append((row["hour"], int(row["nanos"])))
        return [
            gathered(org, scope, since, until, hours)
            for (org, scope), hours in sorted(sums.items())
        ]

    async def served(self, since: datetime, until: datetime) -> list[changes.Served]:
        groups: dict[tuple[str, str, str], list[changes.HourFigures]] = {}
        for row in await self._rows("served_hours", since, until):
            figures = changes.HourFigures(
                hour=row["hour"],
                calls=row["calls"],
                failed=row["failed"],
                failed_nanos=int(row["failed_nanos"]),
                ok=row["ok"],
                log_seconds=row["log_seconds"],
            )
            groups.setdefault((row["org"], row["model"], row["upstream"]), []).append(figures)
        return [changes.Served(*key, hours) for key, hours in groups.items()]

    async def repeated(self, since: datetime, until: datetime) -> list[loops.Repeated]:
        seconds = loops.SPAN // timedelta(seconds=1)
        rows = await self._rows("repeats", since, until, seconds=seconds, most=loops.MOST_CALLS)
        return [
            loops.Repeated(
                start=datetime.fromtimestamp(row["span"] * seconds, UTC),
                org=row["org"],
                agent=row["agent"],
                line=row["line"],
                session=row["session_hash"],
                model=row["model"],
                calls=row["calls"],
                all_calls=int(row["all_calls"]),
                nanos=int(row["nanos"]),
            )
            for row in rows
        ]

    async def habits(self, day: datetime) -> Mapping[str, int]:
        """By scope, the most equal calls of a usual day before `day`, a day's beginning."""
        length = loops.LEARNED_OVER // timedelta(days=1)
        rows = await self._rows(
            "habits",
            day - loops.LEARNED_OVER,
            day,
            seconds=loops.SPAN // timedelta(seconds=1),
            least=LEAST_HABIT,
        )
        peaks: dict[str, list[int]] = {}
        for row in rows:
            agent = row["agent"]
            scope = f"key:{row['line']}" if agent is None else f"agent:{row['org']}/{agent}"
            peaks.setdefault(scope, []).append(row["calls"])
        return {
            scope: round(median([*counts, *[0] * (length - len(counts))]))
            for scope, counts in peaks.items()
        }

    async def daily(self, since: datetime, until: datetime) -> list[drifts.Daily]:
        groups: dict[tuple[str, str], list[drifts.DayFigures]] = {}
        for row in await self._rows("day_figures", since, until):
            figures = drifts.DayFigures(
                day=row["day"],
                calls=row["calls"],
                ok=row["ok"],
                nanos=int(row["nanos"]),
                sessions=row["sessions"],
                session_tokens=int(row["session_tokens"]),
                session_nanos=int(row["session_nanos"]),
            )
            scope = _scope(row["level"], row["org"], row["name"])
            groups.setdefault((row["org"], scope), []).append(figures)
        return [drifts.Daily(org, scope, days) for (org, scope), days in groups.items()]

    async def spending(self, since: datetime, until: datetime) -> list[newcomers.Spending]:
        """What organisations, agents and models spent, day by day."""
        groups: dict[tuple[newcomers.Level, str, str], dict[datetime, int]] = {}
        for row in await self._rows("newcomers", since, until):
            days = groups.setdefault((row["level"], row["org"], row["name"]), {})
            days[row["day"]] = int(row["nanos"])
        return [newcomers.Spending(*key, days) for key, days in groups.items()]

    async def spent(self, since: datetime, until: datetime) -> list[waste.Spent]:
        rows = await self._rows("waste", since, until, cut=list(CUT), times=waste.OVER_HELD_TIMES)
        return [
            waste.Spent(**{name: _whole(row[name]) for name in waste.Spent.__slots__})
            for row in rows
        ]

    async def ledger(self, since: datetime, until: datetime) -> list[what_if.LedgerRow]:
        rows = await self._rows("ledger", since, until, most=MOST_ROWS)
        return [
            what_if.LedgerRow(
                org=row["org"],
                agent=row["agent"],
                card=row["card"],
                at=row["started_at"],
                units=json.loads(row["units"]),
                service_tier=row["service_tier"],
                nanos=row["cost_nanos"],
                priority=row["priority"] or "normal",
                group_calls=row["group_calls"],
            )
            for row in rows
        ]

    async def sharing(self, since: datetime, until: datetime) -> list[caching.Sharing]:
        rows = await self._rows(
            "sharing",
            since,
            until,
            seconds=caching.SPAN // timedelta(seconds=1),
            least=caching.LEAST_CALLS,
            prefix=caching.LEAST_PREFIX,
            limit=MOST_SHARING,
        )
        return [
            caching.Sharing(
                row["org"], row["agent"], row["card"], row["prefix"], row["spans"],
                int(row["calls"]), row["known_by"],
            )
            for row in rows
        ]  # fmt: skip

    async def key_uses(self, since: datetime) -> Mapping[str, datetime]:
        """When each line was last used since then; lines that were not are left out."""
        rows = await self.warehouse.query(_sql("key_uses"), {"since": since})
        return {row["line"]: row["used_at"] for row in rows}

    async def refused(self, since: datetime, until: datetime) -> Mapping[str, datetime]:
        """By scope, when a budget last refused a call of it; scopes without such are left out."""
        last: dict[str, datetime] = {}
        for row in await self._rows("refused", since, until, codes=list(REFUSED_BY_BUDGETS)):
            named = [f"org:{row['org']}", f"key:{row['line']}"]
            named += [
                f"{kind}:{row['org']}/{row[kind]}"
                for kind in ("team", "project", "agent")
                if row[kind] is not None
            ]
            for scope in named:
                last[scope] = max(row["refused_at"], last.get(scope, since))
        return last

    async def _rows(
        self, name: str, since: datetime, until: datetime, **others: Value
    ) -> Sequence[Row]:
        return await self.warehouse.query(_sql(name), {"since": since, "until": until, **others})


def spike_span(until: datetime) -> tuple[datetime, datetime]:
    """From when on a series is needed, and from when on it is judged: yesterday's beginning."""
    judged = until.replace(hour=0) - timedelta(days=1)
    return judged - spikes.NEEDED * HOUR, judged


def _scope(level: str, org: str, name: str) -> str:
    return f"org:{org}" if level == "org" else f"{level}:{org}/{name}"


def _whole(value: Value) -> Value:
    """Sums come as Decimal from some engines."""
    return value if value is None or isinstance(value, str) else int(value)


@cache
def _sql(name: str) -> str:
    return (files("common.insights") / "sql" / f"{name}.sql").read_text("utf-8")
