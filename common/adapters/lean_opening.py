"""How a connection is opened: a name's addresses are judged, and what was judged is connected to.

IPv6 and IPv4 are tried beside each other (RFC 8305). A proxy is asked by CONNECT, and is the one
that resolves names then. TLS checks the chain and the name, and tells the name (SNI).
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from common.adapters.lean_connection import Connection, Exchange
from common.adapters.lean_errors import ConnectedTooLate, NotConnected, NotProxied
from common.adapters.lean_names import Names, Place
from common.adapters.lean_urls import Origin, Proxy
from common.adapters.reachable import PrivateAddress, may_be_called
from common.gateway.upstream import UpstreamError

NEXT_ADDRESS_S = 0.25
"""How long one address is tried before the next one is tried beside it (RFC 8305, section 5)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where connections may go, and how.

    `judged`: names are resolved here and addresses inside the own network left out. Not so for the
    metadata server of the machine.
    """

    tls: Callable[[], ssl.SSLContext]
    names: Names
    proxy: Proxy | None = None
    allow_private: bool = False
    judged: bool = True


async def open_connection(reach: Reach, origin: Origin, connect_s: float | None) -> Connection:
    """A connection to a scheme, host and port, ready for its first request.

    Raises:
        NotConnected, ConnectedTooLate, NotProxied: there is none; nothing of a request was sent.
    """
    scheme, host, port = origin
    reached: Connection | None = None
    try:
        async with asyncio.timeout(connect_s):
            if reach.proxy is None:
                reached = await _reached(reach, host, port)
            else:
                reached = await _proxied(reach, reach.proxy, host, port)
            if scheme == "https":
                await _secure(reached, reach.tls(), host)
    except BaseException as error:
        if reached is not None:
            reached.abort()
        if not isinstance(error, (OSError, UnicodeError, ValueError)):
            raise
        raise _failure(error, reach.proxy is not None, has_reached=reached is not None) from None
    return reached


def _failure(error: Exception, proxied: bool, *, has_reached: bool) -> UpstreamError:
    """Whose failure it is.

    Silence and a wrong certificate behind a proxy that said it is through may be the origin's. What
    else goes wrong there, as a closing or bytes that are no TLS, says that it is not through.
    """
    said = "not in time" if isinstance(error, TimeoutError) else type(error).__name__
    of_origin = has_reached and isinstance(error, (TimeoutError, ssl.SSLCertVerificationError))
    if proxied and not of_origin:
        return NotProxied(f"after its answer to CONNECT: {said}" if has_reached else said)
    if isinstance(error, TimeoutError):
        return ConnectedTooLate("not connected in time")
    return NotConnected(said)


async def _reached(reach: Reach, host: str, port: int) -> Connection:
    places = await reach.names.places(host, port)
    if reach.judged:
        places = _judged(places, allow_private=reach.allow_private)
    return await _connection(await connect_first(places))


async def _proxied(reach: Reach, proxy: Proxy, host: str, port: int) -> Connection:
    places = await reach.names.places(proxy.host, proxy.port)
    connection = await _connection(await connect_first(places))
    try:
        if proxy.by_tls:
            await _secure(connection, reach.tls(), proxy.host)
        await _through(connection, proxy, host, port)
    except BaseException:
        connection.abort()
        raise
    return connection


async def _connection(connected: socket.socket) -> Connection:
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, sock=connected
        )
    except BaseException:
        connected.close()
        raise
    return connection


def _judged(addresses: Sequence[Place], *, allow_private: bool) -> list[Place]:
    kept = [
        each for each in addresses if may_be_called(str(each[1][0]), allow_private=allow_private)
    ]
    if not kept:
        raise PrivateAddress("the name leads inside the own network")
    return kept


async def connect_first(
    addresses: Sequence[Place], next_address_s: float = NEXT_ADDRESS_S
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


def _in_turns(addresses: Sequence[Place]) -> list[Place]:
    """The first family first, then one of each."""
    preferred = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    turns = chain.from_iterable(zip_longest(preferred, others))
    return [each for each in turns if each is not None]


async def _connected(address: Place) -> socket.socket:
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


async def _through(connection: Connection, proxy: Proxy, host: str, port: int) -> None:
    """Have a proxy connect to the host. Nothing may come after its answer before we speak."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n".encode("ascii")
    if proxy.authorization is not None:
        head += b"proxy-authorization: " + proxy.authorization + b"\r\n"
    if not connection.is_open:
        raise NotProxied("it closed at once")
    exchange = Exchange(connection, to_connect=True)
    connection.begin(exchange, head + b"\r\n")
    try:
        answer = await exchange.reply()
    except UpstreamError as error:
        raise NotProxied(f"its answer to CONNECT: {error}") from None
    if not 200 <= answer.status < 300:
        raise NotProxied(f"it answered CONNECT with {answer.status}")


async def _secure(connection: Connection, tls: ssl.SSLContext, host: str) -> None:
    """Begin TLS on a connection.

    Apart from connecting: uvloop holds on to what is cancelled while it does both at once.
    """
    if not connection.is_open:
        raise ConnectionError("closed before TLS began")
    secured = await asyncio.get_running_loop().start_tls(
        connection.transport,
        connection,
        tls,
        # No certificate has the dot that ends a whole name.
        server_hostname=host.removesuffix("."),
    )
    if secured is None:
        raise ConnectionError("closed while TLS began")
    connection.runs_over(secured)
