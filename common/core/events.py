"""Event contracts: what is published, on which topic, in which version.

An event is a fact with an id, the time it happened and a version. Every consumer is idempotent by
`id`, acknowledges types and newer versions it does not know, and ignores fields it does not know.
No event carries a prompt, an answer, a header value or a key.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.core.money import Nanos

Topic: TypeAlias = Literal["usage", "events", "commands"]
TOPICS: tuple[Topic, ...] = ("usage", "events", "commands")

Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Event(BaseModel):
    """What all events have. `type` is also the attribute subscriptions filter on."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic: ClassVar[Topic]

    id: str
    type: str
    v: int = 1
    event_time: AwareDatetime

    def payload(self) -> bytes:
        """The event as JSON, times in RFC 3339 UTC."""
        return self.model_dump_json().encode()


Outcome: TypeAlias = Literal["ok", "upstream_error", "gateway_error", "client_error"]
"""How a call ended, from the point of view of the service: `client_error` feeds no availability."""

CostSource: TypeAlias = Literal["provider", "estimated", "free"]
"""provider: from the provider's final usage. estimated: the provider told less than all. free:
nothing is charged for this call (model lists, refusals, errors before any token)."""


class UsageEvent(Event):
    """One call through `proxy`, published once before its request ends. The id is the call's id."""

    topic: ClassVar[Topic] = "usage"
    type: Literal["usage.call"] = "usage.call"

    # Who. All of it comes from the key; null where no valid key was shown.
    org: str | None
    team: str | None
    agent: str | None
    project: str | None
    key_id: str | None
    line: str | None = Field(description="the key's line: survives rotation")
    user_hash: str | None = Field(description="keyed hash of x-gateway-user")
    session_hash: str | None = Field(description="keyed hash of x-gateway-session")
    tags: dict[str, str]

    # What was called.
    protocol: str
    endpoint: str
    upstream: str | None = Field(description="host that was called")
    provider: str | None = Field(description="whose price list applies")
    provider_key_hash: str | None = Field(description="12 hex digits, to match bills")
    model_asked: str | None
    model_billed: str | None = Field(description="the model the reply names")

    # What it used and cost.
    units: dict[str, int] = Field(
        description="usage by unit of the price list; input_tokens includes cached ones"
    )
    cost_nanos: Nanos | None = Field(description="null always has a cost_reason")
    cost_reason: str | None
    priced_nanos: Nanos = Field(
        description="the part that could be priced; equals the cost if known"
    )
    cost_source: CostSource | None
    book: str | None = Field(description="content hash of the price book")
    card: str | None = Field(description="provider/model of the price list")
    service_tier: str | None
    usage_raw: str | None = Field(description="the provider's usage object, numbers only, <= 4 kB")

    # How it went.
    started_at: AwareDatetime
    first_chunk_s: Seconds | None
    duration_s: Seconds
    gateway_ms: Milliseconds = Field(description="time from arrival to sending upstream")
    streamed: bool
    finish_reason: str | None
    status: int = Field(description="what the client was answered; 499 if it left before")
    upstream_status: int | None
    outcome: Outcome
    error_code: str | None
    client_gone: bool
    client_retry: Count = Field(description="the SDK's own count of tries before this one")
    simulated: bool = Field(description="answered by the simulated provider: no real money")
    usage_anomalies: tuple[str, ...]
    warnings: tuple[str, ...]
    request_bytes: Count
    response_bytes: Count
    traceparent: str | None


class KeyEvent(Event):
    """A gateway key was made, replaced or withdrawn."""

    topic: ClassVar[Topic] = "events"
    type: Literal["key.created", "key.rotated", "key.revoked"]

    org: str
    team: str
    agent: str
    key_id: str
    line: str
    actor: str


EVENT_TYPES: dict[str, type[Event]] = {
    "usage.call": UsageEvent,
    "key.created": KeyEvent,
    "key.rotated": KeyEvent,
    "key.revoked": KeyEvent,
}


def parse_event(data: Any) -> Event | None:
    """The event in a decoded JSON object, or None for a type or version this code does not know.

    Raises:
        pydantic.ValidationError: a known type with a body that is not of its form.
    """
    known = EVENT_TYPES.get(data.get("type", "")) if isinstance(data, dict) else None
    if known is None or data.get("v", 1) > known.model_fields["v"].default:
        return None
    return known.model_validate(data)
