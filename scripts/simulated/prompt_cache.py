"""Prompt caches of both providers: what was sent before is reported as read, and so is cheaper.

OpenAI caches by itself: prefixes of at least 1,024 tokens, in steps of 128, exact to the byte.
Anthropic caches where the request marks it: everything up to a block with `cache_control`, at least
1,024 tokens, written for 5 minutes or an hour. Here entries do not expire; the oldest make room.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

MIN_TOKENS = 1024
STEP_TOKENS = 128
BYTES_PER_TOKEN = 4
_CAPACITY = 200_000


class PrefixCache:
    """Digests of prefixes seen. Bounded: above its capacity the oldest are forgotten."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._seen

    def add(self, digests: Sequence[bytes]) -> None:
        for digest in digests:
            self._seen.pop(digest, None)
            self._seen[digest] = None
        while len(self._seen) > _CAPACITY:
            del self._seen[next(iter(self._seen))]


def automatic(cache: PrefixCache, model: str, prompt: bytes, tokens: int) -> tuple[int, int]:
    """OpenAI: how many tokens of this prompt were cached, and how many can be from now on.

    The second number includes the first. Remembers the prompt.
    """
    if tokens < MIN_TOKENS:
        return 0, 0
    running = hashlib.blake2b(model.encode(), digest_size=16)
    digests: list[bytes] = []
    start = 0
    for end in range(MIN_TOKENS, tokens + 1, STEP_TOKENS):
        running.update(prompt[start * BYTES_PER_TOKEN : end * BYTES_PER_TOKEN])
        digests.append(running.digest())
        start = end
    cached = 0
    for index in range(len(digests) - 1, -1, -1):
        if digests[index] in cache:
            cached = MIN_TOKENS + index * STEP_TOKENS
            break
    cache.add(digests)
    return cached, MIN_TOKENS + (len(digests) - 1) * STEP_TOKENS


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of an Anthropic prompt in its order, and the time to live if a cache ends here."""

    content: object
    tokens: int
    ttl: str | None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Input tokens by what happens to them; the three add up to the whole input."""

    read: int
    written_5m: int
    written_1h: int

    @property
    def total(self) -> int:
        return self.read + self.written_5m + self.written_1h


NO_CACHE = CacheUse(0, 0, 0)


def marked(cache: PrefixCache, model: str, blocks: Sequence[Block]) -> CacheUse:
    """Anthropic: read up to the longest known prefix, write from there to the last mark."""
    marks = [index for index, block in enumerate(blocks) if block.ttl is not None]
    if not marks:
        return NO_CACHE
    running = hashlib.blake2b(model.encode(), digest_size=16)
    read = total = 0
    ends: list[tuple[bytes, int]] = []
    for block in blocks[: marks[-1] + 1]:
        running.update(orjson.dumps(block.content))
        total += block.tokens
        ends.append((running.digest(), total))
        if ends[-1][0] in cache:
            read = total
    written = {"5m": 0, "1h": 0}
    known = read
    for index in marks:
        digest, end = ends[index]
        if end < MIN_TOKENS:
            continue
        cache.add([digest])
        written[blocks[index].ttl or "5m"] += max(0, end - known)
        known = max(known, end)
    return CacheUse(read, written["5m"], written["1h"])
