"""Pub/Sub push: open, join, mitigate and resolve incidents as facts say."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.events import Event
from common.runtime.app import app
from common.runtime.function_settings import IncidentsSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(IncidentsSettings)  # A wrong setting stops the start, naming every error.


@functions_framework.aio.http
async def incidents(request: Request) -> Response:
    return await answer_push(request, Event, app().incidents.take)
