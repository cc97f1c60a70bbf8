"""Pub/Sub push: write off and tell what is due each minute; release what a bill proves unspent."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.events import Event, SpendReconciled, SweepBudgets
from common.runtime.app import app
from common.runtime.function_settings import BudgetsSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(BudgetsSettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def budgets(request: Request) -> Response:
    return await answer_push(request, Event, obey)


async def obey(event: Event) -> None:
    match event:
        case SweepBudgets():
            await app().sweeper.run(event)
        case SpendReconciled():
            await app().reconciler.take(event)
