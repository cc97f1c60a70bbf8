"""Answers under the addresses that tools already ask: `/api/brownout` and `/api/metrics`.

They say the same as `/api/v1`, in one flat object, and their names stay.
"""

from typing import Any

from common.api.brownout_models import MetricsView, ModeNumbersView, ModesView
from common.api.operations import (
    UNVERSIONED,
    Answer,
    AnyOperation,
    Call,
    NoBody,
    NoQuery,
    Operation,
)
from common.api.service_routes import check_stores
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policy import Policy
from common.brownout.standings import modes_now
from common.brownout.state import State, read_state


def published_operations() -> list[AnyOperation]:
    return [
        Operation(
            "get_modes", "GET", "/brownout", "The mode of each scope",
            ModesView, _modes, NoQuery, NoBody, prefix=UNVERSIONED,
        ),
        Operation(
            "get_metrics", "GET", "/metrics", "The number of each scope's mode, and health",
            MetricsView, _metrics, NoQuery, NoBody, prefix=UNVERSIONED,
        ),
    ]  # fmt: skip


async def _modes(call: Call[NoQuery, NoBody]) -> Answer:
    state, policy, modes = await _read(call)
    return Answer(
        ModesView(
            mode=modes[GLOBAL].word,
            mode_number=modes[GLOBAL],
            enforced=policy.enforced,
            policy_version=state.policy_version,
            scopes={scope: mode.word for scope, mode in modes.items()},
        )
    )


async def _metrics(call: Call[NoQuery, NoBody]) -> Answer:
    _, policy, modes = await _read(call)
    return Answer(
        MetricsView(
            as_of=call.now,
            brownout=ModeNumbersView(
                current_mode=modes[GLOBAL],
                enforced=policy.enforced,
                scopes={scope: int(mode) for scope, mode in modes.items()},
            ),
            version=call.services.version,
            price_book=call.services.price_book.digest,
            sources=await check_stores(call),
        )
    )


async def _read(call: Call[Any, Any]) -> tuple[State, Policy, dict[str, Mode]]:
    state = await read_state(call.services.documents)
    policy = await call.services.policies.of(state.policy_version)
    return state, policy, modes_now(state, policy.recovery, call.now)
