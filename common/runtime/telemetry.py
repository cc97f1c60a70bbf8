"""What the minute's tick tells telemetry: brownouts and usage, which do not know each other."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from common.brownout.policies import Policies
from common.brownout.telemetry import BrownoutsTold
from common.core.metrics import Fact, Telemetry
from common.core.ports import Documents
from common.usage.recent import Watching


def telling_minutes(
    documents: Documents, policies: Policies, telemetry: Telemetry | None
) -> dict[str, Callable[[datetime], Awaitable[object]]]:
    """The parts of a tick that tell it; none without telemetry."""
    if telemetry is None:
        return {}
    brownouts, watching = BrownoutsTold(documents, policies, telemetry), Watching(documents)

    async def tell_recent(now: datetime) -> None:
        telemetry.record([Fact(await watching.read(now))])

    async def send(_now: datetime) -> None:
        await telemetry.flush()

    return {"tell_brownouts": brownouts.tell, "tell_recent": tell_recent, "send": send}
