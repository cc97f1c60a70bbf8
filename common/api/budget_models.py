"""Bodies and views of budgets, periods and leases. Money is dollars in, text and nanos out."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from common.api.amounts import UsdAsNanos
from common.api.budget_terms import BudgetTerms
from common.api.envelopes import Time, Usd, View
from common.api.identity_models import Slug, Version
from common.api.instants import Instant
from common.api.operations import Asked, Paging
from common.budgets.budgets import Enforcement
from common.budgets.calendar import PeriodKind
from common.budgets.standing import State
from common.gateway.budget_changes import MAX_REASON_CHARS
from common.gateway.budget_reports import ListedState

Reason: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS)]
ScopeText: TypeAlias = Annotated[
    str,
    Field(
        description="org:ORG, team:ORG/TEAM, project:ORG/PROJECT, agent:ORG/AGENT or key:LINE",
        examples=["team:acme/search"],
    ),
]


class BudgetChange(BudgetTerms):
    scope: ScopeText


class BudgetBody(BudgetChange):
    id: Slug


class TopUpBody(Asked):
    usd: UsdAsNanos
    reason: Reason
    expires_at: Instant | None = Field(None, description="the end of the period if not given")


class CorrectionBody(Asked):
    refund_usd: UsdAsNanos = Field(description="the part of the write-off that was not spent")
    reason: Reason


class BudgetQuery(Paging):
    org: Slug | None = None
    scope: str | None = None
    enforcement: Enforcement | None = None


class LeaseQuery(Paging):
    state: ListedState = "open"
    budget: Slug | None = None


class AccountView(View):
    """Sums of one period. `remaining` is what may still be spent, and is never negative."""

    top_ups_usd: Usd = Field(description="those that count now; the limit is without them")
    top_ups_nanos: int
    settled_usd: Usd = Field(description="spent; of a soft budget what usage says")
    settled_nanos: int
    leased_usd: Usd = Field(description="what running calls may still spend")
    leased_nanos: int
    unproven_usd: Usd = Field(description="the part of settled that nobody has proven")
    unproven_nanos: int
    remaining_usd: Usd
    remaining_nanos: int


class BudgetView(AccountView):
    """A budget, and how it stands in its current period."""

    id: str
    org: str
    scope: str
    limit_usd: Usd
    limit_nanos: int
    period: PeriodKind
    tz: str
    anchor: int
    enforcement: Enforcement
    models: list[str]
    thresholds: list[int]
    fit: bool
    tool_allowance_usd: Usd | None
    tool_allowance_nanos: int | None
    strict: bool
    paused: bool
    currency: Literal["USD"] = "USD"
    state: State = Field(description="warning: 80 % is spent; blocked: a hard one has no room")
    arming: bool = Field(description="calls may be running that left before the budget applied")
    resets_at: Time | None = Field(description="the end of the period; null: it has none")
    version: Version


class TopUpView(View):
    usd: Usd
    nanos: int
    reason: str
    actor: str
    expires_at: Time | None


class PeriodView(AccountView):
    id: str
    budget: str
    starts_at: Time | None = Field(description="null where the period has no beginning")
    ends_at: Time | None = Field(description="null where it has no end")
    limit_usd: Usd
    limit_nanos: int
    currency: Literal["USD"] = "USD"
    top_ups: list[TopUpView]
    open_leases: int
    exhausted_at: Time | None = Field(
        description="when a call was first refused that an unspent period would hold"
    )


class LeaseView(View):
    """Money that one instance of the proxy has taken from budgets, or that nobody answers for."""

    id: str
    state: Literal["open", "closed", "written_off", "corrected"]
    budgets: list[str]
    periods: list[str]
    instance: str
    amount_usd: Usd = Field(description="what it has taken and not given back")
    amount_nanos: int
    reported_usd: Usd = Field(description="what it has told to be spent")
    reported_nanos: int
    written_off_usd: Usd = Field(description="counted as spent because its owner is gone")
    written_off_nanos: int
    currency: Literal["USD"] = "USD"
    expires_at: Time
    correctable_at: Time | None = Field(description="null: not written off, or corrected already")
