"""What a described call would hold, with the model it names or with each of several.

A call is judged by the very steps a call takes, and for another model by those that a rule takes to
send it there. Nothing is sent to a provider, held or published.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote

from common.budgets.budgets import Applicable
from common.budgets.calendar import FOREVER
from common.budgets.standing import Standing
from common.core.money import Nanos, usd_text
from common.gateway.call import Call
from common.gateway.candidates import Movable
from common.gateway.choice import Target, forwardable
from common.gateway.credentials import Shown
from common.gateway.incoming import Incoming
from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from common.gateway.spending import Spending
from common.llm.bounds import Bound, Unbounded
from common.llm.facts import parse_request
from common.llm.json_spans import member_spans
from common.llm.paths import Endpoint, resolve
from common.llm.unmetered import UnmeteredPaths

MOST_MODELS = 20
LONGEST_NAME = 256
_FORM = (
    'Send {"path": "/openai/v1/...", "body": {...}}: the call as it would be sent with POST; with '
    f'"models": [...], up to {MOST_MODELS} names, it is judged with each of them.'
)


class Aim(Protocol):
    """Where a call would go, once it is known that the key may send it there; raises Refusal."""

    async def __call__(
        self, call: Call, key: Key, shown: Shown, incoming: Incoming, body: bytes
    ) -> Movable: ...


@dataclass(frozen=True, slots=True)
class _Described:
    """A call as it would be sent. `models` None: with the one it names."""

    path: str
    body: bytes
    models: tuple[str, ...] | None


@dataclass(slots=True)
class _Asking:
    """One request for estimates; how budgets stand is read once for the same ones."""

    call: Call
    endpoint: Endpoint
    key: Key
    standings: dict[tuple[str, ...], list[Standing]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Judges described calls. `make_call` makes one that nobody accounts."""

    aim: Aim
    make_call: Callable[[Endpoint], Call]
    spending: Spending
    unmetered: UnmeteredPaths

    async def of(
        self,
        sent: bytes,
        caller: Call,
        key: Key,
        shown: Shown,
        incoming: Incoming,
    ) -> dict[str, Any]:
        """What is answered to a request with these bytes.

        Args:
            sent: the request's body.
            caller: of the request, attributed, with the book that its organisation pays by.
            key: who asks.
            shown: what it showed.
            incoming: the request, whose headers a call would have.

        Raises:
            Refusal: it describes no call, or one that would be refused.
        """
        described = _described(sent)
        found = resolve("POST", described.path, incoming.headers, self.unmetered)
        if found is None:
            raise Refusal(
                "endpoint_not_supported", f"{described.path[:200]!r} is no path of a call. {_FORM}"
            )
        asked = forwardable(found)
        call = self.make_call(asked)
        call.attribution, call.book = caller.attribution, caller.book
        headers = {**incoming.headers, "content-type": "application/json"}
        like_it = replace(incoming, headers=headers)
        movable = await self.aim(call, key, shown, like_it, described.body)
        asking = _Asking(call, asked, key)
        if described.models is None:
            return await self._judged(asking, movable.asked)
        if not movable.may_move:
            raise Refusal(
                "unreadable_request",
                "The body names no model that another could take the place of: ask without "
                '"models".',
            )
        estimates = []
        for model in described.models:
            estimates.append(await self._with_model(asking, movable, model))
            # A large body takes long to read again: other calls come in between.
            await asyncio.sleep(0)
        return {"book": call.book.digest, "estimates": estimates}

    async def _with_model(self, asking: _Asking, movable: Movable, model: str) -> dict[str, Any]:
        """The same for one of several; what is not sent there says why, and fits nowhere."""
        target = movable.aimed_at(model, asking.call.book)
        if isinstance(target, str):
            nothing = _bound_told(Unbounded(target), None)
            return {
                "model_asked": model,
                "upstream": None,
                "provider": None,
                "model": None,
                "metered": asking.endpoint.metered,
                **nothing,
                "budgets": [],
                "fits": False,
            }
        told = await self._judged(asking, target)
        return {"model_asked": model, **{name: v for name, v in told.items() if name != "book"}}

    async def _judged(self, asking: _Asking, target: Target) -> dict[str, Any]:
        """What a call would hold, and whether there is room."""
        call, model = asking.call, target.facts.model
        told: dict[str, Any] = {
            "upstream": target.destination.name,
            "provider": target.destination.provider,
            "model": model,
            "metered": asking.endpoint.metered,
            "book": call.book.digest,
        }
        if not asking.endpoint.metered:
            free = _bound_told(Bound(0, "bytes", 0, 0), None) | {"bound_kind": None}
            return {**told, **free, "budgets": [], "fits": True}
        to = await self.spending.applicable_to(call, asking.key, asking.endpoint, target)
        bound = self.spending.bound_of(call, target, to)
        card = call.book.card(target.destination.price_list, model or "")
        nanos = None if isinstance(bound, Unbounded) else bound.nanos
        budgets = []
        for standing in await self._standings(asking, to):
            most = self.spending.admissible(to, standing.period)
            fits = nanos is not None and nanos <= most
            shown = budget_told(self.spending, standing, call.started_at)
            budgets.append(shown | {**money_told("room", most), "fits": fits})
        return {
            **told,
            **_bound_told(bound, card.key if card is not None else None),
            "budgets": budgets,
            "fits": all(budget["fits"] for budget in budgets),
        }

    async def _standings(self, asking: _Asking, to: Applicable) -> list[Standing]:
        ids = tuple(budget.id for budget in to.budgets)
        if ids not in asking.standings:
            asking.standings[ids] = await self.spending.standings(to)
        return asking.standings[ids]


def _described(sent: bytes) -> _Described:
    """The call that is asked about.

    The body is taken as it was written, so that it has as many bytes as the call would have.

    Raises:
        Refusal: unreadable_request.
    """
    asked = parse_request(sent)
    if (
        asked is None
        or not isinstance(asked.get("body"), dict)
        or not {"path", "body"} <= set(asked) <= {"path", "body", "models"}
    ):
        raise Refusal("unreadable_request", f"This describes no call. {_FORM}")
    path = asked["path"]
    if not isinstance(path, str):
        raise Refusal("unreadable_request", f"The path is no text. {_FORM}")
    try:
        span = member_spans(sent, once="body")["body"]
    except (ValueError, RecursionError):
        raise Refusal("unreadable_request", f"This describes no call. {_FORM}") from None
    models = _models(asked) if "models" in asked else None
    return _Described(unquote(path.partition("?")[0]), sent[span.start : span.end], models)


def _models(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Each of the models once, in their order."""
    models = asked["models"]
    if not isinstance(models, list) or not 0 < len(models) <= MOST_MODELS:
        raise Refusal("unreadable_request", f"Of models there are 1 to {MOST_MODELS}. {_FORM}")
    for model in models:
        if not isinstance(model, str) or not 0 < len(model) <= LONGEST_NAME:
            raise Refusal(
                "unreadable_request",
                f"A model is a name of 1 to {LONGEST_NAME} characters. {_FORM}",
            )
    return tuple(dict.fromkeys(models))


def budget_told(spending: Spending, standing: Standing, now: datetime) -> dict[str, Any]:
    """How a budget stands, in money of every form."""
    budget, period = standing.budget, standing.period
    return {
        "id": budget.id,
        "scope": budget.scope,
        "models": list(budget.models),
        "period": budget.calendar.kind,
        "state": standing.state(now),
        **money_told("limit", period.limit_at(now)),
        **money_told("settled", period.settled),
        **money_told("leased", period.leased),
        **money_told("own_free", spending.own_free(period)),
        "resets_at": None if period.ends_at >= FOREVER else period.ends_at,
    }


def money_told(name: str, nanos: Nanos) -> dict[str, Any]:
    """An amount as exact text and in nanos."""
    return {f"{name}_usd": usd_text(nanos), f"{name}_nanos": nanos}


def _bound_told(bound: Bound | Unbounded, card: str | None) -> dict[str, Any]:
    if isinstance(bound, Unbounded):
        return {
            "bound_usd": None,
            "bound_nanos": None,
            "bound_kind": None,
            "reason": bound.reason,
            "card": card,
            "input_tokens": None,
            "output_tokens": None,
        }
    return {
        **money_told("bound", bound.nanos),
        "bound_kind": bound.bound_kind,
        "reason": None,
        "card": card,
        "input_tokens": bound.input_tokens,
        "output_tokens": bound.output_tokens,
    }
