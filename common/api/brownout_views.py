"""Brownouts as the API shows them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from common.api.brownout_models import (
    BrownoutPolicyView,
    BrownoutScopeView,
    BrownoutView,
    DeliveryView,
    DriftView,
    DryRunBody,
    DryRunView,
    EvidenceView,
    HoldView,
    ModeChangeView,
    PinView,
    PlannedEditView,
    PolicyVersionView,
    RefusalView,
    SignalSourceView,
    SignalToldView,
    SignalView,
    WarningView,
)
from common.api.versions import version_of
from common.brownout.changes import Change
from common.brownout.drift import Drift, drifts
from common.brownout.modes import GLOBAL
from common.brownout.pins import PinRecord, live_pins, mode_of
from common.brownout.policy import Policy
from common.brownout.policy_changes import PolicyVersion
from common.brownout.policy_problems import Problem
from common.brownout.signals import Signal
from common.brownout.sources import SourceStatus
from common.brownout.standings import Standing, standings
from common.brownout.state import Pin, State
from common.core.ports import Document
from common.gateway.brownout_trial import Trial

_SHARE_DIGITS = 4


def pin_version(pin: Pin) -> str:
    return version_of(pin.to_data())


def pin_view(record: PinRecord, now: datetime) -> PinView:
    pin = record.pin
    return PinView(
        **pin.to_data(),
        live=record.is_live(now),
        ended_at=record.ended_at,
        ended_by=record.ended_by,
        version=pin_version(pin),
    )


def brownout_view(
    state: State, policy: Policy, sources: Iterable[SourceStatus], now: datetime
) -> BrownoutView:
    return BrownoutView(
        mode=mode_of(state, GLOBAL, policy.recovery, now).word,
        enforcement=policy.enforcement,
        policy_version=state.policy_version,
        scopes=[_scope_view(each) for each in standings(state, policy.recovery, now)],
        pins=[pin_view(PinRecord(pin), now) for pin in live_pins(state, now)],
        sources=[_source_view(each, policy) for each in sources],
    )


def sentence(view: BrownoutView) -> str:
    """The state in one sentence."""
    scopes, pins = len(view.scopes), len(view.pins)
    rest = f"{scopes} {'scope is' if scopes == 1 else 'scopes are'} off normal" if scopes else ""
    pinned = f"{pins} {'is' if pins == 1 else 'are'} pinned" if pins else ""
    told = ", ".join(each for each in (rest, pinned) if each) or "all scopes are normal"
    done = "is enforced" if view.enforcement == "enforce" else "only records what it would do"
    return f"The mode is {view.mode}; {told}. Version {view.policy_version} of the policy {done}."


def change_view(change: Change) -> ModeChangeView:
    return ModeChangeView(
        seq=change.seq,
        event_time=change.event_time,
        scope=change.scope,
        before=change.before.word,
        after=change.after.word,
        cause=change.cause,
        episode=change.episode,
        signals=[SignalToldView(**each.model_dump()) for each in change.signals],
        policy_version=change.policy_version,
        enforced=change.enforced,
    )


def signal_view(signal: Signal, now: datetime) -> SignalView:
    told = signal.evidence
    return SignalView(
        id=signal.id,
        source=signal.source,
        monitor=signal.monitor,
        group=signal.group,
        scope=signal.scope,
        level=signal.level.word,
        live=signal.lease_until > now,
        observed_at=signal.observed_at,
        received_at=signal.received_at,
        lease_until=signal.lease_until,
        told_over=signal.told_over,
        about=signal.about,
        link=signal.link,
        evidence=None
        if told is None
        else EvidenceView(metric=told.metric, value=told.value, limit=told.limit),
    )


def delivery_view(document: Document) -> DeliveryView:
    return DeliveryView(**{name: document.data[name] for name in DeliveryView.model_fields})


def version_view(version: PolicyVersion, running: int) -> PolicyVersionView:
    return PolicyVersionView(**_version(version, running))


def policy_view(
    version: PolicyVersion, running: int, problems: tuple[Problem, ...]
) -> BrownoutPolicyView:
    return BrownoutPolicyView(
        **_version(version, running),
        policy=dict(version.policy),
        warnings=[WarningView(path=each.path, detail=each.detail) for each in problems],
    )


def trial_view(
    asked: DryRunBody, trial: Trial, body: dict[str, Any] | None, policy_version: int
) -> DryRunView:
    target, refusal = trial.target, trial.refusal
    return DryRunView(
        mode=asked.mode,
        priority=asked.priority,
        policy_version=policy_version,
        strategy=trial.strategy,
        edits=[PlannedEditView(**each.model_dump()) for each in trial.edits],
        let_in=trial.let_in,
        refusal=None
        if refusal is None
        else RefusalView(code=refusal.code, status=refusal.status, message=refusal.message),
        path=None if target is None else target.path,
        model=None if target is None else target.facts.model,
        body=body,
    )


def _version(version: PolicyVersion, running: int) -> dict[str, Any]:
    return {
        "version": version.version,
        "running": version.version == running,
        "enforcement": version.policy.get("enforcement", ""),
        "author": version.author,
        "note": version.note,
        "created_at": version.created_at,
    }


def _source_view(status: SourceStatus, policy: Policy) -> SignalSourceView:
    return SignalSourceView(
        source=status.source,
        standing=status.standing,
        asked_at=status.asked_at,
        silent_since=status.silent_since,
        cause=status.cause,
        alerts=status.alerts,
        drifts=[_drift_view(each) for each in drifts(status.watched, policy)],
    )


def _drift_view(drift: Drift) -> DriftView:
    watched, says = drift.watched, drift.policy_says
    return DriftView(
        monitor=watched.monitor,
        scope=watched.scope,
        level=watched.level.word,
        measure=watched.measure,
        fires_at=f"{watched.fires_at:f}",
        policy_says=None if says is None else f"{says:f}",
        told=drift.told,
        link=watched.link,
    )


def _scope_view(standing: Standing) -> BrownoutScopeView:
    held = standing.held
    return BrownoutScopeView(
        scope=standing.scope,
        mode=held.mode.word,
        since=held.since,
        share=round(standing.share, _SHARE_DIGITS),
        ends_at=standing.ends_at,
        opened_at=held.opened_at,
        episode=standing.episode,
        peak=held.peak.word,
        leases=[
            HoldView(
                level=each.level.word,
                until=each.until,
                about=each.about,
                told_over=each.told_over,
            )
            for each in held.leases
        ],
    )
