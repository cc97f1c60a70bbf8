"""How a connection is opened: a name is resolved once, judged, and what was judged is connected to.

IPv6 and IPv4 are tried beside each other (RFC 8305). A proxy is asked by CONNECT, and is the one
that resolves names then. TLS checks the chain and the name, and tells the name (SNI).
"""

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, TypeAlias

import httpx

from common.adapters.lean_connection import Connection, Exchange
from common.adapters.reachable import PrivateAddress, may_be_called

NEXT_ADDRESS_S = 0.25
"""How long one address is tried before the next one is tried beside it (RFC 8305, section 5)."""

Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Reach:
    """Where connections may go, and how.

    `judged`: names are resolved here and addresses inside the own network left out. Not so for the
    metadata server of the machine.
    """

    tls: ssl.SSLContext
    proxy: httpx.Proxy | None = None
    allow_private: bool = False
    judged: bool = True


async def open_connection(
    reach: Reach, origin: tuple[str, str, int], connect_s: float | None
) -> Connection:
    """A connection to a scheme, host and port, ready for its first request.

    Raises:
        httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError: there is none; nothing of a
            request was sent.
    """
    try:
        async with asyncio.timeout(connect_s):
            return await _open(reach, *origin)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("not connected in time") from error
    except (OSError, UnicodeError, ValueError) as error:
        raise httpx.ConnectError(type(error).__name__) from error


async def _open(reach: Reach, scheme: str, host: str, port: int) -> Connection:
    proxy = reach.proxy
    if proxy is not None and proxy.url.scheme != "http":
        raise httpx.UnsupportedProtocol("a proxy is spoken to in plain HTTP")
    if proxy is None:
        addresses = await _resolve(host, port)
        if reach.judged:
            addresses = _judged(addresses, allow_private=reach.allow_private)
    else:
        addresses = await _resolve(proxy.url.host, proxy.url.port or 80)
    connected = await connect_first(addresses)
    loop = asyncio.get_running_loop()
    straight = scheme == "https" and proxy is None
    try:
        _, connection = await loop.create_connection(
            Connection,
            sock=connected,
            ssl=reach.tls if straight else None,
            server_hostname=host if straight else None,
        )
    except BaseException:
        connected.close()
        raise
    if proxy is None:
        return connection
    try:
        await _through(connection, proxy, host, port)
        if scheme == "https":
            await _secure(connection, reach.tls, host)
    except BaseException:
        connection.abort()
        raise
    return connection


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]
    if literal.version == 4:
        return [(socket.AF_INET, (host, port))]
    return [(socket.AF_INET6, (host, port, 0, 0))]


def _judged(addresses: Sequence[Address], *, allow_private: bool) -> list[Address]:
    kept = [
        each for each in addresses if may_be_called(str(each[1][0]), allow_private=allow_private)
    ]
    if not kept:
        raise PrivateAddress("the name leads inside the own network")
    return kept


async def connect_first(
    addresses: Sequence[Address], next_address_s: float = NEXT_ADDRESS_S
) -> socket.socket:
    """The first socket that connects. Families take turns; a failure brings the next one forward.

    Raises:
        OSError: none does; it is what the first address to fail answered.
    """
    waiting = _in_turns(addresses)
    if len(waiting) == 1:
        return await _connected(waiting[0])
    trying: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    winner: socket.socket | None = None
    try:
        while winner is None:
            if waiting:
                trying.add(asyncio.ensure_future(_connected(waiting.pop(0))))
            elif not trying:
                raise failures[0]
            ended, trying = await asyncio.wait(
                trying,
                timeout=next_address_s if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for each in ended:
                failure = each.exception()
                if failure is not None:
                    failures.append(failure)
                elif winner is None:
                    winner = each.result()
                else:
                    each.result().close()
        return winner
    finally:
        _leave(trying)


def _leave(trying: set[asyncio.Task[socket.socket]]) -> None:
    """Without waiting: a caller that is cancelled here would leave the socket that has won."""
    for each in trying:
        each.cancel()
        each.add_done_callback(_close_late)


def _close_late(tried: asyncio.Task[socket.socket]) -> None:
    if not tried.cancelled() and tried.exception() is None:
        tried.result().close()


def _in_turns(addresses: Sequence[Address]) -> list[Address]:
    """The first family first, then one of each."""
    preferred = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    turns = chain.from_iterable(zip_longest(preferred, others))
    return [each for each in turns if each is not None]


async def _connected(address: Address) -> socket.socket:
    family, place = address
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, place)
    except BaseException:
        made.close()
        raise
    return made


async def _through(connection: Connection, proxy: httpx.Proxy, host: str, port: int) -> None:
    """Have a proxy connect to the host. Nothing may come after its answer before we speak."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}"]
    if proxy.raw_auth is not None:
        token = base64.b64encode(b":".join(proxy.raw_auth)).decode()
        lines.append(f"proxy-authorization: Basic {token}")
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    if not connection.is_open:
        raise httpx.ProxyError("closed at once")
    exchange = Exchange(connection, to_connect=True)
    connection.begin(exchange, head)
    try:
        answer = await exchange.reply(None, None)
    except httpx.TransportError as error:
        raise httpx.ProxyError(type(error).__name__) from error
    if not 200 <= answer.status < 300:
        raise httpx.ProxyError(f"answered {answer.status}")


async def _secure(connection: Connection, tls: ssl.SSLContext, host: str) -> None:
    if not connection.is_open:
        raise ConnectionError("closed before TLS began")
    loop = asyncio.get_running_loop()
    secured = await loop.start_tls(connection.transport, connection, tls, server_hostname=host)
    if secured is None:
        raise ConnectionError("closed while TLS began")
    connection.runs_over(secured)
