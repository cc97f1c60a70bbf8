"""Bodies and views of organisations, teams, agents, projects and keys."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from common.api.budget_terms import BudgetTerms
from common.api.envelopes import Time, View
from common.api.instants import Instant
from common.api.operations import Asked, Paging
from common.core.ids import SLUG
from common.gateway.keys import OnDisconnect, PriorityName
from common.gateway.names import MAX_LIMIT, MAX_NAME_CHARS, MAX_TAG_VALUE_CHARS, MAX_TAGS

Slug: TypeAlias = Annotated[str, Field(pattern=f"^{SLUG.pattern}$", examples=["acme"])]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Tags: TypeAlias = Annotated[
    dict[str, Annotated[str, Field(max_length=MAX_TAG_VALUE_CHARS)]],
    Field(max_length=MAX_TAGS, description="names of a-z, 0-9, _, . and -; printable values"),
]
Version: TypeAlias = Annotated[
    str, Field(description="the ETag: send it as If-Match to change what was read")
]
OptionalName: TypeAlias = Annotated[Name | None, Field(description="the id if not given")]


class OrgChange(Asked):
    name: OptionalName = None


class OrgBody(OrgChange):
    id: Slug


class TeamChange(OrgChange):
    pass


class TeamBody(TeamChange):
    org: Slug
    id: Slug


class AgentChange(Asked):
    team: Slug = Field(description="moving an agent takes its keys along; past spend stays")
    name: OptionalName = None
    tags: Tags = Field({})


class AgentBody(AgentChange):
    org: Slug
    id: Slug


class ProjectChange(OrgChange):
    pass


class ProjectBody(ProjectChange):
    org: Slug
    id: Slug


class OrgView(View):
    id: str
    name: str
    version: Version


class TeamView(View):
    org: str
    id: str
    name: str
    version: Version


class AgentView(View):
    org: str
    id: str
    team: str
    name: str
    tags: dict[str, str]
    version: Version


class ProjectView(View):
    org: str
    id: str
    name: str
    version: Version


class OrgQuery(Paging):
    pass


class InOrgQuery(Paging):
    org: Slug | None = None


class AgentQuery(InOrgQuery):
    team: Slug | None = None


class KeyQuery(AgentQuery):
    agent: Slug | None = None
    project: Slug | None = None
    line: str | None = None


Limit: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MAX_LIMIT)]


class LimitsBody(Asked):
    rpm: Limit | None = Field(None, description="requests a minute; none means no limit")
    tpm: Limit | None = Field(
        None,
        description="tokens a minute, counted as a quarter of the request's bytes and its output "
        "cap until the call has ended, then as it used",
    )
    concurrency: Limit | None = Field(
        None, description="calls at once, in each instance of the proxy by itself"
    )


class PolicyBody(Asked):
    models: list[str] = Field([], description="globs of models; none means all")
    upstreams: list[str] = Field([], description="globs of providers; none means all")
    tags: list[str] = Field([], description="tags that callers may set themselves")
    on_disconnect: OnDisconnect = Field(
        "stop", description="stop a call whose client left, or let it finish within a minute"
    )
    limits: LimitsBody = Field(LimitsBody(), description="beyond them calls are refused with 429")
    priority: PriorityName = Field(
        "normal", description="the highest that a call may ask for with x-priority"
    )
    may_opt_out: bool = Field(
        False,
        description="calls with x-brownout: strict are answered as they are asked, or not at all",
    )


class KeyBody(Asked):
    org: Slug
    agent: Slug
    name: Name = Field(description="unique in the organisation, for ever")
    team: Slug | None = Field(None, description="if given, must be the agent's team")
    project: Slug | None = None
    tags: Tags = Field({})
    may_act_as: list[Slug] = Field([], description="other agents of the same team")
    policy: PolicyBody = PolicyBody()
    expires_at: Instant | None = None
    budget: BudgetTerms | None = Field(
        None, description="made with the key, for it and those that replace it: key-<line>"
    )


class RotateBody(Asked):
    overlap_s: int = Field(
        86_400, ge=0, le=2_592_000, description="how long the old key still works, in seconds"
    )


class LimitsView(View):
    rpm: int | None
    tpm: int | None
    concurrency: int | None = Field(description="in each instance of the proxy by itself")


class PolicyView(View):
    models: list[str]
    upstreams: list[str]
    tags: list[str]
    on_disconnect: OnDisconnect
    limits: LimitsView
    priority: PriorityName
    may_opt_out: bool


class KeyView(View):
    """A key without its text, which nobody keeps."""

    key_id: str = Field(description="the first 12 hexadecimal digits of the SHA-256 of the key")
    name: str
    line: str = Field(description="survives rotation")
    state: Literal["usable", "expired", "revoked"]
    org: str
    team: str
    agent: str
    project: str | None
    tags: dict[str, str]
    may_act_as: list[str]
    policy: PolicyView
    created_by: str
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None


class NewKeyView(KeyView):
    """A key just made. A repeated request answers without the secret: rotate to get a new one."""

    secret: str | None = Field(description="the key; shown once")
    secret_shown: bool = Field(description="the secret was in an earlier answer")
