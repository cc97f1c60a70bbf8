"""What the world of brownouts is made of: clock and bus, copies of the state, planted faults."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from common.brownout.policy_file import shipped_policy
from common.brownout.state import State
from common.core.errors import PublishFailed
from common.core.events import Event
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from tests.brownout.scenes import T0
from tests.laws.brownout_store import Weather

POLICY = shipped_policy()
LEASE = POLICY.signals.datadog


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults planted on purpose, to see that the world finds them."""

    endless_lease: bool = False
    deaf_fold: bool = False
    """It does not hear that something is over."""
    hasty_reader: bool = False
    """It forgets the dwell."""
    literal_reader: bool = False
    """It takes the mode that is stored for the mode of now."""
    lossy_bus: bool = False
    """It says that it took what it did not take."""
    blind_store: bool = False


@dataclass(slots=True)
class Calendar:
    """A clock that shows what it is set to."""

    time: datetime = T0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - T0).total_seconds()


@dataclass(slots=True)
class Bus:
    """Keeps what it takes; in bad weather it takes some and says that it has not."""

    weather: Weather
    lossy: bool
    down: bool = False
    published: list[Event] = field(default_factory=list)

    async def publish(self, _topic: str, event: Event) -> None:
        weather = self.weather
        if self.down or (weather.rough and weather.chance.random() < weather.rough):
            weather.disturbed += 1
            if self.lossy:
                return
            if not self.down and weather.chance.random() < 0.5:
                self.published.append(event)
            raise PublishFailed("not accepted")
        self.published.append(event)


@dataclass(frozen=True, slots=True)
class DeafWay:
    """A planted fault: what a source has ended goes on as if it had not."""

    inner: Documents

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return [_unended(each) for each in await self.inner.query(query)]

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        return await self.inner.commit(writes)


@dataclass(frozen=True, slots=True)
class Copy:
    """A state as it was stored, and how many signals had been stored by then."""

    state: State
    version: str | None
    signals: int


def _unended(document: Document) -> Document:
    if not document.data.get("told_over"):
        return document
    goes_on = {"told_over": False, "lease_until": document.data["observed_at"] + LEASE}
    return replace(document, data={**document.data, **goes_on})
