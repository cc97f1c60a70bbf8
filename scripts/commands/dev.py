"""`scripts/dev`: every function, the local engines and a simulated LLM provider in one process.

Prints `ready http://127.0.0.1:PORT` when it serves, then keys and commands to paste. Data stay in
one folder over restarts; several stacks run side by side with a folder and a port each.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import uvicorn
import uvloop

from common.core.errors import InvalidSettings, StoreUnavailable
from common.core.ports import Ref
from common.runtime.app import app
from scripts.local_stack.application import SIMULATED_PATH, LocalStack
from scripts.local_stack.cloud_engines import check_settings, emulated_deliveries, make_tables
from scripts.local_stack.demo import (
    BROWNOUT_TOKEN,
    ORG,
    SIMULATED_UPSTREAM,
    SIMULATED_VARIABLE,
    print_welcome,
    seed,
)
from scripts.local_stack.pushes import push_subscriptions
from scripts.local_stack.schedules import laptop_schedules, publish_on_time
from scripts.simulated.server import create_app

DEFAULT_PORT = 3000
HOST = "127.0.0.1"
SHUTDOWN_S = 30


def main() -> None:
    arguments = _arguments()
    data = Path(arguments.data).resolve()
    lock = _own(data)
    listener = _listen(arguments.port)
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    managed = _set_environment(data, address)
    with lock, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(data, address, listener, managed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/dev", description=__doc__)
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT", str(DEFAULT_PORT)),
        help=f"port on {HOST}; 0 takes a free one (default: PORT, else {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--data", default=str(Path(__file__).parents[2] / ".data"), help="folder of all local data"
    )
    return parser.parse_args()


def _own(data: Path) -> TextIO:
    """Hold the data folder, so that no second stack writes into it."""
    # Whatever any engine makes from here on is its owner's alone.
    os.umask(0o077)
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("a+")
    except OSError as error:
        sys.exit(f"{data} cannot be used as data folder ({error}). Name another: --data FOLDER")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        sys.exit(
            f"{data} is in use by process {lock.read().strip() or 'unknown'}. Stop that one, or "
            "give this one a folder of its own: scripts/dev --port 0 --data FOLDER"
        )
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Head and body leave as two writes: without it, a small answer waits 40 ms for the other side.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        sys.exit(f"Port {port} cannot be used ({error}). Try scripts/dev --port 0 for a free one.")
    return listener


def _set_environment(data: Path, address: str) -> dict[str, bool]:
    """Settings of the local stack; whether each provider's managed key is a real one."""
    managed = {}
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        managed[name] = os.environ.setdefault(name, "sim") != "sim"
    for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY"):
        os.environ.setdefault(name, "sim-admin")
    os.environ.setdefault("SIMULATED_PROVIDER_URL", f"{address}{SIMULATED_PATH}")
    os.environ.setdefault("BROWNOUT_TOKENS", BROWNOUT_TOKEN)
    os.environ.setdefault("PROXY_URL", address)
    os.environ.setdefault("TEST_LLM_UPSTREAM", SIMULATED_UPSTREAM)
    os.environ.setdefault(SIMULATED_VARIABLE, "sim")
    os.environ.setdefault("DEFAULT_ORG", ORG)
    os.environ.update(DATA_DIR=str(data), API_AUTH="dev", LOCAL_RECEIVERS="true")
    return managed


def _shown_token() -> str:
    """The demo's token of senders of alerts. Any other is a secret, and is not printed."""
    token = os.environ["BROWNOUT_TOKENS"]
    return token if token == BROWNOUT_TOKEN else "ONE_OF_BROWNOUT_TOKENS"


class _Server(uvicorn.Server):
    """Says when it serves, and ends on a signal without killing the process before it is closed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self.handle_exit, signum, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


async def _serve(
    data: Path, address: str, listener: socket.socket, managed: dict[str, bool]
) -> None:
    try:
        check_settings()
        stack = LocalStack(create_app(ledger_file=str(data / "simulated-ledger.sqlite")))
    except InvalidSettings as error:
        sys.exit(f"Wrong settings: {error}. See .env.example.")
    config = uvicorn.Config(
        stack,
        log_level="warning",
        access_log=False,  # A query string may hold a key.
        lifespan="off",
        server_header=False,
        date_header=False,  # The functions' answers have their own.
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = _Server(config)
    app().push_subscriptions = list(push_subscriptions(stack.functions))
    deliveries = emulated_deliveries([*app().table_subscriptions(), *app().push_subscriptions])
    await make_tables()
    await _check_engines(data, has_local_bus=deliveries is None)
    await app().start_deliveries()
    if deliveries is not None:
        await deliveries.start()
    try:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            known = laptop_schedules(os.environ)
            schedules = group.create_task(
                publish_on_time(app().bus, app().clock, app().entropy, schedules=known)
            )
            serving.add_done_callback(lambda _: schedules.cancel())
            await server.serving.wait()
            print(f"ready {address}", flush=True)
            print_welcome(address, await seed(address, data), managed, _shown_token())
    finally:
        if deliveries is not None:
            await deliveries.aclose()
        await app().aclose()


async def _check_engines(data: Path, *, has_local_bus: bool) -> None:
    """Open what holds data, so that a damaged file is told before anything is served."""
    try:
        await app().documents.get_many([Ref("gateway", "control")])
        await app().warehouse.query("SELECT 1 AS one")
        if has_local_bus:
            await app().local_bus.dead_letters()
    except StoreUnavailable as error:
        sys.exit(
            f"A file in {data} cannot be read: {error.detail}. Move it away to start without it, "
            "or start in another folder: --data FOLDER"
        )


if __name__ == "__main__":
    main()
