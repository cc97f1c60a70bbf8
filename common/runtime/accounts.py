"""The bills that are held against our events: those of each provider that there is a key for.

The simulated provider has an admin key of its own. Its bills are held against simulated calls, in
an account apart, so that they never say anything of real money.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol
from urllib.parse import urlsplit

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
SIMULATED = "simulated"
"""That of the simulated provider's."""
SIMULATED_ADMIN_KEY = "sim-admin"


class _Reader(Protocol):
    def __call__(
        self, upstream: Upstream, admin_key: Secret, *, base_url: str, allow_private: bool = False
    ) -> Bills: ...


def billed_accounts(
    settings: InsightsSettings, upstream: Callable[[], Upstream]
) -> Sequence[Account]:
    """One account for each provider; without a key it says which setting it needs."""
    simulated_url = settings.simulated_provider_url

    def account(
        provider: str,
        key: SecretStr | None,
        read: _Reader,
        base_url: str,
        hosts: Collection[str],
    ) -> Account:
        needs = f"{provider.upper()}_ADMIN_KEY"
        if key is None:
            return Account(provider, ORGANISATION, frozenset(hosts), None, needs)
        admin_key = Secret(key.get_secret_value())
        if simulated_url is None or admin_key.reveal() != SIMULATED_ADMIN_KEY:
            bills = read(upstream(), admin_key, base_url=base_url)
            return Account(provider, ORGANISATION, frozenset(hosts), bills, needs)
        bills = read(
            upstream(), admin_key, base_url=f"{simulated_url}/{provider}", allow_private=True
        )
        host = urlsplit(simulated_url).netloc
        return Account(provider, SIMULATED, frozenset({host}), bills, needs, simulated=True)

    return (
        account(
            "openai",
            settings.openai_admin_key,
            OpenAiCosts,
            openai_costs.BASE_URL,
            openai_costs.HOSTS,
        ),
        account(
            "anthropic",
            settings.anthropic_admin_key,
            AnthropicCosts,
            anthropic_costs.BASE_URL,
            anthropic_costs.HOSTS,
        ),
    )
