"""Runaway loops: one conversation, or one and the same request, again and again within minutes.

The ledger keeps no text. A conversation is known by its session; without one, calls are the same
that agree in key, model, length and tokens to the last one. Two texts of busy traffic can agree in
that by chance, so such calls count only where they are a good part of what the key sends. An agent
that sends as much every day does not run away: its own days before raise the limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Finding, Window, a_month, per_cent

SPAN = timedelta(minutes=5)
MOST_CALLS = 50
"""In SPAN: one each six seconds, which no person and few tools do in one conversation."""
LEARNED_OVER = timedelta(days=7)
TIMES_HABIT = 3
"""Times what is usual on the agent's busiest span of a day."""
LEAST_SHARE_PERCENT = 20
"""Of the key's calls to the model, for calls that are only known by their size."""
LEAST_DAILY: Nanos = 5 * NANOS_PER_USD
"""What a day of it costs at least."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Calls of one SPAN that are the same. `session` None: known by their size.

    `all_calls` are those of the same key and model in the span.
    """

    start: datetime
    org: str
    agent: str | None
    line: str
    session: str | None
    model: str
    calls: int
    all_calls: int
    nanos: Nanos

    @property
    def scope(self) -> str:
        return f"key:{self.line}" if self.agent is None else f"agent:{self.org}/{self.agent}"


def loops(repeated: Iterable[Repeated], habits: Mapping[str, int]) -> list[Finding]:
    """A finding for each scope and UTC day with at least one SPAN of a loop.

    Args:
        repeated: the spans that are judged.
        habits: by scope, the most calls of a SPAN on a usual day of LEARNED_OVER.
    """
    found: dict[tuple[str, datetime], list[Repeated]] = {}
    for each in repeated:
        if is_loop(each, habits.get(each.scope, 0)):
            found.setdefault((each.scope, Window.day_of(each.start).since), []).append(each)
    return [_finding(spans) for spans in found.values()]


def is_loop(each: Repeated, habit: int) -> bool:
    if each.calls <= max(MOST_CALLS, TIMES_HABIT * habit):
        return False
    if each.nanos * (timedelta(days=1) // SPAN) < LEAST_DAILY:
        return False
    return each.session is not None or per_cent(each.calls, each.all_calls) >= LEAST_SHARE_PERCENT


def _finding(spans: list[Repeated]) -> Finding:
    worst = max(spans, key=lambda each: (each.calls, each.start))
    first, last = min(each.start for each in spans), max(each.start for each in spans)
    nanos = sum(each.nanos for each in spans)
    known_by = "size" if worst.session is None else "session"
    rows = {
        "since": first.isoformat(),
        "until": (last + SPAN).isoformat(),
        "key": worst.line,
        "model": worst.model,
    }
    return Finding(
        kind="loop",
        org=worst.org,
        scope=worst.scope,
        window=Window.day_of(worst.start),
        told=(
            f"{worst.scope} sent the same {worst.calls} times to {worst.model} within"
            f" {SPAN // timedelta(minutes=1)} minutes; together {usd_text(nanos)} USD."
        ),
        evidence={
            "most_calls": worst.calls,
            "spans": len({each.start for each in spans}),
            "spent_nanos": nanos,
            "known_by": known_by,
            "session": worst.session or "",
        },
        stake=a_month(worst.nanos, SPAN),
        confidence="high" if worst.session is not None else "medium",
        rows=rows,
    )
