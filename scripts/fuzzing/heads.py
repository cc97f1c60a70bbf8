"""Laws of a request's head: its path, its keys, and whom it is charged to.

An input is a head as it is sent, `METHOD target` and a line for each header, and reaches the
parsers as a server hands it over.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import get_args
from urllib.parse import parse_qsl, unquote

from common.core.secrets import Secret
from common.gateway.attribution import attribute
from common.gateway.credentials import (
    QUERY_KEY,
    RawHeaders,
    forwarded_headers,
    forwarded_query,
    managed_key,
    read_credentials,
)
from common.gateway.destinations import Credential
from common.gateway.incoming import lower_case
from common.gateway.keys import PREFIX, Key, KeyPolicy, new_key_text
from common.gateway.refusals import Refusal
from common.llm.paths import ENDPOINTS, Endpoint, ProtocolName, resolve
from scripts.fuzzing.target import Target, hold

KEY_TEXT = new_key_text(bytes)
_PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
_CREDENTIALS = {b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"}
_QUERY_CREDENTIALS = {"key", "$key", "access_token", "oauth_token"}
_MANAGED = Credential("managed", Secret("the-installation-s-own"))
_LISTED = {(protocol, name, method, form) for protocol, name, method, _, form in ENDPOINTS}
_MADE_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
_KEY = Key(
    digest="0" * 64,
    key_id="0" * 12,
    name="key",
    line="line",
    org="acme",
    team="search",
    agent="crawler",
    project=None,
    tags={"env": "prod"},
    may_act_as=("indexer",),
    policy=KeyPolicy(tags=("feature", "customer")),
    created_by="admin@example.com",
    created_at=_MADE_AT,
    expires_at=None,
    revoked_at=None,
)
_TARGETS = (
    *(
        f"{method} /{protocol}{re.sub(r'{[a-z]+}', named, path.replace('{version}', 'v1beta'))}"
        for named in ("x", "..", "%2e")
        for protocol, _, method, path, _ in ENDPOINTS
    ),
    "POST /v1/models/m:embedContent%3Fkey=1",
)


def head_targets() -> Iterator[Target]:
    key = KEY_TEXT.encode()
    paths = [target.encode() + b"\nx-goog-api-key: k\n" for target in _TARGETS]
    credentials = [
        b"POST /?a=%20b&key=k&alt=sse\nX-Gateway-Key: Bearer " + key + b"\nX-API-Key: theirs\n",
        b"POST /?key=" + key + b"&key=theirs&access_token=t\nAuthorization: Basic dTpw\n",
        b"POST /\nAuthorization: Bearer " + key + b"\nx-goog-api-key: k\nConnection: x-a, close\n",
    ]
    attributions = [
        (
            b"POST /\nx-gateway-agent: indexer\nx-gateway-tags: feature=a,customer= b ,=,x\n"
            b"x-gateway-user: \xe9\nx-gateway-session: s\nx-gateway-other: 1\n"
        ),
    ]
    yield _target("path", _check_path, paths)
    for protocol in _PROTOCOLS:
        check = partial(_check_credentials, protocol)
        yield _target(f"credentials.{protocol}", check, credentials)
    yield _target("attribution", _check_attribution, attributions)


@dataclass(frozen=True, slots=True)
class _Head:
    method: str
    path: str
    query: str
    raw: RawHeaders
    headers: Mapping[str, str]


def _target(name: str, check: Callable[[_Head], None], seeds: list[bytes]) -> Target:
    return Target(name, lambda data: check(_read_head(data)), seeds)


def _read_head(data: bytes) -> _Head:
    first, *lines = data.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    pairs = [line.partition(b":") for line in lines if b":" in line]
    raw = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
    return _Head(
        method.decode("latin-1"),
        unquote(path.decode("latin-1")),
        query.decode("latin-1"),
        raw,
        lower_case(raw),
    )


def _check_path(head: _Head) -> None:
    found = resolve(head.method, head.path, head.headers)
    if not isinstance(found, Endpoint):
        return
    row = (found.protocol, found.name, found.method, found.form)
    hold("what is forwarded is listed", holds=row in _LISTED)
    hold("the method is the client's", holds=found.method == head.method)
    segments = found.path.split("/")
    hold("the path is absolute", holds=segments[0] == "")
    hold("no segment climbs", holds=not {"", ".", ".."} & set(segments[1:]))
    hold("a model is one name", holds=not set(found.model or "") & set("/:"))


def _check_credentials(protocol: ProtocolName, head: _Head) -> None:
    try:
        shown = read_credentials(head.headers, head.query, protocol)
    except Refusal:
        return
    hold("our key is known by its digest", holds=len(shown.digest) == 64)
    key = shown.own or managed_key(_MANAGED, protocol)
    hold("no gateway key pays", holds=not key.secret.reveal().startswith(PREFIX))
    query = forwarded_query(head.query, key, protocol)
    pairs = parse_qsl(query, keep_blank_values=True)
    sent = [text.strip() for name, text in pairs if name == "key"]
    hold("no gateway key goes out in a query", holds=not any(t.startswith(PREFIX) for t in sent))
    if protocol == "gemini":
        paying = {key.secret.reveal()} if key.header == QUERY_KEY else set()
        texts = {text.strip() for name, text in pairs if name in _QUERY_CREDENTIALS}
        hold("only what pays goes out in a query", holds=texts <= paying)
    hold("a query is cleaned once", holds=forwarded_query(query, key, protocol) == query)
    names = [name for name, _ in forwarded_headers(head.raw, key)]
    credentials = [name for name in names if name in _CREDENTIALS]
    wanted = [] if key.header == QUERY_KEY else [key.header.encode()]
    hold("only the header that pays goes out", holds=credentials == wanted)
    hold("no header of ours goes out", holds=not any(n.startswith(b"x-gateway-") for n in names))


def _check_attribution(head: _Head) -> None:
    charged = attribute(_KEY, head.headers, b"installation")
    hold("the agent is the key's", holds=charged.agent in {_KEY.agent, *_KEY.may_act_as})
    hold("tags are opened by the key", holds=set(charged.tags) <= {*_KEY.tags, *_KEY.policy.tags})
    hold("its own tags stay", holds=_KEY.tags.items() <= charged.tags.items())
    hold("values are short", holds=all(len(value) <= 256 for value in charged.tags.values()))
    hashes = [text for text in (charged.user_hash, charged.session_hash) if text is not None]
    hold("names are hashed", holds=all(len(text) == 32 for text in hashes))
