"""The bills that are held against our events: those of each provider that there is a key for."""

from collections.abc import Callable, Sequence

from pydantic import SecretStr

from common.adapters import anthropic_costs, openai_costs
from common.adapters.anthropic_costs import AnthropicCosts
from common.adapters.openai_costs import OpenAiCosts
from common.core.secrets import Secret
from common.gateway.upstream import Upstream
from common.reconciliation.rows import Bills
from common.reconciliation.running import Account
from common.runtime.function_settings import InsightsSettings

ORGANISATION = "organization"
"""The name of an account: an admin key opens the one organisation that it is of."""


def billed_accounts(
    settings: InsightsSettings, upstream: Callable[[], Upstream]
) -> Sequence[Account]:
    """One account for each provider; without a key it says which setting it needs."""

    def bills(key: SecretStr | None, make: Callable[[Upstream, Secret], Bills]) -> Bills | None:
        return None if key is None else make(upstream(), Secret(key.get_secret_value()))

    return (
        Account(
            "openai",
            ORGANISATION,
            openai_costs.HOSTS,
            bills(settings.openai_admin_key, OpenAiCosts),
            "OPENAI_ADMIN_KEY",
        ),
        Account(
            "anthropic",
            ORGANISATION,
            anthropic_costs.HOSTS,
            bills(settings.anthropic_admin_key, AnthropicCosts),
            "ANTHROPIC_ADMIN_KEY",
        ),
    )
