"""What brownouts cost every call while there is none: to see that, and to take its evidence.

Runs of whole calls cannot tell so little apart, so it is measured alone and in this process.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from timeit import repeat

from common.brownout.modes import Priority, scopes_of_call
from common.brownout.own_counters import Ended
from common.brownout.own_evidence import OwnEvidence
from common.brownout.plans import Caller, decide
from common.brownout.policy_file import shipped_policy
from common.brownout.state import State
from scripts.benchmark.measures import Figure

_TIMES, _RUNS = 20_000, 5
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PROVIDER, _MODEL = "openai", "gpt-5"


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
    return {
        Figure("brownout", "gateway", name, "us/call"): _fastest_us(part)
        for name, part in parts.items()
    }


def _fastest_us(part: Callable[[], object]) -> float:
    return min(repeat(part, number=_TIMES, repeat=_RUNS)) / _TIMES * 1_000_000


def _drawn(_text: str) -> float:
    return 0.5
