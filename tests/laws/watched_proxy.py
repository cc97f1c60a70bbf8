"""The function `proxy` as its framework serves it, and what its process holds.

Run as a module it prints `ready ADDRESS` and serves until it is stopped. One address beside the
gateway's tells which objects of calls live and which tasks run; sockets and memory are read from
outside, from /proc. Its events stay in the bus, for nobody delivers them.
"""

import argparse
import asyncio
import gc
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from functions_framework.aio import create_asgi_app

from common.adapters.sqlite_documents import SqliteDocuments
from common.gateway.keys import KeyPolicy, OnDisconnect
from scripts.simulated.__main__ import listen
from tests.gateway.making import a_key, key_text, store
from tests.local_stack.process import ROOT, ServerProcess

WATCHED = "/watched"
KEYS: dict[OnDisconnect, str] = {"stop": key_text("stop"), "finish": key_text("finish")}
"""Gateway keys by what happens to their calls when the client leaves."""
PATIENCE_S = 60.0
"""How long a law waits for something that must come true."""
_POLL_S = 0.05
_OF_A_CALL = frozenset({"Call", "Answer", "Deadlines", "Incoming", "HttpReply"})
_LISTENING = "0A"


class Watched:
    """The application, and one path that tells what lives in its process."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != WATCHED:
            await self._application(scope, receive, send)
            return
        gc.collect()
        kinds = Counter(type(each).__name__ for each in gc.get_objects() if _is_of_a_call(each))
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        names = Counter(getattr(task.get_coro(), "__qualname__", "") for task in tasks)
        body = json.dumps({"objects": kinds, "tasks": names}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def _is_of_a_call(each: object) -> bool:
    kind = type(each)
    return kind.__name__ in _OF_A_CALL and str(kind.__module__).startswith("common.")


@dataclass(frozen=True, slots=True)
class Alive:
    """What lives in the process: objects that belong to a call, and tasks by their coroutine."""

    objects: dict[str, int]
    tasks: dict[str, int]


class WatchedProxy(ServerProcess):
    """The function `proxy` in front of the simulated provider at `provider`."""

    def __init__(self, folder: Path, provider: str, **settings: str) -> None:
        env = {"DATA_DIR": str(folder), "SIMULATED_PROVIDER_URL": provider, **settings}
        super().__init__("tests.laws.watched_proxy", log=folder / "proxy.log", env=env)

    async def alive(self) -> Alive:
        async with httpx.AsyncClient(timeout=30) as client:
            told = (await client.get(f"{self.address}{WATCHED}")).raise_for_status().json()
        return Alive(told["objects"], told["tasks"])

    def sockets(self) -> Counter[int]:
        """Open TCP sockets but the listening one, by the port at their other end."""
        descriptors = Path(f"/proc/{self.process.pid}/fd")
        own = set()
        for each in descriptors.iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                own.add(str(each.readlink()))
        lines = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        return Counter(
            int(row[2].rpartition(":")[2], 16)
            for row in rows
            if f"socket:[{row[9]}]" in own and row[3] != _LISTENING
        )

    async def loaded_bytes(self) -> int:
        """What it has in memory when all its code is loaded, before the first call."""
        async with httpx.AsyncClient(timeout=30) as client:
            (await client.get(f"{self.address}/gateway/v1/health")).raise_for_status()
        return self.memory_bytes()

    def memory_bytes(self) -> int:
        """What it has in memory now."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """The most it ever had in memory."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


@asynccontextmanager
async def proxy_serving(
    folder: Path, provider: str, **settings: str
) -> AsyncIterator[WatchedProxy]:
    """A proxy with its data in `folder` that knows the gateway keys KEYS, until the block ends."""
    documents = SqliteDocuments(_made(folder) / "state.sqlite")
    for on_disconnect, text in KEYS.items():
        policy = KeyPolicy(tags=("call",), on_disconnect=on_disconnect)
        await store(documents, a_key(text, policy=policy))
    await documents.aclose()
    with WatchedProxy(folder, provider, **settings) as running:
        yield running


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Until it holds; where it does not within PATIENCE_S, what is asserted next says how far."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = holds()
                if answer if isinstance(answer, bool) else await answer:
                    return
                await asyncio.sleep(_POLL_S)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    source = str(ROOT / "functions/proxy/main.py")
    application = create_asgi_app("proxy", source, "http")  # type: ignore[no-untyped-call] # untyped there
    listener = listen(0)
    config = uvicorn.Config(
        Watched(application),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
