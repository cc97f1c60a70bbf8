"""What leaves, where it may go, and what is made of an answer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import pytest

from common.adapters.channels import MOST_ANSWER_BYTES, ChannelSender
from common.adapters.upstream import HttpUpstream
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamDisconnected, UpstreamReply, UpstreamRequest
from common.incidents.outgoing import NotNow, Post, Refused, Taken
from tests.gateway.making import START, SetClock
from tests.notifier.conftest import Receivers, Reply

URL = "https://ops.example.com/hook?sig=secret-in-the-address"
HOST = "ops.example.com"
POST = Post(Secret(URL), b"{}", {"x-signature": "t=1,v1=a"})


def a_sender(receivers: Receivers) -> ChannelSender:
    return ChannelSender(receivers, SetClock())


async def answered(reply: Reply) -> Taken | Refused | NotNow:
    receivers = Receivers(replies={HOST: [reply]})
    result = await a_sender(receivers).send(POST)
    assert reply.is_closed
    return result


async def test_posts_json_with_its_headers_to_no_private_address() -> None:
    receivers = Receivers()

    assert await a_sender(receivers).send(POST) == Taken()

    [request] = receivers.posted
    assert (request.method, request.url, request.body) == ("POST", URL, b"{}")
    assert (request.allow_private, request.to_metadata) == (False, False)
    assert (b"content-type", b"application/json") in request.headers
    assert (b"x-signature", b"t=1,v1=a") in request.headers


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_takes_every_success_for_one(status: int) -> None:
    assert await answered(Reply(status)) == Taken()


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 413])
async def test_takes_redirects_and_refusals_as_final(status: int) -> None:
    headers = [(b"location", b"https://elsewhere.example.com")]

    refused = Refused(f"It answered {status}.", may_be_its_form=status in {400, 413})
    assert await answered(Reply(status, headers, b"")) == refused


@pytest.mark.parametrize(
    ("status", "sent"), [(408, True), (425, True), (429, False), (500, True), (503, True)]
)
async def test_tries_again_what_may_pass(status: int, sent: bool) -> None:
    reason = f"It answered {status}."

    assert await answered(Reply(status, body=b"")) == NotNow(reason, None, sent=sent)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (b"30", 30.0),
        (b" 0 ", 0.0),
        (format_datetime(START + timedelta(seconds=90), usegmt=True).encode(), 90.0),
        (format_datetime(START - timedelta(seconds=90), usegmt=True).encode(), 0.0),
        (b"-1", None),
        (b"1e9", None),
        (b"99999999", None),
        (b"soon", None),
        (b"", None),
    ],
)
async def test_reads_when_to_come_again(told: bytes, seconds: float | None) -> None:
    result = await answered(Reply(429, [(b"Retry-After", told)]))

    assert isinstance(result, NotNow)
    assert result.after_s == seconds


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"invalid_blocks", " invalid_blocks"),
        (b"not a word", ""),
        (URL.encode(), ""),
        (b"x" * 61, ""),
        (b"x" * (MOST_ANSWER_BYTES + 1), ""),
        (b"\xff", ""),
        (b"invalid\n", ""),
    ],
)
async def test_repeats_of_an_answer_one_plain_word_at_most(body: bytes, word: str) -> None:
    assert await answered(Reply(403, body=body)) == Refused(f"It answered 403{word}.")


async def test_reads_no_more_of_an_answer_than_it_looks_at() -> None:
    read: list[int] = []

    class Long(Reply):
        async def chunks(self) -> AsyncIterator[bytes]:
            for _ in range(100):
                read.append(1)
                yield b"x" * 16_384

    assert await answered(Long(200)) == Taken()
    assert len(read) <= MOST_ANSWER_BYTES // 16_384 + 1


async def test_does_not_wait_longer_than_its_deadline() -> None:
    class Silent:
        async def send(self, request: UpstreamRequest) -> UpstreamReply:
            del request
            await asyncio.Event().wait()
            raise AssertionError

    result = await ChannelSender(Silent(), SetClock(), send_s=0.01).send(POST)

    assert result == NotNow("It did not answer within 0.01 s.", sent=True)


async def test_takes_an_answer_that_breaks_off_as_none() -> None:
    class Broken(Reply):
        async def chunks(self) -> AsyncIterator[bytes]:
            for part in (b"o", None):
                if part is None:
                    raise UpstreamDisconnected("ServerDisconnectedError")
                yield part

    result = await answered(Broken(200))

    assert result == NotNow("The connection broke: ServerDisconnectedError.", sent=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "http://ops.example.com/x",
        "ftp://ops.example.com/x",
        "https://user:pass@ops.example.com/x",
        "https://ops.example.com/x y",
        "https://ops.example.com/\\x",
        "https://ops.example.com:0/",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://0x7f000001/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://10.1.2.3/x",
        "https://192.168.0.1/x",
        "https://169.254.169.254/computeMetadata/v1",
        "https://metadata.google.internal/x",
        "https://service.internal/x",
        "https://localhost/x",
        "https://[64:ff9b::a00:1]/x",
    ],
)
async def test_sends_nothing_to_an_address_that_must_not_be_called(url: str) -> None:
    receivers = Receivers()

    result = await a_sender(receivers).send(Post(Secret(url), b"{}"))

    assert isinstance(result, Refused)
    assert receivers.posted == []
    assert "user:pass" not in result.reason


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("http://127.0.0.1:8080/hook?x=1", True),
        ("http://127.0.0.1", True),
        ("http://127.0.0.1:8080@evil.example.com/x", False),
        ("http://127.0.0.1.evil.example.com/x", False),
        ("http://127.0.0.2/x", False),
        ("http://10.0.0.1/x", False),
        ("http://169.254.169.254/x", False),
        ("https://127.0.0.1/x", False),
        ("https://10.0.0.1/x", False),
        ("http://127.0.0.1:8080/x y", False),
        ("http://127.0.0.1:0/", False),
    ],
)
async def test_sends_to_this_machine_on_a_laptop_and_nowhere_else_inside(
    url: str, *, is_sent: bool
) -> None:
    receivers = Receivers()
    sender = ChannelSender(receivers, SetClock(), local=True)

    result = await sender.send(Post(Secret(url), b"{}"))

    assert isinstance(result, Taken) is is_sent
    assert [each.allow_private for each in receivers.posted] == ([True] if is_sent else [])


async def test_does_not_open_the_own_network_for_others_on_a_laptop() -> None:
    receivers = Receivers()

    await ChannelSender(receivers, SetClock(), local=True).send(POST)

    assert [each.allow_private for each in receivers.posted] == [False]


async def test_sends_nothing_to_a_public_name_that_leads_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def inside(*_args: object, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    upstream = HttpUpstream()

    result = await ChannelSender(upstream, SetClock()).send(POST)
    await upstream.aclose()

    assert result == Refused("Its address must not be called: it leads inside the own network.")
