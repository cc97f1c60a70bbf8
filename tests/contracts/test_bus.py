"""What every bus promises to those who publish and to those who subscribe."""

import asyncio
import random
import re
from datetime import UTC, datetime

import pytest

from common.adapters.bus_subscriptions import Message, Subscription
from common.core.errors import PublishFailed
from tests.bus_engines import ATTEMPTS, Connect
from tests.contracts.facts import NOON, a_fact
from tests.contracts.inbox import Inbox

local_only = pytest.mark.parametrize("connect", ["local"], indirect=True)
"""What an emulator cannot show; `common/adapters/README.md` says why."""


def to(inbox: Inbox, *types: str, name: str = "inbox", topic: str = "events") -> Subscription:
    return Subscription(name, topic, types, inbox)


class TestDelivery:
    async def test_delivers_to_every_subscription_of_the_topic(self, connect: Connect) -> None:
        first, second, elsewhere = Inbox(), Inbox(), Inbox()
        bus = await connect(
            to(first, name="first"),
            to(second, name="second"),
            to(elsewhere, name="elsewhere", topic="commands"),
        )

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert (first.ids, second.ids, elsewhere.ids) == (["e1"], ["e1"], [])

    async def test_delivers_all_that_concurrent_callers_publish(self, connect: Connect) -> None:
        inbox = Inbox()
        bus = await connect(to(inbox))
        ids = [f"e{n:03}" for n in range(200)]

        await asyncio.gather(*(bus.publish("events", a_fact(id=id_)) for id_ in ids))
        await bus.drain(10)

        assert sorted(inbox.ids) == ids

    async def test_delivers_what_a_consumer_publishes(self, connect: Connect) -> None:
        answers = Inbox()

        async def answer(_: object) -> int:
            await bus.publish("commands", a_fact(id="answer"))
            return 200

        bus = await connect(
            Subscription("asks", "events", (), answer), to(answers, topic="commands")
        )

        await bus.publish("events", a_fact(id="question"))
        await bus.drain(10)

        assert answers.ids == ["answer"]

    async def test_refuses_a_topic_that_does_not_exist(self, connect: Connect) -> None:
        bus = await connect()

        with pytest.raises(PublishFailed, match="usge"):
            await bus.publish("usge", a_fact())

    @local_only
    async def test_delivers_a_bounded_number_at_a_time(self, connect: Connect) -> None:
        running = [0]
        seen: list[int] = []
        crowded = asyncio.Event()

        async def wait_for_a_crowd(_: object) -> int:
            running[0] += 1
            seen.append(running[0])
            if running[0] == 3:
                crowded.set()
            await crowded.wait()
            await asyncio.sleep(0)
            running[0] -= 1
            return 200

        bus = await connect(Subscription("few", "events", (), wait_for_a_crowd, concurrency=3))

        await asyncio.gather(*(bus.publish("events", a_fact(id=str(n))) for n in range(60)))
        await bus.drain(10)

        assert (len(seen), max(seen)) == (60, 3)


class TestEnvelopes:
    async def test_sends_the_form_that_pubsub_posts(self, connect: Connect) -> None:
        inbox = Inbox()
        bus = await connect(to(inbox, name="usage-events"))
        event = a_fact(id="e1", type="test.happened", note="é")

        await bus.publish("events", event)
        await bus.drain(10)

        [envelope] = inbox.envelopes
        message = envelope["message"]
        assert set(envelope) - {"deliveryAttempt"} == {"message", "subscription"}
        assert re.fullmatch(r"projects/[^/]+/subscriptions/usage-events", envelope["subscription"])
        assert set(message) == {
            "data",
            "attributes",
            "messageId",
            "message_id",
            "publishTime",
            "publish_time",
        }
        assert message["attributes"] == {"type": "test.happened", "id": "e1"}
        assert message["messageId"] == message["message_id"] != ""
        assert inbox.events == [
            {
                "id": "e1",
                "type": "test.happened",
                "v": 1,
                "event_time": NOON.isoformat().replace("+00:00", "Z"),
                "note": "é",
            }
        ]

    async def test_dates_messages_in_utc(self, connect: Connect) -> None:
        inbox = Inbox()
        bus = await connect(to(inbox))
        before = datetime.now(UTC)

        await bus.publish("events", a_fact())
        await bus.drain(10)

        message = inbox.envelopes[0]["message"]
        assert message["publishTime"] == message["publish_time"]
        assert message["publishTime"].endswith("Z")
        published = datetime.fromisoformat(message["publishTime"])
        assert 0 <= (published - before).total_seconds() + 0.001 < 10

    async def test_gives_messages_ids_of_their_own(self, connect: Connect) -> None:
        inbox, twin = Inbox(), Inbox()
        bus = await connect(to(inbox), to(twin, name="twin"))

        await asyncio.gather(*(bus.publish("events", a_fact(id="same")) for _ in range(100)))
        await bus.drain(10)

        ids = {envelope["message"]["messageId"] for envelope in inbox.envelopes}
        assert len(ids) == 100
        assert {envelope["message"]["messageId"] for envelope in twin.envelopes} == ids


class TestRedelivery:
    @pytest.mark.parametrize("answer", [500, 404, 302, RuntimeError("crashed")])
    async def test_delivers_again_what_was_not_acknowledged(
        self, connect: Connect, answer: int | Exception
    ) -> None:
        inbox = Inbox(answer)
        bus = await connect(to(inbox))

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert inbox.ids == ["e1", "e1"]
        assert len({envelope["message"]["messageId"] for envelope in inbox.envelopes}) == 1

    @local_only
    @pytest.mark.parametrize("status", [199, 203, 206])
    async def test_knows_which_statuses_acknowledge(self, connect: Connect, status: int) -> None:
        inbox = Inbox(status)
        bus = await connect(to(inbox))

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert inbox.ids == ["e1", "e1"]

    @local_only
    async def test_counts_deliveries(self, connect: Connect) -> None:
        inbox = Inbox(500, 500)
        bus = await connect(to(inbox))

        await bus.publish("events", a_fact())
        await bus.drain(10)

        assert [envelope["deliveryAttempt"] for envelope in inbox.envelopes] == [1, 2, 3]

    async def test_delivers_again_what_a_consumer_did_before_it_died(
        self, connect: Connect
    ) -> None:
        effects: list[str] = []

        async def commit_and_die_once(envelope: dict[str, dict[str, str]]) -> int:
            effects.append(envelope["message"]["messageId"])
            if len(effects) == 1:
                raise ConnectionAbortedError
            return 204

        bus = await connect(Subscription("mortal", "events", (), commit_and_die_once))

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert len(effects) == 2
        assert effects[0] == effects[1]

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    async def test_is_done_with_what_was_acknowledged(self, connect: Connect, status: int) -> None:
        inbox = Inbox(status)
        bus = await connect(to(inbox))

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert inbox.ids == ["e1"]
        assert await bus.dead_letters() == []

    @local_only
    async def test_delivers_again_what_is_not_answered_in_time(self, connect: Connect) -> None:
        attempts: list[int] = []

        async def hang_once(envelope: dict[str, int]) -> int:
            attempts.append(envelope["deliveryAttempt"])
            if len(attempts) == 1:
                await asyncio.Event().wait()
            return 200

        bus = await connect(Subscription("slow", "events", (), hang_once, ack_deadline_s=0.05))

        await bus.publish("events", a_fact())
        await bus.drain(10)

        assert attempts == [1, 2]

    @pytest.mark.slow
    async def test_gives_up_after_the_last_attempt(self, connect: Connect) -> None:
        inbox = Inbox(*[500] * ATTEMPTS)
        bus = await connect(to(inbox, name="broken"))

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert len(inbox.ids) == ATTEMPTS
        [letter] = await bus.dead_letters()
        assert (letter.subscription, letter.attempts) == ("broken", ATTEMPTS)
        assert letter.data == a_fact(id="e1").payload()
        assert letter.attributes == {"type": "test.happened", "id": "e1"}

    @local_only
    async def test_keeps_the_last_error(self, connect: Connect) -> None:
        bus = await connect(to(Inbox(*[500] * (ATTEMPTS - 1), ValueError("still broken"))))

        await bus.publish("events", a_fact())
        await bus.drain(10)

        [letter] = await bus.dead_letters()
        assert letter.error == "ValueError: still broken"

    async def test_redelivers_to_the_subscription_that_refused(self, connect: Connect) -> None:
        good, bad = Inbox(), Inbox(503)
        bus = await connect(to(good, name="good"), to(bad, name="bad"))

        await bus.publish("events", a_fact(id="e1"))
        await bus.drain(10)

        assert (good.ids, bad.ids) == (["e1"], ["e1", "e1"])

    async def test_goes_on_with_others_while_one_message_fails(self, connect: Connect) -> None:
        types: list[str] = []

        async def refuse_twice(envelope: dict[str, dict[str, dict[str, str]]]) -> int:
            types.append(envelope["message"]["attributes"]["type"])
            return 500 if types[-1] == "test.poison" and types.count("test.poison") < 3 else 200

        bus = await connect(Subscription("picky", "events", (), refuse_twice, concurrency=1))

        await bus.publish("events", a_fact(type="test.poison"))
        await bus.publish("events", a_fact(type="test.fine"))
        await bus.drain(10)

        assert (types.count("test.poison"), types.count("test.fine")) == (3, 1)
        assert types[-1] == "test.poison"


@local_only
class TestFilters:
    async def test_delivers_the_types_asked_for(self, connect: Connect) -> None:
        inbox = Inbox()
        bus = await connect(to(inbox, "brownout.", "budget.threshold_crossed"))
        types = [
            "brownout.mode_changed",
            "brownout.",
            "brownout",
            "budget.threshold_crossed",
            "budget.threshold_crossed.again",
            "budget.exhausted",
            "x.brownout.mode_changed",
        ]

        for type_ in types:
            await bus.publish("events", a_fact(id=type_, type=type_))
        await bus.drain(10)

        assert sorted(inbox.ids) == [
            "brownout.",
            "brownout.mode_changed",
            "budget.threshold_crossed",
        ]

    async def test_does_not_wait_for_what_nobody_wants(self, connect: Connect) -> None:
        inbox = Inbox()
        bus = await connect(to(inbox, "key."))

        await bus.publish("events", a_fact(type="budget.exhausted"))
        await bus.drain(10)

        assert inbox.ids == []


@local_only
class TestDisorder:
    async def test_delivers_each_message_at_least_once_in_any_order(self, connect: Connect) -> None:
        dice = random.Random(7)
        inbox = Inbox()

        def twice_and_shuffled(due: list[Message]) -> list[Message]:
            return dice.sample(due * 2, len(due) * 2)

        bus = await connect(to(inbox), order=twice_and_shuffled)
        ids = [f"e{n:02}" for n in range(50)]

        await asyncio.gather(*(bus.publish("events", a_fact(id=id_)) for id_ in ids))
        await bus.drain(10)
        await inbox.holds(100)

        assert sorted(inbox.ids) == sorted(ids * 2)
        assert inbox.ids != sorted(inbox.ids)
