"""What is added up of each brownout's calls, so that its saving can be told when it is over.

A call of an enforced brownout adds to the sums of its episode, in the commit that counts it: each
call once, whatever is delivered again. Calls are summed by *stratum*, which is what they had in
common before anything was done to them: who called, which model was asked for, and whether the
call was one of those that are refused first. The model is that of the price list, of which there
is an end, whatever callers write.

Compared are calls that were answered and whose cost is known, by what they were asked: `degraded`
(less was asked for), `holdout` (left as it is) and `unmatched` (less was asked for in an emergency,
which has no holdout). What an instance did on its own evidence belongs to no episode.

An episode has SHARDS documents, found by their ids, with one integer for each stratum, arm and
measure. Squares are of micro-USD: those of nano-USD would not fit 64 bits. A call above
MOST_NANOS is left out, because some of its kind would fill the sum.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, TypeAlias

from common.core.events import UsageEvent
from common.core.money import NANOS_PER_USD
from common.core.ports import Create, Documents, Ref

EPISODE_SUMS = "episode_sums"
SHARDS = 8
KEPT = timedelta(days=60)
"""Longer than any call may come late."""

MOST_NANOS = 100 * NANOS_PER_USD
_SQUARE = 1_000_000
"""Squares of nano-USD in one of micro-USD."""

Arm: TypeAlias = Literal["degraded", "holdout", "unmatched"]
ARMS: tuple[Arm, ...] = ("degraded", "holdout", "unmatched")

CALLS = "calls"
OUTPUT_NANOS = "output_nanos"
SQUARES = "squares"
"""Squares of the cost of the output, in micro-USD."""
INPUT_NANOS = "input_nanos"
ASKED_NANOS = "asked_nanos"
"""What the same input costs with the model that was asked for."""

LEFT_OUT = "left_out"
REFUSED = "refused"
SIMULATED = "simulated"
SKIPPED_CACHE = "skipped_cache"
INPUT_TOKENS = "input_tokens"
CACHED_TOKENS = "cache_read_tokens"
"""Measures beside those of strata: calls that are not compared, and why; calls whose prompt cache
was worth more than an edit; and of the holdout, how much of its input was read from caches."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """What calls had in common beforehand. `team` is `org/team`, `model` one of the price list."""

    team: str
    model: str
    batch: bool


@dataclass(frozen=True, slots=True)
class EpisodeSum:
    """What was added up in one stratum and arm, by measure. `stratum` None: of all calls."""

    stratum: Stratum | None
    arm: Arm
    measures: Mapping[str, int]


def episode_increments(event: UsageEvent) -> Mapping[Ref, Mapping[str, int]]:
    """What a call adds to the sums of its episode; nothing outside of an enforced brownout."""
    if event.episode is None or event.arm is None or not event.enforced or event.mode_by == "own":
        return {}
    arm = _arm(event)
    stratum, measures = _compared(event)
    around = _beside(event, arm, compared=bool(measures))
    amounts = {_field(stratum, arm, measure): n for measure, n in measures.items() if n}
    amounts |= {_field(None, arm, measure): int(n) for measure, n in around.items() if n}
    ref = Ref(EPISODE_SUMS, f"{event.episode}-{_shard(stratum)}")
    return {ref: amounts} if amounts else {}


def opened_sums(ref: Ref, amounts: Mapping[str, int], now: datetime) -> Create:
    """The first write of a document of sums: what to add, and when to delete it."""
    return Create(ref, {**amounts, "delete_at": now + KEPT})


async def read_episode(documents: Documents, episode: str) -> list[EpisodeSum]:
    """The sums of an episode, none where no call was counted.

    Raises:
        StoreUnavailable: no answer in time.
    """
    refs = [Ref(EPISODE_SUMS, f"{episode}-{shard}") for shard in range(SHARDS)]
    found: dict[tuple[Stratum | None, Arm], dict[str, int]] = {}
    for document in await documents.get_many(refs):
        for key, measure, amount in _read({} if document is None else document.data):
            measures = found.setdefault(key, {})
            measures[measure] = measures.get(measure, 0) + amount
    return [EpisodeSum(stratum, arm, sums) for (stratum, arm), sums in found.items()]


def _arm(event: UsageEvent) -> Arm:
    if event.arm == "holdout":
        return "holdout"
    return "unmatched" if event.mode == "emergency" else "degraded"


def _compared(event: UsageEvent) -> tuple[Stratum | None, Mapping[str, int]]:
    """The stratum of a call and what it adds there; nothing where it cannot be compared."""
    card, cost = event.card_asked, event.cost_nanos
    used, asked = event.input_nanos, event.input_nanos_asked
    if event.outcome != "ok" or card is None or cost is None or used is None or asked is None:
        return None, {}
    output = cost - used
    if max(output, used, asked) > MOST_NANOS:
        return None, {}
    stratum = Stratum(f"{event.org or ''}/{event.team or ''}", card, event.priority == "batch")
    return stratum, {
        CALLS: 1,
        OUTPUT_NANOS: output,
        SQUARES: (output * output + _SQUARE // 2) // _SQUARE,
        INPUT_NANOS: used,
        ASKED_NANOS: asked,
    }


def _beside(event: UsageEvent, arm: Arm, *, compared: bool) -> Mapping[str, int]:
    """What a call adds to the sums of all calls."""
    refused = event.outcome == "shed"
    tokens = event.units if compared and arm == "holdout" else {}
    return {
        REFUSED: refused,
        LEFT_OUT: not refused and not compared,
        SIMULATED: compared and event.simulated,
        SKIPPED_CACHE: any(edit.outcome == "skipped_cache" for edit in event.edits),
        INPUT_TOKENS: tokens.get(INPUT_TOKENS, 0),
        CACHED_TOKENS: tokens.get(CACHED_TOKENS, 0),
    }


@lru_cache(maxsize=10_000)
def _shard(stratum: Stratum | None) -> int:
    digest = blake2b(json.dumps(_named(stratum)).encode(), digest_size=1)
    return digest.digest()[0] % SHARDS


@lru_cache(maxsize=20_000)
def _field(stratum: Stratum | None, arm: Arm, measure: str) -> str:
    names = [*_named(stratum), arm, measure]
    return json.dumps(names, ensure_ascii=False, separators=(",", ":"))


def _named(stratum: Stratum | None) -> list[str | bool]:
    return [] if stratum is None else [stratum.team, stratum.model, stratum.batch]


def _read(data: Mapping[str, int]) -> Iterator[tuple[tuple[Stratum | None, Arm], str, int]]:
    for name, amount in data.items():
        if name.startswith("["):
            *named, arm, measure = json.loads(name)
            yield (Stratum(*named) if named else None, arm), measure, amount
