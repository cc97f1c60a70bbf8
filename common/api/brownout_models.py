"""Bodies and views of brownouts: modes, pins, signals, changes, the policy."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from common.api.envelopes import Time, View
from common.api.identity_models import Version
from common.api.operations import Asked, Paging
from common.brownout.pins import LONGEST, MAX_REASON_CHARS, SHORTEST
from common.brownout.policy_changes import MAX_NOTE_CHARS

ModeWord: TypeAlias = Literal["normal", "soft", "hard", "emergency"]
PriorityWord: TypeAlias = Literal["batch", "normal", "critical"]
MOST_PATH = 2_000

ScopeName: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="global, org:ORG, team:ORG/TEAM, agent:ORG/AGENT, provider:ID or model:NAME;"
        " team and agent may leave the default organisation out",
        examples=["team:acme/search"],
    ),
]


class PinBody(Asked):
    scope: ScopeName
    mode: ModeWord
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS)]
    minutes: Annotated[
        int,
        Field(
            ge=SHORTEST.total_seconds() // 60,
            le=LONGEST.total_seconds() // 60,
            description="until it ends by itself",
        ),
    ]


class PolicyBody(Asked):
    policy: dict[str, Any] = Field(description="what a policy file holds, as JSON")
    note: Annotated[str, Field(min_length=1, max_length=MAX_NOTE_CHARS)]


class DryRunBody(Asked):
    path: Annotated[str, Field(min_length=1, max_length=MOST_PATH)] = Field(
        description="of the proxy", examples=["/openai/v1/chat/completions"]
    )
    body: dict[str, Any] = Field(description="the request, as it would be sent")
    mode: ModeWord
    priority: PriorityWord = "normal"
    scope: ScopeName | None = Field(
        None, description="who calls, for the strategy: an organisation, a team or an agent"
    )
    failing: bool = Field(
        default=False, description="the provider fails, so its prompt cache counts for nothing"
    )


class ScopeQuery(Paging):
    scope: ScopeName | None = None


class HoldView(View):
    """What holds a scope at a mode until a moment."""

    level: ModeWord
    until: Time
    about: Literal["errors", "latency", "cost"] | None
    told_over: bool = Field(description="ends then because its source said so")


class BrownoutScopeView(View):
    """A scope that signals hold off normal, or that is on its way back, whatever a pin says."""

    scope: str
    mode: ModeWord
    since: Time
    share: float = Field(description="of its calls, treated in the mode; the rest one mode lower")
    ends_at: Time = Field(description="back to normal if nothing else happens")
    opened_at: Time
    episode: str
    peak: ModeWord
    leases: list[HoldView]


class PinView(View):
    id: str
    scope: str
    mode: ModeWord
    reason: str
    actor: str
    created_at: Time
    until: Time
    live: bool
    ended_at: Time | None = Field(description="null: it ends, or has ended, by itself")
    ended_by: str | None
    version: Version


class DriftView(View):
    """A monitor that fires at another threshold than the policy in force says."""

    monitor: str
    scope: str
    level: ModeWord
    measure: Literal["latency_p95", "error_rate", "token_cost_per_hour"]
    fires_at: str = Field(description="seconds, a share of the calls, or USD an hour")
    policy_says: str | None = Field(description="in the same unit; null: no such threshold")
    told: str = Field(description="the difference as a sentence")
    link: str | None


class SignalSourceView(View):
    """A source that is asked once a minute how its alerts stand."""

    source: str
    standing: Literal["off", "answers", "silent"]
    asked_at: Time = Field(description="when that was found")
    silent_since: Time | None
    cause: str | None = Field(description="why it is off or silent")
    alerts: int | None = Field(description="that went on when it answered")
    drifts: list[DriftView]


class BrownoutView(View):
    mode: ModeWord = Field(description="of global: what a call gets that lies in no other scope")
    enforcement: Literal["shadow", "enforce"]
    policy_version: int = Field(description="0 ships with the code")
    scopes: list[BrownoutScopeView]
    pins: list[PinView] = Field(description="those that count now, the newest first")
    sources: list[SignalSourceView]


class SignalToldView(View):
    source: str
    monitor: str
    level: str
    link: str | None


class ModeChangeView(View):
    seq: int
    event_time: Time
    scope: str
    before: ModeWord
    after: ModeWord
    cause: Literal["signal", "recovery", "override", "expiry"]
    episode: str
    signals: list[SignalToldView]
    policy_version: int
    enforced: bool


class EvidenceView(View):
    metric: str
    value: str
    limit: str


class SignalView(View):
    """The newest word of one alert about one scope."""

    id: str
    source: str
    monitor: str
    group: str
    scope: str
    level: ModeWord
    live: bool
    observed_at: Time
    received_at: Time
    lease_until: Time
    told_over: bool
    about: Literal["errors", "latency", "cost"] | None
    link: str | None
    evidence: EvidenceView | None


class DeliveryView(View):
    """A request of a sender of alerts, without its body."""

    received_at: Time
    source: str
    http_status: int
    status: str
    reason: str | None
    fields: dict[str, str]
    notes: list[str]


class PolicyVersionView(View):
    version: int = Field(description="0 ships with the code")
    running: bool
    enforcement: str
    author: str | None
    note: str
    created_at: Time | None


class WarningView(View):
    """What is allowed and hardly ever meant."""

    path: str
    detail: str


class BrownoutPolicyView(PolicyVersionView):
    policy: dict[str, Any]
    warnings: list[WarningView]


class PlannedEditView(View):
    name: str
    told: str = Field(description="to what: low, 1024")
    outcome: str
    reason: str = Field(description="why it is left out; empty where it is not")


class RefusalView(View):
    code: str
    status: int
    message: str


class DryRunView(View):
    mode: ModeWord
    priority: PriorityWord
    policy_version: int
    strategy: str | None = Field(description="null in normal mode")
    edits: list[PlannedEditView]
    let_in: float = Field(description="the share of such calls that is served")
    refusal: RefusalView | None
    path: str | None = Field(description="behind the upstream's address; null where refused")
    model: str | None
    body: dict[str, Any] | None = Field(description="as it would be sent; null where refused")


class ModesView(View):
    """The modes alone, under the address of old."""

    mode: ModeWord
    mode_number: int
    enforced: bool
    policy_version: int
    scopes: dict[str, ModeWord]
