"""The function's own identity, from a metadata server over real sockets."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.auth.compute_engine import _metadata

from common.adapters.google_identity import RETRY_AFTER_S, GoogleIdentity
from common.adapters.upstream import HttpUpstream
from common.gateway.sending import IdentityUnavailable
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from tests.metadata_server import PATIENCE_S, MetadataServer, metadata_server

HOUR_S = 3600
RENEWED_BEFORE_S = 300
CALLERS = 100


@dataclass(slots=True)
class ShiftedClock:
    """The real time and some: google-auth reads the end of a token off the system's clock."""

    ahead_s: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataServer]:
    with metadata_server() as running:
        for name, value in running.variables(tmp_path).items():
            monkeypatch.setenv(name, value)
        # Read from the environment when it is imported.
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", running.address)
        monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", False)
        # A proxy must not see the token.
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        yield running


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def upstream() -> AsyncIterator[HttpUpstream]:
    connection = HttpUpstream()
    yield connection
    await connection.aclose()


@pytest.fixture
async def identity(clock: ShiftedClock, upstream: HttpUpstream) -> GoogleIdentity:
    return GoogleIdentity(clock, upstream, renewal_s=PATIENCE_S)


def _advance(clock: ShiftedClock, server: MetadataServer, seconds: float) -> None:
    """The server's time goes on too: what it hands out ends as much later."""
    clock.ahead_s += seconds
    server.expires_in += int(seconds)


async def _all(identity: GoogleIdentity) -> set[str]:
    tokens = await asyncio.gather(*(identity.token() for _ in range(CALLERS)))
    return {token.reveal() for token in tokens}


async def test_asks_once_for_all_callers(identity: GoogleIdentity, server: MetadataServer) -> None:
    assert await _all(identity) == {"ya29.sim-1"}
    assert await _all(identity) == {"ya29.sim-1"}

    assert len(server.token_requests) == 1


async def test_may_ask_the_metadata_server_which_no_upstream_may_be(
    clock: ShiftedClock, upstream: HttpUpstream, server: MetadataServer
) -> None:
    asked: list[UpstreamRequest] = []

    class Watched:
        async def send(self, request: UpstreamRequest) -> UpstreamReply:
            asked.append(request)
            return await upstream.send(request)

    await GoogleIdentity(clock, Watched(), renewal_s=PATIENCE_S).token()

    assert {request.to_metadata for request in asked} == {True}
    assert len(server.token_requests) == 1


async def test_sends_its_token_to_nobody(
    identity: GoogleIdentity, server: MetadataServer, clock: ShiftedClock
) -> None:
    await identity.token()
    _advance(clock, server, HOUR_S)
    await identity.token()

    assert {head["metadata-flavor"] for head in server.heads} == {"Google"}
    assert not any("ya29" in str(head) for head in server.heads)


async def test_keeps_a_token_until_300_s_before_its_end(
    identity: GoogleIdentity, server: MetadataServer, clock: ShiftedClock
) -> None:
    await identity.token()
    server.asked.clear()
    _advance(clock, server, HOUR_S - RENEWED_BEFORE_S - PATIENCE_S)
    await identity.token()
    # Nothing goes on in the background.
    assert asyncio.all_tasks() == {asyncio.current_task()}

    _advance(clock, server, PATIENCE_S)
    server.gate.clear()
    # The metadata server is slow: nobody waits for it while the old token serves.
    assert await _all(identity) == {"ya29.sim-1"}
    assert await asyncio.to_thread(server.asked.wait, PATIENCE_S)
    assert await _all(identity) == {"ya29.sim-1"}
    server.gate.set()
    _advance(clock, server, RENEWED_BEFORE_S)

    assert await _all(identity) == {"ya29.sim-2"}
    assert len(server.token_requests) == 2


async def test_an_ended_token_is_waited_for_once(
    identity: GoogleIdentity, server: MetadataServer, clock: ShiftedClock
) -> None:
    await identity.token()
    _advance(clock, server, HOUR_S + 1)

    assert await _all(identity) == {"ya29.sim-2"}
    assert len(server.token_requests) == 2


async def test_a_failed_renewal_leaves_the_old_token_until_its_end(
    identity: GoogleIdentity, server: MetadataServer, clock: ShiftedClock
) -> None:
    await identity.token()
    server.status = 503
    server.asked.clear()
    _advance(clock, server, HOUR_S - RENEWED_BEFORE_S + 1)

    assert await _all(identity) == {"ya29.sim-1"}
    assert await asyncio.to_thread(server.asked.wait, PATIENCE_S)
    _advance(clock, server, RENEWED_BEFORE_S)
    for _ in range(3):
        with pytest.raises(IdentityUnavailable):
            await _all(identity)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
async def test_a_failure_is_asked_again_after_a_while_and_not_by_each_caller(
    identity: GoogleIdentity, server: MetadataServer, clock: ShiftedClock, status: int
) -> None:
    server.status = status
    for _ in range(3):
        with pytest.raises(IdentityUnavailable):
            await _all(identity)
    assert len(server.token_requests) == 1

    server.status = 200
    _advance(clock, server, RETRY_AFTER_S)

    assert await _all(identity) == {"ya29.sim-2"}


async def test_an_old_token_brought_again_is_not_asked_for_by_each_caller(
    identity: GoogleIdentity, server: MetadataServer, clock: ShiftedClock
) -> None:
    server.expires_in = RENEWED_BEFORE_S - 1

    for _ in range(3):
        await _all(identity)

    assert len(server.token_requests) == 1


@pytest.mark.parametrize("half", [False, True])
async def test_a_metadata_server_that_hangs_holds_nobody(
    server: MetadataServer, clock: ShiftedClock, upstream: HttpUpstream, half: bool
) -> None:
    server.half = half
    server.gate.clear()
    identity = GoogleIdentity(clock, upstream, renewal_s=2)

    with pytest.raises(IdentityUnavailable):
        await _all(identity)
    if half:
        assert await asyncio.to_thread(server.left.wait, PATIENCE_S)
    # Its thread is free again, and there was one.
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.get_running_loop().shutdown_default_executor()
    assert len(server.token_requests) == 1


async def test_a_caller_that_leaves_stops_no_renewal(
    identity: GoogleIdentity, server: MetadataServer
) -> None:
    server.gate.clear()
    leaving, staying = asyncio.create_task(identity.token()), asyncio.create_task(identity.token())
    assert await asyncio.to_thread(server.asked.wait, PATIENCE_S)
    leaving.cancel()
    server.gate.set()

    assert (await staying).reveal() == "ya29.sim-1"
    assert len(server.token_requests) == 1


@pytest.mark.parametrize("status", [200, 403, 503])
async def test_shows_no_token(
    identity: GoogleIdentity,
    server: MetadataServer,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    server.status = status
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    try:
        shown.append(repr(await identity.token()))
    except IdentityUnavailable as error:
        shown += [repr(error), repr(error.__cause__), repr(error.__context__)]

    logged = [str(record.__dict__) for record in caplog.records]
    assert "ya29" not in "".join([*shown, *logged, repr(identity)])
    told = [record.__dict__["cause"] for record in caplog.records if record.name.startswith("comm")]
    host = server.address
    assert told == {200: [], 403: ["RefreshError"], 503: [f"{host} answered 503"]}[status]


async def test_without_credentials_anywhere_there_is_no_token(
    identity: GoogleIdentity, server: MetadataServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True)

    with pytest.raises(IdentityUnavailable):
        await identity.token()

    assert server.heads == []
