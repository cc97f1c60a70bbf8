"""The kinds of calls that are measured: small and large, whole and streamed, by protocol."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.benchmark.load import post

PATH = "/openai/v1/chat/completions"
MODEL = "gpt-4o-mini"
SMALL_BYTES = 300
CHUNK_INTERVAL_MS = 10
"""Long enough for each chunk to travel alone, as a provider's do."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one API is called. `body` answers a body with this text; `stream_path` None: no streams.

    Where the stream has the same path, the body asks for it. `last` is what only the last event of
    a stream has.
    """

    path: str
    body: Callable[[str], dict[str, Any]]
    stream_path: str | None
    key_header: tuple[str, str] = ("authorization", "Bearer sim")
    cap: Callable[[int], dict[str, Any]] | None = None
    """The members of the body that cap its answer; None: it has none to cap."""
    last: bytes = b""
    events: Callable[[int], int] | None = None
    """How many a stream of so many tokens has; None: as many as the provider puts them into."""
    id_header: bytes | None = None
    """The header that tells an answer from others; None: its body has an id."""


def _message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


_GEMINI = "/gemini/v1beta/models/gemini-2.5-flash"
OPENAI_CHAT = Protocol(
    PATH,
    lambda text: {"model": MODEL, "messages": _message(text)},
    PATH,
    cap=lambda tokens: {"max_completion_tokens": tokens},
    last=b"data: [DONE]",
    events=lambda tokens: tokens + 3,  # the role, why it ended, and [DONE]
)
PROTOCOLS = {
    "openai chat": OPENAI_CHAT,
    "openai responses": Protocol(
        "/openai/v1/responses",
        lambda text: {"model": MODEL, "input": text},
        "/openai/v1/responses",
        cap=lambda tokens: {"max_output_tokens": tokens},
        last=b'"response.completed"',
        events=lambda tokens: tokens + 8,  # each part begins, has its text and ends
    ),
    "openai embeddings": Protocol(
        "/openai/v1/embeddings",
        lambda text: {"model": "text-embedding-3-small", "input": text},
        None,
        id_header=b"x-request-id",
    ),
    "anthropic": Protocol(
        "/anthropic/v1/messages",
        lambda text: {
            "model": "claude-sonnet-5",
            "max_tokens": 1000,
            "messages": _message(text),
        },
        "/anthropic/v1/messages",
        ("x-api-key", "sim"),
        cap=lambda tokens: {"max_tokens": tokens},
        last=b'"message_stop"',
    ),
    "gemini": Protocol(
        f"{_GEMINI}:generateContent",
        lambda text: {"contents": [{"parts": [{"text": text}]}]},
        f"{_GEMINI}:streamGenerateContent?alt=sse",
        ("x-goog-api-key", "sim"),
        cap=lambda tokens: {"generationConfig": {"maxOutputTokens": tokens}},
        last=b'"finishReason":"STOP"',
    ),
}


@dataclass(frozen=True, slots=True)
class Front:
    """How a target wants chat completions asked for: None for the provider's path; more headers."""

    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


AS_THE_PROVIDER = Front()


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of call. `size_bytes` is that of its body, at least; `tokens` that of its answer.

    A stream that does not ask for its usage is asked for it by the gateway, which takes the answer
    out again. `cap` is the most tokens that the caller lets the answer have.
    """

    size_bytes: int = SMALL_BYTES
    tokens: int = 20
    protocol: Protocol = OPENAI_CHAT
    stream: bool = False
    asks_for_usage: bool = False
    cap: int | None = None

    @property
    def events(self) -> int | None:
        """How many a stream of it has; None: as many as the provider puts its tokens into."""
        if self.protocol.events is None:
            return None
        return self.protocol.events(self.tokens) + self.asks_for_usage

    def request(self, address: str, key: str, front: Front = AS_THE_PROVIDER) -> bytes:
        """The bytes to send, with a gateway key that only the gateway looks at."""
        api = self.protocol
        name, value = api.key_header
        headers = {
            name: value,
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            "x-gateway-key": key,
            "x-simulated-output-tokens": str(self.tokens),
        }
        path = api.path
        asked: dict[str, Any] = {}
        if self.stream:
            assert api.stream_path is not None, f"{api.path} has no streams"
            path = api.stream_path
            asked = {"stream": True} if path == api.path else {}
            headers["x-simulated-chunk-interval-ms"] = str(CHUNK_INTERVAL_MS)
        if self.asks_for_usage:
            asked["stream_options"] = {"include_usage": True}
        if self.cap is not None:
            assert api.cap is not None, f"{api.path} has no cap"
            asked |= api.cap(self.cap)
        missing = self.size_bytes - len(json.dumps(api.body("") | asked))
        text = ("word " * (missing // 5 + 1))[:missing]
        body = json.dumps(api.body(text) | asked).encode()
        return post(address, front.path or path, headers | dict(front.headers), body)


SMALL = Shape()
LARGE = Shape(size_bytes=100_000)
