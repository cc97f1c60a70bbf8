"""Event contracts: what is published, on which topic, in which version.

An event is a fact with an id, the time it happened and a version. Every consumer is idempotent by
`id`, acknowledges types and newer versions it does not know, and ignores fields it does not know.
No event carries a prompt, an answer, a header value or a key.
"""

from datetime import date
from hashlib import sha256
from typing import Annotated, ClassVar, Literal, TypeAlias

import orjson
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
        try:
            return orjson.dumps(self.__dict__, default=vars, option=orjson.OPT_UTC_Z)
        except orjson.JSONEncodeError:  # an integer of more than 64 bits
            return self.model_dump_json().encode()


Outcome: TypeAlias = Literal["ok", "upstream_error", "gateway_error", "client_error", "shed"]
"""How a call ended, from the point of view of the service: `client_error` feeds no availability,
`shed` is a call that a brownout refused."""

EditOutcome: TypeAlias = Literal["applied", "shadow", "skipped_unsafe", "skipped_cache", "rejected"]
"""What became of an edit: made; only recorded; left out because it could break the request or its
answer, or would miss a cache worth more; or refused by the provider and taken back."""

BoundKind: TypeAlias = Literal["bytes", "window", "tools", "declared"]
"""What bounded a call: its bytes, the model's window, that of each inference that tools cause, or
something declared: what tools may cost, by the budget's owner, how many seconds the bytes of a
recording may hold, or how many tokens a picture handed in takes."""

CostSource: TypeAlias = Literal["provider", "estimated", "free"]
"""provider: from the provider's final usage. estimated: the provider told less than all. free:
nothing is charged for this call (model lists, refusals, errors before any token)."""


class Attempt(BaseModel):
    """One request to a provider, made for a call. `status` is null where no reply came."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    upstream: str
    credential: str | None = Field(description="the installation's key; null for the caller's own")
    status: int | None
    ms: Milliseconds = Field(description="until the reply's headers were there")


class EditMade(BaseModel):
    """One thing that a brownout gives up of a call."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    told: str = Field(description="to what: low, 1024")
    outcome: EditOutcome
    reason: str = Field(description="why it was left out; empty where it was not")


class Settlement(BaseModel):
    """What one hold of a call was settled at, in nano-USD."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lease: str
    nanos: Nanos


class CountedEvent(Event):
    """What is counted in the sums of usage: a call, its correction, or what it is rated."""

    topic: ClassVar[Topic] = "usage"


class UsageEvent(CountedEvent):
    """One call through `proxy`, published once before its request ends. The id is the call's id."""

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
    prefix_hash: str | None = Field(
        None, description="keyed hash of the prompt's instructions and tools; null: it has none"
    )
    prefix_bytes: Count = Field(0, description="how long these are, as JSON")

    # What was called.
    protocol: str
    endpoint: str
    upstream: str | None = Field(description="host that was called")
    credential: str | None = Field(description="the installation's key that paid, by name")
    provider: str | None = Field(description="whose price list applies")
    provider_key_hash: str | None = Field(description="12 hex digits, to match bills")
    model_asked: str | None
    model_sent: str | None = Field(description="model the upstream was asked for")
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
    hold_nanos: Nanos = Field(description="what was held against hard budgets; 0: none applied")
    bound_kind: BoundKind | None = Field(description="what bounded the call; null: nothing held")
    settlements: tuple[Settlement, ...] = Field(description="what each hold was settled at")
    unproven_nanos: Nanos = Field(
        description="the part settled beyond the cost, that no provider has told"
    )
    policy_epoch: Count = Field(description="how new the budgets were that applied")
    fit: str | None = Field(description="how the call was made smaller to fit a budget")
    book: str | None = Field(description="content hash of the price book")
    card: str | None = Field(description="provider/model of the price list")
    service_tier: str | None
    usage_raw: str | None = Field(description="the provider's usage object, numbers only, <= 4 kB")

    # What a brownout did to it.
    mode: str = Field(description="normal, soft, hard or emergency")
    mode_by: str | None = Field(description="state, pin or own; null in normal mode")
    mode_scope: str | None = Field(description="the scope that the mode holds for")
    episode: str | None
    arm: str | None = Field(description="degraded, or holdout: left as it is to compare with")
    strategy: str | None
    enforced: bool = Field(description="false: what would be done is only recorded")
    priority: str = Field(description="batch, normal or critical")
    edits: tuple[EditMade, ...]
    card_asked: str | None = Field(
        None, description="provider/model of the price list that was asked for; null in normal mode"
    )
    input_nanos: Nanos | None = Field(
        None, description="the input's part of the cost; null in normal mode"
    )
    input_nanos_asked: Nanos | None = Field(
        None, description="what the same input costs with the model that was asked for"
    )

    # Which rule chose its model.
    route: str | None = Field(None, description="the rule that was for the call; null: none was")
    route_why: str | None = Field(None, description="how the rule chose, in a few words")
    route_model: str | None = Field(None, description="the model that the rule chose first")
    route_shadow: bool = Field(False, description="the rule only recorded what it would choose")

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
    attempts: tuple[Attempt, ...] = Field(description="requests made for this call, in order")
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


class BudgetChanged(Event):
    """A budget was made, replaced or paused, or its current period was given more money."""

    topic: ClassVar[Topic] = "events"
    type: Literal["budget.changed"] = "budget.changed"

    budget_id: str
    org: str
    scope: str
    action: Literal["create", "update", "pause", "top_up"]
    limit_nanos: Nanos = Field(description="without top-ups")
    top_up_nanos: Nanos = Field(description="what this top-up adds; 0 for other actions")
    enforcement: Literal["hard", "soft"]
    actor: str


class LeaseCorrected(Event):
    """What was counted as spent without proof is replaced by what was really spent, once.

    That is all that was written off of a lease, or with `call_id` the unproven part of one call.
    """

    topic: ClassVar[Topic] = "events"
    type: Literal["lease.corrected"] = "lease.corrected"

    lease_id: str
    call_id: str | None = None
    periods: tuple[str, ...] = Field(description="the periods of budgets that are corrected")
    written_off_nanos: Nanos
    spent_nanos: Nanos = Field(description="of what was written off")
    reason: str
    actor: str = Field(description="an operator's email, or the part of the system that knew it")


class UpstreamEvent(Event):
    """A configured upstream was made, replaced or removed."""

    topic: ClassVar[Topic] = "events"
    type: Literal["upstream.changed"] = "upstream.changed"

    upstream: str
    action: Literal["create", "update", "remove"]
    actor: str


class RoutesChanged(Event):
    """The rules of an organisation, for which model serves a call, are others now."""

    topic: ClassVar[Topic] = "events"
    type: Literal["route.changed"] = "route.changed"

    org: str
    version: int
    actor: str


class CredentialEvent(Event):
    """A provider would not serve a key of the installation: somebody must look at it."""

    topic: ClassVar[Topic] = "events"
    type: Literal["credential.failed"] = "credential.failed"

    upstream: str
    credential: str
    status: int

    @classmethod
    def failed(
        cls, upstream: str, credential: str, status: int, now: AwareDatetime
    ) -> "CredentialEvent":
        """One event an hour for each key, whichever instances notice."""
        hour = f"{now:%Y-%m-%dT%H}"
        digest = sha256(f"credential.failed {upstream} {credential} {hour}".encode()).hexdigest()
        return cls(
            id=digest[:32],
            event_time=now,
            upstream=upstream,
            credential=credential,
            status=status,
        )


class BoundViolated(Event):
    """A call cost more than the bound that was held for it, which somebody must mend."""

    topic: ClassVar[Topic] = "events"
    type: Literal["bound.violated"] = "bound.violated"

    call_id: str = Field(description="the id of the call's usage event, which tells the rest")
    model: str | None = Field(description="as it was sent")
    bound_kind: BoundKind
    hold_nanos: Nanos
    cost_nanos: Nanos


class LeaseWrittenOff(Event):
    """Nobody has heard from a lease's owner for long, so all that it had is counted as spent."""

    topic: ClassVar[Topic] = "events"
    type: Literal["lease.written_off"] = "lease.written_off"

    lease_id: str
    instance: str = Field(description="who held it")
    periods: tuple[str, ...] = Field(description="the periods of budgets it is charged to")
    written_off_nanos: Nanos
    expired_at: AwareDatetime


class ThresholdCrossed(Event):
    """What is spent in a budget's period has reached a percentage of its limit and top-ups."""

    topic: ClassVar[Topic] = "events"
    type: Literal["budget.threshold_crossed"] = "budget.threshold_crossed"

    kind: Literal["llm"] = "llm"
    budget_id: str
    period: str = Field(description="the period's key: its beginning and end")
    percent: int
    spent_nanos: Nanos
    limit_nanos: Nanos = Field(description="with the top-ups that count now")
    projected_exhaustion: AwareDatetime | None = Field(
        description="null: at the pace of now not before the period ends"
    )


class BudgetExhausted(Event):
    """A hard budget has refused a call for the first time in a period."""

    topic: ClassVar[Topic] = "events"
    type: Literal["budget.exhausted"] = "budget.exhausted"

    kind: Literal["llm"] = "llm"
    budget_id: str
    period: str = Field(description="the period's key: its beginning and end")
    settled_nanos: Nanos
    leased_nanos: Nanos = Field(description="what calls that run may still spend")
    limit_nanos: Nanos = Field(description="with the top-ups that count now")
    resets_at: AwareDatetime | None = Field(description="null: never")


class SpendReconciled(Event):
    """What a provider's bill says of an account and a day, beside what the calls' events say.

    A day is one of UTC, and a call belongs to the day on which it ended.
    """

    topic: ClassVar[Topic] = "events"
    type: Literal["spend.reconciled"] = "spend.reconciled"

    provider: str = Field(min_length=1, description="as calls name it: whose price list applies")
    account: str = Field(min_length=1, description="at the provider, which sends it one bill")
    day: date
    ours_nanos: Nanos = Field(ge=0, description="the cost of the calls, without the unproven part")
    theirs_nanos: Nanos = Field(ge=0, description="what the provider bills")
    unproven_nanos: Nanos = Field(
        ge=0, description="what budgets were charged beyond the cost of the calls"
    )


class SweepBudgets(Event):
    """The command of every minute: look after leases without an owner, and tell what is reached."""

    topic: ClassVar[Topic] = "commands"
    type: Literal["budgets.sweep"] = "budgets.sweep"
