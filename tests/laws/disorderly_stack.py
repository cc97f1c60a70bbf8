"""The local stack on a bus that repeats and shuffles, and notes what it was given.

One event in ten is published twice, as by a publisher that heard no answer, and everything is
delivered once to three times and out of order. Run as a module, with the arguments of `scripts/dev`
and its engines. On the local bus every event that a publisher handed over is a line of
`DATA_DIR/published.jsonl`, written by a subscription of its own. On Pub/Sub, where another
subscription can tell, `DATA_DIR/acknowledged` has subscription and message of what was delivered.
"""

import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from common.adapters.bus_subscriptions import Message, Subscription
from common.adapters.local_bus import AnySubscription, LocalBus
from common.adapters.pubsub_bus import PubsubBus
from common.core.events import Event
from common.runtime import app as wiring
from common.runtime.settings import BusSettings, Settings, read_settings
from scripts.commands import dev
from scripts.local_stack import pulling
from scripts.local_stack.pulling import Handles

PUBLISHED = "published.jsonl"
ACKNOWLEDGED = "acknowledged"


class RepeatingBus(LocalBus):
    async def publish(self, topic: str, event: Event) -> None:
        await super().publish(topic, event)
        if random.random() < 0.1:
            await super().publish(topic, event)


class RepeatingPubsub(PubsubBus):
    async def publish(self, topic: str, event: Event) -> None:
        await super().publish(topic, event)
        if random.random() < 0.1:
            await super().publish(topic, event)


class DisorderlyDeliveries(pulling.Deliveries):
    def __init__(
        self, project: str, prefix: str, emulator: str, subscriptions: Sequence[AnySubscription]
    ) -> None:
        super().__init__(project, prefix, emulator, subscriptions, order=_disorder)
        self._notes = read_settings(Settings).data_dir / ACKNOWLEDGED

    async def _answer(
        self,
        subscription: AnySubscription,
        group: Sequence[Message],
        handles: Handles,
        *,
        acknowledged: bool,
    ) -> None:
        if acknowledged:  # noted first: who is killed in between is delivered to again
            lines = [f"{subscription.name} {each.message_id}\n" for each in group]
            with self._notes.open("a") as notes:
                notes.write("\n" + "".join(lines))
        await super()._answer(subscription, group, handles, acknowledged=acknowledged)


class DisorderlyApp(wiring.App):
    @cached_property
    def _pubsub_bus(self) -> PubsubBus:
        settings = read_settings(BusSettings)
        project, _, prefix = (settings.bus_url or "").removeprefix("pubsub://").partition("/")
        return RepeatingPubsub(project, prefix, emulator=settings.pubsub_emulator_host)

    @cached_property
    def local_bus(self) -> LocalBus:
        notes = self._data_dir / PUBLISHED
        everything = Subscription("notes", "usage", (), lambda envelope: _note(notes, envelope))
        return RepeatingBus(
            self._data_dir / "bus.sqlite",
            self.clock,
            [*self.table_subscriptions(), *self.push_subscriptions, everything],
            order=_disorder,
        )


def _disorder(due: list[Message]) -> list[Message]:
    times = random.choices((1, 2, 3), (7, 2, 1), k=len(due))
    repeated = [message for message, count in zip(due, times, strict=True) for _ in range(count)]
    random.shuffle(repeated)
    return repeated


async def _note(path: Path, envelope: dict[str, Any]) -> int:
    with path.open("a") as file:
        file.write(envelope["message"]["data"] + "\n")
    return 204


if __name__ == "__main__":
    wiring.App = DisorderlyApp  # type: ignore[misc] # the wiring of this one process
    pulling.Deliveries = DisorderlyDeliveries  # type: ignore[misc, assignment] # the same
    dev.main()
