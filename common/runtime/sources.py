"""Which sources of signals are asked how their alerts stand, and with what."""

from collections.abc import Callable

from common.adapters.datadog_monitors import DatadogMonitors
from common.brownout.folding import Folding
from common.brownout.sources import Asking
from common.core.secrets import Secret
from common.gateway.upstream import Upstream
from common.runtime.function_settings import BrownoutTickSettings
from common.runtime.settings import read_settings


def asking_datadog(folding: Folding, upstream: Callable[[], Upstream]) -> Asking:
    """What asks Datadog once a minute; without both of its keys it says that it does not."""
    return Asking(
        source="datadog",
        monitors=_datadog(upstream),
        needs="DATADOG_API_KEY and DATADOG_APP_KEY",
        documents=folding.documents,
        bus=folding.bus,
        clock=folding.clock,
        entropy=folding.entropy,
        rules=folding.rules,
        lease=lambda rules: rules.datadog,
    )


def _datadog(upstream: Callable[[], Upstream]) -> DatadogMonitors | None:
    settings = read_settings(BrownoutTickSettings)
    if settings.datadog_api_key is None or settings.datadog_app_key is None:
        return None
    return DatadogMonitors(
        upstream(),
        site=settings.datadog_site,
        api_key=Secret(settings.datadog_api_key.get_secret_value()),
        app_key=Secret(settings.datadog_app_key.get_secret_value()),
        default_org=settings.default_org,
    )
