"""A whole gateway over a real store, with everything else given or the same each time."""

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.budgets.holdings import Holdings
from common.budgets.rate_windows import RateWindows
from common.core.ports import Bus, Clock, Documents
from common.core.secrets import Secret
from common.gateway.brownout_copy import BrownoutCopy
from common.gateway.brownouts import Brownouts, even_draw
from common.gateway.budget_book import BudgetBook
from common.gateway.control import Control
from common.gateway.destinations import Simulated
from common.gateway.directory import Directory
from common.gateway.gateway import Gateway
from common.gateway.key_ring import KeyRing
from common.gateway.pool import Pool
from common.gateway.rates import RateLimits
from common.gateway.sending import Identity, Sender
from common.gateway.spending import Spending
from common.gateway.upstream import Upstream
from common.llm.price_book import bundled_book

_shipped_policy = cache(shipped_policy)


def build_gateway(
    documents: Documents,
    upstream: Upstream,
    bus: Bus,
    clock: Clock,
    environment: Mapping[str, Secret],
    *,
    simulated: Simulated | None = None,
    identity: Identity | None = None,
    **settings: Any,
) -> Gateway:
    """A gateway whose environment holds these variables. It never pauses between its tries."""
    copy = BrownoutCopy(Policies(documents, _shipped_policy, policy_from_data))
    control = Control(documents, clock, followers=[copy])
    numbers = iter(range(1_000_000))
    return Gateway(
        keys=KeyRing(documents, clock, control),
        directory=Directory(documents, clock, control, environment.get),
        rates=RateLimits(RateWindows(documents, clock, entropy=bytes)),
        spending=Spending(
            BudgetBook(documents, clock, control),
            Holdings(documents, clock, "instance", os.urandom),
            clock,
        ),
        brownouts=Brownouts(copy, clock, even_draw(b"installation"), bytes),
        sender=Sender(
            upstream,
            clock,
            Pool(clock),
            hash_key=b"installation",
            entropy=bytes,
            simulated=simulated,
            identity=identity,
            sleep=_no_sleep,
        ),
        bus=bus,
        clock=clock,
        entropy=lambda n: hashlib.sha256(str(next(numbers)).encode()).digest()[:n],
        book=bundled_book(),
        hash_key=b"installation",
        version="1.2.3",
        **settings,
    )


async def _no_sleep(_seconds: float) -> None:
    """Tests wait for nothing that does not happen by itself."""
