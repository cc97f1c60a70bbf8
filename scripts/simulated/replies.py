"""What a protocol hands over for delivery: bytes to send, and what to bill at every point of them.

Invariant: `usage_at(n)` is the usage the provider would report if generation had stopped after `n`
output tokens, so a cut stream is billed by the same rule as a whole one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Event = tuple[bytes, int]
"""One server-sent event, and all output tokens generated once it is sent."""

Usage = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer: the ids in header and body, what they share, and when it came."""

    request_id: str
    reply_id: str
    suffix: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that generation has decided. Exactly one of `body` and `events` is set.

    `terminal` is the event that ends a whole stream. `tells_usage` is false where the client is not
    told the final usage although it gets everything. `content_type` None is JSON, or events.
    """

    model: str
    price_context: Mapping[str, str]
    output_tokens: int
    usage_at: Callable[[int], Usage]
    tells_usage: bool
    body: bytes | None = None
    events: Iterator[Event] | None = None
    terminal: bytes = b""
    content_type: bytes | None = None
