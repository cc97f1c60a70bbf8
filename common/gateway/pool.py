"""Several keys for one upstream: which one a call takes, and which ones rest.

A conversation keeps its key, and with it the provider's prompt cache: the choice is a weighted
rendezvous hash, so a key that rests or is added moves only its own share of the calls. Calls that
make or name objects kept at the provider stay with one key always, because other accounts cannot
see the object. A key that failed rests for a while; where all rest, the one that is back first is
tried all the same.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import blake2b

from common.core.ports import Clock
from common.gateway.destinations import Credential, Destination
from common.gateway.upstream import UpstreamReply
from common.llm.facts import parse_object
from common.llm.paths import Endpoint

RATE_LIMITED_S = 30.0
LONGEST_RATE_LIMIT_S = 300.0
REFUSED_S = 600.0
_REFUSED = frozenset({401, 402, 403})
_RATE_LIMITED = 429
_BAD_REQUEST = 400
_NO_MONEY = (b"insufficient_quota", b"billing_error", b"credit balance is too low")
_OBJECT_ENDPOINTS = (
    *("responses", "interactions", "files", "batches"),
    *("cached_contents", "unmetered"),
)
_CACHE_MEMBERS = (b'"cachedContent"', b'"cached_content"')
_STATES = {
    "responses": ("previous_response_id", "conversation"),
    "interactions": (
        *("previous_interaction_id", "continuation_token", "cached_content"),
        *("agent", "environment"),
    ),
}
"""What is kept unless its request says otherwise, and members that name what was kept earlier."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A key that its provider would not serve. `lasting` means that somebody must look at it."""

    rests_s: float
    lasting: bool


class Pool:
    """The installation's provider keys, as this process knows them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resting: dict[tuple[str, str], float] = {}

    def order(self, destination: Destination, loyalty: str, *, bound: bool) -> Sequence[Credential]:
        """The keys to try, in order.

        Args:
            destination: whose keys.
            loyalty: what keeps its key: a session, a prompt's beginning, or the call itself.
            bound: the call names objects at the provider: its one key, resting or not.
        """
        credentials = destination.credentials
        if len(credentials) <= 1:
            return credentials
        ranked = sorted(credentials, key=lambda each: _score(each, loyalty), reverse=True)
        if bound:
            return ranked[:1]
        now = self._clock.monotonic()
        rested = [each for each in ranked if self._until(destination, each) <= now]
        return rested or [min(ranked, key=lambda each: self._until(destination, each))]

    def rest(self, destination: Destination, name: str, seconds: float) -> None:
        """Leave a key out for a while."""
        self._resting[destination.name, name] = self._clock.monotonic() + seconds

    def resting_s(self, destination: Destination, credential: Credential) -> float:
        """Seconds until a key is used again; 0 where it is in use."""
        return max(0.0, self._until(destination, credential) - self._clock.monotonic())

    def _until(self, destination: Destination, credential: Credential) -> float:
        return self._resting.get((destination.name, credential.name), 0.0)


def failure_of(reply: UpstreamReply, beginning: bytes, clock: Clock) -> Failure | None:
    """What a reply says about the key it was asked with; None where it says nothing.

    `beginning` is the start of an error's body: only it tells an empty account from a busy minute
    (OpenAI: ``insufficient_quota``; Anthropic: ``billing_error``, or a 400 about the balance).
    """
    no_money = any(text in beginning for text in _NO_MONEY)
    if reply.status in _REFUSED or (no_money and reply.status in (_BAD_REQUEST, _RATE_LIMITED)):
        return Failure(REFUSED_S, lasting=True)
    if reply.status == _RATE_LIMITED:
        asked_s = retry_after_s(reply, clock)
        rests_s = RATE_LIMITED_S if asked_s is None else min(asked_s, LONGEST_RATE_LIMIT_S)
        return Failure(rests_s, lasting=False)
    return None


def names_objects(endpoint: Endpoint, body: bytes) -> bool:
    """Whether a call makes or names something that only one account can see."""
    if endpoint.name in _STATES:
        asked = parse_object(body) or {}
        kept = asked.get("store") is not False
        return kept or any(asked.get(name) for name in _STATES[endpoint.name])
    return endpoint.name.startswith(_OBJECT_ENDPOINTS) or (
        endpoint.protocol == "gemini" and any(name in body for name in _CACHE_MEMBERS)
    )


def _score(credential: Credential, loyalty: str) -> float:
    """Weighted rendezvous hashing: the key with the highest score wins."""
    drawn = blake2b(f"{loyalty}\n{credential.name}".encode(), digest_size=8).digest()
    share = (int.from_bytes(drawn, "big") + 1) / (2**64 + 2)
    return -credential.weight / math.log(share)


def retry_after_s(reply: UpstreamReply, clock: Clock) -> float | None:
    """The pause that a reply asks for, in seconds or as a date; None where it asks for none."""
    told = {name.lower(): value.decode("latin-1").strip() for name, value in reply.headers}
    text = told.get(b"retry-after", "")
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return None
