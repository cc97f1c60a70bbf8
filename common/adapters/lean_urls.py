"""Where a call goes, read off its URL; and the proxy that it may go through.

A URL is read in one form alone. What another reader could take for another host or path, as a user
before the host or a path with `..`, is refused.
"""

import base64
import ipaddress
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

from common.adapters.lean_errors import NotARequest
from common.gateway.upstream_records import is_of_metadata, is_public

Origin: TypeAlias = tuple[str, str, int]
"""A scheme, a host and a port."""

_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Za-z:.%_~-]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/.*)?",
    re.DOTALL,
)
_PATH_SAFE: Final = "/%!$&'()*+,;=:@[]|\\^-._~"
_QUERY_SAFE: Final = _PATH_SAFE + "?`{}"
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_LONGEST_KEPT = 1_000
_PROXY = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^:/?#\s]*)(?::(?P<word>[^/?#\s]*))?@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A URL that was read.

    `host` is what the header says, `target` what the request's first line asks for. `is_inside`:
    an address inside the own network stands in the URL itself, so no name is resolved.
    """

    origin: Origin
    host: bytes
    target: bytes
    is_inside: bool
    is_of_metadata: bool


def read_url(url: str) -> Address:
    """Read a URL.

    Raises:
        NotARequest: it is not http or https to a host, or not in the one form.
    """
    before, has_query, query = url.partition("#")[0].partition("?")
    address = (_kept if len(before) <= _LONGEST_KEPT else _read)(before)
    if not has_query:
        return address
    # Apart from what is kept: a query is another at each call, or holds a key.
    target = b"%b?%b" % (address.target, quote(query, safe=_QUERY_SAFE).encode("ascii"))
    return replace(address, target=target)


def _read(url: str) -> Address:
    """Read a URL that has no query."""
    found = _URL.fullmatch(url)
    if found is None or _DOTS.search(url) is not None:
        raise NotARequest("no address to call")
    scheme, host = found["scheme"], found["host"].lower()
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port <= _LARGEST_PORT:
        raise NotARequest("no address to call")
    target = quote(found["path"] or "/", safe=_PATH_SAFE)
    named = host if port == _PORTS[scheme] else f"{host}:{port}"
    name = host.strip("[]")
    of_metadata = is_of_metadata(unquote(name))
    return Address(
        (scheme, name, port),
        named.encode("ascii"),
        target.encode("ascii"),
        _is_inside(name, in_brackets=host != name, of_metadata=of_metadata),
        of_metadata,
    )


_kept = lru_cache(1_000)(_read)


def _is_inside(name: str, *, in_brackets: bool, of_metadata: bool) -> bool:
    """Addresses that stand in a URL themselves are judged before anything is connected."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if in_brackets and not of_metadata:
            raise NotARequest("no address to call") from None
        return False
    return not is_public(address)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is asked by CONNECT. `authorization` is its header's value."""

    host: str
    port: int
    by_tls: bool
    authorization: bytes | None


def read_proxy(url: str) -> Proxy:
    """Read a proxy's URL.

    Raises:
        ValueError: it is no such URL. Its text holds nothing of it, since a password may.
    """
    found = _PROXY.fullmatch(url)
    port = 0 if found is None else int(found["port"] or _PORTS[found["scheme"]])
    if found is None or not 0 < port <= _LARGEST_PORT:
        raise ValueError(
            "a proxy is given as http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before "
            "the host where it asks for them; in these / is written %2F, ? is %3F and # is %23"
        )
    authorization = None
    if found["user"] is not None:
        pair = f"{unquote(found['user'])}:{unquote(found['word'] or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode())
    return Proxy(found["host"].strip("[]"), port, found["scheme"] == "https", authorization)
