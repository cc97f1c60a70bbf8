"""Cached contents in Google's shapes and in memory.

Their storage is billed by no request, so the ledger has no row of it. A cache ends at its
`expireTime`, which making it and changing it decide by a `ttl` in seconds or by a time. A call that
names one sends its tokens as part of the prompt, and they are told as cached.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson

from scripts.simulated import gemini_requests
from scripts.simulated.gemini_requests import Cached
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange
from scripts.simulated.vendors import Call, decoded

PATH = r"/v1(?:beta)?/cachedContents"
LEAST_TOKENS = 1024
USUAL_TTL = timedelta(hours=1)
MOST_LISTED = 1000
_MADE_OF = frozenset(
    {
        *("model", "contents", "systemInstruction", "tools", "toolConfig"),
        *("displayName", "ttl", "expireTime"),
    }
)
_CHANGED = frozenset({"ttl", "expireTime"})
_TTL = re.compile(r"(\d{1,9})(\.\d{1,9})?s")


@dataclass(frozen=True, slots=True)
class Cache:
    """One cached content: its description without its times, and when it ends."""

    described: Mapping[str, Any]
    model: str
    tokens: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime

    def shown(self) -> dict[str, Any]:
        """As the API describes it. What is in it is never shown."""
        return {
            **self.described,
            "createTime": _text(self.created_at),
            "updateTime": _text(self.updated_at),
            "expireTime": _text(self.expires_at),
            "usageMetadata": {"totalTokenCount": self.tokens},
        }


class Caches:
    """All cached contents of the account, oldest first."""

    def __init__(self) -> None:
        self._stored: dict[str, Cache] = {}

    def answer(self, call: Call, body: bytes) -> bytes:
        """The answer to making, listing, reading, changing or deleting one.

        Raises:
            Refusal: the request is not one the API accepts.
        """
        now = call.exchange.received_at
        name = call.path.partition("/cachedContents")[2]
        if not name and call.method == "POST":
            return orjson.dumps(self._made(decoded(call, body), call.exchange))
        if not name:
            return orjson.dumps(self._page(dict(parse_qsl(call.query.decode("latin-1"))), now))
        cache = self.named(f"cachedContents{name}", now)
        if call.method == "DELETE":
            del self._stored[str(cache.described["name"])]
            return b"{}"
        if call.method == "PATCH":
            given = gemini_requests.members(decoded(call, body), _CHANGED, "cached_content")
            cache = replace(cache, updated_at=now, expires_at=_end(given, now))
            self._stored[str(cache.described["name"])] = cache
        return orjson.dumps(cache.shown())

    def named(self, name: str, now: datetime) -> Cache:
        """The cached content of that name, `cachedContents/...`.

        Raises:
            Refusal: there is none, or it has ended (403).
        """
        cache = self._stored.get(name)
        if cache is None or cache.expires_at <= now:
            raise Refusal(403, "CachedContent not found (or permission denied)")
        return cache

    def named_in(self, parsed: Any, now: datetime) -> Cached | None:
        """What a call of a model names as its cached content; None where it names none.

        Raises:
            Refusal: there is none of that name (403).
        """
        given = parsed if isinstance(parsed, dict) else {}
        name = given.get("cachedContent", given.get("cached_content"))
        if name is None:
            return None
        cache = self.named(str(name), now)
        return Cached(cache.model, cache.tokens)

    def _made(self, parsed: Any, exchange: Exchange) -> Mapping[str, Any]:
        given = gemini_requests.members(parsed, _MADE_OF, "cached_content")
        model = gemini_requests.known_model(str(given.get("model") or "").removeprefix("models/"))
        contents = gemini_requests.checked_contents(given.get("contents"))
        tokens = gemini_requests.count_input((*contents, given.get("systemInstruction") or {}))
        if tokens < LEAST_TOKENS:
            raise Refusal(
                400,
                f"Cached content is too small. total_token_count={tokens}, "
                f"min_total_token_count={LEAST_TOKENS}",
            )
        now = exchange.received_at
        described = {
            "name": f"cachedContents/sim{exchange.suffix}",
            "model": f"models/{model.asked}",
            "displayName": str(given.get("displayName") or ""),
        }
        cache = Cache(described, model.asked, tokens, now, now, _end(given, now))
        self._stored[str(described["name"])] = cache
        return cache.shown()

    def _page(self, query: Mapping[str, str], now: datetime) -> Mapping[str, Any]:
        size, start = query.get("pageSize", str(MOST_LISTED)), query.get("pageToken", "0")
        if not size.isdecimal() or not start.isdecimal():
            raise Refusal(400, "Invalid value at 'page_size' or 'page_token'")
        found = [each.shown() for each in self._stored.values() if each.expires_at > now]
        ends = int(start) + (min(int(size), MOST_LISTED) or MOST_LISTED)
        page: dict[str, Any] = {"cachedContents": found[int(start) : ends]}
        return page | ({"nextPageToken": str(ends)} if ends < len(found) else {})


def _end(given: Mapping[str, Any], now: datetime) -> datetime:
    if "ttl" in given and "expireTime" in given:
        raise Refusal(400, "Only one of 'ttl' and 'expire_time' may be set.")
    if "expireTime" in given:
        try:
            return datetime.fromisoformat(str(given["expireTime"])).astimezone(UTC)
        except ValueError:
            raise Refusal(400, "Invalid value at 'cached_content.expire_time'") from None
    if "ttl" not in given:
        return now + USUAL_TTL
    ttl = _TTL.fullmatch(str(given["ttl"]))
    if ttl is None:
        raise Refusal(400, "Invalid value at 'cached_content.ttl': not a duration.")
    return now + timedelta(seconds=int(ttl[1]))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
