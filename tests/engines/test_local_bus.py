"""What the local bus adds to the contract: crashes, the real schedule, filters by the thousand."""

import asyncio
import random
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from common.adapters.bus_subscriptions import Redelivery, Subscription, wants
from common.adapters.local_bus import LocalBus
from common.adapters.system_clock import SystemClock
from common.core.errors import PublishFailed
from tests.contracts.facts import a_fact
from tests.contracts.inbox import Inbox
from tests.engines import processes


class Timetable:
    """A clock whose sleepers find their time come at once."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class TestCrashes:
    async def test_delivers_what_a_killed_process_published(self, tmp_path: Path) -> None:
        path = tmp_path / "bus.sqlite"
        code, _ = await processes.run("publish_and_die", path)
        inbox = Inbox()
        bus = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), inbox)])

        await bus.start()
        await bus.drain(10)
        await bus.aclose()

        assert code == -9
        assert sorted(inbox.ids) == sorted(f"e{n}" for n in range(20))

    async def test_repeats_an_effect_that_was_not_acknowledged(self, tmp_path: Path) -> None:
        path, effects = tmp_path / "bus.sqlite", tmp_path / "effects"
        code, _ = await processes.run("die_after_the_effect", path, effects)
        inbox = Inbox()
        bus = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), inbox)])

        await bus.start()
        await bus.drain(10)
        await bus.aclose()

        assert code == -9
        assert effects.read_text() == "done\n"
        assert inbox.ids == ["e1"]

    async def test_repeats_what_was_cut_off_by_closing(self, tmp_path: Path) -> None:
        path = tmp_path / "bus.sqlite"
        begun = asyncio.Event()

        async def hang(_: object) -> int:
            begun.set()
            await asyncio.Event().wait()
            return 200

        first = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), hang)])
        await first.start()
        await first.publish("events", a_fact(id="e1"))
        await asyncio.wait_for(begun.wait(), 10)
        await first.aclose()

        inbox = Inbox()
        second = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), inbox)])
        await second.start()
        await second.drain(10)
        await second.aclose()

        assert inbox.ids == ["e1"]

    async def test_keeps_dead_letters_and_ids_when_opened_again(self, tmp_path: Path) -> None:
        path = tmp_path / "bus.sqlite"
        inbox = Inbox(500)
        first = LocalBus(
            path,
            SystemClock(),
            [Subscription("inbox", "events", (), inbox)],
            redelivery=Redelivery(attempts=1),
        )
        await first.start()
        await first.publish("events", a_fact(id="e1"))
        await first.drain(10)
        await first.aclose()

        again = Inbox()
        second = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), again)])
        await second.start()
        await second.publish("events", a_fact(id="e2"))
        await second.drain(10)
        letters = await second.dead_letters()
        await second.aclose()

        assert [letter.message_id for letter in letters] == ["1"]
        assert [envelope["message"]["messageId"] for envelope in again.envelopes] == ["2"]


class TestSchedule:
    async def test_waits_ten_seconds_and_twice_as_long_each_time(self) -> None:
        timetable = Timetable()
        moments: list[datetime] = []

        async def refuse(_: object) -> int:
            moments.append(timetable.time)
            return 503

        bus = LocalBus(
            ":memory:",
            timetable,
            [Subscription("inbox", "events", (), refuse)],
            sleep=timetable.sleep,
        )
        await bus.publish("events", a_fact())
        await bus.start()
        await bus.drain(20)
        await bus.aclose()

        pauses = [
            round((after - before).total_seconds(), -1) for before, after in pairwise(moments)
        ]
        assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]

    async def test_delivers_at_once_what_is_published_here(self) -> None:
        asleep = asyncio.Event()

        async def fall_asleep(_: float) -> None:
            asleep.set()
            await asyncio.Event().wait()

        inbox = Inbox()
        bus = LocalBus(
            ":memory:",
            SystemClock(),
            [Subscription("inbox", "events", (), inbox)],
            sleep=fall_asleep,
        )
        await bus.start()
        await asyncio.wait_for(asleep.wait(), 10)
        await bus.publish("events", a_fact(id="e1"))
        await inbox.holds(1)
        await bus.aclose()

        assert inbox.ids == ["e1"]

    async def test_looks_again_for_what_other_processes_publish(self, tmp_path: Path) -> None:
        inbox = Inbox()
        timetable = Timetable()
        subscriptions = [Subscription("inbox", "events", (), inbox)]
        receiver = LocalBus(
            tmp_path / "bus.sqlite", timetable, subscriptions, sleep=timetable.sleep
        )
        sender = LocalBus(tmp_path / "bus.sqlite", timetable, subscriptions)

        await receiver.start()
        await receiver.drain(10)
        await sender.publish("events", a_fact(id="e1"))
        await inbox.holds(1)
        await sender.aclose()
        await receiver.aclose()

        assert inbox.ids == ["e1"]

    async def test_says_that_messages_are_left_at_the_deadline(self) -> None:
        bus = LocalBus(":memory:", SystemClock(), [Subscription("inbox", "events", (), Inbox(500))])
        await bus.publish("events", a_fact())
        await bus.start()

        with pytest.raises(TimeoutError):
            await bus.drain(0.05)
        await bus.aclose()


class TestPublishing:
    async def test_fails_when_the_file_does_not_take_the_event(self, tmp_path: Path) -> None:
        bus = LocalBus(
            tmp_path,
            SystemClock(),
            [Subscription("inbox", "events", (), Inbox())],
            deadline_s=0.2,
        )

        with pytest.raises(PublishFailed, match=re.escape(str(tmp_path))):
            await bus.publish("events", a_fact())
        await bus.aclose()

    async def test_stores_nothing_for_who_gave_up_before_its_turn(self, tmp_path: Path) -> None:
        path = tmp_path / "bus.sqlite"
        inbox = Inbox()
        bus = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), inbox)])
        await bus.publish("events", a_fact(id="e1"))
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        waiting = [asyncio.ensure_future(bus.publish("events", a_fact(id=f"e{n}"))) for n in (2, 3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        holder.execute("ROLLBACK")
        holder.close()
        await waiting[1]
        await bus.start()
        await bus.drain(10)
        await bus.aclose()

        assert sorted(inbox.ids) == ["e1", "e3"]

    async def test_tells_each_caller_in_time_while_another_process_holds_the_file(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "bus.sqlite"
        subscriptions = [Subscription("inbox", "events", (), Inbox())]
        bus = LocalBus(path, SystemClock(), subscriptions, deadline_s=1)
        await bus.publish("events", a_fact())
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        waits_for_the_lock = asyncio.ensure_future(bus.publish("events", a_fact()))
        await bus.dead_letters()  # long enough for it to meet the lock
        async with asyncio.timeout(1.8):
            told = await asyncio.gather(
                waits_for_the_lock, bus.publish("events", a_fact()), return_exceptions=True
            )
        holder.execute("ROLLBACK")
        holder.close()
        await bus.publish("events", a_fact())
        await bus.aclose()

        assert [type(each) for each in told] == [PublishFailed] * 2

    async def test_fails_after_it_was_closed(self) -> None:
        bus = LocalBus(":memory:", SystemClock(), [Subscription("inbox", "events", (), Inbox())])
        await bus.aclose()

        with pytest.raises(PublishFailed, match="closed"):
            await bus.publish("events", a_fact())


class TestFilters:
    def test_agrees_with_the_filter_language_on_10_000_random_types(self) -> None:
        dice = random.Random(11)
        words = ["a", "b", "ab", "budget", "budgets"]

        def name() -> str:
            return ".".join(dice.choices(words, k=dice.randint(1, 3)))

        cases = [
            (tuple(name() + dice.choice(["", "."]) for _ in range(dice.randint(0, 3))), name())
            for _ in range(10_000)
        ]

        wrong = [case for case in cases if wants(*case) != as_pubsub_filters(*case)]

        assert wrong == []
        assert 1000 < sum(wants(*case) for case in cases) < 9000


def as_pubsub_filters(types: tuple[str, ...], type_: str) -> bool:
    """Equality and hasPrefix as Pub/Sub's filters know them, here as one regular expression."""
    terms = [re.escape(entry) + (".*" if entry.endswith(".") else "") for entry in types]
    return re.fullmatch("|".join(terms) or ".*", type_) is not None
