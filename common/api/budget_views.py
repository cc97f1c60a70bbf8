"""Budgets, periods and leases as the API shows them."""

from datetime import datetime
from typing import Any

from common.api.budget_models import BudgetView, LeaseView, PeriodView, TopUpView
from common.api.envelopes import Single, state_source, usd_or_none
from common.api.versions import version_of
from common.api.writes import Shown
from common.budgets.accounts import Lease, LeaseState, Period
from common.budgets.budgets import Budget
from common.budgets.calendar import FOREVER
from common.budgets.settlement import correctable_at
from common.budgets.standing import Standing
from common.core.money import Nanos, usd_text
from common.gateway.budget_reports import OpenLeases, budgets_of_lease


def budget_version(budget: Budget) -> str:
    return version_of(budget.to_data())


def budget_view(standing: Standing, leases: OpenLeases, now: datetime) -> BudgetView:
    budget, period = standing.budget, standing.period
    return BudgetView(
        id=budget.id,
        org=budget.org,
        scope=budget.scope,
        period=budget.calendar.kind,
        tz=budget.calendar.zone,
        anchor=budget.calendar.anchor,
        enforcement=budget.enforcement,
        models=list(budget.models),
        thresholds=list(budget.thresholds),
        fit=budget.fit,
        tool_allowance_usd=usd_or_none(budget.tool_allowance),
        tool_allowance_nanos=budget.tool_allowance,
        strict=budget.strict,
        paused=budget.paused,
        state=standing.state(now),
        arming=leases.arms(budget, now),
        resets_at=None if period.ends_at >= FOREVER else period.ends_at,
        version=budget_version(budget),
        **_money("limit", budget.limit),
        **_account(period, now),
    )


def budget_single(
    standing: Standing, leases: OpenLeases, now: datetime, verb: str
) -> Single[BudgetView]:
    view = budget_view(standing, leases, now)
    return Single[BudgetView](
        as_of=now,
        answer=f"Budget {view.id} {verb}: ${view.settled_usd} of"
        f" ${usd_text(standing.period.limit_at(now))} is spent.",
        data=view,
        sources=[state_source(now)],
    )


def budget_shown(standing: Standing, leases: OpenLeases, now: datetime, verb: str) -> Shown:
    view = budget_single(standing, leases, now, verb)
    return Shown(first=view, repeated=view, etag=view.data.version)


def period_view(period: Period, now: datetime) -> PeriodView:
    return PeriodView(
        id=period.id,
        budget=period.budget,
        starts_at=None if period.ends_at >= FOREVER else period.starts_at,
        ends_at=None if period.ends_at >= FOREVER else period.ends_at,
        top_ups=[
            TopUpView(
                usd=usd_text(each.nanos),
                nanos=each.nanos,
                reason=each.reason,
                actor=each.actor,
                expires_at=each.expires_at,
            )
            for each in period.top_ups
        ],
        open_leases=period.open_leases,
        exhausted_at=period.exhausted_at,
        **_money("limit", period.limit),
        **_account(period, now),
    )


def lease_view(lease: Lease) -> LeaseView:
    written_off = lease.state is LeaseState.WRITTEN_OFF
    return LeaseView(
        id=lease.id,
        state=lease.state.value,
        budgets=budgets_of_lease(lease),
        periods=list(lease.periods),
        instance=lease.instance,
        expires_at=lease.expires_at,
        correctable_at=correctable_at(lease) if written_off else None,
        **_money("amount", lease.amount),
        **_money("reported", lease.reported),
        **_money("written_off", lease.written_off),
    )


def _account(period: Period, now: datetime) -> dict[str, Any]:
    return {
        **_money("top_ups", period.limit_at(now) - period.limit),
        **_money("settled", period.settled),
        **_money("leased", period.leased),
        **_money("unproven", period.unproven),
        **_money("remaining", max(0, period.room(now))),
    }


def _money(name: str, nanos: Nanos) -> dict[str, Any]:
    return {f"{name}_usd": usd_text(nanos), f"{name}_nanos": nanos}
