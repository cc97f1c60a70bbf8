"""Budgets over HTTP: made, replaced, paused, topped up, and how they stand.

`PUT` replaces the whole budget, and one that was paused limits again. Nothing is deleted: `DELETE`
pauses, so what was spent under a budget can still be read.
"""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from common.api.budget_models import (
    BudgetBody,
    BudgetChange,
    BudgetQuery,
    BudgetView,
    PeriodView,
    TopUpBody,
)
from common.api.budget_terms import BudgetTerms
from common.api.budget_views import (
    budget_shown,
    budget_single,
    budget_version,
    budget_view,
    period_view,
)
from common.api.cursors import PAGING, Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.operations import (
    Answer,
    AnyOperation,
    Call,
    NoBody,
    NoQuery,
    Operation,
    Paging,
)
from common.api.problems import PreconditionRequired
from common.api.versions import is_named
from common.api.writes import change
from common.budgets.accounts import PERIODS
from common.budgets.budgets import BUDGETS, Budget, check_budget
from common.budgets.calendar import Calendar
from common.budgets.standing import Standing
from common.core.ids import SLUG
from common.core.money import Nanos
from common.gateway.budget_changes import (
    Extra,
    create_budget,
    pause_budget,
    top_up,
    update_budget,
)
from common.gateway.budget_reports import (
    get_budget,
    list_budgets,
    list_periods,
    read_open_leases,
    read_standings,
    spent_by_period,
    with_spent,
)
from common.gateway.budget_scopes import org_of
from common.gateway.changes import Plan
from common.gateway.identity import count_documents


class _BudgetPlace(Place):
    id: Annotated[str, Field(pattern=f"^{SLUG.pattern}$")]


class _PeriodPlace(Place):
    id: Annotated[str, Field(min_length=1, max_length=200)]


def budget_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_budgets", "GET", "/budgets", "List budgets and how they stand",
            Listing[BudgetView, Count], _list, BudgetQuery, NoBody,
        ),
        Operation(
            "create_budget", "POST", "/budgets", "Create a budget",
            Single[BudgetView], _create, NoQuery, BudgetBody, status=201,
        ),
        Operation(
            "get_budget", "GET", "/budgets/{id}", "Read a budget and how it stands",
            Single[BudgetView], _get, NoQuery, NoBody,
        ),
        Operation(
            "update_budget", "PUT", "/budgets/{id}", "Replace a budget; a paused one limits again",
            Single[BudgetView], _update, NoQuery, BudgetChange,
        ),
        Operation(
            "pause_budget", "DELETE", "/budgets/{id}", "Pause a budget; its past stays",
            Single[BudgetView], _pause, NoQuery, NoBody,
        ),
        Operation(
            "top_up_budget", "POST", "/budgets/{id}/top-ups", "Add money to the current period",
            Single[BudgetView], _top_up, NoQuery, TopUpBody, status=201,
        ),
        Operation(
            "list_budget_periods", "GET", "/budgets/{id}/periods",
            "List the periods in which something was spent, the oldest first",
            Listing[PeriodView, Count], _periods, Paging, NoBody,
        ),
    ]  # fmt: skip


def budget_of(terms: BudgetTerms, id_: str, org: str, scope: str) -> Budget:
    """The budget that a body describes."""
    return Budget(
        id=id_,
        org=org,
        scope=scope,
        calendar=Calendar(terms.period, terms.tz, terms.anchor),
        limit=terms.limit_usd,
        enforcement=terms.enforcement,
        models=tuple(terms.models),
        thresholds=tuple(sorted(set(terms.thresholds))),
        fit=terms.fit,
        tool_allowance=terms.tool_allowance_usd,
        strict=terms.strict,
    )


async def _list(call: Call[BudgetQuery, NoBody]) -> Answer:
    asked = call.query.model_dump(exclude_none=True)
    where = {name: value for name, value in asked.items() if name not in PAGING}
    place = read_cursor(call.given, call.query.after, _BudgetPlace)
    after = None if place is None else place.id
    services, limit = call.services, call.query.limit
    documents = services.documents
    read = partial(list_budgets, documents, where)

    page, following = await stored_page(call.given, after, limit, read, lambda each: each.id)
    count = await count_documents(documents, BUDGETS, where)
    standings = await read_standings(documents, services.spent, page, call.now)
    leases = await read_open_leases(documents)
    return Answer(
        Listing[BudgetView, Count](
            as_of=call.now,
            query=asked,
            answer=f"{count} {'budget' if count == 1 else 'budgets'}.",
            data=[budget_view(standing, leases, call.now) for standing in standings],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    services = call.services
    budget = await get_budget(services.documents, call.path["id"])
    [standing] = await read_standings(services.documents, services.spent, [budget], call.now)
    leases = await read_open_leases(services.documents)
    view = budget_single(standing, leases, call.now, _verb(standing, call.now))
    return Answer(view, headers={"etag": f'"{view.data.version}"'})


async def _create(call: Call[NoQuery, BudgetBody]) -> Answer:
    budget = await _asked(call, call.body.id, call.body)
    spent = await _spent(call, budget)
    plan = create_budget(budget, spent, call.services.documents)
    return await _changed(call, plan, spent, "is created")


async def _update(call: Call[NoQuery, BudgetChange]) -> Answer:
    seen = _seen(call)
    budget = await _asked(call, call.path["id"], call.body)
    spent = await _spent(call, budget)
    plan = update_budget(
        budget,
        lambda stored: is_named(seen, budget_version(stored)),
        spent,
        call.services.documents,
    )
    return await _changed(call, plan, spent, "is as asked")


async def _pause(call: Call[NoQuery, NoBody]) -> Answer:
    seen = _seen(call)
    spent = await _spent(call, await get_budget(call.services.documents, call.path["id"]))
    plan = pause_budget(call.path["id"], lambda stored: is_named(seen, budget_version(stored)))
    return await _changed(call, plan, spent, "is paused")


async def _top_up(call: Call[NoQuery, TopUpBody]) -> Answer:
    budget = await get_budget(call.services.documents, call.path["id"])
    spent = {} if budget.hard else await _spent(call, budget)
    plan = top_up(budget.id, Extra(call.body.usd, call.body.reason, call.body.expires_at))
    return await _changed(call, plan, spent, "is topped up")


async def _periods(call: Call[Paging, NoBody]) -> Answer:
    documents, limit = call.services.documents, call.query.limit
    id_ = (await get_budget(documents, call.path["id"])).id
    # The address belongs to the question: a place in one budget's periods is none in another's.
    question = {**call.given, "budget": id_}
    place = read_cursor(question, call.query.after, _PeriodPlace)
    after = None if place is None else place.id
    read = partial(list_periods, documents, id_)

    page, following = await stored_page(question, after, limit, read, lambda each: each.id)
    count = await count_documents(documents, PERIODS, {"budget": id_})
    return Answer(
        Listing[PeriodView, Count](
            as_of=call.now,
            query=call.query.model_dump(exclude_none=True),
            answer=f"{count} {'period' if count == 1 else 'periods'} of budget {id_}.",
            data=[period_view(period, call.now) for period in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _asked(call: Call[Any, Any], id_: str, body: BudgetChange) -> Budget:
    """The budget of a body; its scope exists."""
    check_budget(budget_of(body, id_, "", body.scope))
    org = await org_of(call.services.documents, body.scope)
    return budget_of(body, id_, org, body.scope)


async def _spent(call: Call[Any, Any], budget: Budget) -> dict[str, Nanos]:
    """What the budget's scope has spent in its current period."""
    return await spent_by_period(call.services.spent, [budget], call.now)


async def _changed(
    call: Call[Any, Any], plan: Plan[Standing], spent: dict[str, Nanos], verb: str
) -> Answer:
    leases = await read_open_leases(call.services.documents)
    return await change(
        call,
        plan,
        lambda standing: budget_shown(with_spent(standing, spent), leases, call.now, verb),
    )


def _seen(call: Call[Any, Any]) -> str:
    if call.if_match is None:
        raise PreconditionRequired(
            "send If-Match with the version of the budget that you read", field="If-Match"
        )
    return call.if_match


def _verb(standing: Standing, now: datetime) -> str:
    return "is paused" if standing.budget.paused else f"is {standing.state(now)}"
