"""Events with defaults for every field, so that a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from common.core.events import Attempt, EditMade, Event, Settlement, Topic, UsageEvent

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


class Fact(Event):
    """An event of any type, for buses that do not care what they carry."""

    topic: ClassVar[Topic] = "events"
    note: str = ""


def a_fact(**fields: Any) -> Fact:
    return Fact(**{"id": "f1", "type": "test.happened", "event_time": NOON} | fields)


def a_call(**fields: Any) -> UsageEvent:
    return UsageEvent(
        **{
            "id": "c1",
            "event_time": NOON,
            "org": "acme",
            "team": "search",
            "agent": "crawler",
            "project": None,
            "key_id": "k1",
            "line": "l1",
            "user_hash": None,
            "session_hash": None,
            "tags": {"env": "prod"},
            "protocol": "openai",
            "endpoint": "chat.completions",
            "upstream": "api.openai.com",
            "credential": "main",
            "provider": "openai",
            "provider_key_hash": "0123456789ab",
            "model_asked": "gpt-5",
            "model_sent": "gpt-5",
            "model_billed": "gpt-5",
            "units": {"input_tokens": 1200, "output_tokens": 300},
            "cost_nanos": 4_213_000,
            "cost_reason": None,
            "priced_nanos": 4_213_000,
            "cost_source": "provider",
            "hold_nanos": 9_000_000,
            "bound_kind": "bytes",
            "settlements": (Settlement(lease="l-1", nanos=4_213_000),),
            "unproven_nanos": 0,
            "policy_epoch": 3,
            "fit": None,
            "book": "b00c",
            "card": "openai/gpt-5",
            "service_tier": None,
            "usage_raw": '{"prompt_tokens":1200}',
            "mode": "hard",
            "mode_by": "state",
            "mode_scope": "provider:openai",
            "episode": "e1",
            "arm": "degraded",
            "strategy": "default",
            "enforced": True,
            "priority": "normal",
            "edits": (EditMade(name="output_cap", told="1024", outcome="applied", reason=""),),
            "started_at": NOON,
            "first_chunk_s": 0.25,
            "duration_s": 2.5,
            "gateway_ms": 0.5,
            "streamed": True,
            "finish_reason": "stop",
            "status": 200,
            "upstream_status": 200,
            "outcome": "ok",
            "error_code": None,
            "client_gone": False,
            "attempts": (Attempt(upstream="openai", credential="main", status=200, ms=1.5),),
            "client_retry": 0,
            "simulated": False,
            "usage_anomalies": (),
            "warnings": ("fit.trimmed",),
            "request_bytes": 5000,
            "response_bytes": 900,
            "traceparent": None,
        }
        | fields
    )
