"""Both transports, each made as the gateway makes it, on both event loops.

uvloop is what functions run on; its transports close, pause and write in an order of their own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest
import uvloop

from common.adapters.lean_transport import LeanTransport, lean_transport
from common.adapters.upstream import MakeTransport, aiohttp_transport

KEEP_ALIVE_S = 60.0


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["aiohttp", "lean"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str) -> MakeTransport:
    return lean_transport if kind == "lean" else aiohttp_transport


@pytest.fixture
async def transport(make: MakeTransport) -> AsyncIterator[httpx.AsyncBaseTransport]:
    made = make(None, keep_alive_s=KEEP_ALIVE_S, allow_private=True, to_metadata=False)
    yield made
    await made.aclose()


@pytest.fixture
async def lean() -> AsyncIterator[LeanTransport]:
    """What the other transport does not promise, or does not show."""
    made = lean_transport(None, keep_alive_s=KEEP_ALIVE_S, allow_private=True)
    yield made
    await made.aclose()
    assert made.pool.places_taken == 0
