"""Telling people: each event once to each channel that wants it.

An event comes again until every channel has it, or has been given up; what is done is done once,
because every step is stored before and after (see `notices`). One channel that fails delays no
other. That a channel has given a message up is an event itself, which the others are told of: once
for a while, however many messages it does not take. One that will take none either rests meanwhile.
A message about such an event that is given up after many attempts is no such event, or two broken
channels would tell each other for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
    HELD,
    Broken,
    ChannelState,
    LastAttempt,
    Notice,
    notice_ref,
    state_ref,
)
from common.incidents.outgoing import NotNow, Refused, Result, Sender, Taken, post_of
from common.incidents.told import TEST, Told, together

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
            rest = _rest_from(told, known, now)
            if rest is not None and (notice.status == "waiting" or notice.until <= now):
                return [Put(own, notice.ended("resting", rest.reason).to_data())], None
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
        rest = _rest_from(told, state, now)
        if rest is not None:
            return [_create(notice.ended("resting", rest.reason))], None
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
        tells = False
        match result:
            case None:
                after = notice.ended("left_out")
            case Taken():
                after = notice.ended("sent")
            case NotNow(reason, after_s, sent) if not notice.is_last(now):
                after = notice.put_off(reason, after_s, now, sent=sent)
            case Refused(reason) | NotNow(reason):
                tells = await self._give_up(told, channel, notice, result)
                after = notice.ended("failed", reason)
        await self._store(channel, notice, after, tells=tells)
        logger.info(
            "notifier.attempted",
            extra={"channel": channel.name, "event_id": told.id, "status": after.status},
        )
        if not after.is_over:
            raise StoreUnavailable(f"{channel.name} did not take it yet: come again")

    async def _give_up(
        self, told: Told, channel: Channel, notice: Notice, result: Refused | NotNow
    ) -> bool:
        """Note that a channel is broken; whether that was told now, which is once for a while."""
        if told.type == TEST:  # Whoever tried the channel looks at it.
            return False
        broken, is_untold = await self._break(channel, result)
        failed = NotificationFailed(
            id=_digest(f"notification.failed {channel.name} {broken.since.isoformat()}"),
            event_time=broken.since,
            channel=channel.name,
            of_event=told.id,
            of_type=told.type,
            attempts=notice.attempts,
            reason=result.reason,
            rests_until=broken.until if broken.rests else None,
        )
        if not is_untold or (told.type == failed.type and not broken.rests):
            return False
        logger.warning(
            "notifier.gave_up",
            extra={"channel": channel.name, "event_id": told.id, "reason": result.reason},
        )
        await self.bus.publish(failed.topic, failed)
        return True

    async def _break(self, channel: Channel, result: Refused | NotNow) -> tuple[Broken, bool]:
        """Since when a channel is broken, and whether it has to be told by whoever asks."""
        own = state_ref(channel.name)

        async def decide(read: Read) -> tuple[Sequence[Write], tuple[Broken, bool]]:
            [document] = await read([own])
            state, now = ChannelState.from_document(document), self.clock.now()
            again = state.last is not None and state.last.status == "failed"
            rests = isinstance(result, Refused) and (again or not result.may_be_its_form)
            before = state.broken
            if before is not None and before.goes_on_at(now):
                broken = replace(before, rests=before.rests or rests)
                # Somebody else tells it, or has died before that.
                is_untold = not before.told and now - before.since >= HELD
            else:
                broken, is_untold = Broken.after(before, result.reason, now, rests=rests), True
            if broken == before:
                return [], (broken, is_untold)
            changed = replace(state, broken=broken)
            return [Put(own, changed.to_data())], (broken, is_untold)

        return await transact(self.documents, self.clock, decide, entropy=self.entropy)

    async def _store(
        self, channel: Channel, held: Notice, after: Notice, *, tells: bool = False
    ) -> None:
        """Store how an attempt ended, unless somebody took over meanwhile.

        `tells`: that the channel is broken was told meanwhile.
        """
        last = LastAttempt(self.clock.now(), held.type, after.status, after.reason)

        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            [document, state_document] = await read([held.ref, state_ref(channel.name)])
            if document is None or Notice.from_document(document) != held:
                return [], None
            known = ChannelState.from_document(state_document)
            broken = None if after.status == "sent" else known.broken
            if broken is not None and tells:
                broken = replace(broken, told=True)
            state = replace(known, last=last, broken=broken)
            writes: list[Write] = [Put(held.ref, after.to_data())]
            return [*writes, Put(state_ref(channel.name), state.to_data())], None

        await transact(self.documents, self.clock, decide, entropy=self.entropy)


def _rest_from(told: Told, state: ChannelState, now: datetime) -> Broken | None:
    """Why a message is not sent at all, None if it is; a test is, and may end the rest."""
    rest = None if told.type == TEST else state.resting_at(now)
    if rest is None or rest.told or now - rest.since < HELD:
        return rest
    return None  # Nobody was told of it: what is tried once more tells it.


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def _create(notice: Notice) -> Create:
    return Create(notice.ref, notice.to_data())


def _left_out(count: int, per_hour: int) -> str:
    return f"{count} before this were left out: there were more than {per_hour} in an hour."
