"""`python -m scripts.simulated --port N`: the simulated LLM provider as a server of its own.

Prints `ready http://127.0.0.1:N` when it accepts connections, https with a certificate; port 0
takes a free one.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Sequence

import uvicorn

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.models import find_model
from scripts.simulated.refusals import Refusal
from scripts.simulated.server import create_app

ADDRESS = "127.0.0.1"
BACKLOG = 2048
KEEP_ALIVE_S = 60
"""How long an idle connection stays open: as load balancers in front of providers have it."""
SHUTDOWN_S = 2
"""How long an answer under way may take after the order to stop; a stalled one would never end."""


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped; 2 when the options are wrong."""
    options = _parser().parse_args(arguments)
    named = {name.replace("_", "-"): value for name, value in vars(options).items()}
    knobs = {name: value for name, value in named.items() if name in _knob_names()}
    try:
        behaviour = Behaviour().changed(knobs)
    except Refusal as refusal:
        print(refusal.message, file=sys.stderr)
        return 2
    find_model("openai", "gpt-4o")  # loads the price list: a first call should not wait for it
    app = create_app(behaviour, ledger_file=options.ledger, replies=options.replies)
    listener = listen(options.port)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="error",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        ssl_certfile=options.certificate,
    )
    scheme = "http" if options.certificate is None else "https"
    asyncio.run(_serve(uvicorn.Server(config), listener, f"{scheme}://{ADDRESS}:{port}"))
    return 0


def listen(port: int) -> socket.socket:
    """A listening socket on loopback.

    uvicorn writes head and body one after the other: without TCP_NODELAY, Nagle's algorithm and
    delayed acknowledgements make that 40 ms. Accepted connections inherit the option.
    """
    listener = socket.create_server((ADDRESS, port), backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def _serve(server: uvicorn.Server, listener: socket.socket, address: str) -> None:
    # The listener accepts already; the line promises no more than that.
    print(f"ready {address}", flush=True)
    await server.serve(sockets=[listener])


def _knob_names() -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in Behaviour.model_fields.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.simulated", description="The simulated LLM provider."
    )
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--ledger", metavar="FILE", help="SQLite file of what is billed")
    parser.add_argument("--certificate", metavar="FILE", help="PEM, with its key: serve TLS")
    parser.add_argument("--replies", metavar="FOLDER", help="recorded replies to send again")
    for name, field in Behaviour.model_fields.items():
        parser.add_argument(f"--{field.alias or name}", help=field.description)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
