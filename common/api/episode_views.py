"""Brownouts that have ended, as the API shows them.

A saving never stands alone: beside it stand how it was found, between which amounts the truth lies,
how many calls it rests on, and what may make it look better than it is.
"""

from typing import Literal

from pydantic import Field

from common.api.brownout_models import ModeWord
from common.api.envelopes import Time, Usd, View
from common.brownout.episodes import Episode
from common.brownout.savings import Saving
from common.core.money import NANOS_PER_USD, Nanos, usd_text

_CENT = NANOS_PER_USD // 100


class SavingView(View):
    """What calls cost less than they would have."""

    method: Literal["holdout", "estimate"] = Field(
        description="holdout: against calls left as they were; estimate: against the hour before"
    )
    kind: Literal["cost_saved", "cost_lost"] | None = Field(description="null: not enough data")
    usd: Usd | None = Field(description="negative: a loss")
    nanos: int | None
    low_usd: Usd | None = Field(description="with high, the 95 % interval; null: there is none")
    low_nanos: int | None
    high_usd: Usd | None
    high_nanos: int | None
    calls: int = Field(description="that less was asked for")
    holdout_calls: int = Field(description="that were left as they are, to compare with")
    note: str
    answer: str


class EpisodeView(View):
    """What happened to a scope between leaving normal and being back."""

    id: str
    scope: str
    opened_at: Time
    closed_at: Time
    peak: ModeWord
    seconds: dict[str, int] = Field(description="in each mode")
    enforced: bool = Field(description="false: what would be done was only recorded")
    savings: list[SavingView]
    refused_calls: int = Field(description="not sent, and in no saving")
    left_out_calls: int = Field(description="failed or of unknown cost, and in no saving")
    simulated_calls: int = Field(description="answered by the simulated provider: no real money")
    skipped_cache_calls: int = Field(
        description="that kept something because their prompt cache was worth more"
    )
    holdout_cached_share: float | None = Field(
        description="of the holdout's input, read from caches; where it is much, savings flatter"
    )


def episode_view(episode: Episode) -> EpisodeView:
    read = episode.input_tokens
    return EpisodeView(
        id=episode.id,
        scope=episode.scope,
        opened_at=episode.opened_at,
        closed_at=episode.closed_at,
        peak=episode.peak.word,
        seconds=dict(episode.seconds),
        enforced=episode.enforced,
        savings=[_saving_view(each) for each in episode.savings],
        refused_calls=episode.refused,
        left_out_calls=episode.left_out,
        simulated_calls=episode.simulated,
        skipped_cache_calls=episode.skipped_cache,
        holdout_cached_share=round(episode.cached_tokens / read, 4) if read else None,
    )


def episode_sentence(view: EpisodeView) -> str:
    """The episode in one sentence for its course, and one for each saving."""
    lasted = round((view.closed_at - view.opened_at).total_seconds() / 60)
    course = f"{view.scope} was off normal for {lasted} min, {view.peak} at its worst."
    return " ".join([course, *(f"{each.answer}." for each in view.savings)])


def _saving_view(saving: Saving) -> SavingView:
    nanos = saving.nanos
    kind: Literal["cost_saved", "cost_lost"] | None = None
    if nanos is not None:
        kind = "cost_saved" if nanos >= 0 else "cost_lost"
    return SavingView(
        method=saving.method,
        kind=kind,
        usd=_usd(nanos),
        nanos=nanos,
        low_usd=_usd(saving.low),
        low_nanos=saving.low,
        high_usd=_usd(saving.high),
        high_nanos=saving.high,
        calls=saving.calls,
        holdout_calls=saving.holdout_calls,
        note=saving.note,
        answer=_answer(saving),
    )


def _answer(saving: Saving) -> str:
    if saving.nanos is None:
        return saving.note
    word = "cost saved" if saving.nanos >= 0 else "cost lost"
    told = f"{word}: ${_cents(abs(saving.nanos))}"
    if saving.low is None or saving.high is None:
        return f"{told}, {saving.note}"
    ends = (saving.low, saving.high) if saving.nanos >= 0 else (-saving.high, -saving.low)
    return f"{told} (95 %: {_cents(ends[0])} to {_cents(ends[1])})"


def _cents(nanos: Nanos) -> str:
    """Dollars to the cent, or to four digits behind the point below one."""
    part, digits = (_CENT, 2) if abs(nanos) >= NANOS_PER_USD else (_CENT // 100, 4)
    whole, _, rest = usd_text((nanos + part // 2) // part * part).partition(".")
    return f"{whole}.{rest[:digits]}"


def _usd(nanos: Nanos | None) -> str | None:
    return None if nanos is None else usd_text(nanos)
