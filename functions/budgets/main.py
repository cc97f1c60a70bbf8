"""Pub/Sub push: each minute, write off leases without an owner, tell what is reached."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.events import SweepBudgets
from common.runtime.app import app
from common.runtime.push import answer_push
from common.runtime.settings import BudgetsSettings, read_settings

read_settings(BudgetsSettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def budgets(request: Request) -> Response:
    return await answer_push(request, SweepBudgets, app().sweeper.run)
