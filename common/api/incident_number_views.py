"""The numbers of an incident, as the API shows them and keeps them with its review.

What is unknown is null, with the reason beside it.
"""

from datetime import datetime

from pydantic import Field

from common.api.envelopes import Time, Usd, View, usd_or_none
from common.incidents.review import Cost, Numbers, Slowness, TeamCalls, Took

_MILLI = 3


class TookView(View):
    seconds: int | None
    reason: str | None = Field(description="why it is unknown, or known in part only")


class TimesView(View):
    """All but the first count from the opening."""

    detect: TookView = Field(description="from when calls went wrong until the opening")
    enforce: TookView = Field(description="until the first call that a brownout did something to")
    acknowledge: TookView
    mitigate: TookView = Field(description="until its cause was gone")
    recover: TookView = Field(description="until that had lasted, or somebody said so")


class TeamNumbersView(View):
    org: str | None
    team: str | None
    calls: int
    degraded: int = Field(description="answered, with something given up for it")
    shed: int = Field(description="refused by a brownout")
    failed: int = Field(description="by an upstream or the gateway")


class CallNumbersView(View):
    """Calls while it lasted."""

    calls: int | None
    degraded: int | None
    shed: int | None
    failed: int | None
    teams: list[TeamNumbersView]
    reason: str | None


class EditNumbersView(View):
    """What calls gave up, or would have, while it lasted."""

    applied: int | None
    skipped: int | None = Field(description="left out: not safe, or a cache was worth more")
    rejected: int | None = Field(description="refused by the provider and taken back")
    recorded: int | None = Field(description="only recorded, as the policy said")
    by_name: dict[str, dict[str, int]] = Field(description="by what became of them")
    reason: str | None


class CostNumbersView(View):
    usd: Usd | None
    nanos: int | None
    per_hour_usd: Usd | None
    reason: str | None


class CostsView(View):
    """As far as it is known, by whole minutes."""

    before: CostNumbersView = Field(description="in the hour before")
    during: CostNumbersView
    after: CostNumbersView = Field(description="in the hour after")


class SlownessView(View):
    """Within 14 %."""

    first_chunk_p95_s: float | None = Field(description="of streamed calls")
    duration_p95_s: float | None = Field(description="of calls that were not streamed")
    reason: str | None


class SlownessesView(View):
    before: SlownessView = Field(description="in the hour before")
    during: SlownessView


class SavedNumbersView(View):
    """What its brownouts saved; negative: a loss."""

    usd: Usd | None
    nanos: int | None
    low_usd: Usd | None = Field(description="with high, an interval of at least 95 %")
    high_usd: Usd | None
    method: str | None = Field(description="holdout, estimate or both")
    reason: str | None


class NumbersView(View):
    """Computed, never typed."""

    computed_at: Time
    since: Time
    until: Time = Field(description="when its cause was gone, or it was resolved; else then")
    times: TimesView
    calls: CallNumbersView
    edits: EditNumbersView
    cost: CostsView
    latency: SlownessesView
    saved: SavedNumbersView


def numbers_view(numbers: Numbers, computed_at: datetime) -> NumbersView:
    times, saved = numbers.times, numbers.saved
    return NumbersView(
        computed_at=computed_at,
        since=numbers.since,
        until=numbers.until,
        times=TimesView(
            detect=_took(times.detect),
            enforce=_took(times.enforce),
            acknowledge=_took(times.acknowledge),
            mitigate=_took(times.mitigate),
            recover=_took(times.recover),
        ),
        calls=_calls(numbers),
        edits=_edits(numbers),
        cost=CostsView(
            before=_cost(numbers.cost_before),
            during=_cost(numbers.cost_during),
            after=_cost(numbers.cost_after),
        ),
        latency=SlownessesView(
            before=_slowness(numbers.slow_before), during=_slowness(numbers.slow_during)
        ),
        saved=SavedNumbersView(
            usd=usd_or_none(saved.nanos),
            nanos=saved.nanos,
            low_usd=usd_or_none(saved.low),
            high_usd=usd_or_none(saved.high),
            method=saved.method,
            reason=saved.note or None,
        ),
    )


def numbers_sentence(view: NumbersView) -> str:
    """The most asked of them in a sentence."""
    minutes = (view.until - view.since).total_seconds() / 60
    calls = view.calls
    told = f"It lasted {minutes:.0f} min"
    if calls.calls is None:
        return f"{told}; its calls are unknown: {calls.reason}."
    return (
        f"{told}: {calls.calls} calls, {calls.degraded} of them degraded,"
        f" {calls.shed} refused and {calls.failed} failed."
    )


def _took(took: Took) -> TookView:
    return TookView(seconds=took.seconds, reason=took.reason)


def _calls(numbers: Numbers) -> CallNumbersView:
    calls = numbers.calls
    if isinstance(calls, str):
        return CallNumbersView(
            calls=None, degraded=None, shed=None, failed=None, teams=[], reason=calls
        )
    return CallNumbersView(
        calls=calls.total.calls,
        degraded=calls.total.degraded,
        shed=calls.total.shed,
        failed=calls.total.failed,
        teams=[_team(each) for each in calls.teams],
        reason=None,
    )


def _team(team: TeamCalls) -> TeamNumbersView:
    return TeamNumbersView(
        org=team.org,
        team=team.team,
        calls=team.calls,
        degraded=team.degraded,
        shed=team.shed,
        failed=team.failed,
    )


def _edits(numbers: Numbers) -> EditNumbersView:
    calls = numbers.calls
    if isinstance(calls, str):
        return EditNumbersView(
            applied=None, skipped=None, rejected=None, recorded=None, by_name={}, reason=calls
        )
    return EditNumbersView(
        applied=calls.edits_that("applied"),
        skipped=calls.edits_that("skipped_unsafe", "skipped_cache"),
        rejected=calls.edits_that("rejected"),
        recorded=calls.edits_that("shadow"),
        by_name={name: dict(counts) for name, counts in calls.edits.items()},
        reason=None,
    )


def _cost(cost: Cost) -> CostNumbersView:
    return CostNumbersView(
        usd=usd_or_none(cost.nanos),
        nanos=cost.nanos,
        per_hour_usd=usd_or_none(cost.per_hour),
        reason=cost.reason,
    )


def _slowness(slowness: Slowness) -> SlownessView:
    return SlownessView(
        first_chunk_p95_s=_rounded(slowness.first_chunk_s),
        duration_p95_s=_rounded(slowness.duration_s),
        reason=slowness.reason,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, _MILLI)
