"""Which upstream a call goes to, and under which path and model name.

The path names it, or, for a call in OpenAI's format, the model's prefix. A name that nobody knows
is refused: it must never be sent on to a vendor by mistake, with that vendor's key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from common.gateway.access import may_call
from common.gateway.destinations import Destination, Destinations
from common.gateway.keys import KeyPolicy
from common.gateway.refusals import Refusal
from common.llm.capabilities import ModelCaps
from common.llm.edits import Recipient
from common.llm.facts import CallFacts
from common.llm.openai_format import PREFIXED_ENDPOINTS, RequestBody, split_prefix
from common.llm.paths import Endpoint, NotForwarded, forwarded_by
from common.llm.price_book import PriceBook

VERTEX_PUBLISHER = "google/"
_NATIVE_PATHS = {
    "anthropic": "/anthropic/v1/messages",
    "gemini": "/gemini/v1beta/models/{model}:generateContent",
}

_NATIVE_ROOTS = {
    "anthropic": "/anthropic/v1/",
    "gemini": "/gemini/v1beta/",
    "vertex": "/vertex/v1/",
}
_LISTING = (
    ", or, for keys without a hard budget, have the gateway's operator list it in UNMETERED_PATHS"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one call goes. `path` follows the destination's base URL; `body` is what is sent.

    `facts` name the model as it is sent; `asked` is the one the caller named.
    """

    destination: Destination
    path: str
    body: bytes
    facts: CallFacts
    asked: str | None
    warnings: tuple[str, ...] = ()


def recipient_of(endpoint: Endpoint, target: Target, book: PriceBook) -> Recipient:
    """Who gets the call, for those who edit it: with the capabilities of its model's card."""
    to, model = target.destination, target.facts.model
    card = book.card(to.price_list, model or "")
    caps = card.caps if card is not None else ModelCaps()
    return Recipient(endpoint, to.name, model, caps, to.provider)


def with_model_in_path(path: str, before: str, after: str) -> str:
    """The path with another model where it names one, as Gemini's do."""
    head, found, tail = path.rpartition(f"/models/{before}:")
    return f"{head}/models/{after}:{tail}" if found else path


def forwardable(endpoint: Endpoint | NotForwarded) -> Endpoint:
    """The endpoint, if calls to it are forwarded.

    Raises:
        Refusal: method_not_allowed, endpoint_not_supported.
    """
    if isinstance(endpoint, Endpoint):
        return endpoint
    if endpoint.allowed_methods:
        allowed = ", ".join(endpoint.allowed_methods)
        raise Refusal(
            "method_not_allowed",
            f"{endpoint.path} takes {allowed} only. {_native_text(endpoint)}".strip(),
            allow=endpoint.allowed_methods,
        )
    raise Refusal(
        "endpoint_not_supported",
        f"The gateway does not forward {endpoint.protocol}{endpoint.path[:200]}, because it could "
        f"not account for it. {_native_text(endpoint)}It forwards "
        f"{', '.join(forwarded_by(endpoint.protocol))}; for anything else call the provider "
        f"directly{_LISTING if endpoint.listable else ''}.",
    )


def _native_text(endpoint: NotForwarded) -> str:
    """Where the vendor's own API is, for a path that asks for it in OpenAI's format."""
    root = _NATIVE_ROOTS.get(endpoint.upstream)
    if root is None or endpoint.protocol != "openai":
        return ""
    return (
        f"Under this address {endpoint.upstream} speaks OpenAI's format; its own paths begin with "
        f"{root}. "
    )


def choose_target(
    endpoint: Endpoint,
    facts: CallFacts,
    body: RequestBody,
    destinations: Destinations,
    policy: KeyPolicy,
) -> Target:
    """The upstream of one call.

    Raises:
        Refusal: unknown_upstream, model_not_found, endpoint_not_supported, upstream_not_allowed.
    """
    if endpoint.place is not None:
        destination = _vertex(endpoint.place, destinations)
        version, _, rest = endpoint.path[1:].partition("/")
        place = destination.place.path if destination.place is not None else ""
        return Target(destination, f"/{version}{place}/{rest}", body.written, facts, facts.model)
    if endpoint.upstream == "openai" and endpoint.metered and "/" in (facts.model or ""):
        prefix, name = split_prefix(facts.model or "")
        # A name that cannot be replaced surely, such as one given twice, is read as no prefix.
        if (sent := body.with_model(name)) is not None:
            if prefix not in destinations:
                raise _unknown(prefix, destinations, policy)
            return _prefixed(endpoint, facts, body, sent, destinations[prefix])
    known = destinations.get(endpoint.upstream)
    if known is None:
        raise _unknown(endpoint.upstream, destinations, policy)
    path = _openai_path(known, endpoint) if endpoint.protocol == "openai" else endpoint.path
    return Target(known, path, body.written, facts, facts.model)


def _prefixed(
    endpoint: Endpoint,
    facts: CallFacts,
    body: RequestBody,
    sent: bytes,
    destination: Destination,
) -> Target:
    """A call whose model's prefix names its upstream; `sent` is the body without the prefix."""
    prefix, name = split_prefix(facts.model or "")
    if not name or name.startswith("/"):
        raise Refusal("model_not_found", f"{(facts.model or '')[:128]!r} names no model.")
    if endpoint.name not in PREFIXED_ENDPOINTS or prefix in PREFIXED_ENDPOINTS[endpoint.name]:
        native = _NATIVE_PATHS.get(prefix, f"/u/{prefix}{endpoint.path}")
        raise Refusal(
            "endpoint_not_supported",
            f"{endpoint.path} takes no model of {prefix}. Call {native} with the model's own name.",
        )
    if destination.place is not None:
        # Vertex names models by their publisher, keys and price lists do not.
        name = name.removeprefix(VERTEX_PUBLISHER)
        sent = body.with_model(VERTEX_PUBLISHER + name) or sent
    ignored = body.ignored_by(prefix)
    return Target(
        destination,
        _openai_path(destination, endpoint),
        sent,
        replace(facts, model=name),
        facts.model,
        (f"{prefix} ignores {', '.join(ignored)}",) if ignored else (),
    )


def _openai_path(destination: Destination, endpoint: Endpoint) -> str:
    return destination.openai_path + endpoint.path.removeprefix("/v1")


def _vertex(place: tuple[str, str], destinations: Destinations) -> Destination:
    """The configured upstream of this project and location; the function's identity has no other.

    A path without them is completed with those of the only one, or of the one named vertex.
    """
    known = [each for each in destinations.values() if each.place is not None]
    if place == ("", ""):
        named = [each for each in known if each.name == "vertex"] or known
        if len(named) == 1:
            return named[0]
        raise Refusal(
            "unknown_upstream",
            "No upstream for Vertex AI is configured, or several: name /projects/.../locations/... "
            "in the path, or have an upstream named vertex configured.",
        )
    for each in known:
        if each.place is not None and (each.place.project, each.place.location) == place:
            return each
    raise Refusal(
        "upstream_not_allowed",
        f"The gateway spends in no project {place[0][:64]} at {place[1][:64]}. Have an upstream "
        "with this project and location configured.",
    )


def _unknown(name: str, destinations: Destinations, policy: KeyPolicy) -> Refusal:
    return Refusal(
        "unknown_upstream",
        f"There is no upstream {name[:64]!r}. This key may use: "
        f"{', '.join(_usable(destinations.values(), policy)) or 'none'}.",
    )


def _usable(destinations: Iterable[Destination], policy: KeyPolicy) -> list[str]:
    return sorted(each.name for each in destinations if may_call(policy, each))
