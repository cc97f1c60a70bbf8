"""The daily refresh of prices, put together: where it looks, and which models calls have used."""

from collections.abc import Collection
from datetime import datetime
from importlib.resources import files

from common.adapters.price_sources import PRICE_SOURCE_URL, GenaiPrices
from common.core.ports import Bus, Clock, Documents, Warehouse
from common.core.transactions import Entropy
from common.gateway.upstream import Upstream
from common.pricing.compiling import compile_listed, shipped_bytes
from common.pricing.refresh import Refresher
from common.pricing.vetting import Used


def make_refresher(
    documents: Documents,
    bus: Bus,
    clock: Clock,
    entropy: Entropy,
    *,
    warehouse: Warehouse,
    upstream: Upstream,
    url: str | None,
) -> Refresher:
    """The refresher. Without an address it asks where genai-prices itself looks."""

    async def in_use(since: datetime) -> Collection[Used]:
        rows = await warehouse.query(_sql(), {"since": since})
        return {Used(row["provider"], row["model"]) for row in rows}

    source = GenaiPrices(upstream, url or PRICE_SOURCE_URL)
    return Refresher(documents, bus, clock, entropy, source, compile_listed, in_use, shipped_bytes)


def _sql() -> str:
    return (files("common.usage") / "sql/models_in_use.sql").read_text("utf-8")
