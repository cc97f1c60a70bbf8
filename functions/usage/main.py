"""Pub/Sub push: count each usage event once, in the rollups that reports and budgets read."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.events import CountedEvent
from common.runtime.app import app
from common.runtime.function_settings import UsageSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(UsageSettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def usage(request: Request) -> Response:
    return await answer_push(request, CountedEvent, app().usage.add)
