"""A manifest as it is sent, read into what it asks for.

Every error says where in the file it is, as `keys.2.policy.models`, and names the nearest word that
would be right. A text that looks like a credential is refused before anything else is said of the
file, and is never repeated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError

from common.api.budget_models import BudgetBody
from common.api.budget_routes import budget_of
from common.api.identity_models import AgentBody, KeyBody, OrgBody, ProjectBody, Slug, TeamBody
from common.api.key_routes import request_of
from common.api.operations import Asked
from common.api.problems import as_invalid_input
from common.api.upstream_routes import UpstreamBody, record_of
from common.core.errors import CloudOpsError, InvalidInput
from common.gateway.identity import Agent, Org, Project, Team
from common.gateway.manifest import Manifest
from common.gateway.manifest_objects import (
    Step,
    WantedKey,
    budget_step,
    key_step,
    member_step,
    routes_step,
    upstream_step,
)
from common.routing.rules import RouteTable

MOST_OBJECTS = 200
_CREDENTIAL = re.compile(
    r"(?<![A-Za-z0-9])(?:ocg_|sk-|sk_|rk_|gsk_|xai-|xox[abprs]-|hf_|ghp_|gho_|github_pat_|glpat-"
    r"|AIza|AKIA|ASIA|ya29\.|eyJ)(?=\S*[0-9A-Z])[A-Za-z0-9_.+/=-]{12,}"
    r"|-----BEGIN|(?=[A-Za-z]*[0-9])[A-Za-z0-9]{32,}"
)
"""How keys of providers begin, or a run of letters and digits that is no word."""


class SecretInManifest(CloudOpsError):
    code = "secret_in_manifest"
    status = 422


class NamedUpstream(UpstreamBody):
    name: Slug


class OwnedRoutes(RouteTable):
    """All rules of one organisation."""

    org: Slug


class ManifestBody(Asked):
    """What an installation is to hold. What is left out stays as it is."""

    name: Slug = Field(description="whose objects these are: what pruning goes by")
    orgs: list[OrgBody] = Field([])
    teams: list[TeamBody] = Field([])
    projects: list[ProjectBody] = Field([])
    agents: list[AgentBody] = Field([])
    upstreams: list[NamedUpstream] = Field([])
    routes: list[OwnedRoutes] = Field([], description="all rules of an organisation, in order")
    keys: list[KeyBody] = Field([])
    budgets: list[BudgetBody] = Field([])


def read_manifest(given: Mapping[str, Any]) -> Manifest:
    """What a manifest asks for.

    Raises:
        SecretInManifest: a text looks like a credential.
        InvalidInput: names the place and what is right.
    """
    _refuse_secrets(given)
    try:
        body = ManifestBody.model_validate(given)
    except ValidationError as error:
        raise _with_nearest(error) from None
    steps = list(_steps(body))
    keys = [(_key(each), f"keys.{at}") for at, each in enumerate(body.keys)]
    steps += [key_step(wanted, path) for wanted, path in keys]
    if len(steps) > MOST_OBJECTS:
        raise InvalidInput(f"{len(steps)} objects, and a manifest has at most {MOST_OBJECTS}")
    _refuse_repeated(steps)
    return Manifest(body.name, tuple(steps), tuple(keys))


def _steps(body: ManifestBody) -> Iterator[Step]:
    for at, org in enumerate(body.orgs):
        yield member_step(Org(org.id, org.name or org.id), f"orgs.{at}")
    for at, team in enumerate(body.teams):
        yield member_step(Team(team.org, team.id, team.name or team.id), f"teams.{at}")
    for at, project in enumerate(body.projects):
        member = Project(project.org, project.id, project.name or project.id)
        yield member_step(member, f"projects.{at}")
    for at, agent in enumerate(body.agents):
        named = Agent(agent.org, agent.id, agent.team, agent.name or agent.id, agent.tags)
        yield member_step(named, f"agents.{at}")
    for at, upstream in enumerate(body.upstreams):
        yield upstream_step(record_of(upstream.name, upstream), f"upstreams.{at}")
    for at, owned in enumerate(body.routes):
        yield routes_step(owned.org, RouteTable(rules=owned.rules), f"routes.{at}")
    for at, terms in enumerate(body.budgets):
        yield budget_step(budget_of(terms, terms.id, "", terms.scope), f"budgets.{at}")


def _key(body: KeyBody) -> WantedKey:
    budget = None if body.budget is None else budget_of(body.budget, "", body.org, "")
    return WantedKey(request_of(body), body.team, budget)


def _refuse_repeated(steps: Sequence[Step]) -> None:
    first: dict[tuple[str, str], str] = {}
    for step in steps:
        place = first.setdefault((step.kind, step.id), step.path)
        if place != step.path:
            raise InvalidInput(f"{step.kind} {step.id} stands at {place} already", field=step.path)


def holds_credential(text: str) -> bool:
    """Whether something in a text looks like a credential."""
    return _CREDENTIAL.search(text) is not None


def _refuse_secrets(given: Mapping[str, Any]) -> None:
    for place, text in _texts(given, ()):
        if holds_credential(text):
            raise SecretInManifest(
                "this looks like a credential, and a file that is kept must hold none: name the"
                " environment variable that holds it",
                field=".".join(place),
            )


def _texts(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts in a value, names of members too, each with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            # The name itself may be the credential: its place is then that of its object.
            yield place, name
            yield from _texts(each, (*place, name))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _texts(each, (*place, str(at)))


def _with_nearest(error: ValidationError) -> InvalidInput:
    """What is wrong first, unknown fields before all: they may be what others are missed for."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = next((each for each in errors if each["type"] == "extra_forbidden"), None)
    if unknown is None:
        return as_invalid_input(error)
    *way, name = unknown["loc"]
    near = get_close_matches(str(name), _fields(way), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_fields(way))}"
    place = ".".join(str(part) for part in unknown["loc"])
    return InvalidInput(f"there is no such field here; {hint}", field=place)


def _fields(way: Sequence[str | int]) -> list[str]:
    """The fields of the object at a place."""
    model: type[BaseModel] = ManifestBody
    for name in way:
        if isinstance(name, str):
            model = _model_in(model.model_fields[name].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)
