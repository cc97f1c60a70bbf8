"""Events of reconciliations with the providers' own bills."""

from datetime import date
from typing import ClassVar, Literal

from pydantic import Field

from common.core.events import Count, Event, Topic
from common.core.money import Nanos


class SpendDriftFound(Event):
    """A provider's bill of a day differs from our events by more than the limit, for one cause."""

    topic: ClassVar[Topic] = "events"
    type: Literal["spend.drift_found"] = "spend.drift_found"

    provider: str = Field(description="as calls name it: whose price list applies")
    account: str = Field(description="at the provider, which sends it one bill")
    day: date = Field(description="of UTC")
    cause: Literal[
        "price_off",
        "past_the_gateway",
        "lost_events",
        "cents_for_dollars",
        "estimates",
        "not_billed",
    ]
    drift_nanos: Nanos = Field(
        description="how much more the provider bills for this cause than our events have"
    )
    ours_nanos: Nanos = Field(description="the cost of the day's calls, all causes together")
    theirs_nanos: Nanos = Field(description="the day's bill, all causes together")
    ours_input_tokens: Count
    ours_output_tokens: Count
    theirs_input_tokens: Count
    theirs_output_tokens: Count
    estimated_nanos: Nanos = Field(description="the part of ours that no provider has told")
    unpriced_calls: Count = Field(description="calls of ours whose cost is not known in whole")
    models: tuple[str, ...] = Field(description="those with most of it, as the price list has them")
    keys: tuple[str, ...] = Field(description="the provider's ids of the keys that used more")


class ReconcileSpend(Event):
    """The command of every day: hold what providers billed of the last days against our events."""

    topic: ClassVar[Topic] = "commands"
    type: Literal["spend.reconcile"] = "spend.reconcile"
