"""Telling people: each event once to each channel that wants it.

An event comes again until every channel has it, or has been given up; what is done is done once,
because every step is stored before and after (see `notices`). One channel that fails delays no
other. What was given up is an event itself, which the other channels are told of; a message about
such an event that is given up too is none, or two broken channels would tell each other for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import TypeAlias

from common.core.brownout_events import BrownoutModeChanged
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.events import Event
from common.core.notification_events import NotificationFailed
from common.core.ports import Bus, Clock, Create, Documents, Put, Query, Write
from common.core.transactions import Entropy, Read, Sleep, transact
from common.incidents.channels import CHANNELS, Channel, SecretOf, check_channel
from common.incidents.messages import told_of
from common.incidents.notices import (
    ChannelState,
    LastAttempt,
    Notice,
    notice_ref,
    state_ref,
)
from common.incidents.outgoing import NotNow, Refused, Result, Sender, Taken, post_of
from common.incidents.told import Told, together

logger = logging.getLogger(__name__)

GATHERED = frozenset({"brownout.mode_changed"})
"""Types of which several that follow one another are one message."""

GATHERING = timedelta(seconds=30)
MOST_GATHERED = 100

OpensIncident: TypeAlias = Callable[[BrownoutModeChanged], Awaitable[bool]]
"""Whether a change of a mode belongs to an incident, which tells of it."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Takes events and tells them. `console` is the address that links of messages lead to."""

    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    sender: Sender
    secret_of: SecretOf
    opens_incident: OpensIncident
    console: str | None = None
    sleep: Sleep = asyncio.sleep

    async def take(self, event: Event) -> None:
        """Return when every channel has the event or never will.

        Raises:
            StoreUnavailable: some channel has still to be told: the event has to come again.
            PublishFailed: the same.
        """
        if isinstance(event, BrownoutModeChanged) and await self.opens_incident(event):
            return
        told = told_of(event, self.console)
        if told is None:
            return
        wanting = [channel for channel in await self._channels() if channel.wants(told)]
        done = await asyncio.gather(
            *(self._bring(told, channel) for channel in wanting), return_exceptions=True
        )
        failures = [each for each in done if isinstance(each, BaseException)]
        if failures:
            raise failures[0]

    async def _channels(self) -> list[Channel]:
        found: list[Channel] = []
        after: str | None = None
        while True:
            page = await self.documents.query(Query(CHANNELS, after=after))
            for document in page:
                channel = Channel.from_document(document)
                try:
                    check_channel(channel)
                except InvalidInput as error:
                    logger.error(  # noqa: TRY400 - the cause is the message
                        "notifier.channel_unusable",
                        extra={"channel": channel.name, "field": error.field},
                    )
                else:
                    found.append(channel)
            if len(page) < Query(CHANNELS).limit:
                return found
            after = page[-1].ref.id

    async def _bring(self, told: Told, channel: Channel) -> None:
        notice = await self._claimed(told, channel)
        if notice is not None and notice.status == "gathering":
            left = notice.until - self.clock.now()
            await self.sleep(max(0.0, left.total_seconds()))
            notice = await self._claimed(told, channel)
        if notice is None:
            return
        if notice.status == "gathering":
            raise StoreUnavailable("more may follow yet: come again")
        result = await self._attempt(told, channel, notice)
        await self._settle(told, channel, notice, result)

    async def _claimed(self, told: Told, channel: Channel) -> Notice | None:
        """The notice that is to be sent now, or that still gathers; None: nothing is to be done.

        Raises:
            StoreUnavailable: it is not due yet, or somebody else sends it.
        """

        async def decide(read: Read) -> tuple[Sequence[Write], Notice | None]:
            own, state = notice_ref(told.id, channel.name), state_ref(channel.name)
            [document, state_document] = await read([own, state])
            known = ChannelState.from_document(state_document)
            if document is None:
                return await self._begun(read, told, channel, known)
            notice, now = Notice.from_document(document), self.clock.now()
            if notice.is_over:
                return [], None
            if notice.until > now:
                if notice.status == "gathering":
                    return [], notice
                if notice.status == "sending" or not notice.is_last(now):
                    raise StoreUnavailable(f"{channel.name} is to be told later: come again")
            taken = notice.taken(now)
            return [Put(own, taken.to_data())], taken

        return await transact(self.documents, self.clock, decide, entropy=self.entropy)

    async def _begun(
        self, read: Read, told: Told, channel: Channel, state: ChannelState
    ) -> tuple[Sequence[Write], Notice | None]:
        """What is written when an event is met for the first time."""
        now = self.clock.now()
        notice = Notice(told.id, told.type, channel.name, "sending", now, now)
        if channel.is_quiet_for(told, now):
            return [_create(notice.ended("quiet"))], None
        if told.type in GATHERED and state.gathering is not None:
            [leading] = await read([notice_ref(state.gathering, channel.name)])
            leader = None if leading is None else Notice.from_document(leading)
            if (
                leader is not None
                and leader.status == "gathering"
                and leader.until > now
                and len(leader.members) < MOST_GATHERED
            ):
                joined = replace(leader, members=(*leader.members, told))
                return [Put(leader.ref, joined.to_data()), _create(notice.ended("joined"))], None
        before = state
        if channel.per_hour is not None:
            state, may_go = state.counted(now, channel.per_hour, anyway=told.is_urgent)
            if not may_go:
                over = notice.ended("limited")
                return [_create(over), Put(state_ref(channel.name), state.to_data())], None
            if before.left_out:
                notice = replace(notice, notes=(_left_out(before.left_out, channel.per_hour),))
        if told.type in GATHERED:
            state = replace(state, gathering=told.id)
            notice = replace(notice, status="gathering", until=now + GATHERING, members=(told,))
        else:
            # It is new: whatever is found of an earlier attempt is found in a document.
            notice = replace(notice, status="waiting").taken(now)
        writes: list[Write] = [_create(notice)]
        if state != before:
            writes.append(Put(state_ref(channel.name), state.to_data()))
        return writes, notice

    async def _attempt(self, told: Told, channel: Channel, notice: Notice) -> Result | None:
        """What came of sending; None where the receiver has nothing to do with it."""
        secret = self.secret_of(channel.secret)
        if secret is None:
            return Refused(f"The variable {channel.secret} is not set.")
        post = post_of(
            channel,
            secret,
            together(notice.members) if notice.members else told,
            notes=notice.notes,
            maybe_repeated=notice.maybe_repeated,
            now=self.clock.now(),
        )
        return None if post is None else await self.sender.send(post)

    async def _settle(
        self, told: Told, channel: Channel, notice: Notice, result: Result | None
    ) -> None:
        now = self.clock.now()
        match result:
            case None:
                after = notice.ended("left_out")
            case Taken():
                after = notice.ended("sent")
            case NotNow(reason, after_s, sent) if not notice.is_last(now):
                after = notice.put_off(reason, after_s, now, sent=sent)
            case Refused(reason) | NotNow(reason):
                await self._tell_failure(told, channel, notice, reason)
                after = notice.ended("failed", reason)
        await self._store(channel, notice, after)
        logger.info(
            "notifier.attempted",
            extra={"channel": channel.name, "event_id": told.id, "status": after.status},
        )
        if not after.is_over:
            raise StoreUnavailable(f"{channel.name} did not take it yet: come again")

    async def _tell_failure(
        self, told: Told, channel: Channel, notice: Notice, reason: str
    ) -> None:
        failed = NotificationFailed(
            id=sha256(f"notification.failed {told.id} {channel.name}".encode()).hexdigest()[:32],
            event_time=self.clock.now(),
            channel=channel.name,
            of_event=told.id,
            of_type=told.type,
            attempts=notice.attempts,
            reason=reason,
        )
        logger.warning(
            "notifier.gave_up",
            extra={"channel": channel.name, "event_id": told.id, "reason": reason},
        )
        if told.type != failed.type:
            await self.bus.publish(failed.topic, failed)

    async def _store(self, channel: Channel, held: Notice, after: Notice) -> None:
        """Store how an attempt ended, unless somebody took over meanwhile."""
        last = LastAttempt(self.clock.now(), held.type, after.status, after.reason)

        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            [document, state_document] = await read([held.ref, state_ref(channel.name)])
            if document is None or Notice.from_document(document) != held:
                return [], None
            state = replace(ChannelState.from_document(state_document), last=last)
            writes: list[Write] = [Put(held.ref, after.to_data())]
            return [*writes, Put(state_ref(channel.name), state.to_data())], None

        await transact(self.documents, self.clock, decide, entropy=self.entropy)


def _create(notice: Notice) -> Create:
    return Create(notice.ref, notice.to_data())


def _left_out(count: int, per_hour: int) -> str:
    return f"{count} before this were left out: there were more than {per_hour} in an hour."
