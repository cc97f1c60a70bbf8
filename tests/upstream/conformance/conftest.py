"""Both transports, each made as the gateway makes it, on both event loops.

uvloop is what functions run on; its transports close, pause and write in an order of their own.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
import uvloop

from common.adapters.lean_transport import LeanTransport, lean_transport
from common.adapters.upstream import HttpUpstream
from scripts.benchmark.tls import Certificates, make_certificates
from tests.upstream.over_aiohttp import AiohttpUpstream, MakeTransport, aiohttp_transport

MakeUpstream: TypeAlias = type[HttpUpstream] | type[AiohttpUpstream]

KEEP_ALIVE_S = 60.0


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["aiohttp", "lean"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str) -> MakeTransport:
    return lean_transport if kind == "lean" else aiohttp_transport


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(Path(tmp_path_factory.mktemp("tls")) / "made")


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is among the system's, as far as OpenSSL is told."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    """What a provider on this machine serves with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.provider)
    return context


@pytest.fixture
def connects(kind: str) -> MakeUpstream:
    """As the gateway sees it."""
    return HttpUpstream if kind == "lean" else AiohttpUpstream


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
    assert made.client.pool.places_taken == 0
