"""Incidents ask which modes changed and what the policy says; brownouts know, and answer."""

from collections.abc import Sequence
from datetime import datetime

from common.brownout.history import changes_behind
from common.brownout.policies import Policies
from common.brownout.policy import EscalationStep as PolicyStep
from common.brownout.policy import IncidentRules
from common.brownout.state import read_state
from common.core.brownout_events import BrownoutModeChanged
from common.core.ports import Documents
from common.incidents.facts import EscalationStep, Rules
from common.incidents.taking import Changes, RulesOfNow


def rules_of(documents: Documents, policies: Policies) -> RulesOfNow:
    """Answers what the policy in force says of incidents."""

    async def answer() -> Rules:
        policy = await policies.of((await read_state(documents)).policy_version)
        return _rules(policy.incidents, policy.escalation)

    return answer


def changes_of(documents: Documents) -> Changes:
    """Answers how modes changed."""

    async def answer(after: int, since: datetime | None) -> Sequence[BrownoutModeChanged]:
        return await changes_behind(documents, after, since)

    return answer


def _rules(incidents: IncidentRules, escalation: Sequence[PolicyStep]) -> Rules:
    return Rules(
        open_at=incidents.open_at.word,
        join_window=incidents.join_window,
        resolve_after=incidents.resolve_after,
        procedures=incidents.procedures,
        escalation=tuple(
            EscalationStep(each.after, each.to, each.when, each.min_severity) for each in escalation
        ),
    )
