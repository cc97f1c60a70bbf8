"""What was logged because the bus took it not is published again."""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common.adapters.system_clock import SystemClock
from common.core.errors import PublishFailed
from common.core.events import Event, KeyEvent
from common.runtime.app import app
from common.runtime.logs import JsonLines
from common.usage.apply_events import MARKER_LIFE
from scripts.commands.replay_events import OLDEST, PUBLISHED, cli, replay
from tests.api.conftest import NOW, KeepingBus, a_call

KEY_EVENT = KeyEvent(
    id="k1",
    type="key.created",
    event_time=NOW,
    org="acme",
    team="search",
    agent="crawler",
    key_id="0123456789ab",
    line="0123456789ab",
    actor="operator@localhost",
)


def logged(name: str, **extra: Any) -> str:
    """A line as the process writes it."""
    record = logging.makeLogRecord({"msg": name, "levelname": "ERROR", **extra})
    return JsonLines().format(record)


def data_of(event: Event) -> str:
    return base64.b64encode(event.payload()).decode()


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (logged("usage.unpublished", usage_event=a_call(1).payload().decode()), a_call(1)),
        (
            json.dumps({"jsonPayload": {"usage_event": a_call(1).payload().decode()}}),
            a_call(1),
        ),
        (logged("event.unpublished", key_event=KEY_EVENT.model_dump(mode="json")), KEY_EVENT),
        (json.dumps({"message": {"data": data_of(a_call(1))}, "subscription": "s"}), a_call(1)),
        (
            json.dumps({"ackId": "x", "message": {"data": data_of(KEY_EVENT), "messageId": "1"}}),
            KEY_EVENT,
        ),
        (a_call(1).payload().decode(), a_call(1)),
    ],
)
async def test_finds_the_event_in_every_kind_of_line(line: str, event: Event) -> None:
    bus = KeepingBus()

    done = await replay(["", line, "\n"], bus, NOW)

    assert done == {PUBLISHED: 1}
    assert bus.events == [event]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "unreadable"),
        ("[]", "without an event"),
        ('{"severity": "INFO", "message": "proxy.started"}', "without an event"),
        ('{"message": {"data": "%"}}', "unreadable"),
        ('{"type": "usage.call", "event_time": 3, "id": "x"}', "not of the form of their type"),
        (
            '{"type": "usage.mended", "event_time": "2026-11-01T12:00:00Z", "id": "x"}',
            "of a type or version this release does not know",
        ),
        (
            json.dumps({**json.loads(a_call(1).payload()), "v": 99}),
            "of a type or version this release does not know",
        ),
        (
            a_call(1, event_time=NOW - OLDEST - timedelta(seconds=1)).payload().decode(),
            "refused: older than 39 days, so it may have been counted",
        ),
    ],
)
async def test_publishes_nothing_else_and_says_why(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = KeepingBus()

    done = await replay([line, a_call(2).payload().decode()], bus, NOW)

    assert done == {told: 1, PUBLISHED: 1}
    assert bus.events == [a_call(2)]
    assert capsys.readouterr().err.startswith("line 1")


async def test_goes_on_where_the_bus_takes_one_not() -> None:
    class Reluctant(KeepingBus):
        async def publish(self, topic: str, event: Event) -> None:
            if event.id == a_call(1).id:
                raise PublishFailed("no")
            await super().publish(topic, event)

    bus = Reluctant()

    done = await replay([a_call(n).payload().decode() for n in range(3)], bus, NOW)

    assert done == {PUBLISHED: 2, "not taken by the bus: replay them again": 1}
    assert [event.id for event in bus.events] == [a_call(0).id, a_call(2).id]


def test_refuses_events_while_their_markers_still_live() -> None:
    assert OLDEST + timedelta(hours=23) < MARKER_LIFE


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a local stack."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    yield tmp_path
    app.cache_clear()


def run(*arguments: str, given: str = "") -> Result:
    """Run the command in this process, with an App of its own."""
    app.cache_clear()
    return CliRunner().invoke(cli, arguments, input=given)


def test_reads_files_and_standard_input(data: Path) -> None:
    fresh = a_call(1, event_time=SystemClock().now()).payload().decode()
    (data / "lines.jsonl").write_text(f"{fresh}\nnonsense\n")

    done = run(str(data / "lines.jsonl"), "-", given=fresh)

    assert done.exit_code == 1
    assert done.stdout == "2 published\n1 unreadable\n"


def test_asks_for_something_to_read(data: Path) -> None:
    assert run().exit_code == 2
    assert run(str(data / "gone.jsonl")).exit_code == 2
