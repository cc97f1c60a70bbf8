"""`GET /api/metrics`: how calls go, what they cost and what brownouts do, in one flat answer.

Tools that ask for plain text are told the gauges, as Prometheus scrapes them.
"""

from fractions import Fraction

from common.api.envelopes import usd_or_none
from common.api.metrics_views import (
    CostView,
    ErrorsView,
    LatencyView,
    MetricsView,
    ModeNumbersView,
    QualityView,
    SavedView,
    ThroughputView,
    TokensView,
)
from common.api.operations import UNVERSIONED, Answer, Call, NoBody, NoQuery, Operation
from common.api.prometheus_text import MEDIA_TYPE, prometheus_text, wants_text
from common.api.service_routes import check_stores
from common.brownout.last_day import LastDay, read_last_day
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policy import Policy
from common.brownout.standings import modes_now
from common.brownout.state import State, read_state
from common.brownout.totals import TotalSaving
from common.core import metrics
from common.core.latency_bins import percentile_s
from common.core.metrics import Measurement
from common.core.money import Nanos, usd_text
from common.usage.recent import WATCHED, Watching
from common.usage.recent_calls import HOUR, CallSums, RecentCalls, read_recent_calls

WINDOW = "5m"
NO_CALLS = "there were no calls in the window"
NO_ANSWERS = "no call was answered in the window"
NO_FEEDBACK = "no call of the last hour has been rated"
NO_COST = "no cost of any of these calls is known"

_MILLI, _MICRO = 3, 6


def metrics_operation() -> Operation[NoQuery, NoBody]:
    return Operation(
        "get_metrics", "GET", "/metrics",
        "How calls go, what they cost and what brownouts do; as plain text for Prometheus",
        MetricsView, _metrics, NoQuery, NoBody, prefix=UNVERSIONED, text=MEDIA_TYPE,
    )  # fmt: skip


async def read_modes(call: Call[NoQuery, NoBody]) -> tuple[State, Policy, dict[str, Mode]]:
    """The state, the policy in force, and the modes of now."""
    state = await read_state(call.services.documents)
    policy = await call.services.policies.of(state.policy_version)
    return state, policy, modes_now(state, policy.recovery, call.now)


async def _metrics(call: Call[NoQuery, NoBody]) -> Answer:
    documents = call.services.documents
    _, policy, modes = await read_modes(call)
    if wants_text(call.accept):
        gauges = [
            Measurement(metrics.CURRENT_MODE, int(mode), {"scope": scope})
            for scope, mode in modes.items()
        ]
        gauges += await Watching(documents).read(call.now)
        return Answer(prometheus_text(gauges), headers={"content-type": MEDIA_TYPE})
    calls = await read_recent_calls(documents, call.now)
    day = await read_last_day(documents, modes, call.now)
    sums = calls.window
    availability = None if not sums.asked else round(sums.ok / sums.asked, _MICRO)
    return Answer(
        MetricsView(
            as_of=call.now,
            window=WINDOW,
            since=calls.since,
            until=calls.until,
            latency=_latency(sums),
            throughput=_throughput(sums),
            errors=_errors(sums),
            availability=availability,
            availability_reason=NO_CALLS if availability is None else None,
            tokens=_tokens(calls),
            cost=_cost(calls),
            brownout=_brownout(modes, policy, day),
            saved=_saved(day.saving),
            quality=_quality(calls.hour),
            metrics=_by_name(sums, modes[GLOBAL]),
            version=call.services.version,
            price_book=call.services.price_book.digest,
            sources=await check_stores(call),
        )
    )


def _latency(sums: CallSums) -> LatencyView:
    whole = [percentile_s(sums.durations, share) for share in (0.5, 0.95, 0.99)]
    p50_s, p95_s, p99_s = (None if each is None else round(each, _MILLI) for each in whole)
    chunk_s = percentile_s(sums.first_chunks, 0.95)
    streamed = "all calls that were answered in the window were streamed"
    return LatencyView(
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        reason=None if sums.durations else streamed if sums.first_chunks else NO_ANSWERS,
        first_chunk_p95_s=None if chunk_s is None else round(chunk_s, _MILLI),
        first_chunk_reason=None if sums.first_chunks else "no streamed call began in the window",
    )


def _throughput(sums: CallSums) -> ThroughputView:
    seconds = WATCHED.total_seconds()
    return ThroughputView(
        requests_per_s=round(sums.calls / seconds, _MICRO),
        tokens_per_min=round(sums.tokens * 60 / seconds, _MICRO),
    )


def _errors(sums: CallSums) -> ErrorsView:
    return ErrorsView(
        rate=round(sums.failed / sums.asked, _MICRO) if sums.asked else None,
        reason=None if sums.asked else NO_CALLS,
        client_4xx=sums.client_errors,
        upstream_5xx=sums.server_errors,
        shed=sums.shed,
    )


def _tokens(calls: RecentCalls) -> TokensView:
    mean = _tokens_per_request(calls.window)
    return TokensView(
        per_request=None if mean is None else round(mean, _MILLI),
        reason=NO_ANSWERS if mean is None else None,
        hour=calls.hour.tokens,
    )


def _tokens_per_request(sums: CallSums) -> float | None:
    return sums.answered_tokens / sums.answered if sums.answered else None


def _cost(calls: RecentCalls) -> CostView:
    window, hour, today = calls.window, calls.hour.cost, calls.today.cost
    each = _mean(window.exact_nanos, window.exact)
    success = None if window.cost is None else _mean(window.cost, window.answered)
    return CostView(
        per_request_usd=usd_or_none(each),
        per_request_reason="no call of the window has a cost that is known in whole"
        if each is None
        else None,
        per_success_usd=usd_or_none(success),
        per_success_reason=None if success is not None else _why_no_success(window),
        hour_usd=usd_or_none(hour),
        hour_reason=NO_COST if hour is None else None,
        today_usd=usd_or_none(today),
        today_reason=NO_COST if today is None else None,
        unpriced_calls=window.unpriced,
        simulated_today_usd=usd_text(calls.today.simulated),
    )


def _why_no_success(sums: CallSums) -> str:
    return NO_COST if sums.answered else NO_ANSWERS


def _mean(nanos: Nanos, calls: int) -> Nanos | None:
    """Rounded to a whole nano, half to even."""
    return round(Fraction(nanos, calls)) if calls else None


def _brownout(modes: dict[str, Mode], policy: Policy, day: LastDay) -> ModeNumbersView:
    return ModeNumbersView(
        current_mode=modes[GLOBAL],
        enforced=policy.enforced,
        scopes={scope: int(mode) for scope, mode in modes.items()},
        activations_24h=day.activations,
        recovery_p50_s=day.recovery_s,
        recovery_reason="no brownout has ended in 24 hours" if day.recovery_s is None else None,
        seconds_in_mode_24h=dict(day.seconds),
    )


def _quality(hour: CallSums) -> QualityView:
    score = hour.score
    return QualityView(
        score=None if score is None else round(score, _MICRO),
        reason=NO_FEEDBACK if score is None else None,
    )


def _saved(saving: TotalSaving) -> SavedView:
    return SavedView(
        usd=usd_or_none(saving.nanos),
        low=usd_or_none(saving.low),
        high=usd_or_none(saving.high),
        method=saving.method,
        reason=saving.note or None,
    )


def _by_name(sums: CallSums, mode: Mode) -> dict[str, float]:
    """The window by the names that telemetry has, in their units."""
    chunk_s = percentile_s(sums.first_chunks, 0.95)
    each = _mean(sums.exact_nanos, sums.exact)
    spent = sums.cost
    per_hour = None if spent is None else spent * (HOUR // WATCHED)
    told = {
        metrics.CURRENT_MODE: int(mode),
        metrics.AVAILABILITY: round(100 * sums.ok / sums.asked, _MICRO) if sums.asked else None,
        metrics.TTFT_P95: None if chunk_s is None else round(chunk_s, _MILLI),
        metrics.TOKEN_COST_PER_HOUR: per_hour,
        metrics.TOKENS_USED: _tokens_per_request(sums),
        metrics.COST_PER_REQUEST: each,
        metrics.COST_TOTAL: spent,
        metrics.CALLS_UNPRICED: sums.unpriced,
        metrics.SERVICE_REQUESTS: sums.calls,
        metrics.QUALITY_SCORE: sums.score,
    }
    return {
        instrument.name: value / instrument.parts
        for instrument, value in told.items()
        if value is not None
    }
