"""HTTP: forward an LLM call to its provider and account for it."""

from typing import cast

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.runtime.app import app
from common.runtime.function_settings import ProxySettings
from common.runtime.settings import read_settings

read_settings(ProxySettings)  # A wrong setting stops the start, with every error named at once.


@functions_framework.aio.http
async def proxy(_request: Request) -> Response:
    # The framework awaits whatever ASGI application it is given, so bytes stream through untouched.
    return cast("Response", app().gateway)
