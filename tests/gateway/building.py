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
from common.gateway.budget_use import BudgetUse
from common.gateway.control import Control
from common.gateway.destinations import Simulated
from common.gateway.directory import Directory
from common.gateway.expected_costs import ExpectedCosts
from common.gateway.forwarding import Forwarding
from common.gateway.gateway import Gateway
from common.gateway.key_ring import KeyRing
from common.gateway.override_copy import OverrideCopy
from common.gateway.pool import Pool
from common.gateway.price_copy import PriceCopy
from common.gateway.rates import RateLimits
from common.gateway.route_book import RouteBook
from common.gateway.routing import Routing
from common.gateway.sending import Identity, Sender
from common.gateway.spending import Spending
from common.gateway.upstream import Upstream
from common.gateway.upstream_health import UpstreamHealth
from common.llm.price_book import bundled_book
from common.pricing.in_force import Books

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
    prices = PriceCopy(Books(documents, bundled_book()))
    control = Control(documents, clock, followers=[copy], listeners=[prices.hear])
    numbers = iter(range(1_000_000))
    draw = even_draw(b"installation")
    health = UpstreamHealth(clock)
    spending = Spending(
        BudgetBook(documents, clock, control),
        Holdings(documents, clock, "instance", os.urandom),
        clock,
    )
    return Gateway(
        keys=KeyRing(documents, clock, control),
        directory=Directory(documents, clock, control, environment.get),
        routing=Routing(
            RouteBook(documents, clock, control),
            BudgetUse(spending, clock).of,
            health,
            ExpectedCosts(),
            draw,
        ),
        forwarding=Forwarding(
            rates=RateLimits(RateWindows(documents, clock, entropy=bytes)),
            brownouts=Brownouts(copy, clock, draw, bytes),
            spending=spending,
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
            health=health,
        ),
        bus=bus,
        clock=clock,
        entropy=lambda n: hashlib.sha256(str(next(numbers)).encode()).digest()[:n],
        prices=prices,
        overrides=OverrideCopy(documents, clock, control),
        hash_key=b"installation",
        version="1.2.3",
        **settings,
    )


async def _no_sleep(_seconds: float) -> None:
    """Tests wait for nothing that does not happen by itself."""
