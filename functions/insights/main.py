"""Pub/Sub push: look at the ledger each hour and day, and hold what providers billed against it."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.events import Event
from common.core.insight_events import RunInsights
from common.core.reconciliation_events import ReconcileSpend
from common.runtime.app import app
from common.runtime.function_settings import InsightsSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(InsightsSettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def insights(request: Request) -> Response:
    return await answer_push(request, Event, obey)


async def obey(event: Event) -> None:
    match event:
        case RunInsights():
            await app().insights.run(event)
        case ReconcileSpend():
            await app().reconciliation.run()
