"""Pub/Sub push: take the newest public prices each day, vetted, and put them in force."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.core.price_events import RefreshPrices
from common.runtime.app import app
from common.runtime.function_settings import PricingSettings
from common.runtime.push import answer_push
from common.runtime.settings import read_settings

read_settings(PricingSettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def pricing(request: Request) -> Response:
    return await answer_push(request, RefreshPrices, app().refresher.run)
