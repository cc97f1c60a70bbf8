"""Names are asked for once, kept for a while, and judged at each connection."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.adapters.lean_names import KEPT_S, Names
from common.adapters.upstream import HttpUpstream
from common.gateway.upstream import UpstreamRequest, UpstreamUnreachable
from tests.upstream.conformance.scripted import DEADLINE_S, Server, answers

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class System:
    """What the machine answers for names, and how often it was asked."""

    answers: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    asked: int = 0
    may_answer: threading.Event = field(default_factory=threading.Event)

    def getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        self.asked += 1
        assert self.may_answer.wait(DEADLINE_S)
        if not self.answers:
            raise socket.gaierror(socket.EAI_NONAME, host)
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, "", (each, port)) for each in self.answers]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    made = System()
    made.may_answer.set()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.may_answer.set()


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    made = Names()
    yield made
    await made.aclose()


async def test_asks_once_for_all_who_wait_and_for_those_after_them(
    system: System, names: Names
) -> None:
    for _ in range(2):
        found = await asyncio.gather(*(names.places("provider.test", 443) for _ in range(50)))
        assert found == [[(socket.AF_INET, ("127.0.0.1", 443))]] * 50

    assert system.asked == 1


async def test_asks_again_after_a_while(system: System) -> None:
    names = Names(kept_s=0)

    for answer in ("192.0.2.1", "192.0.2.2"):
        system.answers = [answer]
        assert await names.places("provider.test", 443) == [(socket.AF_INET, (answer, 443))]

    assert 0 < KEPT_S <= 60
    await names.aclose()


async def test_keeps_no_failure(system: System, names: Names) -> None:
    system.answers = []
    with pytest.raises(socket.gaierror):
        await names.places("provider.test", 443)
    system.answers = ["127.0.0.1"]

    assert await names.places("provider.test", 443) == [(socket.AF_INET, ("127.0.0.1", 443))]


async def test_one_who_leaves_takes_nobodys_answer_away(system: System, names: Names) -> None:
    system.may_answer.clear()
    leaving, staying = (asyncio.create_task(names.places("provider.test", 1)) for _ in range(2))
    for _ in range(3):
        await asyncio.sleep(0)
    leaving.cancel()
    system.may_answer.set()

    assert await staying == [(socket.AF_INET, ("127.0.0.1", 1))]
    assert leaving.cancelled()
    assert system.asked == 1


async def test_keeps_so_many_and_no_more(system: System, names: Names) -> None:
    for number in range(1_200):
        await names.places(f"{number}.provider.test", 443)
    await names.places("1199.provider.test", 443)
    assert system.asked == 1_200

    await names.places("0.provider.test", 443)
    assert system.asked == 1_201


@pytest.mark.parametrize("text", ["127.0.0.1", "::1"])
async def test_asks_nobody_for_an_address(system: System, names: Names, text: str) -> None:
    [(_, place)] = await names.places(text, 443)

    assert place[0] == text
    assert system.asked == 0


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1"])
async def test_connects_to_no_address_inside_though_the_name_is_public(
    system: System, inside: str
) -> None:
    """Also where the name led elsewhere a moment ago: what is kept is judged each time."""
    system.answers = [inside]
    upstream = HttpUpstream()

    for _ in range(2):
        with pytest.raises(UpstreamUnreachable, match="PrivateAddress"):
            await upstream.send(UpstreamRequest("POST", "https://provider.test/", [], b"{}"))
    await upstream.aclose()


async def test_connects_to_what_was_judged_and_to_nothing_else(system: System) -> None:
    """Of several addresses; and the name is not asked for between judging and connecting."""
    server = Server(answers(OK))
    system.answers = ["169.254.169.254", "127.0.0.1"]
    upstream = HttpUpstream()

    async with server.running() as port, asyncio.timeout(DEADLINE_S):
        before = system.asked
        asked = f"http://provider.test:{port}/"
        reply = await upstream.send(UpstreamRequest("POST", asked, [], b"{}", allow_private=True))
        assert [chunk async for chunk in reply.chunks()] == [b"{}"]
        await upstream.aclose()

    assert system.asked - before == 1
    assert len(server.lines) == 1
