"""No edit breaks a client: every kind of request, for every family of models, in every mode.

Each goes through a whole gateway to the simulated provider, which refuses what the real ones do. A
request that is accepted as it is must be accepted as it is edited, at the first try, and its answer
must be of use to its client.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import pytest

from common.brownout.modes import Mode
from common.brownout.trajectory import ScopeState
from common.core.ports import Documents
from common.llm.paths import FormName
from tests.edits.asking import FORMS, VENDORS, Asked, one_of_each_family, requests
from tests.edits.laws import Case, broken_by
from tests.edits.world import World, policy_of_all, world_in
from tests.streams.brownouts import a_scope
from tests.streams.conftest import documents

__all__ = ["documents"]

FORM = pytest.mark.parametrize("form", FORMS)
PROVIDERS = ("openai", "anthropic", "google")
LEAST_ACCEPTED = 250
"""Of each form: far fewer would mean that the provider refuses everything."""


@dataclass(frozen=True, slots=True)
class Circumstance:
    """What is off rest, and who calls in it: strategies and priorities.

    `twice`: it is asked what a second gateway does, with the first of them.
    """

    scopes: Mapping[str, ScopeState]
    callers: tuple[tuple[str, str], ...]
    fails: bool = False
    twice: bool = False


def _failing(mode: Mode) -> dict[str, ScopeState]:
    return {f"provider:{name}": a_scope(mode, "errors") for name in PROVIDERS}


CIRCUMSTANCES = {
    "soft": Circumstance(
        {"global": a_scope(Mode.SOFT)},
        (("default", "normal"), ("support", "critical")),
    ),
    "hard": Circumstance(
        {"global": a_scope(Mode.HARD)},
        (("moved", "normal"), ("default", "critical"), ("support", "normal"), ("default", "batch")),
        twice=True,
    ),
    "emergency": Circumstance(
        {"global": a_scope(Mode.EMERGENCY)},
        (("moved", "critical"), ("default", "normal"), ("support", "batch"), ("default", "batch")),
    ),
    "hard, failing": Circumstance(_failing(Mode.HARD), (("moved", "normal"),), fails=True),
    "emergency, failing": Circumstance(
        _failing(Mode.EMERGENCY),
        (("older", "normal"), ("default", "critical")),
        fails=True,
        twice=True,
    ),
}


@FORM
@pytest.mark.parametrize("name", CIRCUMSTANCES)
async def test_breaks_no_client(documents: Documents, form: FormName, name: str) -> None:
    circumstance = CIRCUMSTANCES[name]
    world = await world_in(documents, circumstance.scopes)

    broken: list[str] = []
    async for asked, straight in _accepted(world, form):
        for strategy, priority in circumstance.callers:
            headers = {"x-priority": priority}
            treated = await world.treat(asked.path, asked.body, strategy, headers)
            case = Case(asked, straight, treated, keeps_cache=not circumstance.fails)
            if not (case.shed and priority == "batch"):
                broken += broken_by(case)

    assert broken == []


@FORM
@pytest.mark.parametrize("name", [name for name, each in CIRCUMSTANCES.items() if each.twice])
async def test_edits_nothing_that_is_edited(
    documents: Documents, form: FormName, name: str
) -> None:
    """A gateway behind a gateway sends on what it gets."""
    circumstance = CIRCUMSTANCES[name]
    world = await world_in(documents, circumstance.scopes)
    strategy, priority = circumstance.callers[0]
    headers = {"x-priority": priority}

    changed = []
    async for asked, _ in _accepted(world, form):
        [once] = (await world.treat(asked.path, asked.body, strategy, headers)).sent
        path = once.url.removeprefix("http://provider.test")
        [twice] = (await world.treat(path, once.body, strategy, headers)).sent
        if (twice.url, twice.body) != (once.url, once.body):
            changed.append((str(asked), once.body, twice.body))

    assert changed == []


@FORM
@pytest.mark.parametrize("mode", ["normal", "shadow"])
async def test_sends_the_very_bytes_where_nothing_is_enforced(
    documents: Documents, form: FormName, mode: str
) -> None:
    off_rest = {"team:acme/another": a_scope(Mode.EMERGENCY)}
    scopes = off_rest if mode == "normal" else {"global": a_scope(Mode.HARD)}
    enforced = policy_of_all()
    policy = enforced if mode == "normal" else replace(enforced, enforcement="shadow")
    world = await world_in(documents, scopes, policy)

    changed = []
    async for asked, _ in _accepted(world, form):
        treated = await world.treat(asked.path, asked.body, "moved")
        [sent] = treated.sent
        told = [name for name in treated.exchange.headers if name.startswith("x-brownout")]
        if sent.body != asked.body or not sent.url.endswith(asked.path) or told:
            changed.append(str(asked))

    assert changed == []


@FORM
async def test_asks_every_model_for_much_that_it_accepts(
    documents: Documents, form: FormName
) -> None:
    world = await world_in(documents, {})

    accepted = [asked async for asked, _ in _accepted(world, form)]

    assert len(accepted) >= LEAST_ACCEPTED
    kinds = {asked.name for asked in requests(form, one_of_each_family(VENDORS[form]))}
    assert {asked.name for asked in accepted} == kinds
    assert {asked.model for asked in accepted} == set(one_of_each_family(VENDORS[form]))


async def _accepted(world: World, form: FormName) -> AsyncIterator[tuple[Asked, bytes]]:
    """Requests that the provider accepts as they are, and what it answers."""
    for asked in requests(form, one_of_each_family(VENDORS[form])):
        answered = await world.provider.ask(asked.path, asked.body)
        if answered.status == 200:
            yield asked, answered.body
