"""One call, from arrival to event: what is known of it so far, and the event it becomes.

A call ends in exactly one usage event, whatever happened to it. Nothing here holds a prompt, an
answer or a key after the call is over, and nothing of them goes into the event.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from common.core.events import Attempt, Event, Outcome, UsageEvent
from common.gateway.attribution import Attribution
from common.gateway.credentials import Payer
from common.gateway.destinations import VENDORS, Destination
from common.gateway.spend import Spend
from common.gateway.treatment import Treatment
from common.llm.costs import FREE, Cost, cost_of
from common.llm.facts import UNREAD, CallFacts
from common.llm.forms import FORMS, MeteredForm
from common.llm.input_costs import InputCosts, input_costs
from common.llm.metered import Metered
from common.llm.paths import Endpoint, NotForwarded
from common.llm.price_book import PriceBook
from common.llm.protocol import WireProtocol

CLIENT_CLOSED_REQUEST = 499
MAX_NAME_CHARACTERS = 128
_RAW_USAGE_BYTES = 4096
_RATE_LIMITED = 429
_SUCCESS = range(200, 300)
_CLIENT_ERRORS = range(400, 500)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Route:
    """The rule that is for a call, what it chose, and why. In `shadow` it was only recorded.

    `conversation` is what the call's conversation is known by, where some rule compares costs.
    """

    rule: str
    why: str
    model: str
    conversation: str | None
    shadow: bool


@dataclass(slots=True)
class Call:
    """The state of one call. Filled in as it becomes known."""

    id: str
    started_at: datetime
    arrived_s: float
    protocol: WireProtocol
    endpoint: Endpoint | NotForwarded
    book: PriceBook
    facts: CallFacts = UNREAD
    attribution: Attribution | None = None
    prefix_hash: str | None = None
    """Keyed, of `facts.prefix`."""
    destination: Destination | None = None
    model_asked: str | None = None
    credential: str | None = None
    managed: bool = False
    """The installation's credential was shown upstream, not the caller's own."""
    provider_key_hash: str | None = None
    upstream_host: str | None = None
    simulated: bool = False
    is_test: bool = False
    """Answered with simulated text by the upstream of tests: it costs nobody anything."""
    traceparent: str | None = None
    client_retry: int = 0
    tells_cost: bool = False
    """The client wants a stream's cost at its end."""
    warnings: tuple[str, ...] = ()

    attempts: list[Attempt] = field(default_factory=list)
    findings: list[Event] = field(default_factory=list)
    spend: Spend | None = None
    fit: str | None = None
    route: Route | None = None
    priority: str = "normal"
    treatment: Treatment | None = None
    in_flight: tuple[str, ...] = ()
    """The scopes it is counted in as waiting."""
    sent_s: float | None = None
    tried_s: float | None = None
    """When its last request was sent."""
    first_chunk_s: float | None = None
    upstream_status: int | None = None
    metered: Metered | None = None
    cut: bool = False
    response_bytes: int = 0
    status: int = 0
    error_code: str | None = None
    outcome: Outcome | None = None
    client_gone: bool = False
    client_awaited: bool = False
    """It ended in a wait for the client, not for the upstream."""
    unanswered: bool = False
    _cost: Cost | None = None

    def note_request_headers(self, headers: Mapping[str, str]) -> None:
        """Keep what tells calls apart, links traces and asks the gateway for something."""
        self.tells_cost = headers.get("x-gateway-cost-event", "").lower() == "true"
        retry = headers.get("x-stainless-retry-count", "")
        self.client_retry = int(retry) if retry.isdecimal() and len(retry) <= 3 else 0
        traceparent = headers.get("traceparent", "")
        self.traceparent = traceparent if _TRACEPARENT.fullmatch(traceparent) else None

    @property
    def form(self) -> MeteredForm | None:
        """How the call is read; None for what is free or not forwarded."""
        name = self.endpoint.form if isinstance(self.endpoint, Endpoint) else None
        return FORMS[name] if name is not None else None

    @property
    def costs(self) -> bool:
        """Whether it asks for something that is billed."""
        return isinstance(self.endpoint, Endpoint) and self.endpoint.metered

    @property
    def provider(self) -> str | None:
        """Whose price list applies: the destination's, or for a refused call its vendor's."""
        destination = self.destination or VENDORS.get(self.endpoint.upstream)
        return destination.provider if destination is not None else None

    @property
    def upstream_name(self) -> str:
        """What its client is told of where it was sent, which need not know the address."""
        return self.destination.name if self.destination is not None else self.endpoint.upstream

    @property
    def price_list(self) -> str:
        """What its prices are looked up under."""
        destination = self.destination or VENDORS.get(self.endpoint.upstream)
        return destination.price_list if destination is not None else ""

    @property
    def payer(self) -> Payer:
        """What paid for its last request."""
        if self.managed:
            return Payer(self.credential or "", own=False)
        return Payer(self.provider_key_hash or "", own=True)

    @property
    def cost(self) -> Cost:
        """Settled once, with the price book of the call's arrival."""
        if self._cost is None:
            self._cost = self._settle()
        return self._cost

    def _settle(self) -> Cost:
        refused_by_provider = (
            self.upstream_status is not None and self.upstream_status not in _SUCCESS
        )
        if self.sent_s is None or refused_by_provider or self.form is None or self.is_test:
            return FREE
        return cost_of(
            self.metered or Metered(output_bytes=self.response_bytes),
            self.facts,
            book=self.book,
            provider=self.price_list,
            at=self.started_at,
        )

    @property
    def _input_costs(self) -> InputCosts | None:
        """What its input costs; None where nothing was given up of it."""
        treatment = self.treatment
        if treatment is None or not treatment.enforced:
            return None
        return input_costs(
            self.cost,
            self.metered or Metered(),
            asked=treatment.original.facts.model,
            sent=self.facts.model,
            book=self.book,
            provider=self.price_list,
            at=self.started_at,
        )

    def conclude(self) -> tuple[Outcome, str | None]:
        """How the call ended: the outcome, and a code where it did not end well."""
        if self.outcome is not None:
            return self.outcome, self.error_code
        if self.client_gone and not (self.metered is not None and self.metered.final):
            return "client_error", "client_disconnected"
        status = self.upstream_status or self.status
        if status not in _SUCCESS:
            of_client = status in _CLIENT_ERRORS and status != _RATE_LIMITED
            return "client_error" if of_client else "upstream_error", f"upstream_{status}"
        if self.metered is not None and self.metered.failed:
            return "upstream_error", "upstream_reply_unusable"
        return ("upstream_error", "upstream_incomplete") if self.cut else ("ok", None)

    def event(self, now: datetime, now_s: float) -> UsageEvent:
        """The call's one event."""
        outcome, error_code = self.conclude()
        cost = self.cost
        metered = self.metered or Metered()
        who = self.attribution
        key = who.key if who is not None else None
        spend = self.spend
        treatment, route = self.treatment, self.route
        decision = treatment.decision if treatment is not None else None
        inputs = self._input_costs
        return UsageEvent(
            id=self.id,
            event_time=now,
            org=key.org if key else None,
            team=key.team if key else None,
            agent=who.agent if who else None,
            project=key.project if key else None,
            key_id=key.key_id if key else None,
            line=key.line if key else None,
            user_hash=who.user_hash if who else None,
            session_hash=who.session_hash if who else None,
            tags=dict(who.tags) if who else {},
            prefix_hash=self.prefix_hash,
            prefix_bytes=self.facts.prefix.size_bytes if self.facts.prefix else 0,
            protocol=self.protocol.name,
            endpoint=self.endpoint.name if isinstance(self.endpoint, Endpoint) else "unsupported",
            upstream=self.upstream_host,
            provider=self.provider,
            credential=self.credential,
            provider_key_hash=self.provider_key_hash,
            model_asked=_name(self.model_asked or self.facts.model),
            model_sent=_name(self.facts.model) if self.attempts else None,
            model_billed=_name(metered.model),
            units=dict(cost.units),
            cost_nanos=cost.nanos,
            cost_reason=cost.reason,
            priced_nanos=cost.priced_nanos,
            cost_source=cost.source,
            hold_nanos=spend.nanos if spend else 0,
            bound_kind=spend.bound.bound_kind if spend and spend.held else None,
            settlements=spend.settled if spend else (),
            unproven_nanos=spend.unproven if spend else 0,
            policy_epoch=spend.to.epoch if spend else 0,
            fit=self.fit,
            book=self.book.digest if cost.card else None,
            card=cost.card,
            service_tier=_name(metered.service_tier),
            usage_raw=_raw_usage(metered),
            mode=decision.mode.word if decision else "normal",
            mode_by=decision.by if decision else None,
            mode_scope=decision.scope if decision else None,
            episode=decision.episode if decision else None,
            arm=decision.arm if decision else None,
            strategy=treatment.strategy if treatment else None,
            enforced=treatment.enforced if treatment else False,
            priority=self.priority,
            edits=treatment.edits if treatment else (),
            card_asked=inputs.card_asked if inputs else None,
            input_nanos=inputs.used if inputs else None,
            input_nanos_asked=inputs.asked if inputs else None,
            route=route.rule if route else None,
            route_why=route.why if route else None,
            route_model=_name(route.model) if route else None,
            route_shadow=route.shadow if route else False,
            started_at=self.started_at,
            first_chunk_s=self.first_chunk_s,
            duration_s=round(now_s - self.arrived_s, 6),
            gateway_ms=round(((self.sent_s or now_s) - self.arrived_s) * 1000, 3),
            streamed=self.facts.stream,
            finish_reason=metered.finish_reason,
            status=CLIENT_CLOSED_REQUEST if self.unanswered else self.status,
            upstream_status=self.upstream_status,
            outcome=outcome,
            error_code=error_code,
            client_gone=self.client_gone,
            attempts=tuple(self.attempts),
            client_retry=self.client_retry,
            simulated=self.simulated,
            usage_anomalies=tuple(text[:200] for text in metered.anomalies[:10]),
            warnings=self.warnings,
            request_bytes=self.facts.size_bytes,
            response_bytes=self.response_bytes,
            traceparent=self.traceparent,
        )


def _name(text: str | None) -> str | None:
    return text[:MAX_NAME_CHARACTERS] if text is not None else None


def _raw_usage(metered: Metered) -> str | None:
    if metered.usage_raw is None:
        return None
    text = orjson.dumps(metered.usage_raw).decode()
    return text if len(text) <= _RAW_USAGE_BYTES else None
