"""The local stack on a bus that repeats and shuffles, and notes what it was given.

One event in ten is published twice, as by a publisher that heard no answer, and one delivery in
five is repeated. Run as a module, with the arguments of `scripts/dev`. Every event that a publisher
handed over is a line of `DATA_DIR/published.jsonl`, written by a subscription of its own.
"""

import random
from functools import cached_property
from pathlib import Path
from typing import Any

from common.adapters.bus_subscriptions import Message, Subscription
from common.adapters.local_bus import LocalBus
from common.core.events import Event
from common.runtime import app as wiring
from scripts.commands import dev

PUBLISHED = "published.jsonl"


class RepeatingBus(LocalBus):
    async def publish(self, topic: str, event: Event) -> None:
        await super().publish(topic, event)
        if random.random() < 0.1:
            await super().publish(topic, event)


class DisorderlyApp(wiring.App):
    @cached_property
    def local_bus(self) -> LocalBus:
        notes = self._data_dir / PUBLISHED
        everything = Subscription("notes", "usage", (), lambda envelope: _note(notes, envelope))
        return RepeatingBus(
            self._data_dir / "bus.sqlite",
            self.clock,
            [*self.table_subscriptions(), everything],
            order=_disorder,
        )


def _disorder(due: list[Message]) -> list[Message]:
    repeated = due + random.sample(due, len(due) // 5)
    random.shuffle(repeated)
    return repeated


async def _note(path: Path, envelope: dict[str, Any]) -> int:
    with path.open("a") as file:
        file.write(envelope["message"]["data"] + "\n")
    return 204


if __name__ == "__main__":
    wiring.App = DisorderlyApp  # type: ignore[misc] # the wiring of this one process
    dev.main()
