"""Channels for notifications over HTTP.

What is asked and answered names the variables that hold secrets, never a secret. `PUT` replaces the
whole channel: what the body leaves out is not kept.
"""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from common.api.conditions import condition_of
from common.api.cursors import Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, Time, View, state_source
from common.api.identity_models import Version
from common.api.operations import (
    Answer,
    AnyOperation,
    Asked,
    Call,
    NoBody,
    NoQuery,
    Operation,
    Paging,
)
from common.api.versions import version_of
from common.api.writes import Shown, change
from common.core.ids import SLUG
from common.gateway.channel_changes import (
    get_channel,
    list_channels,
    put_channel,
    remove_channel,
    try_channel,
)
from common.gateway.identity import count_documents
from common.incidents.channels import CHANNELS, Channel, Kind, QuietHours
from common.incidents.notices import ChannelState
from common.incidents.told import Severity


class QuietBody(Asked):
    start: str = Field(description="included", examples=["22:00"])
    end: str = Field(description="not included", examples=["07:00"])
    zone: str = Field("UTC", description="whose clocks count", examples=["Europe/Berlin"])


class ChannelBody(Asked):
    kind: Kind = Field(
        description="slack; teams: the address of a workflow, which belongs to a person and ends "
        "with their account; pagerduty; webhook: signed JSON to a receiver of your own"
    )
    secret: str = Field(
        description="variable of the notifier, beginning with CHANNEL_, that holds the address of "
        "a Slack or Teams webhook, the routing key of PagerDuty, or the key that signs messages "
        "to a webhook",
        examples=["CHANNEL_OPS"],
    )
    url: str | None = Field(
        None, description="where a webhook is; for pagerduty that of its region in Europe"
    )
    types: list[str] = Field(
        [], description="types of events; one that ends in a dot means all below it; none means all"
    )
    min_severity: Severity = Field("info", description="what is less severe is left out")
    scopes: list[str] = Field(
        [], description="globs of scopes, as team:acme/*; none means all", examples=[["team:a/*"]]
    )
    quiet: QuietBody | None = Field(
        None, description="hours in which it is told of nothing that is not critical"
    )
    per_hour: int | None = Field(
        None, description="messages it takes in an hour, 1 to 1000, critical ones beyond that"
    )


class QuietView(View):
    start: str
    end: str
    zone: str


class LastView(View):
    """How the last message went."""

    at: Time
    type: str = Field(description="of the event")
    status: str = Field(description="sent, waiting (to be tried again), failed or left_out")
    reason: str | None


class BrokenView(View):
    """A channel that did not take a message. Of others until `until` nobody is told."""

    since: Time
    until: Time
    rests: bool = Field(description="nothing is sent to it until then; a test that arrives ends it")
    reason: str


class ChannelView(View):
    name: str
    kind: Kind
    secret: str = Field(description="the variable's name")
    url: str | None
    types: list[str]
    min_severity: Severity
    scopes: list[str]
    quiet: QuietView | None
    per_hour: int | None
    last: LastView | None = Field(description="null: none was sent yet")
    secret_set: bool | None = Field(
        description="whether the variable has a value; null: only the notifier knows"
    )
    broken: BrokenView | None = Field(
        description="its last message was given up; null: it was not, or that is long ago"
    )
    version: Version


class _ChannelPlace(Place):
    name: Annotated[str, Field(pattern=f"^{SLUG.pattern}$")]


def channel_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_channels", "GET", "/channels", "List channels for notifications",
            Listing[ChannelView, Count], _list, Paging, NoBody,
        ),
        Operation(
            "get_channel", "GET", "/channels/{name}", "Read a channel",
            Single[ChannelView], _get, NoQuery, NoBody,
        ),
        Operation(
            "put_channel", "PUT", "/channels/{name}", "Make a channel, or replace it whole",
            Single[ChannelView], _put, NoQuery, ChannelBody, makes=True,
        ),
        Operation(
            "remove_channel", "DELETE", "/channels/{name}", "Remove a channel",
            Single[ChannelView], _remove, NoQuery, NoBody,
        ),
        Operation(
            "test_channel", "POST", "/channels/{name}:test", "Try a channel with a message",
            Single[ChannelView], _test, NoQuery, NoBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[Paging, NoBody]) -> Answer:
    documents, limit = call.services.documents, call.query.limit
    place = read_cursor(call.given, call.query.after, _ChannelPlace)
    after = None if place is None else place.name
    read = partial(list_channels, documents)
    page, following = await stored_page(
        call.given, after, limit, read, lambda each: each[0].name, name="name"
    )
    count = await count_documents(documents, CHANNELS, {})
    return Answer(
        Listing[ChannelView, Count](
            as_of=call.now,
            query=call.query.model_dump(exclude_none=True),
            answer=f"{count} {'channel' if count == 1 else 'channels'} for notifications.",
            data=[_view(call, channel, state) for channel, state in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    channel, state = await get_channel(call.services.documents, call.path["name"])
    view = _single(call, channel, state, "is configured")
    return Answer(view, headers={"etag": f'"{_version(channel)}"'})


async def _put(call: Call[NoQuery, ChannelBody]) -> Answer:
    local = call.services.local_secret is not None
    channel = channel_of(call.path["name"], call.body)
    plan = put_channel(channel, condition_of(call, "a channel", _version), local=local)

    def show(stored: Channel) -> Shown:
        view = _single(call, stored, ChannelState(), "is as asked")
        return Shown(first=view, repeated=view, etag=_version(stored))

    answer = await change(call, plan, show)
    return answer if call.if_none_match is None else replace(answer, status=201)


async def _remove(call: Call[NoQuery, NoBody]) -> Answer:
    def show(was: Channel) -> Shown:
        view = _single(call, was, ChannelState(), "is removed")
        return Shown(first=view, repeated=view)

    return await change(
        call, remove_channel(call.path["name"], condition_of(call, "a channel", _version)), show
    )


async def _test(call: Call[NoQuery, NoBody]) -> Answer:
    def show(tried: Channel) -> Shown:
        told = "is sent a message; `cloudops channels list` shows how that went"
        if _secret_set(call, tried) is False:
            told = f"cannot be tried: the variable {tried.secret} of the notifier is not set"
        view = _single(call, tried, ChannelState(), told)
        return Shown(first=view, repeated=view)

    return await change(call, try_channel(call.path["name"]), show)


def channel_of(name: str, body: ChannelBody) -> Channel:
    """The channel that a body asks for."""
    quiet = body.quiet
    return Channel(
        name=name,
        kind=body.kind,
        secret=body.secret,
        url=body.url,
        types=tuple(body.types),
        min_severity=body.min_severity,
        scopes=tuple(body.scopes),
        quiet=None if quiet is None else QuietHours(quiet.start, quiet.end, quiet.zone),
        per_hour=body.per_hour,
    )


def _single(
    call: Call[Any, Any], channel: Channel, state: ChannelState, verb: str
) -> Single[ChannelView]:
    return Single[ChannelView](
        as_of=call.now,
        answer=f"Channel {channel.name} {verb}.",
        data=_view(call, channel, state),
        sources=[state_source(call.now)],
    )


def _secret_set(call: Call[Any, Any], channel: Channel) -> bool | None:
    """Whether a channel's variable has a value, None where that is not known here."""
    secret_of = call.services.local_secret
    return None if secret_of is None else secret_of(channel.secret) is not None


def _view(call: Call[Any, Any], channel: Channel, state: ChannelState) -> ChannelView:
    last, broken = state.last, state.broken
    shown = None
    if last is not None:
        shown = LastView(at=last.at, type=last.type, status=last.status, reason=last.reason)
    return ChannelView.model_validate(
        {
            "name": channel.name,
            **channel.to_data(),
            "last": shown,
            "secret_set": _secret_set(call, channel),
            "broken": BrokenView(
                since=broken.since, until=broken.until, rests=broken.rests, reason=broken.reason
            )
            if broken is not None and broken.goes_on_at(call.now)
            else None,
            "version": _version(channel),
        }
    )


def _version(channel: Channel) -> str:
    return version_of(channel.to_data())
