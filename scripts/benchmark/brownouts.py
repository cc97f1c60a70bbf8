"""What brownouts cost every call while there is none: to see that, and to take its evidence.

Runs of whole calls cannot tell so little apart, so it is measured alone and in this process. So is
how long a policy is tried on a week of calls that have been read.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle, islice
from timeit import repeat, timeit

from common.brownout.minute_sums import MINUTE, Minute, MinuteSums
from common.brownout.modes import Priority, scopes_of_call
from common.brownout.own_counters import Ended
from common.brownout.own_evidence import OwnEvidence
from common.brownout.plans import Caller, decide
from common.brownout.policy_file import shipped_policy
from common.brownout.replay import replay
from common.brownout.state import State
from scripts.benchmark.measures import Figure

_TIMES, _RUNS = 20_000, 5
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PROVIDER, _MODEL = "openai", "gpt-5"
_SCOPES, _A_DAY, _DAYS = 50, 1_440, 7
_FAILING = 60
"""Minutes a day in which half of the calls fail."""


def measure_brownouts() -> dict[Figure, float]:
    """Microseconds of each part; of several runs the fastest, which the machine disturbed least."""
    policy, state, evidence = shipped_policy(), State(), OwnEvidence()
    scopes = scopes_of_call(
        org="acme", team="search", agent="crawler", provider=_PROVIDER, model=_MODEL
    )
    caller = Caller(scopes, "conversation", Priority.NORMAL)
    ended = Ended(failed=False, first_chunk_s=0.4, total_s=2.0)
    parts: dict[str, Callable[[], object]] = {
        "decide, all at rest": lambda: decide(state, policy, caller, _NOW, _drawn),
        "record": lambda: evidence.record(policy, _PROVIDER, _MODEL, ended, _NOW),
    }
    figures = {
        Figure("brownout", "gateway", name, "us/call"): _fastest_us(part)
        for name, part in parts.items()
    }
    week = _a_week()
    seconds = timeit(lambda: replay(policy, week), number=1)
    return {**figures, Figure("brownout", "api", "replay, 7 days of 50 scopes", "s"): seconds}


def _a_week() -> list[Minute]:
    """Busy minutes of 50 scopes: calm, but for an hour a day."""
    scopes = ["global", *(f"agent:acme/{number}" for number in range(_SCOPES - 1))]
    chunks = {number: number for number in range(8, 16)}
    calm = [
        MinuteSums(calls=92, failed=number % 3, cost=10**8, first_chunks=chunks)
        for number in range(199)
    ]
    failing = MinuteSums(calls=92, failed=46, cost=10**8, first_chunks=chunks)
    sums = cycle(calm)
    return [
        Minute(
            _NOW + number * MINUTE,
            dict.fromkeys(scopes, failing)
            if number % _A_DAY < _FAILING
            else dict(zip(scopes, islice(sums, _SCOPES), strict=True)),
        )
        for number in range(_DAYS * _A_DAY)
    ]


def _fastest_us(part: Callable[[], object]) -> float:
    return min(repeat(part, number=_TIMES, repeat=_RUNS)) / _TIMES * 1_000_000


def _drawn(_text: str) -> float:
    return 0.5
