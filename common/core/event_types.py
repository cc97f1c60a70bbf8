"""Which type of an event is read as what: the one list of all that is published."""

from typing import Any

from common.core.brownout_events import (
    BrownoutBlind,
    BrownoutModeChanged,
    BrownoutPolicyChanged,
    BrownoutSettled,
    BrownoutSighted,
    BrownoutTick,
)
from common.core.correction_events import UsageCorrected
from common.core.events import (
    BoundViolated,
    BudgetChanged,
    BudgetExhausted,
    CredentialEvent,
    Event,
    KeyEvent,
    LeaseCorrected,
    LeaseWrittenOff,
    RoutesChanged,
    SpendReconciled,
    SweepBudgets,
    ThresholdCrossed,
    UpstreamEvent,
    UsageEvent,
)
from common.core.feedback_events import CallFeedback
from common.core.incident_events import IncidentEvent
from common.core.insight_events import CostAnomaly, RecommendationProposed, RunInsights
from common.core.notification_events import NotificationFailed, NotificationTest
from common.core.price_events import (
    PriceBookHeld,
    PriceBookPublished,
    PriceSourceStale,
    RefreshPrices,
)
from common.core.reconciliation_events import ReconcileSpend, SpendDriftFound

EVENT_TYPES: dict[str, type[Event]] = {
    "usage.call": UsageEvent,
    "usage.corrected": UsageCorrected,
    "call.feedback": CallFeedback,
    "key.created": KeyEvent,
    "key.rotated": KeyEvent,
    "key.revoked": KeyEvent,
    "upstream.changed": UpstreamEvent,
    "route.changed": RoutesChanged,
    "budget.changed": BudgetChanged,
    "lease.corrected": LeaseCorrected,
    "credential.failed": CredentialEvent,
    "bound.violated": BoundViolated,
    "lease.written_off": LeaseWrittenOff,
    "budget.threshold_crossed": ThresholdCrossed,
    "budget.exhausted": BudgetExhausted,
    "spend.reconciled": SpendReconciled,
    "spend.drift_found": SpendDriftFound,
    "brownout.blind": BrownoutBlind,
    "brownout.mode_changed": BrownoutModeChanged,
    "brownout.policy_changed": BrownoutPolicyChanged,
    "brownout.settled": BrownoutSettled,
    "brownout.sighted": BrownoutSighted,
    "brownout.tick": BrownoutTick,
    "insights.hourly": RunInsights,
    "insights.daily": RunInsights,
    "spend.reconcile": ReconcileSpend,
    "incident.opened": IncidentEvent,
    "incident.joined": IncidentEvent,
    "incident.acknowledged": IncidentEvent,
    "incident.mitigated": IncidentEvent,
    "incident.resolved": IncidentEvent,
    "incident.reopened": IncidentEvent,
    "incident.reviewed": IncidentEvent,
    "incident.escalated": IncidentEvent,
    "notification.failed": NotificationFailed,
    "notification.test": NotificationTest,
    "price_book.published": PriceBookPublished,
    "price_book.held": PriceBookHeld,
    "price_source.stale": PriceSourceStale,
    "recommendation.proposed": RecommendationProposed,
    "cost.anomaly_found": CostAnomaly,
    "cost.anomaly_closed": CostAnomaly,
    "budgets.sweep": SweepBudgets,
    "pricing.refresh": RefreshPrices,
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
