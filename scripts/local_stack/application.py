"""All functions and the simulated provider as one ASGI application.

Each function is loaded as the cloud loads it, by its folder and entry point; only the address by
which it is reached is the local stack's own. Functions that events are pushed to have none: the
local bus calls them (`pushes.py`).
"""

from collections.abc import Mapping
from pathlib import Path

from functions_framework.aio import create_asgi_app
from starlette.types import ASGIApp, Receive, Scope, Send

from scripts.functions_table import read_functions

ROOT = Path(__file__).parents[2]
SIMULATED_PATH = "/simulated"
ADDRESSES: Mapping[str, str] = {
    "api": "/api/",
    "brownout_webhook": "/api/webhooks/",
    "proxy": "/",
}
"""Path prefix of each function that is called over HTTP."""


class LocalStack:
    """Routes by the longest prefix."""

    def __init__(self, simulated_provider: ASGIApp) -> None:
        self._mounts: list[tuple[str, ASGIApp]] = [(f"{SIMULATED_PATH}/", simulated_provider)]
        self.functions: dict[str, ASGIApp] = {}
        for name in read_functions(ROOT):
            source = str(ROOT / "functions" / name / "main.py")
            self.functions[name] = create_asgi_app(name, source, "http")  # type: ignore[no-untyped-call] # untyped there
        self._mounts += [(path, self.functions[name]) for name, path in ADDRESSES.items()]
        self._mounts.sort(key=lambda mount: -len(mount[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else "/"
        mounted = next(
            app for prefix, app in self._mounts if path.startswith(prefix) or prefix == "/"
        )
        if path.startswith(f"{SIMULATED_PATH}/"):
            scope = {**scope, "root_path": SIMULATED_PATH}
        await mounted(scope, receive, send)
