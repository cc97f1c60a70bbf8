"""Pub/Sub push: tell people what happened, in the channels that they chose."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.events import Event
from common.runtime.app import app
from common.runtime.function_settings import NotifierSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(NotifierSettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def notifier(request: Request) -> Response:
    return await answer_push(request, Event, app().notifier.take)
