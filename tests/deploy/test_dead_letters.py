"""What was given up is seen, and published again to where it came from."""

import asyncio
import base64
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common.adapters.bus_subscriptions import Redelivery, message_attributes
from common.adapters.local_bus import LocalBus
from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.core.events import UsageEvent
from common.runtime.app import app
from common.usage.apply_events import apply_events
from scripts.commands.dead_letters import cli
from scripts.commands.replay_events import OLDEST
from scripts.commands.replay_events import cli as replay_events
from scripts.local_stack.pushes import push_subscriptions
from tests.api.conftest import a_call
from tests.deploy.conftest import Pubsub
from tests.usage.sums import expected, stored

SWEEP = {"type": "budgets.sweep"}


def run(*arguments: str) -> Result:
    """Run the command in this process, with an App of its own."""
    app.cache_clear()
    return CliRunner().invoke(cli, arguments)


def now() -> datetime:
    return SystemClock().now()


def a_recent_call(number: int, **fields: Any) -> UsageEvent:
    return a_call(number, **{"event_time": now() - timedelta(hours=number), **fields})


def given_up(pubsub: Pubsub, *calls: UsageEvent) -> None:
    """Calls that one subscriber has taken and the other has refused to the end."""
    for call in calls:
        pubsub.publish("usage", call.payload(), message_attributes(call))
    pubsub.give_up("consumer")
    assert len(pubsub.take("other")) == len(calls)


class TestOnPubsub:
    def test_lists_what_was_given_up_and_leaves_it(self, pubsub: Pubsub) -> None:
        call = a_recent_call(1)
        given_up(pubsub, call)

        lists = [run("list", "--bus", pubsub.url) for _ in range(2)]

        assert [each.exit_code for each in lists] == [0, 0]
        head, line, total = lists[1].stdout.splitlines()
        assert head.split() == [
            "published",
            "type",
            "id",
            "given",
            "up",
            "by",
            "attempts",
            "last",
            "error",
        ]
        assert re.fullmatch(rf"\S+Z +usage\.call +{call.id} +oco-consumer +5 +-", line)
        assert total == "1 dead letter."
        assert len(pubsub.take("dead-letter")) == 1

    def test_publishes_the_same_message_again_and_then_forgets_it(self, pubsub: Pubsub) -> None:
        calls = [a_recent_call(number) for number in range(3)]
        given_up(pubsub, *calls)

        done = run("replay")

        assert (done.exit_code, done.stdout) == (0, "3 replayed\n")
        again = sorted(pubsub.take("consumer"), key=lambda each: each["data"]["id"])
        assert again == [
            {"attributes": message_attributes(call), "data": json.loads(call.payload())}
            for call in sorted(calls, key=lambda call: call.id)
        ]
        assert pubsub.take("dead-letter") == []
        assert run("replay").stdout == "0 dead letters.\n"

    def test_brings_each_type_to_its_own_topic(self, pubsub: Pubsub) -> None:
        """A command that a schedule publishes says its type in an attribute alone."""
        pubsub.publish("commands", b"{}", SWEEP)
        pubsub.give_up("sweeps")

        done = run("replay")

        assert (done.exit_code, done.stdout) == (0, "1 replayed\n")
        assert pubsub.take("sweeps") == [{"attributes": SWEEP, "data": {}}]

    def test_keeps_what_the_topic_does_not_take(self, pubsub: Pubsub) -> None:
        given_up(pubsub, a_recent_call(1))
        topic = f"projects/{pubsub.project}/topics/oco-usage"
        pubsub.http.delete(topic).raise_for_status()

        done = run("replay")

        assert (done.exit_code, done.stdout) == (2, "")
        assert "topics/oco-usage: publish answered 404: Topic not found" in done.stderr
        assert len(pubsub.take("dead-letter")) == 1

    @pytest.mark.parametrize(
        ("data", "attributes", "told"),
        [
            (
                a_call(1, event_time=now() - OLDEST - timedelta(minutes=1)).payload(),
                {"type": "usage.call", "id": "old"},
                "refused: older than 39 days, so it may have been counted",
            ),
            (b"{}", {"type": "usage.mended"}, "of a type that this release does not know"),
        ],
    )
    def test_leaves_what_it_must_not_or_cannot_replay(
        self, pubsub: Pubsub, data: bytes, attributes: dict[str, str], told: str
    ) -> None:
        good = a_recent_call(1)
        pubsub.publish("usage", data, attributes)
        pubsub.publish("usage", good.payload(), message_attributes(good))
        pubsub.give_up("consumer")

        done = run("replay")

        assert done.exit_code == 1
        assert "1 replayed" in done.stdout
        assert told in done.stderr
        assert [each["attributes"]["type"] for each in pubsub.take("dead-letter")] == [
            attributes["type"]
        ]

    def test_stops_at_the_limit_and_says_so(self, pubsub: Pubsub) -> None:
        given_up(pubsub, *(a_recent_call(number) for number in range(3)))

        done = run("replay", "--limit", "2")

        assert done.stdout.splitlines()[0] == "2 replayed"
        assert "There may be more" in done.stdout
        assert len(pubsub.take("dead-letter")) == 1

    def test_says_that_nothing_of_that_name_is_there(self, pubsub: Pubsub) -> None:
        done = run("list", "--bus", f"pubsub://{pubsub.project}/other")

        assert done.exit_code == 2
        assert "subscriptions/other-dead-letter: pull answered 404" in done.stderr

    def test_publishes_logged_events_without_a_client_of_pubsub(
        self, pubsub: Pubsub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """As `scripts/replay_events` runs on a laptop, whose environment lacks that client."""
        call = a_recent_call(1)
        (tmp_path / "lines").write_bytes(call.payload())
        monkeypatch.setitem(sys.modules, "common.adapters.pubsub_bus", None)
        app.cache_clear()

        done = CliRunner().invoke(replay_events, [str(tmp_path / "lines")])

        assert (done.exit_code, done.stdout) == (0, "1 published\n")
        [message] = pubsub.take("other")
        assert message["data"]["id"] == call.id
        assert message["attributes"] == message_attributes(call)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a local stack."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BUS_URL", "")
    yield tmp_path
    app.cache_clear()


async def _delivered(data: Path, *events: UsageEvent, attempts: int, refuse: bool) -> list[Any]:
    """Publish, and deliver to a `usage` that counts, or that refuses everything; dead letters."""
    documents, clock = SqliteDocuments(data / "state.sqlite"), SystemClock()

    async def count(envelope: dict[str, Any]) -> int:
        if refuse:
            return 503
        event = UsageEvent.model_validate_json(base64.b64decode(envelope["message"]["data"]))
        applied = await apply_events(documents, [event], clock)
        return 500 if applied.failed else 204

    [subscription] = [each for each in push_subscriptions() if each.topic == "usage"]
    bus = LocalBus(
        data / "bus.sqlite",
        clock,
        [type(subscription)(subscription.name, "usage", subscription.types, count)],
        redelivery=Redelivery(first_s=0.001, attempts=attempts),
    )
    for event in events:
        await bus.publish("usage", event)
    await bus.start()
    await bus.drain(20)
    letters = await bus.dead_letters()
    await bus.aclose()
    await documents.aclose()
    return letters


async def _sums(data: Path) -> Any:
    documents = SqliteDocuments(data / "state.sqlite")
    try:
        return await stored(documents, "hour")
    finally:
        await documents.aclose()


class TestOnTheLocalBus:
    def test_lists_what_was_given_up_with_its_last_error(self, data: Path) -> None:
        call = a_recent_call(1)
        asyncio.run(_delivered(data, call, attempts=2, refuse=True))

        done = run("list", "--data", str(data))

        assert done.exit_code == 0
        line, total = done.stdout.splitlines()[1:]
        assert re.fullmatch(rf"\S+Z +usage\.call +{call.id} +usage-usage +2 +answered 503", line)
        assert total == "1 dead letter."

    def test_is_delivered_and_counted_once_however_often_it_is_replayed(self, data: Path) -> None:
        events = [a_recent_call(number) for number in range(5)]
        asyncio.run(_delivered(data, *events, attempts=2, refuse=True))

        runs = [run("replay") for _ in range(2)]
        letters = asyncio.run(_delivered(data, attempts=2, refuse=False))

        assert [(each.exit_code, each.stdout) for each in runs] == [
            (0, "5 replayed\n"),
            (0, "0 dead letters.\n"),
        ]
        assert letters == []
        assert asyncio.run(_sums(data)) == expected(events, "hour")

    def test_is_given_up_again_after_as_many_attempts(self, data: Path) -> None:
        asyncio.run(_delivered(data, a_recent_call(1), attempts=3, refuse=True))
        run("replay")

        [letter] = asyncio.run(_delivered(data, attempts=3, refuse=True))

        assert (letter.attempts, letter.error) == (3, "answered 503")

    def test_leaves_what_is_too_old_to_tell(self, data: Path) -> None:
        old = a_call(1, event_time=now() - OLDEST - timedelta(minutes=1))
        asyncio.run(_delivered(data, old, attempts=1, refuse=True))

        done = run("replay")

        assert done.exit_code == 1
        assert "older than 39 days" in done.stdout
        assert run("list").stdout.endswith("1 dead letter.\n")


def test_says_that_the_bus_has_no_such_address(data: Path) -> None:
    done = run("list", "--bus", "pubsub://only-a-project")

    assert done.exit_code == 2
    assert "BUS_URL" in done.stderr
