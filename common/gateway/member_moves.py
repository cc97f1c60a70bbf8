"""Replacing an organisation, team, agent or project, where an agent may move to another team.

A move brings the new team's budgets to the agent's calls, and at most so many hard ones may apply
to one. What is asked of budgets is still true at the commit, because a move writes
`gateway/control` as every change of budgets does, having read it first.
"""

from collections.abc import Callable
from dataclasses import replace

from common.core.ports import Documents
from common.core.transactions import Read
from common.gateway.budget_scopes import check_moved_agent
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL, control_with
from common.gateway.identity import Agent, M, update_member


def replace_member(member: M, is_expected: Callable[[M], bool], documents: Documents) -> Plan[M]:
    """Plan to replace a member. `is_expected` judges whether the stored one is what was seen.

    The plan raises NotFound, InvalidInput (also where too many hard budgets would apply to the
    calls of an agent that moves) and, if the stored one is not expected, VersionConflict.
    """
    update = update_member(member, is_expected)
    if not isinstance(member, Agent):
        return update
    agent = member

    async def plan(read: Read, moment: Moment) -> Change[M]:
        [control] = await read([CONTROL])
        change = await update(read, moment)
        if change.before is None or change.before["team"] == agent.team:
            return change
        await check_moved_agent(documents, agent, moment.now)
        if any(write.ref == CONTROL for write in change.writes):
            return change
        return replace(change, writes=(*change.writes, control_with(control, {})))

    return plan
