"""What people say of a budget, whether it is made by itself or with a key."""

from typing import Annotated, TypeAlias

from pydantic import Field

from common.api.amounts import UsdAsNanos
from common.api.operations import Asked
from common.budgets.budgets import DEFAULT_THRESHOLDS, Enforcement
from common.budgets.calendar import PeriodKind

Whole: TypeAlias = Annotated[int, Field(strict=True)]


class BudgetTerms(Asked):
    limit_usd: UsdAsNanos = Field(description="what a period may cost")
    period: PeriodKind = Field("month", description="total: one period without an end")
    tz: str = Field("UTC", description="the time zone of the periods", examples=["Europe/Zurich"])
    anchor: Whole = Field(1, description="weekday (1 Monday) or day of the month it begins on")
    enforcement: Enforcement = Field(
        "hard", description="hard: what does not fit is refused; soft: it is only told"
    )
    models: list[str] = Field([], description="globs of models; none means all")
    thresholds: list[Whole] = Field(
        list(DEFAULT_THRESHOLDS), description="percent of the limit at which to tell"
    )
    fit: bool = Field(default=True, description="make calls smaller that do not fit")
    tool_allowance_usd: UsdAsNanos | None = Field(
        None, description="what the tools of one call may cost where nothing bounds them"
    )
    strict: bool = Field(
        default=False, description="settle a call that was cut off at all it might have cost"
    )
