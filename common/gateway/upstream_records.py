"""Configured upstreams as they are stored in `upstreams/{name}`, and what they may say.

A document names the variables that hold keys, never a key. A vendor's own variable can be named by
that vendor's upstream only, and others must end in ``_API_KEY``: otherwise whoever may write an
upstream could have any secret of the process sent to an address of his own.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from common.core.errors import InvalidInput
from common.core.ids import is_slug
from common.core.ports import Document, Ref, Value
from common.core.secrets import Secret
from common.gateway.destinations import (
    VENDOR_VARIABLES,
    VENDORS,
    VERTEX_OPENAI_PATH,
    Credential,
    Destination,
    Place,
)

UPSTREAMS = "upstreams"
MAX_CREDENTIALS = 20
MAX_MODELS = 200
MAX_WEIGHT = 1_000
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,120}_API_KEY")
_PLACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TRANSLATED = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""NAT64 (RFC 6052, 8215), 6to4 (RFC 3056) and Teredo (RFC 4380) lead to any IPv4 address."""
_LOCAL_TO_LINK = tuple(
    ipaddress.ip_network(text) for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")
)
"""Where clouds answer a machine with its own credentials; the last one is Amazon's over IPv6."""
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog"})
_NUMBER = re.compile(r"0x[0-9a-f]{1,16}|0[0-7]{0,16}|[1-9][0-9]{0,16}")
_BYTES_OF_IPV4 = 4
_LONGEST_LABEL = 63
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal")

EnvironmentSecret = Callable[[str], Secret | None]


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """A provider key by the name of the environment variable that holds it."""

    name: str
    env: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class UpstreamRecord:
    """One document.

    `base_url` is what stands before ``/chat/completions``; None for the three vendors, whose
    addresses are fixed, and for Vertex AI (`identity` google, with `project` and `location`),
    whose address is built. `provider` is an id of the price list.
    """

    name: str
    base_url: str | None = None
    provider: str | None = None
    allow_private: bool = False
    models: tuple[str, ...] = ()
    credentials: tuple[CredentialRecord, ...] = ()
    identity: str | None = None
    project: str | None = None
    location: str | None = None

    @classmethod
    def from_document(cls, document: Document) -> "UpstreamRecord":
        data = document.data
        return cls(
            name=document.ref.id,
            base_url=data["base_url"],
            provider=data["provider"],
            allow_private=data["allow_private"],
            models=tuple(data["models"]),
            credentials=tuple(
                CredentialRecord(each["name"], each["env"], each["weight"])
                for each in data["credentials"]
            ),
            identity=data["identity"],
            project=data["project"],
            location=data["location"],
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data. The name is the document's id and is not repeated."""
        return {
            "base_url": self.base_url,
            "provider": self.provider,
            "allow_private": self.allow_private,
            "models": list(self.models),
            "credentials": [
                {"name": each.name, "env": each.env, "weight": each.weight}
                for each in self.credentials
            ],
            "identity": self.identity,
            "project": self.project,
            "location": self.location,
        }

    def destination(self, secret: EnvironmentSecret) -> Destination:
        """Where calls to this upstream go. `secret` answers the value of a variable, if it is set.

        Raises:
            InvalidInput: the record breaks a rule; it is not used then, however it was stored.
        """
        check_record(self)
        records = self.credentials
        if not records and self.name in VENDORS:
            records = (CredentialRecord(self.name, VENDOR_VARIABLES[self.name]),)
        found = [(each, secret(each.env)) for each in records]
        credentials = tuple(
            Credential(each.name, value, each.weight) for each, value in found if value is not None
        )
        unset = tuple(each.env for each, value in found if value is None)
        if self.name in VENDORS:
            vendor = VENDORS[self.name]
            return replace(vendor, credentials=credentials, unset=unset, models=self.models)
        if self.identity is not None:
            place = Place(self.project or "", self.location or "")
            path = f"/v1{place.path}{VERTEX_OPENAI_PATH}"
            return Destination(
                self.name, "google", place.url, path, place=place, models=self.models
            )
        return Destination(
            self.name,
            self.provider,
            (self.base_url or "").rstrip("/"),
            credentials=credentials,
            unset=unset,
            models=self.models,
            allow_private=self.allow_private,
        )


def upstream_ref(name: str) -> Ref:
    return Ref(UPSTREAMS, name)


def check_record(record: UpstreamRecord) -> None:
    """Refuse an upstream that must not be called.

    Raises:
        InvalidInput: names the field and the right form.
    """
    if not is_slug(record.name):
        raise InvalidInput(
            f"{record.name[:80]!r} is not a name: 1 to 63 of a-z, 0-9 and -", field="name"
        )
    _check_credentials(record)
    if len(record.models) > MAX_MODELS or not all(
        0 < len(model) <= 256 and model.isprintable() for model in record.models
    ):
        raise InvalidInput(
            f"at most {MAX_MODELS} models, each 1 to 256 printable characters", field="models"
        )
    if record.name in VENDORS:
        _refuse_given(record, "base_url", "provider", "identity", "project", "location")
        if record.allow_private:
            raise InvalidInput(f"the address of {record.name} is fixed", field="allow_private")
    elif record.identity is not None:
        _check_place(record)
    else:
        _refuse_given(record, "project", "location")
        check_url(record.base_url, allow_private=record.allow_private)


def check_url(url: str | None, *, allow_private: bool) -> None:
    """Refuse an address that a key must not be sent to.

    Names are judged again when they are resolved: a public name may lead inside.

    Raises:
        InvalidInput: not https, private, a machine's metadata server, or not an address alone.
    """
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if any(len(label) > _LONGEST_LABEL for label in host.split(".")):
        host = ""
    if not url or not host or port == 0 or len(url) > 500 or not url.isascii():
        raise InvalidInput(
            "an address is needed, as https://host/path-before-chat/completions", field="base_url"
        )
    if parts.username is not None or parts.query or parts.fragment or "\\" in url or " " in url:
        raise InvalidInput(
            "an address has no user, query or fragment; keys belong into variables",
            field="base_url",
        )
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise InvalidInput("an address begins with https://", field="base_url")
    if is_of_metadata(host):
        raise InvalidInput(
            "link-local addresses (169.254.0.0/16, fe80::/10) and metadata.google.internal give a "
            "machine its own credentials: they are never an upstream",
            field="base_url",
        )
    if not allow_private and is_private(host):
        raise InvalidInput(
            f"{host} is inside the own network; set allow_private if it is meant", field="base_url"
        )


def is_private(host: str) -> bool:
    """Whether a host's text names something inside the own network or machine."""
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        pass
    name = host.lower().rstrip(".")
    # Resolvers take these for addresses: 127.1, 0x7f000001, 2130706433.
    numeric = re.fullmatch(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*", name) is not None
    return numeric or "." not in name or name.endswith(_LOCAL_NAMES)


def is_of_metadata(host: str) -> bool:
    """Whether a host's text names a link-local address or a cloud's metadata server."""
    name = host.lower().rstrip(".")
    if name in _METADATA_NAMES:
        return True
    try:
        return is_link_local(ipaddress.ip_address(name))
    except ValueError:
        pass
    read = _as_resolvers_read(name)
    return read is not None and is_link_local(read)


def _as_resolvers_read(name: str) -> ipaddress.IPv4Address | None:
    """An address spelt as only resolvers read it: 0xa9fea9fe, 2852039166, 169.254.43518."""
    parts = name.split(".")
    if len(parts) > _BYTES_OF_IPV4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    *first, last = [
        int(part, 16 if part[:2] == "0x" else 8 if part[0] == "0" else 10) for part in parts
    ]
    left = _BYTES_OF_IPV4 - len(first)
    if any(each > 0xFF for each in first) or last >= 256**left:
        return None
    return ipaddress.IPv4Address(bytes(first) + last.to_bytes(left, "big"))


def is_link_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is of the link alone, in whatever form of IPv6 it is written."""
    if isinstance(address, ipaddress.IPv6Address):
        bits = int(address)
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _TRANSLATED[0] or address in _TRANSLATED[1]:
            address = ipaddress.IPv4Address(bits & 0xFFFFFFFF)
        elif address.sixtofour is not None:
            address = address.sixtofour
    return any(address in network for network in _LOCAL_TO_LINK)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is of the internet, and no way through it to one that is not."""
    return address.is_global and not any(address in network for network in _TRANSLATED)


def _check_credentials(record: UpstreamRecord) -> None:
    names = [each.name for each in record.credentials]
    if len(names) > MAX_CREDENTIALS or len(set(names)) != len(names):
        raise InvalidInput(
            f"at most {MAX_CREDENTIALS} credentials, each with a name of its own",
            field="credentials",
        )
    own = VENDOR_VARIABLES.get(record.name)
    for each in record.credentials:
        if not is_slug(each.name):
            raise InvalidInput(
                f"{each.name[:80]!r} is not a name: 1 to 63 of a-z, 0-9 and -",
                field="credentials.name",
            )
        if not 1 <= each.weight <= MAX_WEIGHT:
            raise InvalidInput(f"a weight is 1 to {MAX_WEIGHT}", field="credentials.weight")
        taken = each.env in VENDOR_VARIABLES.values() and each.env != own
        if taken or _VARIABLE.fullmatch(each.env) is None:
            # Not repeated: it may be a key that somebody put in its variable's place.
            raise InvalidInput(
                f"the env of credential {each.name} is no name that can be used here: name a "
                "variable that ends in _API_KEY and is not another vendor's",
                field="credentials.env",
            )


def _check_place(record: UpstreamRecord) -> None:
    if record.identity != "google":
        raise InvalidInput("the one identity there is is google", field="identity")
    for name in ("project", "location"):
        if _PLACE.fullmatch(getattr(record, name) or "") is None:
            raise InvalidInput(f"a {name} of Vertex AI is a-z, 0-9 and -", field=name)
    _refuse_given(record, "base_url", "provider")
    if record.credentials or record.allow_private:
        raise InvalidInput(
            "an upstream with an identity has no credentials and no private address",
            field="credentials",
        )


def _refuse_given(record: UpstreamRecord, *names: str) -> None:
    given: Mapping[str, object] = {name: getattr(record, name) for name in names}
    for name, value in given.items():
        if value is not None:
            raise InvalidInput(f"{record.name} takes no {name}: leave it out", field=name)
