"""What a call may cost, held against its hard budgets before it is sent, and settled once.

Without a hard budget nothing is bounded and nobody is asked. With one, a call that cannot be
bounded, or does not fit even when made smaller, is refused: the bound is what keeps the budget.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from common.budgets.budgets import Applicable, Spender
from common.budgets.fit import Asked, Fitted, NoFit, WouldFit, fit, would_fit
from common.budgets.holdings import BudgetUnavailable, Held, Holdings, NoRoom
from common.budgets.refusal_text import Short, no_room_text
from common.core.events import Settlement
from common.core.money import Nanos
from common.core.ports import Clock
from common.gateway.access import is_unambiguous
from common.gateway.budget_book import BudgetBook
from common.gateway.call import Call
from common.gateway.choice import Target
from common.gateway.keys import Key
from common.gateway.refusals import Code, Refusal
from common.gateway.spend import Spend
from common.gateway.upstream import AMBIGUOUS_STATUSES
from common.llm.bounds import Bound, Unbounded, bound
from common.llm.capabilities import ModelCaps
from common.llm.edits import Recipient
from common.llm.facts import CallFacts
from common.llm.paths import Endpoint

FIT_HEADER = "x-gateway-fit"
"""`off`: the caller would rather be refused than have its call made smaller."""
_TRIES = 3
"""How often a call is made smaller: between two tries others may take the room."""
_CODES: dict[str, Code] = {
    "unpriced_model": "unpriced_model",
    "async_not_bounded": "async_not_bounded",
    "unreadable_request": "unreadable_request",
}


class Spending:
    """Budgets on the way of a call. One per process."""

    def __init__(self, budgets: BudgetBook, holdings: Holdings, clock: Clock) -> None:
        self._budgets = budgets
        self._holdings = holdings
        self._clock = clock

    async def hold(
        self, call: Call, key: Key, endpoint: Endpoint, target: Target, *, may_fit: bool
    ) -> Target:
        """Hold the bound of a call; the target as it is to be sent, made smaller perhaps.

        Args:
            call: told what is held.
            key: who spends.
            endpoint: metered.
            target: where the call goes, with its body.
            may_fit: the caller lets it be made smaller.

        Raises:
            Refusal: budget_exceeded, budget_unavailable, unpriced_model, unbounded_request,
                async_not_bounded, unreadable_request.
        """
        agent = call.attribution.agent if call.attribution is not None else key.agent
        spender = Spender(key.org, key.team, agent, key.project, key.line)
        try:
            to = await self._budgets.applicable(spender, target.facts.model)
        except BudgetUnavailable:
            raise _unavailable() from None
        if not to.budgets:
            return target
        asked = self._bounded(call, endpoint, target, to)
        call.spend = spend = Spend(to, asked.bound, entered=True)
        self._holdings.enter()
        allowed = may_fit and all(budget.fit for budget in to.budgets)
        smaller = Fitted(asked.body, asked.facts, asked.bound, ())
        for _ in range(_TRIES):
            try:
                spend.held = [await self._holdings.admit(to, smaller.bound.nanos)]
            except BudgetUnavailable:
                raise _unavailable() from None
            except NoRoom as short:
                make = fit if allowed else would_fit
                found = make(asked, short.fits, self._bounds(call, target, to))
                if not isinstance(found, Fitted):
                    raise _no_room(asked, short, found, self._clock.now()) from None
                smaller = found
            else:
                spend.bound = smaller.bound
                if smaller.done:
                    call.fit = smaller.text
                return replace(target, body=smaller.body, facts=smaller.facts)
        raise _unavailable()

    async def hold_again(self, call: Call) -> bool:
        """Hold the same once more, for an attempt after one that may be billed; False: no room."""
        spend = call.spend
        if spend is None:
            return True
        try:
            spend.held.append(await self._holdings.admit(spend.to, spend.bound.nanos))
        except (NoRoom, BudgetUnavailable):
            return False
        return True

    def settle(self, call: Call) -> None:
        """Put what the call cost in place of what it held.

        Attempts before the last were ambiguous: whether they are billed nobody knows, so they stay
        at their bound, and are flagged.
        """
        spend = call.spend
        if spend is None or not spend.held:
            return
        *before, last = spend.held
        settlements = []
        for held in before:
            self._holdings.settle(held, held.nanos, unproven=held.nanos)
            settlements.append(_settlement(held, held.nanos))
        nanos, unproven = _owed(call, spend, last)
        self._holdings.settle(last, nanos, unproven=unproven)
        settlements.append(_settlement(last, nanos))
        spend.settled = tuple(settlements)
        spend.unproven = unproven + sum(held.nanos for held in before)

    async def leave(self, call: Call) -> None:
        """The call has ended. After the last one all money is given back before this returns."""
        if call.spend is not None and call.spend.entered:
            call.spend.entered = False
            await self._holdings.leave()

    def _bounded(self, call: Call, endpoint: Endpoint, target: Target, to: Applicable) -> Asked:
        if not target.facts.readable or not is_unambiguous(target.body):
            raise Refusal(
                "unreadable_request",
                "The body is not one JSON object with each member once, nor a plain form, and a "
                "hard budget applies: what it may cost cannot be told. Mend the body.",
            )
        found = self._bounds(call, target, to)(target.facts)
        if isinstance(found, Unbounded):
            raise _unbounded(found.reason, target.facts)
        card = call.book.card(target.destination.provider or "", target.facts.model or "")
        recipient = Recipient(
            endpoint,
            target.destination.name,
            target.facts.model,
            card.caps if card is not None else ModelCaps(),
        )
        return Asked(target.body, target.facts, found, recipient)

    def _bounds(self, call: Call, target: Target, to: Applicable) -> "_Bounds":
        allowances = [budget.tool_allowance for budget in to.budgets]
        declared = [nanos for nanos in allowances if nanos is not None]
        allowance = min(declared) if len(declared) == len(allowances) else None
        return _Bounds(call, target.destination.provider or "", allowance)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The bound of a call's facts, by the book and at the time of its arrival."""

    call: Call
    provider: str
    allowance: Nanos | None

    def __call__(self, facts: CallFacts) -> Bound | Unbounded:
        return bound(
            facts,
            book=self.call.book,
            provider=self.provider,
            at=self.call.started_at,
            tool_allowance=self.allowance,
        )


def _owed(call: Call, spend: Spend, last: Held) -> tuple[Nanos, Nanos]:
    """What the last attempt is settled at, and the part of it that nobody has told.

    An exact cost counts as it is, even above the hold: then the bound was wrong. An estimate counts
    up to the hold, a cost that is not known at the whole hold.
    """
    cost = call.cost
    if call.upstream_status in AMBIGUOUS_STATUSES:
        return last.nanos, last.nanos
    if cost.nanos is None:
        return last.nanos, max(0, last.nanos - cost.priced_nanos)
    if cost.source != "estimated":
        return cost.nanos, 0
    if call.upstream_status is None:
        return last.nanos, max(0, last.nanos - cost.nanos)
    estimate = min(cost.nanos, last.nanos)
    return (last.nanos, last.nanos - estimate) if spend.strict else (estimate, 0)


def _settlement(held: Held, nanos: Nanos) -> Settlement:
    return Settlement(lease=held.head.id if held.head is not None else "", nanos=nanos)


def _no_room(asked: Asked, short: NoRoom, found: NoFit | WouldFit, now: datetime) -> Refusal:
    period = short.period
    return Refusal(
        "budget_exceeded",
        no_room_text(Short(period.budget, period, asked.bound.nanos), found, now),
        budget=period.budget,
        resets_in_s=max(1, int((period.ends_at - now).total_seconds())),
    )


def _unavailable() -> Refusal:
    return Refusal(
        "budget_unavailable",
        "A hard budget applies, and whether it has room cannot be asked right now. Nothing was "
        "sent; try again shortly.",
        retry_after_s=5,
    )


def _unbounded(reason: str, facts: CallFacts) -> Refusal:
    code, _, part = reason.partition(":")
    model = (facts.model or "no model")[:128]
    texts = {
        "unpriced_model": f"The price list does not know {model!r}, so what it may cost cannot be "
        "told. Use a model that GET /openai/v1/models lists, or have a price set for it.",
        "async_not_bounded": "Its cost arrives after the call, perhaps never through the gateway.",
        "unreadable_request": "The body cannot be read. Mend it.",
    }
    text = texts.get(code) or (
        f"What {part or 'this request'} may cost has no bound. Leave it out, set a limit to it "
        "(max_uses, max_tool_calls, an output cap), or have the budget declare a tool allowance."
    )
    return Refusal(
        _CODES.get(code, "unbounded_request"), f"A hard budget applies to this call. {text}"
    )
