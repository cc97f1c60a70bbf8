"""What calls that are over cost under other prices, exactly, and the corrections that say so.

A call is priced again from what its event says. That is enough for most: whether it is, shows when
the prices of its time, found by the same steps, give the cost of its time to the nano-dollar. A
call for which they do not (several models in one reply, a price that depends on what no event
tells, an estimate) stays as it is, and is counted with the reason.

The own rates of the call's organisation that hold at its arrival are part of the other prices. A
correction says the difference to what the call cost until then, by earlier corrections too, so the
same prices find nothing to correct a second time.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from common.core.correction_events import UsageCorrected
from common.core.events import CostSource, Outcome
from common.core.money import Nanos
from common.llm.costs import MOST_NANOS, tier_is_known
from common.llm.price_book import Card, PriceBook
from common.pricing.overrides import OF_UPSTREAM, Override, laid_over

Left: TypeAlias = Literal[
    "same", "estimated", "unknown", "not_reproduced", "unpriced", "on_its_way", "other_on_its_way"
]
"""Why a call is not corrected: it costs the same, was estimated, had no known cost, the prices of
its time do not give its cost again, the other prices have none for it, or an earlier correction
has not arrived yet, to the same cost or to another one."""


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call as the warehouse has it. `cost` counts with the corrections it has had."""

    id: str
    event_time: datetime
    started_at: datetime
    org: str | None
    team: str | None
    project: str | None
    agent: str | None
    line: str | None
    provider: str | None
    model_asked: str | None
    model_sent: str | None
    model_billed: str | None
    units: Mapping[str, int]
    service_tier: str | None
    book: str | None
    card: str | None
    cost: Nanos | None
    original_cost: Nanos | None
    corrections: int
    cost_source: CostSource | None
    outcome: Outcome
    error_code: str | None
    simulated: bool

    @property
    def price_list(self) -> str:
        """What its prices are looked up under."""
        if self.provider is None and self.card is not None and self.card.startswith(OF_UPSTREAM):
            return OF_UPSTREAM + self.card.removeprefix(OF_UPSTREAM).partition("/")[0]
        return self.provider or ""

    @property
    def model(self) -> str:
        """That it is priced by: the one the reply names."""
        return self.model_billed or self.model_sent or ""


BookOfTime: TypeAlias = Callable[[PastCall], PriceBook | None]
"""The prices that a call was priced by; None where they are not kept."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The other prices: a book, and the overrides that hold now."""

    book: PriceBook
    overrides: tuple[Override, ...]
    laid: dict[tuple[str, ...], PriceBook]

    @classmethod
    def of(cls, book: PriceBook, overrides: Collection[Override]) -> "Prices":
        return cls(book, tuple(overrides), {})

    def for_call(self, call: PastCall) -> PriceBook:
        """The book with the own rates of the call's organisation, at its arrival."""
        holding = [each for each in self.overrides if each.holds(call.org, call.started_at)]
        key = tuple(sorted(each.tag for each in holding))
        if key not in self.laid:
            self.laid[key] = laid_over(self.book, holding)
        return self.laid[key]


def restated(
    call: PastCall, of_time: BookOfTime, prices: Prices, *, reason: str, now: datetime
) -> UsageCorrected | Left:
    """The correction of a call, or why there is none."""
    why = _why_not(call, of_time)
    if why is not None or call.cost is None:
        return why or "unknown"
    book = prices.for_call(call)
    card, nanos = _priced(call, book)
    if card is None or nanos is None:
        return "unpriced"
    if nanos == call.cost:
        return "same"
    return UsageCorrected(
        id=UsageCorrected.id_of(call.id, call.corrections),
        event_time=call.event_time,
        call_id=call.id,
        number=call.corrections,
        corrected_at=now,
        old_nanos=call.cost,
        new_nanos=nanos,
        reason=reason,
        book=book.digest,
        card=card.key,
        org=call.org,
        team=call.team,
        project=call.project,
        agent=call.agent,
        line=call.line,
        provider=call.provider,
        model_asked=call.model_asked,
        model_sent=call.model_sent,
        model_billed=call.model_billed,
        outcome=call.outcome,
        error_code=call.error_code,
        cost_source=call.cost_source,
        simulated=call.simulated,
    )


def _why_not(call: PastCall, of_time: BookOfTime) -> Left | None:
    """Why a call cannot be priced again; None where it can."""
    if call.cost is None or call.original_cost is None or call.card is None:
        return "unknown"
    if call.cost_source != "provider":
        return "estimated"
    book = of_time(call)
    card, nanos = (None, None) if book is None else _priced(call, book)
    if card is None or card.key != call.card or nanos != call.original_cost:
        return "not_reproduced"
    return None


def _priced(call: PastCall, book: PriceBook) -> tuple[Card | None, Nanos | None]:
    card = book.card(call.price_list, call.model)
    if card is None or not tier_is_known(card, call.service_tier):
        return card, None
    context = {} if call.service_tier is None else {"service_tier": call.service_tier}
    nanos = book.price([(card, call.units)], call.started_at, context).nanos
    return card, nanos if nanos is None or nanos <= MOST_NANOS else None
