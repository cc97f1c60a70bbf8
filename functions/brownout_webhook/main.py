"""HTTP: take what monitoring systems say, and fold it into the modes of brownouts."""

from functools import cache

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.api.webhooks import Webhooks
from common.core.secrets import Secret
from common.runtime.app import app
from common.runtime.function_settings import WebhookSettings
from common.runtime.settings import read_settings

SETTINGS = read_settings(WebhookSettings)  # A wrong setting stops the start, naming every error.


@functions_framework.aio.http
async def brownout_webhook(request: Request) -> Response:
    return await _webhooks().answer(request)


@cache
def _webhooks() -> Webhooks:
    return Webhooks(
        documents=app().documents,
        bus=app().bus,
        clock=app().clock,
        entropy=app().entropy,
        tokens=[Secret(token.get_secret_value()) for token in SETTINGS.brownout_tokens],
        default_org=SETTINGS.default_org,
        rules=app().brownout_fold.rules,
        fold=app().brownout_fold,
    )
