"""Answers under the addresses that tools already ask: `/api/brownout` and `/api/metrics`.

They say the same as `/api/v1`, in one flat object, and their names stay.
"""

from common.api.brownout_models import ModesView
from common.api.metrics_routes import metrics_operation, read_modes
from common.api.operations import (
    UNVERSIONED,
    Answer,
    AnyOperation,
    Call,
    NoBody,
    NoQuery,
    Operation,
)
from common.brownout.modes import GLOBAL


def published_operations() -> list[AnyOperation]:
    return [
        Operation(
            "get_modes", "GET", "/brownout", "The mode of each scope",
            ModesView, _modes, NoQuery, NoBody, prefix=UNVERSIONED,
        ),
        metrics_operation(),
    ]  # fmt: skip


async def _modes(call: Call[NoQuery, NoBody]) -> Answer:
    state, policy, modes = await read_modes(call)
    return Answer(
        ModesView(
            mode=modes[GLOBAL].word,
            mode_number=modes[GLOBAL],
            enforced=policy.enforced,
            policy_version=state.policy_version,
            scopes={scope: mode.word for scope, mode in modes.items()},
        )
    )
