"""Another process of `proxy` beside a disorderly local stack, publishing into the same bus.

DATA_DIR names the stack's folder. Prints `ready ADDRESS`; the stack delivers what it publishes.
"""

import asyncio
import socket

import uvicorn
from functions_framework.aio import create_asgi_app

from common.runtime import app as wiring
from scripts.local_stack.application import ROOT
from scripts.local_stack.pushes import push_subscriptions
from tests.laws.disorderly_stack import DisorderlyApp


async def serve() -> None:
    wiring.app().push_subscriptions = list(push_subscriptions())
    proxy = create_asgi_app("proxy", str(ROOT / "functions/proxy/main.py"), "http")  # type: ignore[no-untyped-call] # untyped there
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - who starts it waits for this
    config = uvicorn.Config(proxy, log_level="warning", access_log=False, lifespan="off")
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    wiring.App = DisorderlyApp  # type: ignore[misc] # the wiring of this one process
    asyncio.run(serve())
