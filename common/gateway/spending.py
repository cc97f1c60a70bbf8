"""What a call may cost, held against its hard budgets before it is sent, and settled once.

Without a hard budget nothing is bounded and nobody is asked. With one, a call that cannot be
bounded, or does not fit even when made smaller, is refused: the bound is what keeps the budget.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from common.budgets.accounts import Period, period_ref
from common.budgets.alerts import alert_id
from common.budgets.budgets import Applicable, Spender
from common.budgets.calendar import FOREVER
from common.budgets.fit import Asked, Fitted, NoFit, WouldFit, fit, would_fit
from common.budgets.holdings import BudgetUnavailable, Held, Holdings, NoRoom
from common.budgets.refusal_text import Short, no_room_text
from common.budgets.standing import Standing
from common.core.errors import StoreUnavailable
from common.core.events import BoundViolated, Settlement
from common.core.money import Nanos
from common.core.ports import Clock
from common.gateway.access import is_unambiguous
from common.gateway.budget_book import BudgetBook
from common.gateway.call import Call
from common.gateway.choice import Target, recipient_of
from common.gateway.keys import Key
from common.gateway.refusals import Code, Refusal
from common.gateway.spend import Spend
from common.gateway.unbounded_media import why_unbounded
from common.gateway.upstream import AMBIGUOUS_STATUSES
from common.llm.bounds import Bound, Unbounded, bound
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

_UNMETERED_TEXTS = {
    "storage": "A cached content is billed by the hour until it is deleted or its ttl ends, which "
    "can be put off: what it will have cost has no bound.",
    "unread": "The gateway lets this path through but does not read what it costs.",
}


class Spending:
    """Budgets on the way of a call. One per process."""

    def __init__(self, budgets: BudgetBook, holdings: Holdings, clock: Clock) -> None:
        self._budgets = budgets
        self._holdings = holdings
        self._clock = clock

    async def hold(
        self,
        call: Call,
        key: Key,
        endpoint: Endpoint,
        target: Target,
        *,
        may_fit: bool,
        beside: bool = False,
    ) -> Target:
        """Hold the bound of a call; the target as it is to be sent, made smaller perhaps.

        A call that held already is sent once more in another form or elsewhere, because its
        provider refused the first one or failed: that hold is given back.

        Args:
            call: told what is held.
            key: who spends.
            endpoint: metered.
            target: where the call goes, with its body.
            may_fit: the caller lets it be made smaller.
            beside: what it holds already is kept, since the first one may be billed all the same.

        Raises:
            Refusal: budget_exceeded, budget_unavailable, unpriced_model, unbounded_request,
                async_not_bounded, unreadable_request.
        """
        earlier = self._kept(call) if beside else self._given_back(call)
        to = await self.applicable_to(call, key, endpoint, target)
        if not to.budgets:
            return target
        asked = self._bounded(call, endpoint, target, to)
        if call.spend is None:
            self._holdings.enter()
        call.spend = spend = Spend(to, asked.bound, earlier, ambiguous=len(earlier), entered=True)
        allowed = may_fit and all(budget.fit for budget in to.budgets)
        smaller = Fitted(asked.body, asked.facts, asked.bound, ())
        bounds = self._bounds(call, target, to)
        for number in range(1, _TRIES + 1):
            try:
                spend.held = [*earlier, await self._holdings.admit(to, smaller.bound.nanos)]
            except BudgetUnavailable:
                raise _unavailable() from None
            except NoRoom as short:
                # The last time others took the room once more: there is none for this call.
                make = fit if allowed and number < _TRIES else would_fit
                found = make(asked, short.fits, bounds)
                if not isinstance(found, Fitted):
                    raise _no_room(asked, short, found, self._clock.now()) from None
                smaller = found
            else:
                spend.bound = smaller.bound
                if smaller.done:
                    call.fit = smaller.text
                return replace(target, body=smaller.body, facts=smaller.facts)
        raise _unavailable()

    def _kept(self, call: Call) -> list[Held]:
        """What the call holds, all of it for attempts that may be billed."""
        if call.spend is None:
            return []
        call.spend.ambiguous = len(call.spend.held)
        return list(call.spend.held)

    def _given_back(self, call: Call) -> list[Held]:
        """What the call still holds once its last attempt, which cost nothing, holds no more."""
        if call.spend is None or not call.spend.held:
            return []
        *earlier, last = call.spend.held
        self._holdings.settle(last, 0)
        call.spend.held, call.spend.ambiguous = earlier, len(earlier)
        return earlier

    async def applicable_to(
        self, call: Call, key: Key, endpoint: Endpoint, target: Target
    ) -> Applicable:
        """The hard budgets that apply to a call as it is to be sent.

        Where a member stands twice the provider may read another model than is read here: then
        budgets apply whichever model they are for.

        Raises:
            Refusal: budget_unavailable.
        """
        of_any = await self.applicable(call, key, None)
        if not of_any.budgets:
            return of_any
        to = await self.applicable(call, key, target.facts.model)
        if to.budgets or endpoint.model is not None or is_unambiguous(target.body):
            return to
        return of_any

    async def applicable(self, call: Call, key: Key, model: str | None) -> Applicable:
        """The hard budgets that apply to a call of this key now; without a model all of its scopes.

        Raises:
            Refusal: budget_unavailable.
        """
        agent = call.attribution.agent if call.attribution is not None else key.agent
        spender = Spender(key.org, key.team, agent, key.project, key.line)
        try:
            return await self._budgets.applicable(spender, model)
        except BudgetUnavailable:
            raise _unavailable() from None

    async def standings(self, to: Applicable) -> list[Standing]:
        """How these budgets stand in the store.

        Raises:
            Refusal: budget_unavailable.
        """
        if not to.budgets:
            return []
        fresh = [budget.period_at(self._clock.now()) for budget in to.budgets]
        try:
            found = await self._holdings.documents.get_many([period_ref(p.id) for p in fresh])
        except StoreUnavailable:
            raise _unavailable() from None
        return [
            Standing(budget, period if document is None else Period.from_document(document))
            for budget, period, document in zip(to.budgets, fresh, found, strict=True)
        ]

    def own_free(self, period: Period) -> Nanos:
        """What this instance has taken from a period and no call holds."""
        return sum(room for key, room in self._holdings.rooms.items() if period.id in key)

    def admissible(self, to: Applicable, period: Period) -> Nanos:
        """The largest hold that finds room in one of the periods of `to` now."""
        own = self._holdings.rooms.get(to.scope_set, 0)
        return max(0, own + period.room(self._clock.now()))

    def bound_of(self, call: Call, target: Target, to: Applicable) -> Bound | Unbounded:
        """What the call would hold, as it is; nothing is held."""
        if target.facts.unmetered is None and not is_unambiguous(target.body):
            return Unbounded("unreadable_request")
        return self._bounds(call, target, to)(target.facts)

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
        """Decide what is put in place of what the call held; `leave` does it.

        Attempts before the last were ambiguous: whether they are billed nobody knows, so they stay
        at their bound, and are flagged.
        """
        spend = call.spend
        if spend is None or not spend.held:
            return
        before = spend.held[: max(spend.ambiguous, len(spend.held) - 1)]
        owed = [(held.nanos, held.nanos) for held in before]
        for last in spend.held[len(before) :]:
            cost, unproven = _owed(call, spend, last)
            owed.append((cost, unproven))
            if cost > last.nanos:
                call.findings.append(self._violated(call, spend, cost, last))
        spend.owed = tuple(owed)
        pairs = zip(spend.held, owed, strict=True)
        spend.settled = tuple(
            Settlement(lease=held.head.id, nanos=nanos)
            for held, (nanos, _) in pairs
            if held.head is not None
        )
        spend.unproven = sum(unproven for _, unproven in owed)

    async def leave(self, call: Call) -> None:
        """The call has ended and its event is published: what it held is settled.

        Not sooner, since another call's commit tells what is settled: were this process killed
        before the event is out, money would be spent that no row explains and nobody flags.
        After the last call all money is given back before this returns.
        """
        spend = call.spend
        if spend is None or not spend.entered:
            return
        spend.entered = False
        for held, (nanos, unproven) in zip(spend.held, spend.owed, strict=True):
            self._holdings.settle(held, nanos, unproven=unproven)
        await self._holdings.leave()

    def _violated(self, call: Call, spend: Spend, cost: Nanos, last: Held) -> BoundViolated:
        return BoundViolated(
            id=alert_id("bound.violated", call.id),
            event_time=self._clock.now(),
            call_id=call.id,
            model=call.facts.model,
            bound_kind=spend.bound.bound_kind,
            hold_nanos=last.nanos,
            cost_nanos=cost,
        )

    def _bounded(self, call: Call, endpoint: Endpoint, target: Target, to: Applicable) -> Asked:
        readable = target.facts.readable and is_unambiguous(target.body)
        if not readable and target.facts.unmetered is None:
            raise Refusal(
                "unreadable_request",
                "The body is not one JSON object with each member once, nor a plain form, and a "
                "hard budget applies: what it may cost cannot be told. Mend the body.",
            )
        found = self._bounds(call, target, to)(target.facts)
        if isinstance(found, Unbounded):
            raise _unbounded(found.reason, target.facts)
        recipient = recipient_of(endpoint, target, call.book)
        return Asked(target.body, target.facts, found, recipient)

    def _bounds(self, call: Call, target: Target, to: Applicable) -> "_Bounds":
        allowances = [budget.tool_allowance for budget in to.budgets]
        declared = [nanos for nanos in allowances if nanos is not None]
        allowance = min(declared) if declared and len(declared) == len(allowances) else None
        return _Bounds(call, target.destination.price_list, allowance)


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


def _no_room(asked: Asked, short: NoRoom, found: NoFit | WouldFit, now: datetime) -> Refusal:
    period = short.period
    return Refusal(
        "budget_exceeded",
        no_room_text(Short(period.budget, period, asked.bound.nanos, short.fits), found, now),
        budget=period.budget,
        resets_in_s=_resets_in_s(period, now),
    )


def _resets_in_s(period: Period, now: datetime) -> int | None:
    """Whole seconds until the period ends; None where it never does."""
    if period.ends_at >= FOREVER:
        return None
    return max(1, int((period.ends_at - now).total_seconds()))


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
        "told. Use a model that the gateway lists, or have a price set for it."
        if facts.model is not None
        else "It names no model, and nobody tells which models an agent works with, so it has no "
        "price. Name a model that the gateway lists.",
        "async_not_bounded": "Its cost arrives after the call, perhaps never through the gateway.",
        "unreadable_request": "The body cannot be read. Mend it.",
        "unmetered_endpoint": _UNMETERED_TEXTS.get(part, "") + " Send it with a key to which none "
        "applies, or have the budget made soft.",
        "unknown_tier": f"The price list has no rates of service tier {part!r} for {model!r}. Ask "
        "for another tier.",
        "unknown_limit": f"The longest answer of {model!r} is not known. Set an output cap."
        if part == "max_output"
        else f"The context window of {model!r} is not known, and the request refers to more than "
        "it holds. Put all of it into the request, or use another model.",
    }
    of_media = why_unbounded(code, part, facts)
    if of_media is not None:
        text = of_media
    elif code in texts:
        text = texts[code]
    elif not part:
        text = (
            "Nothing in a request of this kind bounds what it may cost. Send it with a key to "
            "which none applies, or have the budget made soft, or for other models only."
        )
    else:
        text = (
            f"What {part} may cost has no bound. Leave it out, set a limit to it (max_uses, "
            "max_tool_calls, an output cap), or have the budget declare a tool allowance."
        )
    return Refusal(
        _CODES.get(code, "unbounded_request"), f"A hard budget applies to this call. {text}"
    )
