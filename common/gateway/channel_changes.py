"""The life of a channel for notifications: made or replaced, removed, tried, and found again."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias
from urllib.parse import urlsplit

from common.core.errors import InvalidInput, NotFound, VersionConflict
from common.core.ids import time_ordered_id
from common.core.notification_events import NotificationTest
from common.core.ports import Create, Delete, Documents, Put, Query, Write
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.gateway.upstream_records import is_of_metadata, is_private
from common.incidents.channels import CHANNELS, Channel, channel_ref, check_channel
from common.incidents.notices import ChannelState, state_ref

LONGEST_LABEL = 63
LONGEST_ADDRESS = 2_000
_HERE = re.compile(r"http://127\.0\.0\.1(:\d{1,5})?(/|$)")

IsExpected: TypeAlias = Callable[[Channel | None], bool]
"""Whether what is stored, None for nothing, is what the one who asks has seen."""


def check_receiver(url: str, *, local: bool = False) -> None:
    """Refuse an address that no message must be sent to; the refusal does not repeat it.

    Names are judged again when they are resolved: a public name may lead inside.

    Args:
        url: the address.
        local: the installation is one on a laptop, and receivers on the same one are as well.

    Raises:
        InvalidInput: not https, private, a machine's metadata server, or no address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    well_formed = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    labels = host.split(".")
    if not well_formed or not host or port == 0 or len(url) > LONGEST_ADDRESS:
        raise InvalidInput("an address is needed, as https://host/path", field="url")
    if any(len(label) > LONGEST_LABEL for label in labels):
        raise InvalidInput("an address is needed, as https://host/path", field="url")
    if local and is_here(url):
        return
    if parts.scheme != "https":
        raise InvalidInput("an address begins with https://", field="url")
    if parts.username is not None or parts.fragment:
        raise InvalidInput("an address has no user and no fragment", field="url")
    if is_of_metadata(host) or is_private(host):
        raise InvalidInput("the address is inside the own network", field="url")


def is_here(url: str) -> bool:
    """Whether it is `http://127.0.0.1`, with a port perhaps. Never raises."""
    return _HERE.match(url) is not None


def put_channel(channel: Channel, is_expected: IsExpected, *, local: bool = False) -> Plan[Channel]:
    """Plan to make a channel or replace it whole. What is changed is not broken any more.

    `local`: its receiver may be on this machine. The plan raises VersionConflict if the stored one
    is not expected.

    Raises:
        InvalidInput: names the field and the right form.
    """
    check_channel(channel)
    if channel.url is not None:
        check_receiver(channel.url, local=local)

    async def plan(read: Read, moment: Moment) -> Change[Channel]:
        del moment
        [document, kept] = await read([channel_ref(channel.name), state_ref(channel.name)])
        stored = None if document is None else Channel.from_document(document)
        if not is_expected(stored):
            raise _unexpected(channel.name, stored)
        writes: tuple[Write, ...] = ()
        if document is None:
            writes = (Create(channel_ref(channel.name), channel.to_data()),)
        elif stored != channel:
            writes = (Put(document.ref, channel.to_data(), if_version=document.version),)
            state = ChannelState.from_document(kept)
            if kept is not None and state.broken is not None:
                mended = replace(state, broken=None)
                writes = (*writes, Put(kept.ref, mended.to_data(), if_version=kept.version))
        return Change(
            result=channel,
            action=f"channel.{'create' if stored is None else 'update'}",
            target=f"{CHANNELS}/{channel.name}",
            before=None if stored is None else stored.to_data(),
            after=channel.to_data(),
            writes=writes,
        )

    return plan


def remove_channel(name: str, is_expected: IsExpected) -> Plan[Channel]:
    """Plan to remove a channel; the result is what it was.

    The plan raises NotFound and, if the stored one is not expected, VersionConflict.
    """

    async def plan(read: Read, moment: Moment) -> Change[Channel]:
        del moment
        [document, state] = await read([channel_ref(name), state_ref(name)])
        if document is None:
            raise _missing(name)
        stored = Channel.from_document(document)
        if not is_expected(stored):
            raise _unexpected(name, stored)
        writes: list[Write] = [Delete(document.ref, if_version=document.version)]
        if state is not None:
            writes.append(Delete(state.ref, if_version=state.version))
        return Change(
            result=stored,
            action="channel.remove",
            target=f"{CHANNELS}/{name}",
            before=stored.to_data(),
            after=None,
            writes=tuple(writes),
        )

    return plan


def try_channel(name: str) -> Plan[Channel]:
    """Plan to send a message to a channel that says who asked for it, and changes nothing else.

    The plan raises NotFound.
    """

    async def plan(read: Read, moment: Moment) -> Change[Channel]:
        [document] = await read([channel_ref(name)])
        if document is None:
            raise _missing(name)
        event = NotificationTest(
            id=time_ordered_id(moment.now, moment.entropy(10)),
            event_time=moment.now,
            channel=name,
            actor=moment.actor.email,
        )
        # Written as it is: who asked for a message stands in the audit, as every other deed.
        return Change(
            result=Channel.from_document(document),
            action="channel.test",
            target=f"{CHANNELS}/{name}",
            before=None,
            after={"event": event.id},
            writes=(Put(document.ref, document.data, if_version=document.version),),
            events=(event,),
        )

    return plan


async def get_channel(documents: Documents, name: str) -> tuple[Channel, ChannelState]:
    """A channel, and how its last message went.

    Raises:
        NotFound: there is none of this name.
        StoreUnavailable: no answer in time.
    """
    [document, state] = await documents.get_many([channel_ref(name), state_ref(name)])
    if document is None:
        raise _missing(name)
    return Channel.from_document(document), ChannelState.from_document(state)


async def list_channels(
    documents: Documents, *, after: str | None, limit: int
) -> list[tuple[Channel, ChannelState]]:
    """One page of channels, ordered by name, behind `after`."""
    page = await documents.query(Query(CHANNELS, after=after, limit=limit))
    states = await documents.get_many([state_ref(each.ref.id) for each in page])
    return [
        (Channel.from_document(document), ChannelState.from_document(state))
        for document, state in zip(page, states, strict=True)
    ]


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no channel {name[:80]!r}")


def _unexpected(name: str, stored: Channel | None) -> VersionConflict:
    if stored is None:
        return VersionConflict(f"there is no channel {name} that could be replaced")
    return VersionConflict(f"channel {name} exists and is not what was read; read it again")
