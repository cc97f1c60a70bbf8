"""Which upstreams and models a call is sent to, by the rules of its organisation.

Without rules, or with `x-gateway-route: off`, a call goes where its client sent it, and nothing is
read. A rule gives a chain: the model to take, and those to try after it. What cannot take the call
(no key for it, not allowed, not known to be there, a part of the request that it would refuse) is
left out and named in `x-gateway-warning`; models that fail at the moment are passed over.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from common.core.money import Nanos
from common.gateway.call import Call, Route
from common.gateway.candidates import Movable
from common.gateway.choice import Target
from common.gateway.conversations import conversation_of, goes_on_unseen, has_session
from common.gateway.expected_costs import ExpectedCosts
from common.gateway.keys import Key
from common.gateway.rates import BYTES_PER_TOKEN
from common.gateway.refusals import Refusal
from common.gateway.upstream_health import UpstreamHealth
from common.routing.choice import Asking, Choice, Draw, choose
from common.routing.complexity import features_of
from common.routing.rules import AUTO, RouteTable

ROUTE_HEADER = "x-gateway-route"
"""`off`: the call goes where it was sent. In the answer: the rule that chose its model."""

_NO_RULE = "none is for it"

UsedOf: TypeAlias = Callable[[Call, Key, str | None], Awaitable[float]]
"""How much of the tightest hard budget is used, 0 to 1, that applies to a call for a model."""


class Tables(Protocol):
    """Where the rules are."""

    async def table(self, org: str) -> RouteTable:
        """Those of an organisation, empty where it has none."""


@dataclass(slots=True)
class Routing:
    """Chooses for calls. One per process.

    `draw` is the same in every process, so that a session draws the same model everywhere.
    """

    book: Tables
    used_of: UsedOf
    health: UpstreamHealth
    costs: ExpectedCosts
    draw: Draw

    async def chain(
        self, call: Call, movable: Movable, headers: Mapping[str, str]
    ) -> tuple[Target, ...]:
        """Where to send a call, the best first; only where it was sent where no rule is for it.

        Args:
            call: told of the rule that decided.
            movable: the call, with where it would go without rules.
            headers: of the request, lower-case names.

        Raises:
            Refusal: model_not_found, for `auto` that no rule is for.
        """
        asked = movable.asked
        if headers.get(ROUTE_HEADER, "").strip().lower() == "off":
            return _as_asked(asked, f"{ROUTE_HEADER}: off keeps the rules from it")
        if not movable.may_move:
            return _as_asked(asked, "it cannot be moved")
        table = await self.book.table(movable.key.org)
        if not table.rules:
            return _as_asked(asked, _NO_RULE)
        model = asked.facts.model
        used = await self.used_of(call, movable.key, model) if table.reads_budgets else 0.0
        asking = self._asking(call, movable, used)
        choice = choose(table, asking, self.draw)
        if choice is None:
            return _as_asked(asked, _NO_RULE)
        conversation = asking.session if table.compares_costs else None
        call.route = Route(
            choice.rule, choice.why, choice.models[0], conversation, shadow=choice.shadow
        )
        if choice.shadow:
            return _as_asked(asked, f"rule {choice.rule} is in shadow")
        usable, left_out = self._usable(call, movable, choice)
        call.warnings += left_out
        return usable or _as_asked(asked, "; ".join(left_out))

    def _asking(self, call: Call, movable: Movable, used: float) -> Asking:
        asked, key, who = movable.asked, movable.key, call.attribution
        form, body = movable.endpoint.form, movable.body

        def cost(model: str) -> Nanos | None:
            target = movable.aimed_at(model, call.book)
            if isinstance(target, str):
                return None
            return self.costs.of(
                asking.session,
                target.facts,
                book=call.book,
                provider=target.destination.price_list,
                model=target.facts.model or "",
                at=call.started_at,
            )

        asking = Asking(
            team=key.team,
            agent=who.agent if who is not None else key.agent,
            project=key.project,
            tags=who.tags if who is not None else {},
            model=asked.asked,
            endpoint=movable.endpoint.name,
            stream=asked.facts.stream,
            input_tokens=asked.facts.size_bytes // BYTES_PER_TOKEN,
            has_session=has_session(call),
            read_session=lambda: conversation_of(call, key, form, body.members),
            is_bound=lambda: goes_on_unseen(form, body.members),
            read_features=lambda: movable.features,
            read_form=lambda: features_of(body.members, asked.facts.size_bytes),
            read_budget_used=lambda: used,
            expected_cost=cost,
        )
        return asking

    def _usable(
        self, call: Call, movable: Movable, choice: Choice
    ) -> tuple[tuple[Target, ...], tuple[str, ...]]:
        """The targets of a choice, without what fails now, and what cannot take the call."""
        found: list[Target] = []
        left_out: list[str] = []
        for model in choice.models:
            target = movable.aimed_at(model, call.book)
            if isinstance(target, str):
                left_out.append(f"rule {choice.rule}: {model} left out ({target})")
            else:
                found.append(target)
        rested = [
            each
            for each in found
            if not self.health.rests(each.destination.name, each.facts.model or "")
        ]
        return tuple(rested or found[:1]), tuple(left_out)

    def remember(self, call: Call) -> None:
        """Keep what a call that a rule is for has used: its conversation may go on."""
        conversation = call.route.conversation if call.route is not None else None
        if conversation is not None and call.metered is not None:
            model = call.facts.model or ""
            self.costs.remember(conversation, call.price_list, model, call.metered)


def _as_asked(asked: Target, why: str) -> tuple[Target, ...]:
    """Where its client sent it; `why` no rule moves it is told where that is nowhere."""
    if asked.facts.model == AUTO:
        raise Refusal(
            "model_not_found",
            f"No rule says which model serves this call for {AUTO!r}: {why}. Name a model, or have "
            "a rule written that is for it.",
        )
    return (asked,)
