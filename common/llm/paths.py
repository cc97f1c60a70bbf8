"""Which path is which endpoint: the one list of what the gateway forwards.

To add an endpoint, add a line to `ENDPOINTS` and, if it is metered in a new form, a module in
`protocols/` and its entry in `forms.py`. Everything else is refused, because a path that nobody
prices is a path around every budget.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias

from common.llm.unmetered import NONE, UnmeteredPaths, may_be_listed

ProtocolName: TypeAlias = Literal["openai", "anthropic", "gemini"]
FormName: TypeAlias = Literal[
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_content",
    "gemini_content_stream",
    "gemini_interactions",
    "gemini_embeddings",
    "openai_embeddings",
    "openai_batches",
    "anthropic_batches",
    "openai_completions",
    "openai_images",
    "openai_speech",
    "openai_transcripts",
    "gemini_caches",
    "unread",
]
"""How requests and replies of a metered endpoint are read."""

_UNMETERED: Mapping[FormName, str] = MappingProxyType(
    {"gemini_caches": "storage", "unread": "unread"}
)
"""Forms of what costs, but tells no usage; in a word, why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a provider's API.

    `path` is what follows the provider's base URL; in OpenAI's format it begins with ``/v1``,
    whatever stands there at the upstream. `form` is None for what is free. `model` is the one that
    the path names, where it does. `upstream` is the name of the upstream that the path names, and
    `place` the project and location of Vertex AI (empty where the path leaves them out).
    """

    protocol: ProtocolName
    name: str
    method: str
    path: str
    form: FormName | None
    model: str | None = None
    upstream: str = ""
    place: tuple[str, str] | None = None

    @property
    def metered(self) -> bool:
        return self.form is not None

    @property
    def unmetered(self) -> str | None:
        """Why nothing tells what a call costs; None where its reply does, or where it is free."""
        return _UNMETERED.get(self.form) if self.form is not None else None


@dataclass(frozen=True, slots=True)
class NotForwarded:
    """A path in the shape of a provider that the gateway does not forward.

    `listable`: an installation may let it through (`unmetered.py`).
    """

    protocol: ProtocolName
    path: str
    allowed_methods: tuple[str, ...] = ()
    upstream: str = ""
    listable: bool = False


_GEMINI = "/{version}/models/{name}"
ENDPOINTS: tuple[tuple[ProtocolName, str, str, str, FormName | None], ...] = (
    ("openai", "chat.completions", "POST", "/v1/chat/completions", "openai_chat"),
    ("openai", "completions", "POST", "/v1/completions", "openai_completions"),
    ("openai", "responses", "POST", "/v1/responses", "openai_responses"),
    ("openai", "responses.compact", "POST", "/v1/responses/compact", "openai_responses"),
    ("openai", "responses.input_tokens", "POST", "/v1/responses/input_tokens", None),
    ("openai", "responses.stored", "GET", "/v1/responses/{response}", None),
    ("openai", "responses.stored", "DELETE", "/v1/responses/{response}", None),
    ("openai", "responses.cancel", "POST", "/v1/responses/{response}/cancel", None),
    ("openai", "responses.input_items", "GET", "/v1/responses/{response}/input_items", None),
    ("openai", "models", "GET", "/v1/models", None),
    ("openai", "models", "GET", "/v1/models/{listed}", None),
    ("openai", "embeddings", "POST", "/v1/embeddings", "openai_embeddings"),
    ("openai", "images.generations", "POST", "/v1/images/generations", "openai_images"),
    ("openai", "images.edits", "POST", "/v1/images/edits", "openai_images"),
    ("openai", "images.variations", "POST", "/v1/images/variations", "openai_images"),
    ("openai", "audio.speech", "POST", "/v1/audio/speech", "openai_speech"),
    ("openai", "audio.transcriptions", "POST", "/v1/audio/transcriptions", "openai_transcripts"),
    ("openai", "audio.translations", "POST", "/v1/audio/translations", "openai_transcripts"),
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
    ("anthropic", "messages.count_tokens", "POST", "/v1/messages/count_tokens", None),
    ("anthropic", "batches", "POST", "/v1/messages/batches", "anthropic_batches"),
    ("anthropic", "batches", "GET", "/v1/messages/batches", None),
    ("anthropic", "batches", "GET", "/v1/messages/batches/{batch}", None),
    ("anthropic", "batches", "DELETE", "/v1/messages/batches/{batch}", None),
    ("anthropic", "batches", "POST", "/v1/messages/batches/{batch}/cancel", None),
    ("anthropic", "batches.results", "GET", "/v1/messages/batches/{batch}/results", None),
    ("anthropic", "files", "GET", "/v1/files", None),
    ("anthropic", "files", "POST", "/v1/files", None),
    ("anthropic", "files", "GET", "/v1/files/{file}", None),
    ("anthropic", "files", "DELETE", "/v1/files/{file}", None),
    ("anthropic", "files.content", "GET", "/v1/files/{file}/content", None),
    ("anthropic", "models", "GET", "/v1/models", None),
    ("anthropic", "models", "GET", "/v1/models/{model}", None),
    ("gemini", "generate", "POST", _GEMINI + ":generateContent", "gemini_content"),
    ("gemini", "generate", "POST", _GEMINI + ":streamGenerateContent", "gemini_content_stream"),
    ("gemini", "embeddings", "POST", _GEMINI + ":embedContent", "gemini_embeddings"),
    ("gemini", "embeddings", "POST", _GEMINI + ":batchEmbedContents", "gemini_embeddings"),
    ("gemini", "interactions", "POST", "/{version}/interactions", "gemini_interactions"),
    ("gemini", "interactions.stored", "GET", "/{version}/interactions/{interaction}", None),
    ("gemini", "interactions.stored", "DELETE", "/{version}/interactions/{interaction}", None),
    ("gemini", "interactions.cancel", "POST", "/{version}/interactions/{interaction}/cancel", None),
    ("gemini", "count_tokens", "POST", _GEMINI + ":countTokens", None),
    ("gemini", "models", "GET", "/{version}/models", None),
    ("gemini", "models", "GET", _GEMINI, None),
    ("gemini", "cached_contents", "POST", "/{version}/cachedContents", "gemini_caches"),
    ("gemini", "cached_contents", "GET", "/{version}/cachedContents", None),
    ("gemini", "cached_contents", "GET", "/{version}/cachedContents/{cache}", None),
    ("gemini", "cached_contents", "PATCH", "/{version}/cachedContents/{cache}", "gemini_caches"),
    ("gemini", "cached_contents", "DELETE", "/{version}/cachedContents/{cache}", None),
)
"""Protocol, name, method, path behind the provider's base URL, form."""

_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/]+"
_PLACES = {
    "version": "v1(?:beta)?",
    # Operations of their own, not the ids of stored responses.
    "response": r"(?!(?:compact|input_tokens|\.{1,2})(?:/|$))[^/]+",
    # With its upstream's prefix a model's name holds slashes.
    "listed": r"(?:(?!\.{1,2}(?:/|$))[^/]+/)*(?!\.{1,2}$)[^/]+",
    # Behind a colon a verb begins: a name with one could be another call than the one priced.
    "name": r"(?P<name>(?!\.{1,2}$)[^/:]+)",
}
_REMEMBERED_CHARACTERS = 256
_ENDING = re.compile(r"[.~:]+(?=/|$)")
_VENDORS: tuple[ProtocolName, ...] = ("openai", "anthropic", "gemini")
_SHIM = re.compile(r"/gemini/v1(?:beta)?/openai(?P<rest>/.*)")
_NAMED = re.compile(r"/u/(?P<name>[^/]+)(?P<rest>/.*)")
_VERTEX = re.compile(
    r"/(?P<version>v1|v1beta1)(?:/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+))?"
    r"/publishers/google/models/(?P<name>(?!\.{1,2}:)[^/:]+)"
    r":(?P<verb>generateContent|streamGenerateContent)"
)
_GEMINI_CALL = re.compile(r"/v1/models/[^/:]+:[A-Za-z]+")
_INTERACTIONS = re.compile(r"/v1/interactions(?:/.*)?")
_EXACT = tuple(
    re.compile(re.sub(r"\\{(\w+)\\}", lambda m: _PLACES.get(m.group(1), _SEGMENT), re.escape(path)))
    for _, _, _, path, _ in ENDPOINTS
)
_LOOSE = tuple(re.compile(pattern.pattern, re.IGNORECASE) for pattern in _EXACT)


def forwarded_by(protocol: ProtocolName) -> list[str]:
    """What is forwarded to a provider, as `METHOD /its/path`, for people."""
    return [
        f"{method} /{protocol}{path}"
        for of_protocol, _, method, path, _ in ENDPOINTS
        if of_protocol == protocol
    ]


def resolve(
    method: str, path: str, headers: Mapping[str, str], unmetered: UnmeteredPaths = NONE
) -> Endpoint | NotForwarded | None:
    """The endpoint a request is for; None where the path belongs to no provider.

    `/openai/v1/...`, `/anthropic/v1/...` and `/gemini/v1beta/...` name the provider, `/u/...` a
    configured upstream that speaks OpenAI's format (`/u/groq/v1/...`), `/vertex/v1/...` Vertex AI.
    Gemini's own endpoint in OpenAI's format is `/gemini/v1beta/openai/...`. A bare `/v1/...` is
    Anthropic's when it is `/v1/messages...` or carries an `anthropic-version` header, Gemini's when
    it calls a model by a verb (`POST /v1/models/x:generateContent`), asks for models with
    `x-goog-api-key` or names interactions or cached contents, else OpenAI's. `/v1beta/...` is
    Gemini's. `unmetered` are paths that are let through although nobody reads what they cost.
    """
    if path.startswith(("/v1/", "/v1beta/")):
        path = f"/{_of_bare(method, path, headers)}{path}"
    if headers.get("upgrade", "").lower() == "websocket" and (mounted := _mounted(path)):
        protocol, upstream, rest = mounted
        return NotForwarded(protocol, rest, upstream=upstream)
    find = _found if len(path) <= _REMEMBERED_CHARACTERS else _found.__wrapped__
    return find(method, path, unmetered)


@lru_cache(maxsize=1024)
def _found(method: str, path: str, unmetered: UnmeteredPaths) -> Endpoint | NotForwarded | None:
    """The endpoint behind a path that names its provider. Most calls are for a few paths."""
    if path.startswith("/vertex/"):
        return _of_vertex(method, path.removeprefix("/vertex"))
    mounted = _mounted(path)
    if mounted is None:
        return None
    protocol, upstream, rest = mounted
    others: list[str] = []
    for (of_protocol, name, of_method, _, form), pattern in zip(ENDPOINTS, _EXACT, strict=True):
        if of_protocol == protocol and (match := pattern.fullmatch(rest)):
            if of_method == method:
                model = match.groupdict().get("name")
                return Endpoint(protocol, name, method, rest, form, model, upstream)
            others.append(of_method)
    listable = may_be_listed(path) and not _is_respelt(path, protocol, rest)
    if listable and unmetered.cover(method, path):
        return Endpoint(protocol, "unmetered", method, rest, "unread", None, upstream)
    return NotForwarded(protocol, rest, tuple(others), upstream, listable)


def _is_respelt(path: str, protocol: ProtocolName, rest: str) -> bool:
    """Whether a path is one of `ENDPOINTS` but for case or the ends of segments.

    A provider that takes it for that endpoint would answer what nobody prices.
    """
    plain = _mounted(_ENDING.sub("", path).lower())
    if plain is None:
        return False
    of_plain, _, plain_rest = plain
    return any(
        each[0] == of_plain
        and loose.fullmatch(plain_rest)
        and not (of_plain == protocol and exact.fullmatch(rest))
        for each, exact, loose in zip(ENDPOINTS, _EXACT, _LOOSE, strict=True)
    )


def _mounted(path: str) -> tuple[ProtocolName, str, str] | None:
    """Protocol and upstream that a path begins with, and the rest."""
    if shim := _SHIM.fullmatch(path):
        return "openai", "gemini", f"/v1{shim['rest']}"
    if named := _NAMED.fullmatch(path):
        return "openai", named["name"], named["rest"]
    for protocol in _VENDORS:
        if path.startswith(f"/{protocol}/"):
            return protocol, protocol, path.removeprefix(f"/{protocol}")
    return None


def _of_vertex(method: str, path: str) -> Endpoint | NotForwarded:
    """Google's models on Vertex AI; other publishers and verbs are not forwarded."""
    match = _VERTEX.fullmatch(path)
    if match is None or method != "POST":
        return NotForwarded("gemini", path, ("POST",) if match else (), "vertex")
    streamed = match["verb"] == "streamGenerateContent"
    return Endpoint(
        "gemini",
        "generate",
        method,
        f"/{match['version']}/publishers/google/models/{match['name']}:{match['verb']}",
        "gemini_content_stream" if streamed else "gemini_content",
        match["name"],
        "vertex",
        (match["project"] or "", match["location"] or ""),
    )


def _of_bare(method: str, path: str, headers: Mapping[str, str]) -> ProtocolName:
    """Whose API a path without a provider's name belongs to."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return "anthropic"
    if path.startswith(("/v1beta/", "/v1/cachedContents")) or _INTERACTIONS.fullmatch(path):
        return "gemini"
    called = method == "POST" and _GEMINI_CALL.fullmatch(path)
    listed = path.startswith("/v1/models") and "x-goog-api-key" in headers
    return "gemini" if called or listed else "openai"
