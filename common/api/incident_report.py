"""The report of an incident in Markdown, for those who were not there.

What people wrote is shown as they wrote it: characters that mean something in Markdown or HTML lose
their meaning, and each text stays on its line.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from common.api.incident_models import EntryView, ReviewView, StoryView
from common.api.incident_number_views import (
    CostNumbersView,
    NumbersView,
    SlownessView,
    TeamNumbersView,
    TookView,
)

_MEANT = re.compile(r"([\\`*_\[\]<>|~&]|^[#+=-])")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])")
"""What means something within a line, or at the beginning of one."""
_ADDRESS = re.compile(r"https?://[^\s<>\\]+")
_UNKNOWN = "unknown"


def incident_report(story: StoryView, numbers: NumbersView) -> str:
    """The whole report."""
    parts = [
        [f"# {plain(story.title)}", "", f"Incident {plain(story.id)}, {story.severity}"],
        _course(story),
        _review(story.review),
        ["## Times", "", *_times(numbers)],
        ["## Calls", "", *_calls(numbers)],
        ["## What was given up", "", *_edits(numbers)],
        ["## Cost", "", *_costs(numbers)],
        ["## Latency, 95th percentile", "", *_latencies(numbers)],
        ["## Timeline", "", *(_entry(each) for each in story.timeline)],
        [f"Computed at {_time(numbers.computed_at)}."],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def plain(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _NUMBERED.sub(r"\1\\\2", _MEANT.sub(r"\\\1", " ".join(text.split())))


def _course(story: StoryView) -> list[str]:
    rows = [
        ("Status", story.status),
        ("Scope", ", ".join(story.scopes)),
        ("Opened", _by(story.opened_at, story.opened_by)),
        ("Acknowledged", _by(story.acknowledged_at, story.acknowledged_by)),
        ("Mitigated", _by(story.mitigated_at, None)),
        ("Resolved", _by(story.resolved_at, story.resolved_by)),
        ("Owner", story.owner or "nobody"),
        ("Alert", story.link),
        ("Procedure", story.procedure),
    ]
    return [f"- {name}: {_shown(told)}" for name, told in rows if told is not None]


def _shown(text: str) -> str:
    return f"<{text}>" if _ADDRESS.fullmatch(text) else plain(text)


def _review(review: ReviewView | None) -> list[str]:
    if review is None:
        return ["## Review", "", "Not written yet."]
    told = ["## Review", "", plain(review.summary), "", f"Cause: {plain(review.cause)}"]
    actions = [f"- {plain(each)}" for each in review.actions]
    return [*told, "", "What is to be done:", "", *actions] if actions else told


def _times(numbers: NumbersView) -> list[str]:
    times = numbers.times
    rows = [
        ("From when calls went wrong to the opening", times.detect),
        ("To the first call that was treated", times.enforce),
        ("To somebody who knew of it", times.acknowledge),
        ("Until its cause was gone", times.mitigate),
        ("Until it was over", times.recover),
    ]
    return [f"- {name}: {_took(took)}" for name, took in rows]


def _took(took: TookView) -> str:
    known = _UNKNOWN if took.seconds is None else _lasted(took.seconds)
    return known if took.reason is None else f"{known} ({plain(took.reason)})"


def _lasted(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 s"


def _calls(numbers: NumbersView) -> list[str]:
    calls = numbers.calls
    if calls.reason is not None:
        return [f"Unknown: {plain(calls.reason)}."]
    rows = [_team(each) for each in calls.teams]
    total = ["all", calls.calls, calls.degraded, calls.shed, calls.failed]
    return _table(["team", "calls", "degraded", "refused", "failed"], [*rows, total])


def _team(team: TeamNumbersView) -> list[object]:
    who = "/".join(plain(part) for part in (team.org, team.team) if part is not None)
    return [who or "nobody known", team.calls, team.degraded, team.shed, team.failed]


def _edits(numbers: NumbersView) -> list[str]:
    edits = numbers.edits
    if edits.reason is not None:
        return [f"Unknown: {plain(edits.reason)}."]
    if not edits.by_name:
        return ["Nothing."]
    outcomes = sorted({outcome for counts in edits.by_name.values() for outcome in counts})
    rows = [
        [plain(name), *(counts.get(outcome, 0) for outcome in outcomes)]
        for name, counts in edits.by_name.items()
    ]
    return _table(["what", *(plain(each) for each in outcomes)], rows)


def _costs(numbers: NumbersView) -> list[str]:
    cost, saved = numbers.cost, numbers.saved
    rows = [("The hour before", cost.before), ("While it lasted", cost.during)]
    told = [f"- {name}: {_cost(each)}" for name, each in [*rows, ("The hour after", cost.after)]]
    amount = _UNKNOWN if saved.usd is None else f"{saved.usd} USD"
    between = "" if saved.low_usd is None else f", between {saved.low_usd} and {saved.high_usd}"
    method = "" if saved.method is None else f", by {saved.method}"
    why = "" if saved.reason is None else f" ({plain(saved.reason)})"
    return [*told, f"- Saved: {amount}{between}{method}{why}"]


def _cost(cost: CostNumbersView) -> str:
    if cost.usd is None:
        return f"{_UNKNOWN} ({plain(cost.reason or '')})"
    return f"{cost.usd} USD, {cost.per_hour_usd} an hour"


def _latencies(numbers: NumbersView) -> list[str]:
    rows = [
        ("The hour before", numbers.latency.before),
        ("While it lasted", numbers.latency.during),
    ]
    return [f"- {name}: {_latency(each)}" for name, each in rows]


def _latency(slowness: SlownessView) -> str:
    if slowness.reason is not None:
        return f"{_UNKNOWN} ({plain(slowness.reason)})"
    known = [
        (slowness.first_chunk_p95_s, "to the first chunk"),
        (slowness.duration_p95_s, "for a whole answer"),
    ]
    return ", ".join(f"{seconds:g} s {what}" for seconds, what in known if seconds is not None)


def _entry(entry: EntryView) -> str:
    who = "" if entry.actor is None else f"{plain(entry.actor)}: "
    return f"- {_time(entry.at)} {who}{plain(entry.told)}"


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [names, ["---", *["--:"] * (len(names) - 1)], *rows]
    return [f"| {' | '.join(str(each) for each in line)} |" for line in lines]


def _by(at: datetime | None, who: str | None) -> str | None:
    if at is None:
        return None
    return _time(at) if who is None else f"{_time(at)} by {who}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
