"""HTTP: organisations, keys, upstreams, usage and prices as JSON, for scripts and the terminal."""

from functools import cache

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.api.app import Api, create_api
from common.api.callers import Authenticator, DevAuthenticator, IamAuthenticator
from common.runtime.app import app
from common.runtime.function_settings import ApiSettings
from common.runtime.llm_tests import make_llm_tests
from common.runtime.settings import environment_secret, read_settings

SETTINGS = read_settings(ApiSettings)  # A wrong setting stops the start, naming every error.


@functions_framework.aio.http
async def api(request: Request) -> Response:
    return await _application().answer(request)


@cache
def _application() -> Api:
    return create_api(
        documents=app().documents,
        bus=app().bus,
        warehouse=app().warehouse,
        clock=app().clock,
        entropy=app().entropy,
        price_book=app().price_book,
        authenticate=_authenticator(),
        version=app().version,
        default_org=SETTINGS.default_org,
        llm_tests=make_llm_tests(app().documents, app().clock, app().entropy, app().price_book),
        local_secret=environment_secret if SETTINGS.local_receivers else None,
    )


def _authenticator() -> Authenticator:
    if SETTINGS.api_auth == "dev":
        return DevAuthenticator(in_cloud=SETTINGS.on_cloud_run)
    return IamAuthenticator(SETTINGS.console_admins)
