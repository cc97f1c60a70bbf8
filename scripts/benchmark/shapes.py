"""The kinds of calls that are measured."""

import json
from dataclasses import dataclass
from typing import Any

from scripts.benchmark.load import post

PATH = "/openai/v1/chat/completions"
MODEL = "gpt-4o-mini"
SMALL_BYTES = 300
CHUNK_INTERVAL_MS = 10
"""Long enough for each chunk to travel alone, as a provider's do."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of call. `size_bytes` is that of its body, at least; `tokens` that of its answer.

    A stream that does not ask for its usage is asked for it by the gateway, which takes the answer
    out again.
    """

    size_bytes: int = SMALL_BYTES
    tokens: int = 20
    stream: bool = False
    asks_for_usage: bool = False

    def request(self, address: str, key: str) -> bytes:
        """The bytes to send, with a gateway key that only the gateway looks at."""
        message = {"role": "user", "content": ""}
        body: dict[str, Any] = {"model": MODEL, "messages": [message]}
        headers = {
            "authorization": "Bearer sim",
            "content-type": "application/json",
            "x-gateway-key": key,
            "x-simulated-output-tokens": str(self.tokens),
        }
        if self.stream:
            body["stream"] = True
            headers["x-simulated-chunk-interval-ms"] = str(CHUNK_INTERVAL_MS)
        if self.asks_for_usage:
            body["stream_options"] = {"include_usage": True}
        missing = self.size_bytes - len(json.dumps(body))
        message["content"] = ("word " * (missing // 5 + 1))[:missing]
        return post(address, PATH, headers, json.dumps(body).encode())


SMALL = Shape()
LARGE = Shape(size_bytes=100_000)
