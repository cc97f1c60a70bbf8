"""Which path is which endpoint: the one list of what the gateway forwards.

To add an endpoint, add a line to `ENDPOINTS` and, if it is metered in a new form, a module in
`protocols/` and its entry in `forms.py`. Everything else is refused, because a path that nobody
prices is a path around every budget.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ProtocolName: TypeAlias = Literal["openai", "anthropic", "gemini"]
FormName: TypeAlias = Literal[
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_content",
    "gemini_content_stream",
    "gemini_embeddings",
    "openai_embeddings",
    "openai_batches",
]
"""How requests and replies of a metered endpoint are read."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a provider's API.

    `path` is what follows the provider's base URL. `form` is None for what is free. `model` is the
    one that the path names, where it does.
    """

    protocol: ProtocolName
    name: str
    method: str
    path: str
    form: FormName | None
    model: str | None = None

    @property
    def metered(self) -> bool:
        return self.form is not None


@dataclass(frozen=True, slots=True)
class NotForwarded:
    """A path in the shape of a provider that the gateway does not forward."""

    protocol: ProtocolName
    path: str
    allowed_methods: tuple[str, ...] = ()


_GEMINI = "/{version}/models/{name}"
ENDPOINTS: tuple[tuple[ProtocolName, str, str, str, FormName | None], ...] = (
    ("openai", "chat.completions", "POST", "/v1/chat/completions", "openai_chat"),
    ("openai", "responses", "POST", "/v1/responses", "openai_responses"),
    ("openai", "responses.input_tokens", "POST", "/v1/responses/input_tokens", None),
    ("openai", "responses.stored", "GET", "/v1/responses/{response}", None),
    ("openai", "responses.stored", "DELETE", "/v1/responses/{response}", None),
    ("openai", "responses.cancel", "POST", "/v1/responses/{response}/cancel", None),
    ("openai", "responses.input_items", "GET", "/v1/responses/{response}/input_items", None),
    ("openai", "models", "GET", "/v1/models", None),
    ("openai", "models", "GET", "/v1/models/{model}", None),
    ("openai", "embeddings", "POST", "/v1/embeddings", "openai_embeddings"),
    ("openai", "moderations", "POST", "/v1/moderations", None),
    ("openai", "files", "GET", "/v1/files", None),
    ("openai", "files", "POST", "/v1/files", None),
    ("openai", "files", "GET", "/v1/files/{file}", None),
    ("openai", "files", "DELETE", "/v1/files/{file}", None),
    ("openai", "files.content", "GET", "/v1/files/{file}/content", None),
    ("openai", "batches", "POST", "/v1/batches", "openai_batches"),
    ("openai", "batches", "GET", "/v1/batches", None),
    ("openai", "batches", "GET", "/v1/batches/{batch}", None),
    ("openai", "batches", "POST", "/v1/batches/{batch}/cancel", None),
    ("anthropic", "messages", "POST", "/v1/messages", "anthropic_messages"),
    ("anthropic", "models", "GET", "/v1/models", None),
    ("anthropic", "models", "GET", "/v1/models/{model}", None),
    ("gemini", "generate", "POST", _GEMINI + ":generateContent", "gemini_content"),
    ("gemini", "generate", "POST", _GEMINI + ":streamGenerateContent", "gemini_content_stream"),
    ("gemini", "embeddings", "POST", _GEMINI + ":embedContent", "gemini_embeddings"),
    ("gemini", "embeddings", "POST", _GEMINI + ":batchEmbedContents", "gemini_embeddings"),
    ("gemini", "count_tokens", "POST", _GEMINI + ":countTokens", None),
    ("gemini", "models", "GET", "/{version}/models", None),
    ("gemini", "models", "GET", _GEMINI, None),
)
"""Protocol, name, method, path behind the provider's base URL, form."""

_SEGMENT = r"(?!\.{1,2}$)[^/]+"
_PLACES = {
    "version": "v1(?:beta)?",
    # Operations of their own, not the ids of stored responses.
    "response": r"(?!(?:compact|input_tokens|\.{1,2})$)[^/]+",
    # Behind a colon a verb begins: a name with one could be another call than the one priced.
    "name": r"(?P<name>(?!\.{1,2}$)[^/:]+)",
}
_GEMINI_CALL = re.compile(r"/v1/models/[^/:]+:[A-Za-z]+")
_PATTERNS = tuple(
    re.compile(re.sub(r"\\{(\w+)\\}", lambda m: _PLACES.get(m.group(1), _SEGMENT), re.escape(path)))
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
    it is `/v1/messages...` or carries an `anthropic-version` header, Gemini's when it calls a model
    by a verb (`POST /v1/models/x:generateContent`) or asks for models with `x-goog-api-key`, else
    OpenAI's. `/v1beta/...` is Gemini's.
    """
    protocol: ProtocolName
    if path.startswith("/openai/"):
        protocol, rest = "openai", path.removeprefix("/openai")
    elif path.startswith("/anthropic/"):
        protocol, rest = "anthropic", path.removeprefix("/anthropic")
    elif path.startswith("/gemini/"):
        protocol, rest = "gemini", path.removeprefix("/gemini")
    elif path.startswith("/v1beta/"):
        protocol, rest = "gemini", path
    elif path.startswith("/v1/"):
        protocol, rest = _of_bare(method, path, headers), path
    else:
        return None
    if headers.get("upgrade", "").lower() == "websocket":
        return NotForwarded(protocol, rest)
    others: list[str] = []
    for (of_protocol, name, of_method, _, form), pattern in zip(ENDPOINTS, _PATTERNS, strict=True):
        if of_protocol == protocol and (match := pattern.fullmatch(rest)):
            if of_method == method:
                model = match.groupdict().get("name")
                return Endpoint(protocol, name, method, rest, form, model)
            others.append(of_method)
    return NotForwarded(protocol, rest, tuple(others))


def _of_bare(method: str, path: str, headers: Mapping[str, str]) -> ProtocolName:
    """Whose API a path without a provider's name belongs to."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return "anthropic"
    called = method == "POST" and _GEMINI_CALL.fullmatch(path)
    listed = path.startswith("/v1/models") and "x-goog-api-key" in headers
    return "gemini" if called or listed else "openai"
