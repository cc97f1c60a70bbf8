"""HTTP: forward an LLM call to its provider and account for it."""

from functools import cache
from typing import TYPE_CHECKING, cast

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from common.runtime.app import app
from common.runtime.ending import before_the_end
from common.runtime.function_settings import ProxySettings
from common.runtime.settings import read_settings

if TYPE_CHECKING:
    from common.gateway.gateway import Gateway

read_settings(ProxySettings)  # A wrong setting stops the start, with every error named at once.


@cache
def _gateway() -> "Gateway":
    """Made at the first call, in the process that serves."""
    gateway = app().gateway
    before_the_end(gateway.stop)
    return gateway


@functions_framework.aio.http
async def proxy(_request: Request) -> Response:
    # The framework awaits whatever ASGI application it is given, so bytes stream through untouched.
    return cast("Response", _gateway())
