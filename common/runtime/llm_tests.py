"""What test calls are sent with: settings, the connection to the proxy, and their count."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from common.budgets.rate_windows import RateWindows
from common.core.ports import Clock, Documents
from common.core.secrets import Secret
from common.gateway.llm_tests import LlmTests, Way
from common.gateway.upstream import Upstream
from common.llm.price_book import PriceBook
from common.runtime.function_settings import LlmTestSettings
from common.runtime.settings import read_settings


def make_llm_tests(
    documents: Documents, clock: Clock, entropy: Callable[[int], bytes], book: PriceBook
) -> LlmTests:
    windows = RateWindows(documents, clock, entropy=entropy)
    return LlmTests(way=_way, connect=_connected, windows=windows, clock=clock, book=book)


def _way() -> Way:
    # Read at each test: a laptop has a key only once it has served the request that makes it.
    settings = read_settings(LlmTestSettings)
    key = settings.test_llm_key
    return Way(
        proxy_url=settings.proxy_url,
        upstream=settings.test_llm_upstream,
        key=None if key is None else Secret(key.get_secret_value()),
    )


@asynccontextmanager
async def _connected() -> AsyncIterator[Upstream]:
    from common.adapters.upstream import HttpUpstream  # noqa: PLC0415 - loaded where it is used

    upstream = HttpUpstream()
    try:
        yield upstream
    finally:
        await upstream.aclose()
