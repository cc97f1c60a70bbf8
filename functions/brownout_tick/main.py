"""Pub/Sub push: once a minute, take up what is left to do of brownouts."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.brownout_events import BrownoutTick
from common.runtime.app import app
from common.runtime.function_settings import BrownoutTickSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(BrownoutTickSettings)  # A wrong setting stops the start, naming every error.


@functions_framework.aio.http
async def brownout_tick(request: Request) -> Response:
    return await answer_push(request, BrownoutTick, app().ticker.run)
