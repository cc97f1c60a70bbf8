"""Which path is which endpoint: the one list of what the gateway forwards.

To add an endpoint, add a line to `ENDPOINTS` and, if it is metered in a new form, a module in
`protocols/` and its entry in `forms.py`. Everything else is refused, because a path that nobody
prices is a path around every budget.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ProtocolName: TypeAlias = Literal["openai", "anthropic"]
FormName: TypeAlias = Literal["openai_chat", "anthropic_messages"]
"""How requests and replies of a metered endpoint are read."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a provider's API.

    `path` is what follows the provider's base URL. `form` is None for what is free.
    """

    protocol: ProtocolName
    name: str
    method: str
    path: str
    form: FormName | None

    @property
    def metered(self) -> bool:
        return self.form is not None


@dataclass(frozen=True, slots=True)
class NotForwarded:
    """A path in the shape of a provider that the gateway does not forward."""

    protocol: ProtocolName
    path: str
    allowed_methods: tuple[str, ...] = ()


ENDPOINTS: tuple[tuple[ProtocolName, str, str, str, FormName | None], ...] = (
    ("openai", "chat.completions", "POST", "/v1/chat/completions", "openai_chat"),
    ("openai", "models", "GET", "/v1/models", None),
    ("openai", "models", "GET", "/v1/models/{model}", None),
    ("anthropic", "messages", "POST", "/v1/messages", "anthropic_messages"),
    ("anthropic", "models", "GET", "/v1/models", None),
    ("anthropic", "models", "GET", "/v1/models/{model}", None),
)
"""Protocol, name, method, path behind the provider's base URL, form."""

_SEGMENT = r"(?!\.{1,2}$)[^/]+"
_PATTERNS = tuple(
    re.compile(re.sub(r"\\{\w+\\}", lambda _: _SEGMENT, re.escape(path)))
    for _, _, _, path, _ in ENDPOINTS
)


def forwarded_by(protocol: ProtocolName) -> list[str]:
    """What is forwarded to a provider, as `METHOD /its/path`, for people."""
    return [
        f"{method} /{protocol}{path}"
        for of_protocol, _, method, path, _ in ENDPOINTS
        if of_protocol == protocol
    ]


def resolve(method: str, path: str, headers: Mapping[str, str]) -> Endpoint | NotForwarded | None:
    """The endpoint a request is for; None where the path belongs to no provider.

    `/openai/v1/...` and `/anthropic/v1/...` name the provider. A bare `/v1/...` is Anthropic's when
    it is `/v1/messages...` or carries an `anthropic-version` header, else OpenAI's.
    """
    protocol: ProtocolName
    if path.startswith("/openai/"):
        protocol, rest = "openai", path.removeprefix("/openai")
    elif path.startswith("/anthropic/"):
        protocol, rest = "anthropic", path.removeprefix("/anthropic")
    elif path.startswith("/v1/"):
        of_anthropic = path.startswith("/v1/messages") or "anthropic-version" in headers
        protocol, rest = ("anthropic" if of_anthropic else "openai"), path
    else:
        return None
    if headers.get("upgrade", "").lower() == "websocket":
        return NotForwarded(protocol, rest)
    others: list[str] = []
    for (of_protocol, name, of_method, _, form), pattern in zip(ENDPOINTS, _PATTERNS, strict=True):
        if of_protocol == protocol and pattern.fullmatch(rest):
            if of_method == method:
                return Endpoint(protocol, name, method, rest, form)
            others.append(of_method)
    return NotForwarded(protocol, rest, tuple(others))
