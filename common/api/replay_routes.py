"""What a policy would have done with the calls of the last days, over HTTP. Nothing is changed."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from common.api.brownout_models import ModeWord
from common.api.envelopes import Single, Time, View, state_source
from common.api.instants import Instant
from common.api.operations import Answer, AnyOperation, Asked, Call, NoQuery, Operation, Services
from common.brownout.baselines import WEEK, WEEKS, PastCosts
from common.brownout.minute_sums import HOUR, MINUTE, Minute, hour_of, minute_of
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policy import Policy
from common.brownout.policy_changes import running_version
from common.brownout.policy_models import policy_from_data
from common.brownout.replay import Episode, Replay
from common.core.errors import InvalidInput, StoreUnavailable
from common.usage.rollups import KEPT

LONGEST = timedelta(days=7, hours=1)
"""A week, by the clock of whoever asks."""
MOST_EPISODES = 500
TIMEOUT_S = 50.0
_AT_A_TIME = 60
"""Minutes that are judged in one go, beside the loop."""


class ReplayBody(Asked):
    policy: dict[str, Any] | None = Field(
        None, description="what a policy file holds, as JSON; the one in force if not given"
    )
    since: Instant = Field(alias="from", description="at most 7 days before `to`")
    until: Instant | None = Field(None, alias="to", description="not included; now if not given")


class ReplayedEpisodeView(View):
    """A scope from leaving normal to being back."""

    scope: str
    opened_at: Time
    closed_at: Time | None = Field(description="null: it was not back at the end of the span")
    peak: ModeWord
    seconds: dict[ModeWord, int] = Field(description="by mode")
    about: list[str] = Field(description="errors, latency, cost")


class ReplayView(View):
    """What the gateway's own counters alone would have caused, had it changed nothing."""

    policy_version: int | None = Field(description="null: the policy that was sent")
    since: Time
    until: Time
    minutes: int = Field(description="in which there were calls")
    count: int = Field(description="of all episodes")
    episodes: list[ReplayedEpisodeView] = Field(description="the first 500, by time")


def replay_operations() -> list[AnyOperation]:
    return [
        Operation(
            "replay_policy", "POST", "/brownout:replay",
            "What a policy would have done with the calls of the last days",
            Single[ReplayView], _replay, NoQuery, ReplayBody, repeatable=True,
        ),
    ]  # fmt: skip


async def _replay(call: Call[NoQuery, ReplayBody]) -> Answer:
    services, body = call.services, call.body
    since, until = _span(body, call.now)
    version: int | None = None
    if body.policy is None:
        version = await running_version(services.documents)
        policy = await services.policies.of(version)
    else:
        policy = policy_from_data(body.policy, services.default_org)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            minutes, episodes = await _replayed(services, policy, since, until)
    except TimeoutError:
        raise StoreUnavailable(
            f"so many minutes take longer than {TIMEOUT_S:g} s to read: ask for fewer days"
        ) from None
    view = ReplayView(
        policy_version=version,
        since=since,
        until=until,
        minutes=minutes,
        count=len(episodes),
        episodes=[_view(each) for each in episodes[:MOST_EPISODES]],
    )
    return Answer(
        Single[ReplayView](
            as_of=call.now,
            answer=_sentence(episodes, minutes, until),
            data=view,
            sources=[state_source(call.now)],
        )
    )


def _span(body: ReplayBody, now: datetime) -> tuple[datetime, datetime]:
    """The whole minutes that are asked for."""
    since, until = minute_of(body.since), minute_of(min(body.until or now, now))
    if since < now - KEPT["minute"]:
        raise InvalidInput(f"minutes are kept for {KEPT['minute'].days} days", field="from")
    if since >= until:
        raise InvalidInput("lies not a minute before the end of the span", field="from")
    if until - since > LONGEST:
        raise InvalidInput("at most 7 days can be tried at once", field="from")
    return since, until


async def _replayed(
    services: Services, policy: Policy, since: datetime, until: datetime
) -> tuple[int, list[Episode]]:
    rollups = services.rollups
    hours = rollups.hours(hour_of(since) - WEEK * WEEKS, hour_of(until) + HOUR)
    past = PastCosts([each async for each in hours])
    replaying = Replay(policy, past.usual)
    count = 0
    waiting: list[Minute] = []
    async for minute in rollups.minutes(since, until):
        count += 1
        waiting.append(minute)
        if len(waiting) == _AT_A_TIME:
            await asyncio.to_thread(_take, replaying, waiting)
            waiting = []
    await asyncio.to_thread(_take, replaying, waiting)
    return count, replaying.episodes(until)


def _take(replaying: Replay, minutes: Iterable[Minute]) -> None:
    for minute in minutes:
        replaying.take(minute)


def _view(episode: Episode) -> ReplayedEpisodeView:
    return ReplayedEpisodeView(
        scope=episode.scope,
        opened_at=episode.opened_at,
        closed_at=episode.closed_at,
        peak=episode.peak.word,
        seconds={mode.word: round(time.total_seconds()) for mode, time in episode.lasted.items()},
        about=list(episode.about),
    )


def _sentence(episodes: list[Episode], minutes: int, until: datetime) -> str:
    if not minutes:
        return "There were no calls."
    if not episodes:
        return "No scope would have left normal."
    highest = max(each.peak for each in episodes)
    times = [
        each.lasted.get(mode, timedelta(0))
        for each in episodes
        for mode in Mode
        if each.scope == GLOBAL
    ]
    off = sum(times, timedelta(0)) // MINUTE
    open_still = sum(each.closed_at is None for each in episodes)
    still = f", {open_still} of them not back by {until:%Y-%m-%dT%H:%MZ}" if open_still else ""
    word = "episode" if len(episodes) == 1 else "episodes"
    return (
        f"{len(episodes)} {word}{still}, up to {highest.word};"
        f" global would have been off normal for {off} minutes."
    )
