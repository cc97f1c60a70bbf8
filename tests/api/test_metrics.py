"""`GET /api/metrics`, read through the rollups that real events make, against sums by hand."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.prometheus_text import prometheus_text, wants_text
from common.brownout.changes import Change
from common.brownout.modes import Mode
from common.brownout.state import STATE, Pin, State
from common.core import metrics
from common.core.events import Attempt
from common.core.feedback_events import CallFeedback
from common.core.ids import time_ordered_id
from common.core.latency_bins import RATIO, STARTS, bin_of
from common.core.metrics import Measurement
from common.core.ports import Create, Documents, Put
from common.usage.feedback import Feedback
from tests.api.conftest import NOW, Record, SetClock, a_call
from tests.api.test_episodes import GAIN, GUESS, LOSS, NONE, an_episode, keep

MINUTE = timedelta(minutes=1)
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
)


def whole(number: int, seconds: float, **fields: Any) -> Any:
    """A call that was answered at once, after so many seconds behind the gateway."""
    members = {"streamed": False, "first_chunk_s": None, "gateway_ms": 0, "duration_s": seconds}
    return a_call(number, **members | fields)


def told_s(seconds: float) -> float:
    """A latency as its bin tells it."""
    middle: float = STARTS[bin_of(seconds)] * RATIO**0.5
    return round(middle, 3)


async def ask(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/metrics")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_tells_the_last_five_minutes(client: httpx.AsyncClient, record: Record) -> None:
    failed = {"cost_nanos": 0, "priced_nanos": 0, "units": {}, "cost_source": "free"}
    await record(
        *(whole(n, 1.0) for n in range(18)),
        whole(18, 3.0),
        whole(19, 9.0),
        a_call(20, first_chunk_s=0.5, event_time=NOW - 5 * MINUTE),
        a_call(21, outcome="upstream_error", error_code="upstream_503", **failed),
        a_call(22, outcome="gateway_error", error_code="gateway_stopped", **failed),
        a_call(23, outcome="client_error", error_code="key_invalid", **failed),
        a_call(24, outcome="shed", error_code="shed", **failed),
        whole(25, 40.0, event_time=NOW - 5 * MINUTE - timedelta(seconds=1)),
        whole(26, 40.0, event_time=NOW),
    )

    body = await ask(client)

    assert (body["window"], body["since"], body["until"]) == (
        "5m",
        "2026-11-01T11:55:00Z",
        "2026-11-01T12:00:00Z",
    )
    assert body["latency"] == {
        "p50_s": told_s(1.0),
        "p95_s": told_s(3.0),
        "p99_s": told_s(9.0),
        "reason": None,
        "first_chunk_p95_s": told_s(0.5),
        "first_chunk_reason": None,
    }
    # 25 calls of 300 s; 21 of them with 110 tokens.
    assert body["throughput"] == {"requests_per_s": 0.083333, "tokens_per_min": 462.0}
    # 24 calls that were not the client's own errors.
    assert body["errors"] == {
        "rate": 0.083333,
        "reason": None,
        "client_4xx": 1,
        "upstream_5xx": 1,
        "shed": 1,
    }
    assert (body["availability"], body["availability_reason"]) == (0.875, None)
    assert body["quality"] == {"score": None, "reason": "no call of the last hour has been rated"}


async def test_tells_tokens_and_cost_of_the_window_the_hour_and_today(
    client: httpx.AsyncClient, record: Record
) -> None:
    unknown = {"cost_nanos": None, "cost_reason": "usage_missing", "priced_nanos": 1_000_000}
    await record(
        a_call(1),
        a_call(2, cost_nanos=5_800_001, priced_nanos=5_800_001, units={"output_tokens": 30}),
        a_call(3, outcome="upstream_error", error_code="upstream_500", **unknown),
        a_call(4, event_time=NOW - 59 * MINUTE, simulated=True),
        a_call(5, event_time=NOW - 61 * MINUTE),
        a_call(6, event_time=NOW - timedelta(hours=12)),
        a_call(7, event_time=NOW - timedelta(hours=12, seconds=1)),
        a_call(8, event_time=NOW + timedelta(seconds=1)),
        a_call(9, cost_source="free", cost_nanos=0, priced_nanos=0, units={}),
    )

    body = await ask(client)

    assert body["tokens"] == {"per_request": 70.0, "reason": None, "hour": 110 * 3 + 30}
    assert body["cost"] == {
        "per_request_usd": "0.005000000",  # of 10_000_001 nanos half, to an even one
        "per_request_reason": None,
        "per_success_usd": "0.005500000",
        "per_success_reason": None,
        "hour_usd": "0.015200001",
        "hour_reason": None,
        "today_usd": "0.027800001",
        "today_reason": None,
        "unpriced_calls": 1,
        "simulated_today_usd": "0.004200000",
    }
    assert body["metrics"] == {
        "custom.brownout.current_mode": 0,
        "custom.service.availability": 75,
        "custom.llm.ttft.p95": told_s(0.5),
        "custom.token_cost_per_hour": 0.132000012,
        "custom.llm.tokens.used": 70,
        "custom.llm.cost.per_request": 0.005,
        "custom.llm.cost.total": 0.011000001,
        "custom.llm.calls.unpriced": 1,
        "custom.service.requests": 4,
    }


async def test_invents_nothing_without_calls(client: httpx.AsyncClient) -> None:
    body = await ask(client)

    assert body["latency"]["p50_s"] is body["latency"]["first_chunk_p95_s"] is None
    assert body["errors"]["rate"] is body["availability"] is body["tokens"]["per_request"] is None
    assert body["cost"]["per_request_usd"] is body["cost"]["per_success_usd"] is None
    assert body["brownout"]["recovery_p50_s"] is body["saved"]["usd"] is None
    reasons = [
        body["latency"]["reason"],
        body["latency"]["first_chunk_reason"],
        body["errors"]["reason"],
        body["availability_reason"],
        body["tokens"]["reason"],
        body["cost"]["per_request_reason"],
        body["cost"]["per_success_reason"],
        body["brownout"]["recovery_reason"],
        body["saved"]["reason"],
    ]
    assert None not in reasons
    assert (body["throughput"]["requests_per_s"], body["cost"]["hour_usd"]) == (0, "0.000000000")
    assert body["metrics"] == {
        "custom.brownout.current_mode": 0,
        "custom.llm.cost.total": 0,
        "custom.llm.calls.unpriced": 0,
        "custom.service.requests": 0,
        "custom.token_cost_per_hour": 0,
    }


async def test_says_that_a_cost_is_unknown_and_not_that_it_is_none(
    client: httpx.AsyncClient, record: Record
) -> None:
    unknown = {"cost_nanos": None, "cost_reason": "unknown_model", "priced_nanos": 0}
    await record(a_call(1, **unknown), a_call(2, cost_source=None, **unknown))

    body = await ask(client)

    cost = body["cost"]
    assert [cost[name] for name in cost if name.endswith("_usd")] == [None] * 4 + ["0.000000000"]
    assert (cost["hour_reason"], cost["unpriced_calls"]) == (
        "no cost of any of these calls is known",
        2,
    )
    assert "custom.llm.cost.total" not in body["metrics"]
    assert body["latency"]["reason"] == "all calls that were answered in the window were streamed"


def a_change(seq: int, minutes_ago: float, before: Mode, after: Mode, scope: str) -> Change:
    return Change(
        scope=scope,
        seq=seq,
        event_time=NOW - timedelta(minutes=minutes_ago),
        before=before,
        after=after,
        cause="signal",
        episode="e1",
        signals=(),
        policy_version=0,
        enforced=True,
    )


async def test_tells_what_brownouts_did_in_a_day(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    changes = [
        a_change(1, 24 * 60 + 5, Mode.NORMAL, Mode.SOFT, "org:a"),  # before the day
        a_change(2, 24 * 60 - 10, Mode.SOFT, Mode.NORMAL, "org:a"),
        a_change(3, 100, Mode.NORMAL, Mode.SOFT, "org:a"),
        a_change(4, 90, Mode.NORMAL, Mode.HARD, "org:b"),
        a_change(5, 80, Mode.SOFT, Mode.NORMAL, "org:a"),
        a_change(7, 85, Mode.HARD, Mode.NORMAL, "org:b"),  # noticed late
    ]
    await documents.commit([Create(each.ref, each.to_data()) for each in changes])
    pin = Pin("p", "org:c", Mode.NORMAL, "why", "ann", NOW, NOW + timedelta(hours=1))
    await documents.commit([Put(STATE, State(seq=7, pins=(pin,)).to_data())])
    await keep(
        documents,
        an_episode(0),
        an_episode(1, closed_at=NOW - timedelta(hours=1)),
        an_episode(2, closed_at=NOW - timedelta(minutes=5)),
        an_episode(30),  # ended more than a day ago
    )

    brownout = (await ask(client))["brownout"]

    assert brownout["activations_24h"] == 2
    # 20, 60 and 175 minutes.
    assert (brownout["recovery_p50_s"], brownout["recovery_reason"]) == (3600, None)
    assert brownout["seconds_in_mode_24h"] == {
        "normal": 86_400 - 30 * 60,
        "soft": (10 + 10 + 5) * 60,
        "hard": 5 * 60,
        "emergency": 0,
    }
    assert brownout["scopes"] == {"global": 0, "org:c": 0}


async def test_looks_behind_a_change_that_was_noticed_very_late(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    changes = [a_change(seq, 1, Mode.NORMAL, Mode.SOFT, "org:a") for seq in range(1, 250)]
    changes.append(a_change(250, 25 * 60, Mode.SOFT, Mode.NORMAL, "org:b"))
    await documents.commit([Create(each.ref, each.to_data()) for each in changes])

    assert (await ask(client))["brownout"]["activations_24h"] == 249


@pytest.mark.parametrize(
    ("fields", "saved"),
    [
        (
            [{"savings": (GAIN,)}, {"savings": (LOSS, NONE)}],
            ("12.222222112", "9.776543211", "14.667901013", "holdout", None),
        ),
        ([{"savings": (GAIN, GUESS)}], ("17.345678901", None, None, "both", None)),
        (
            [{"savings": (GAIN,)}, {"savings": (NONE,)}],
            (
                "12.345678901",
                "10.000000000",
                "14.691357802",
                "holdout",
                "not enough data of 1 of 2 brownouts",
            ),
        ),
        (
            [{"savings": (NONE,)}],
            (None, None, None, None, "not enough data: 4 calls in the holdout"),
        ),
        (
            [{"savings": (GAIN,), "enforced": False}],
            (None, None, None, None, "what it would do was only recorded"),
        ),
    ],
)
async def test_adds_up_what_was_saved(
    client: httpx.AsyncClient,
    documents: Documents,
    fields: list[dict[str, Any]],
    saved: tuple[str | None, ...],
) -> None:
    await keep(documents, *(an_episode(n, **each) for n, each in enumerate(fields)))

    told = (await ask(client))["saved"]

    assert tuple(told[name] for name in ("usd", "low", "high", "method", "reason")) == saved


async def test_tells_prometheus_the_gauges(
    client: httpx.AsyncClient, record: Record, clock: SetClock, documents: Documents
) -> None:
    pin = Pin("p", 'model:a"b', Mode.HARD, "why", "ann", NOW, NOW + timedelta(hours=1))
    await documents.commit([Put(STATE, State(pins=(pin,)).to_data())])
    await record(a_call(1), a_call(2, outcome="upstream_error", org="other", team=None))
    clock.advance(timedelta(seconds=30))

    answer = await client.get("/api/metrics", headers={"accept": PROMETHEUS})

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert [line for line in lines if line.startswith("# TYPE")] == [
        "# TYPE custom_brownout_current_mode gauge",
        "# TYPE custom_llm_ttft_p95 gauge",
        "# TYPE custom_service_availability gauge",
        "# TYPE custom_token_cost_per_hour gauge",
    ]
    values = [line for line in lines if not line.startswith("#")]
    chunk = values.pop(2)
    assert chunk.startswith('custom_llm_ttft_p95{model="gpt-x",provider="openai"} 0.5')
    assert values == [
        'custom_brownout_current_mode{scope="global"} 0',
        'custom_brownout_current_mode{scope="model:a\\"b"} 2',
        'custom_service_availability{org="acme"} 100.0',
        'custom_service_availability{org="other"} 0.0',
        'custom_token_cost_per_hour{org="acme",team="search"} 0.0504',
        'custom_token_cost_per_hour{org="other",team=""} 0.0504',
    ]


def test_tells_money_to_the_nano_dollar() -> None:
    measured = Measurement(metrics.TOKEN_COST_PER_HOUR, 123_456_789_012_345_678, {"org": "a\\\n"})

    assert prometheus_text([measured]).splitlines()[-1] == (
        r'custom_token_cost_per_hour{org="a\\\n"} 123456789.012345678'
    )


def test_tells_prometheus_no_other_kind() -> None:
    assert prometheus_text([Measurement(metrics.ACTIVATIONS, 1)]) == ""


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        (PROMETHEUS, True),
        ("text/plain;version=0.0.4", True),
        ("TEXT/PLAIN ; q=0.2", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/plain, */*", False),
        ("application/json;q=0.5,text/plain", True),
        ("text/plain;q=0", False),
        ("text/plain;q=nonsense", False),
    ],
)
def test_answers_text_to_those_who_like_it_better(accept: str, *, wants: bool) -> None:
    assert wants_text(accept) is wants


async def test_tells_in_its_contract_that_it_answers_text(client: httpx.AsyncClient) -> None:
    contract = (await client.get("/api/v1/openapi.json")).json()

    told = contract["paths"]["/api/metrics"]["get"]["responses"]["200"]["content"]
    assert sorted(told) == ["application/json", "text/plain; version=0.0.4; charset=utf-8"]


async def test_tells_what_calls_of_the_last_hour_were_rated(
    client: httpx.AsyncClient, record: Record, documents: Documents, clock: SetClock
) -> None:
    ids = [time_ordered_id(NOW, bytes([number] * 10)) for number in range(4)]
    ago = (MINUTE, 2 * MINUTE, 30 * MINUTE, 61 * MINUTE)
    sent = Attempt(upstream="openai", credential=None, status=200, ms=1.5)
    pairs = zip(ids, ago, strict=True)
    await record(*(a_call(id=id_, event_time=NOW - at, attempts=(sent,)) for id_, at in pairs))
    who = {"org": "acme", "team": "search", "agent": "crawler", "line": a_call().line or ""}

    for id_, score in zip(ids, (1, 0.5, 0.1, 0), strict=True):
        feedback = CallFeedback.given(id_, score, (), now=NOW, **who)
        await Feedback(documents, clock).add(feedback)

    body = await ask(client)
    assert body["quality"] == {"score": 0.533333, "reason": None}
    assert body["metrics"]["custom.response.quality_score"] == 0.75
