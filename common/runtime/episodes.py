"""Brownouts ask what an episode's calls add up to, and usage answers: neither knows the other.

What calls of an emergency would have cost is taken from the last full hour before the episode: the
answered calls of the same team for the same model of the price list, whose cost is known.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

from common.brownout.episodes import SumsOf, close_episodes
from common.brownout.savings import ArmSum, EpisodeSums, StratumSum, UnmatchedSum
from common.core.money import Nanos
from common.core.ports import Documents
from common.llm.price_book import PriceBook
from common.usage import episode_sums as kept
from common.usage.episode_sums import Arm, EpisodeSum, Stratum
from common.usage.rollups import CALLS, LENGTHS, PRICED_NANOS, floor
from common.usage.summaries import Span, read_sums


def closing_episodes(
    documents: Documents, read_book: Callable[[], Awaitable[PriceBook]]
) -> Callable[[datetime], Awaitable[int]]:
    """What writes down, each minute, the episodes that have ended."""
    return partial(close_episodes, documents, sums_of_episodes(documents, read_book))


def sums_of_episodes(documents: Documents, read_book: Callable[[], Awaitable[PriceBook]]) -> SumsOf:
    """Answers what brownouts ask; the book is read when an emergency needs it."""

    async def answer(episode: str, opened_at: datetime) -> EpisodeSums:
        sums = await kept.read_episode(documents, episode)
        unmatched = [each for each in sums if each.stratum and each.arm == "unmatched"]
        before = await _before(documents, await read_book(), opened_at) if unmatched else {}
        return EpisodeSums(
            strata=_strata(sums),
            unmatched=[_unmatched(each, before) for each in unmatched],
            refused=_all(sums, kept.REFUSED),
            left_out=_all(sums, kept.LEFT_OUT),
            simulated=_all(sums, kept.SIMULATED),
            skipped_cache=_all(sums, kept.SKIPPED_CACHE),
            input_tokens=_all(sums, kept.INPUT_TOKENS),
            cached_tokens=_all(sums, kept.CACHED_TOKENS),
        )

    return answer


async def _before(
    documents: Documents, book: PriceBook, opened_at: datetime
) -> dict[tuple[str, str], tuple[int, Nanos]]:
    """Calls and their cost in the last full hour before a time, by team and model."""
    until = floor(opened_at, "hour")
    found: dict[tuple[str, str], tuple[int, Nanos]] = {}
    async for each in read_sums(documents, "hour", Span(until - LENGTHS["hour"], until)):
        cell = each.cell
        card = book.card(cell.provider or "", cell.model or "")
        if cell.outcome != "ok" or cell.cost_reason is not None or card is None:
            continue
        key = (f"{cell.org or ''}/{cell.team or ''}", card.key)
        calls, nanos = found.get(key, (0, 0))
        measures = each.measures
        found[key] = (
            calls + measures.get(CALLS, 0),
            nanos + measures.get(PRICED_NANOS, 0),
        )
    return found


def _strata(sums: Sequence[EpisodeSum]) -> list[StratumSum]:
    """The strata in which something was degraded or held out, in a fixed order."""
    arms: dict[Stratum, dict[Arm, ArmSum]] = {}
    for each in sums:
        if each.stratum is not None and each.arm != "unmatched":
            arms.setdefault(each.stratum, {})[each.arm] = _arm(each)
    return [
        StratumSum(
            stratum.batch,
            degraded=arms[stratum].get("degraded", ArmSum()),
            holdout=arms[stratum].get("holdout", ArmSum()),
        )
        for stratum in sorted(arms, key=lambda each: (each.team, each.model, each.batch))
    ]


def _arm(each: EpisodeSum) -> ArmSum:
    measures = each.measures
    return ArmSum(
        calls=measures.get(kept.CALLS, 0),
        output_nanos=measures.get(kept.OUTPUT_NANOS, 0),
        squares=measures.get(kept.SQUARES, 0),
        input_nanos=measures.get(kept.INPUT_NANOS, 0),
        asked_nanos=measures.get(kept.ASKED_NANOS, 0),
    )


def _unmatched(each: EpisodeSum, before: dict[tuple[str, str], tuple[int, Nanos]]) -> UnmatchedSum:
    stratum, arm = each.stratum, _arm(each)
    known = before.get((stratum.team, stratum.model), (0, 0)) if stratum else (0, 0)
    return UnmatchedSum(arm.calls, arm.input_nanos + arm.output_nanos, *known)


def _all(sums: Sequence[EpisodeSum], measure: str) -> int:
    """A measure of all calls, whatever was done to them."""
    return sum(each.measures.get(measure, 0) for each in sums if each.stratum is None)
