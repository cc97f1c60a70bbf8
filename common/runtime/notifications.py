"""The notifier over the engines of a process."""

from common.adapters.channels import ChannelSender
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.core.brownout_events import BrownoutModeChanged
from common.core.ports import Bus, Clock, Documents
from common.core.transactions import Entropy
from common.gateway.upstream import Upstream
from common.incidents.notifying import Notifier, OpensIncident
from common.runtime.function_settings import NotifierSettings
from common.runtime.settings import environment_secret, read_settings


def make_notifier(
    documents: Documents,
    bus: Bus,
    clock: Clock,
    entropy: Entropy,
    *,
    policies: Policies,
    upstream: Upstream,
) -> Notifier:
    """What tells people. `upstream` uses no proxy: nobody would judge where a name leads."""
    settings = read_settings(NotifierSettings)
    return Notifier(
        documents=documents,
        bus=bus,
        clock=clock,
        entropy=entropy,
        sender=ChannelSender(upstream, clock, local=settings.local_receivers),
        secret_of=environment_secret,
        opens_incident=opens_incident(policies),
        console=settings.console_url,
    )


def opens_incident(policies: Policies) -> OpensIncident:
    """Whether one of a change's two modes is bad enough, by the policy it was made under."""

    async def opens(event: BrownoutModeChanged) -> bool:
        policy = await policies.of(event.policy_version)
        worst = max(Mode[event.before.upper()], Mode[event.after.upper()])
        return worst >= policy.incidents.open_at

    return opens
