"""The event that restates what a call cost: history is never rewritten, only corrected in sight."""

from hashlib import sha256
from typing import Literal

from pydantic import AwareDatetime, Field

from common.core.events import CostSource, Count, CountedEvent, Outcome
from common.core.money import Nanos


class UsageCorrected(CountedEvent):
    """A call costs something else under other prices, by an exact difference.

    `event_time` is that of the call, so that whoever asks for a time gets a call with all of its
    corrections. Each begins at the cost where the one before it ended, and there is one of each
    `number` (`common/pricing/claims.py`), so that their differences add up in any order of arrival.
    The rest says where the call is counted.
    """

    type: Literal["usage.corrected"] = "usage.corrected"

    call_id: str
    number: Count = Field(description="how often the call had been corrected before")
    corrected_at: AwareDatetime
    old_nanos: Nanos = Field(description="what it cost until then")
    new_nanos: Nanos
    reason: str
    book: str = Field(description="the price book of the new cost, with own rates behind a plus")
    card: str = Field(description="provider/model of that book")

    org: str | None
    team: str | None
    project: str | None
    agent: str | None
    line: str | None
    provider: str | None
    model_asked: str | None
    model_sent: str | None
    model_billed: str | None
    outcome: Outcome
    error_code: str | None
    cost_source: CostSource | None
    simulated: bool

    @property
    def difference(self) -> Nanos:
        return self.new_nanos - self.old_nanos

    @staticmethod
    def id_of(call_id: str, number: int) -> str:
        """One for each number of a call, whatever prices it is corrected to."""
        return sha256(f"usage.corrected {call_id} {number}".encode()).hexdigest()[:32]
