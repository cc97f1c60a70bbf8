"""The provider's bill: one row for every request that it charges, priced by genai-prices itself.

Independent of the project's own price book on purpose, so that the two cannot share a mistake. A
price takes 0.1 ms, so rows are priced when the ledger is read, with the time at which the request
was received. Rows are buffered for a twentieth of a second between writes to SQLite.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from genai_prices import Usage, calc_price, extract_usage

from common.core.money import Nanos, nanos_from_usd
from scripts.simulated.dialects import DIALECTS
from scripts.simulated.gemini_interactions import billed_units
from scripts.simulated.models import LISTS, Vendor

_FLUSH_AFTER_S = 0.05

_TABLE = """
CREATE TABLE IF NOT EXISTS ledger (
  seq INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL UNIQUE,
  reply_id TEXT NOT NULL,
  received_at TEXT NOT NULL,
  protocol TEXT NOT NULL,
  model TEXT NOT NULL,
  price_context TEXT NOT NULL,
  usage TEXT NOT NULL,
  usage_delivered INTEGER NOT NULL,
  streamed INTEGER NOT NULL,
  ending TEXT NOT NULL,
  tag TEXT,
  billed_nanos INTEGER,
  unpriced_reason TEXT
)
"""
_INSERT = """
INSERT INTO ledger (request_id, reply_id, received_at, protocol, model, price_context, usage,
  usage_delivered, streamed, ending, tag) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UNPRICED = """
SELECT seq, protocol, model, price_context, usage, received_at
FROM ledger
WHERE billed_nanos IS NULL AND unpriced_reason IS NULL
"""
_ROWS = """
SELECT seq, request_id, reply_id, received_at, protocol, model, price_context, usage,
  usage_delivered, streamed, ending, tag, billed_nanos, unpriced_reason
FROM ledger
WHERE seq > ? AND (billed_nanos IS NOT NULL OR unpriced_reason IS NOT NULL)
ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One charge. `received_at` is the time its price is taken at; `ending` says how it went."""

    request_id: str
    reply_id: str
    received_at: datetime
    protocol: Vendor
    model: str
    price_context: Mapping[str, str]
    usage: Mapping[str, Any]
    usage_delivered: bool
    streamed: bool
    ending: str
    tag: str | None


def price_nanos(
    vendor: Vendor,
    model: str,
    usage: Mapping[str, Any],
    price_context: Mapping[str, str],
    received_at: datetime,
) -> Nanos:
    """What genai-prices says a reported usage costs.

    Raises:
        LookupError: it does not know the model, or the vendor.
        ValueError: it cannot read the usage.
    """
    prices = LISTS[vendor]
    if prices is None:
        raise LookupError(f"nobody bills {vendor}")
    if usage.get("trafficType") == "PROVISIONED_THROUGHPUT":
        raise LookupError("provisioned throughput is not billed by the call")
    price = calc_price(
        counted(vendor, model, usage),
        model,
        provider_id=prices,
        genai_request_timestamp=received_at,
        price_context=price_context,
    )
    return nanos_from_usd(price.total_price)


def counted(vendor: Vendor, model: str, usage: Mapping[str, Any]) -> Usage:
    """What genai-prices reads in a reported usage.

    Raises:
        LookupError: it does not know the vendor.
        ValueError: it cannot read the usage.
    """
    by_hand = _by_hand(vendor, usage)
    if by_hand is not None:
        return Usage(**by_hand)
    return extract_usage(
        _reply(vendor, model, usage),
        provider_id=LISTS[vendor] or "",
        api_flavor=_flavor(vendor, usage),
    ).usage


def _by_hand(vendor: Vendor, usage: Mapping[str, Any]) -> dict[str, int] | None:
    """What is billed, where genai-prices does not read the usage; None where it does."""
    if usage.keys() == {"input_characters"}:
        return {"input_characters": usage["input_characters"]}
    if "total_input_tokens" in usage:
        return billed_units(usage)
    dialect = DIALECTS.get(vendor)
    if dialect is None:
        return None
    if "completion_tokens" not in usage:
        return {"input_tokens": usage["prompt_tokens"]}
    return dialect.units(dict(usage)) if dialect.flavor is None else None


def _reply(vendor: Vendor, model: str, usage: Mapping[str, Any]) -> dict[str, Any]:
    """As much of a reply as genai-prices reads."""
    if vendor == "gemini":
        return {"modelVersion": model, "usageMetadata": usage}
    if _flavor(vendor, usage) == "realtime":
        return {"model": model, "response": {"usage": usage}}
    return {"model": model, "usage": usage}


def _flavor(vendor: Vendor, usage: Mapping[str, Any]) -> str:
    """What genai-prices calls the endpoint: each names its counters in its own way.

    It reads no transcripts; they spell their counters as realtime sessions do.
    """
    dialect = DIALECTS.get(vendor)
    if dialect is not None:
        return dialect.flavor or ""
    if vendor != "openai":
        return "default"
    if "type" in usage:
        return "live" if usage["type"] == "duration" else "realtime"
    if "image_tokens" in usage.get("input_tokens_details", {}):
        return "images"
    if "input_tokens" in usage:
        return "responses"
    return "chat" if "completion_tokens" in usage else "embeddings"


class Ledger:
    """Rows in a SQLite file, or in memory when no file is named. Used from one event loop."""

    def __init__(self, file: str | None = None) -> None:
        self._lock = threading.Lock()
        self._store = sqlite3.connect(file or ":memory:", check_same_thread=False)
        self._store.execute("PRAGMA journal_mode = WAL")
        self._store.execute("PRAGMA synchronous = OFF")
        self._store.execute(_TABLE)
        self._store.commit()
        self._buffer: list[tuple[Any, ...]] = []

    def add(self, entry: Entry) -> None:
        """Charge. The row is readable at once and in the file soon."""
        if not self._buffer:
            asyncio.get_running_loop().call_later(_FLUSH_AFTER_S, self.flush)
        self._buffer.append(
            (
                entry.request_id,
                entry.reply_id,
                entry.received_at.isoformat(),
                entry.protocol,
                entry.model,
                orjson.dumps(entry.price_context).decode(),
                orjson.dumps(entry.usage).decode(),
                entry.usage_delivered,
                entry.streamed,
                entry.ending,
                entry.tag,
            )
        )

    def flush(self) -> None:
        """Write what is buffered."""
        with self._lock:
            buffered, self._buffer = self._buffer, []
            if buffered:
                self._store.executemany(_INSERT, buffered)
                self._store.commit()

    async def rows(self, after: int = 0) -> list[dict[str, Any]]:
        """Rows with a greater `seq`, in order, each with its price or the reason it has none.

        What is charged while they are being priced is left for the next time.
        """
        self.flush()
        return await asyncio.to_thread(self._priced_rows, after)

    def close(self) -> None:
        """Write what is buffered and let go of the file."""
        self.flush()
        with self._lock:
            self._store.close()

    def _priced_rows(self, after: int) -> list[dict[str, Any]]:
        with self._lock:
            unpriced = self._store.execute(_UNPRICED).fetchall()
        prices = [(*_price_of(row[1:]), row[0]) for row in unpriced]
        with self._lock:
            self._store.executemany(
                "UPDATE ledger SET billed_nanos = ?, unpriced_reason = ? WHERE seq = ?", prices
            )
            self._store.commit()
            cursor = self._store.execute(_ROWS, (after,))
            names = [column[0] for column in cursor.description]
            return [_readable(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _price_of(row: Sequence[Any]) -> tuple[Nanos | None, str | None]:
    vendor, model, price_context, usage, received_at = row
    try:
        nanos = price_nanos(
            vendor,
            model,
            orjson.loads(usage),
            orjson.loads(price_context),
            datetime.fromisoformat(received_at),
        )
    except (LookupError, ValueError) as error:
        return None, str(error)
    return nanos, None


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "price_context": orjson.loads(row["price_context"]),
        "usage": orjson.loads(row["usage"]),
        "usage_delivered": bool(row["usage_delivered"]),
        "streamed": bool(row["streamed"]),
    }
