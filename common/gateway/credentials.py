"""Which of a request's headers is our key, which is the provider's, and what goes on upstream.

Two ways to call: `x-gateway-key` holds ours and the SDK's own header carries the provider key,
which goes through in the form the client chose; or ours stands alone in the SDK's own header, and
the provider key comes from the environment (managed). A provider key that is sent always pays. No
header of the gateway and no second credential reaches a provider, and nothing is ever decided by
`Host`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from common.core.secrets import Secret
from common.gateway.destinations import Credential
from common.gateway.keys import PREFIX, key_digest
from common.gateway.refusals import Refusal
from common.llm.paths import ProtocolName

GATEWAY_KEY_HEADER = "x-gateway-key"
QUERY_KEY = "?key"
"""Stands for the query's `key` where a credential's header is named."""
_HEADERS = ("authorization", "x-api-key")
_PROVIDER_FORMS: Mapping[ProtocolName, tuple[str, ...]] = {
    "openai": (*_HEADERS, "api-key"),  # the last is Azure's
    "anthropic": _HEADERS,
    "gemini": ("x-goog-api-key", "authorization", QUERY_KEY),
}
_MANAGED_HEADERS: Mapping[ProtocolName, str] = {
    "openai": "authorization",
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
}
_CREDENTIAL_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_GEMINI_QUERY_CREDENTIALS = frozenset({"key", "$key", "access_token", "oauth_token"})
_NEVER_FORWARDED = frozenset(
    {
        *(name.encode() for name in _CREDENTIAL_HEADERS),
        b"host",
        b"content-length",
        b"accept-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
        b"cookie",
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-priority",
        b"x-serverless-authorization",
        b"x-cloud-trace-context",
        b"function-execution-id",
    }
)
_CHOOSING_WHO_PAYS = frozenset({b"x-goog-user-project"})
"""Beside the installation's key they would send its bill elsewhere."""
_NEVER_FORWARDED_PREFIXES = (b"x-gateway-", b"x-brownout", b"x-forwarded-", b"x-goog-iap-")
_HOP_BY_HOP_REPLY = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"set-cookie",
        b"alt-svc",
        # The server in front of the gateway writes its own.
        b"date",
        b"server",
    }
)

_HOP_BY_HOP_OR_LENGTH = _HOP_BY_HOP_REPLY | {b"content-length"}

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class ProviderKey:
    """What pays for a call at its provider.

    `header` is the name it is sent in, or `?key` where it stays in the query, `value` what is sent
    there. `managed` says that it is the installation's, which no client may see; `credential` is
    then its name.
    """

    secret: Secret
    header: str
    value: Secret
    managed: bool
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Payer:
    """What pays for a call, without its secret.

    `name` is that of the installation's credential, empty for its identity at Google, or the
    fingerprint of a caller's `own` key.
    """

    name: str
    own: bool


@dataclass(slots=True)
class Shown:
    """The keys in a request: the SHA-256 of the gateway's, and the provider's, if one was sent."""

    digest: str
    own: ProviderKey | None


def read_credentials(headers: Mapping[str, str], query: str, protocol: ProtocolName) -> Shown:
    """Find both keys of a request.

    Raises:
        Refusal: missing_gateway_key, invalid_gateway_key.
    """
    found = list(_offered(headers, query))
    own = _gateway_header(headers) or next((t for _, t in found if t.startswith(PREFIX)), None)
    if own is None:
        raise Refusal(
            "missing_gateway_key",
            "No gateway key was sent. Send one in x-gateway-key, with the provider's key where the "
            "SDK puts it, or alone as the SDK's API key. Keys begin with ocg_.",
        )
    digest = key_digest(own)
    if digest is None:
        raise Refusal(
            "invalid_gateway_key",
            "The gateway key is not one of ours: its form or checksum is wrong. "
            "Copy it again, whole, or ask for a new one.",
        )
    forms = _PROVIDER_FORMS[protocol]
    theirs = ((n, t) for n, t in found if n in forms and not t.startswith(PREFIX))
    provider_key = next(theirs, None)
    if provider_key is None:
        return Shown(digest, None)
    name, text = provider_key
    value = f"Bearer {text}" if name == "authorization" else text
    return Shown(digest, ProviderKey(Secret(text), name, Secret(value), managed=False))


def managed_key(credential: Credential, protocol: ProtocolName) -> ProviderKey:
    """A provider key of the installation, in the form that the API called takes."""
    name = _MANAGED_HEADERS[protocol]
    secret = credential.secret
    sent = Secret(f"Bearer {secret.reveal()}") if name == "authorization" else secret
    return ProviderKey(secret, name, sent, managed=True, credential=credential.name)


def bearer(token: Secret) -> ProviderKey:
    """The function's own identity, as a token that ends within the hour."""
    return ProviderKey(token, "authorization", Secret(f"Bearer {token.reveal()}"), managed=True)


def _gateway_header(headers: Mapping[str, str]) -> str:
    """Our own header, with or without the `Bearer` people put before every key."""
    return headers.get(GATEWAY_KEY_HEADER, "").strip().removeprefix("Bearer ").strip()


def _offered(headers: Mapping[str, str], query: str) -> Iterable[tuple[str, str]]:
    """Every credential in a request: header name (or ``?key``) and text, empty ones left out."""
    for name in _CREDENTIAL_HEADERS:
        text = headers.get(name, "").strip()
        if text and name == "authorization":
            scheme, _, rest = text.partition(" ")
            text = rest.strip() if scheme.lower() == "bearer" else ""
        if text:
            yield name, text
    for name, text in parse_qsl(query) if query else ():
        if name == "key" and text.strip():
            yield QUERY_KEY, text.strip()


def forwarded_headers(raw: Iterable[tuple[bytes, bytes]], key: ProviderKey) -> RawHeaders:
    """The request's headers as the provider gets them, in the order and form the client chose."""
    named_by_connection = _names(value for header, value in raw if header == b"connection")
    managed = key.managed
    kept = [
        (name, value)
        for name, value in raw
        if (lowered := name.lower()) not in _NEVER_FORWARDED
        and lowered not in named_by_connection
        and not lowered.startswith(_NEVER_FORWARDED_PREFIXES)
        and not (managed and lowered in _CHOOSING_WHO_PAYS)
    ]
    if key.header != QUERY_KEY:
        kept.append((key.header.encode(), key.value.reveal().encode("latin-1")))
    # Usage is read from the bytes that pass: they must not be compressed.
    kept.append((b"accept-encoding", b"identity"))
    return kept


def forwarded_query(query: str, key: ProviderKey, protocol: ProtocolName) -> str:
    """The query string without a gateway key, and without a credential that does not pay.

    Byte for byte as it came where it holds none of them. Only Gemini takes keys in a query: to
    others a `key` that is not ours means something else.
    """
    if not query:
        return query
    pairs = parse_qsl(query, keep_blank_values=True)
    ours = any(name == "key" and text.strip().startswith(PREFIX) for name, text in pairs)
    if protocol != "gemini":
        dropped = {"key"} if ours else set()
        kept = [(name, text) for name, text in pairs if name not in dropped]
    else:
        in_query = key.value.reveal() if key.header == QUERY_KEY else None
        kept = [
            (name, text)
            for name, text in pairs
            if name not in _GEMINI_QUERY_CREDENTIALS or (name == "key" and text.strip() == in_query)
        ]
    return query if kept == pairs else urlencode(kept)


def answered_headers(raw: Iterable[tuple[bytes, bytes]], *, edited: bool) -> RawHeaders:
    """A provider's headers as the client gets them; without the length where bytes were removed.

    What `connection` names is for this connection alone too (RFC 9110, 7.6.1).
    """
    dropped = _HOP_BY_HOP_OR_LENGTH if edited else _HOP_BY_HOP_REPLY
    kept: RawHeaders = []
    naming: list[bytes] = []
    for name, value in raw:
        lowered = name.lower()
        if lowered in dropped:
            if lowered == b"connection":
                naming.append(value)
        elif not lowered.startswith(b"x-gateway-"):
            kept.append((lowered, value))
    if not naming:
        return kept
    named = _names(naming)
    return [(name, value) for name, value in kept if name not in named]


def _names(values: Iterable[bytes]) -> set[bytes]:
    """The headers that `connection` names, in lower case."""
    return {name.strip().lower() for value in values for name in value.split(b",")}
