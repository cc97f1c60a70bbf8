"""What `GET /api/metrics` answers. Figures that nothing is known of are null, with a reason."""

from typing import Literal

from pydantic import Field

from common.api.envelopes import Source, Time, Usd, View

_WHY = "null where the figures beside it are known"


class LatencyView(View):
    """Percentiles of the window, within 14 %: they are kept in bins.

    The first three are of whole answers to calls that were not streamed.
    """

    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    reason: str | None = Field(description=_WHY)
    first_chunk_p95_s: float | None = Field(description="of streamed calls")
    first_chunk_reason: str | None


class ThroughputView(View):
    requests_per_s: float
    tokens_per_min: float = Field(description="of requests and answers")


class ErrorsView(View):
    """Of the window. `rate` is a share of all calls but those refused for what they asked."""

    rate: float | None = Field(description="the share that upstreams or the gateway failed")
    reason: str | None = Field(description=_WHY)
    client_4xx: int = Field(description="calls refused for what they asked, or left by the client")
    upstream_5xx: int
    shed: int = Field(description="calls that a brownout refused")


class TokensView(View):
    per_request: float | None = Field(description="mean of the answered calls of the window")
    reason: str | None = Field(description=_WHY)
    hour: int = Field(description="of requests and answers in the last 60 minutes")


class CostView(View):
    """As far as it is known: beside it stands how many calls of the window have no known cost."""

    per_request_usd: Usd | None = Field(
        description="mean of the window's calls whose whole cost is known and not free"
    )
    per_request_reason: str | None
    per_success_usd: Usd | None = Field(
        description="cost of all calls of the window, for each that was answered"
    )
    per_success_reason: str | None
    hour_usd: Usd | None = Field(description="of the last 60 minutes")
    hour_reason: str | None
    today_usd: Usd | None = Field(description="since midnight UTC")
    today_reason: str | None
    unpriced_calls: int
    simulated_today_usd: Usd = Field(description="part of today's that is no real money")


class ModeNumbersView(View):
    current_mode: int = Field(description="of global: 0 normal to 3 emergency")
    enforced: bool
    scopes: dict[str, int]
    activations_24h: int = Field(description="changes of scopes to a higher mode")
    recovery_p50_s: float | None = Field(
        description="median from leaving normal to being back, of the brownouts that ended in 24 h"
    )
    recovery_reason: str | None
    seconds_in_mode_24h: dict[str, int] = Field(
        description="how long each mode was the highest of all scopes"
    )


class SavedView(View):
    """By the brownouts that ended in the last 24 hours; negative: a loss."""

    usd: Usd | None
    low: Usd | None = Field(description="with high, an interval of at least 95 %")
    high: Usd | None
    method: Literal["holdout", "estimate", "both"] | None
    reason: str | None = Field(description="why it is unknown, or what part of it is")


class QualityView(View):
    score: float | None = Field(
        description="mean of what callers rated calls of the last 60 minutes, 0 to 1"
    )
    reason: str | None = Field(description=_WHY)


class MetricsView(View):
    as_of: Time
    window: str = Field(examples=["5m"])
    since: Time
    until: Time = Field(description="not included; the minute under way is not counted yet")
    latency: LatencyView
    throughput: ThroughputView
    errors: ErrorsView
    availability: float | None = Field(
        description="the share answered, of all calls but those refused for what they asked"
    )
    availability_reason: str | None
    tokens: TokensView
    cost: CostView
    brownout: ModeNumbersView
    saved: SavedView
    quality: QualityView
    metrics: dict[str, float] = Field(
        description="by the names that telemetry has: gauges as they stand, of histograms the mean"
        " and of counters the sum over the window; what is unknown is absent"
    )
    version: str
    price_book: str
    sources: list[Source]
