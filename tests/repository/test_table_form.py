"""What functions/functions.yaml may hold, and when its schedules are due."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from common.core.events import TOPICS
from scripts.functions_table import HttpTrigger, TopicTrigger, parse_table
from tests.repository.sources import ROOT


def row_text(extra: str = "", triggers: str = "[{http: public}]") -> str:
    """A table of one row, with lines of the test's own below it."""
    defaults = (ROOT / "functions/functions.yaml").read_text().partition("\nfunctions:")[0]
    return f"{defaults}\nfunctions:\n  f:\n    triggers: {triggers}\n{extra}"


def test_fills_in_defaults() -> None:
    assert parse_table(row_text()).functions["f"].memory == "512Mi"


@pytest.mark.parametrize(
    "line",
    [
        "    memroy: 1Gi",
        "    memory: 512",
        "    publishes: [payments]",
        "    state: all",
        "    concurrency: 0",
        "    timeout: 3601",
        "    secrets: {openai_key: x}",
        "    secret_prefixes: ['']",
        "    secret_prefixes: [hook]",
        "    secret_prefixes: ['.*-']",
        "    secrets: {HOOK_KEY: hook-key}\n    secret_prefixes: [hook-]",
        "  g: {}",
    ],
)
def test_refuses_what_it_does_not_know(line: str) -> None:
    with pytest.raises(ValidationError):
        parse_table(row_text(line))


@pytest.mark.parametrize(
    "triggers",
    [
        "[]",
        "[{}]",
        "[{http: everybody}]",
        "[{topic: payments}]",
        "[{types: [usage.call]}]",
        "[{topic: usage, types: [Usage Call]}]",
        "[{topic: usage, types: usage.call}]",
        "[{http: private, topic: usage}]",
    ],
)
def test_refuses_a_trigger_that_calls_nothing(triggers: str) -> None:
    with pytest.raises(ValidationError):
        parse_table(row_text(triggers=triggers))


def test_takes_types_and_beginnings_of_types_as_triggers() -> None:
    text = row_text(triggers="[{topic: events, types: [key., usage.call]}, {http: private}]")

    assert parse_table(text).functions["f"].triggers == (
        TopicTrigger(topic="events", types=("key.", "usage.call")),
        HttpTrigger(http="private"),
    )


@pytest.mark.parametrize("topic", TOPICS)
def test_knows_every_topic(topic: str) -> None:
    text = row_text(f"    publishes: [{topic}]")

    assert parse_table(text).functions["f"].publishes == (topic,)


def schedule_text(cron: str) -> str:
    return f'{row_text()}schedules:\n  s: {{cron: "{cron}", command: budgets.sweep, data: {{}}}}\n'


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("* * * * *", True),
        ("17 * * * *", True),
        ("18 * * * *", False),
        ("17 3 * * *", True),
        ("17 4 * * *", False),
        ("17 3 22 * *", True),
        ("17 3 21 * *", False),
        ("17 3 * 11 *", True),
        ("17 3 * 12 *", False),
        ("17 3 * * 0", True),
        ("17 3 * * 1", False),
    ],
)
def test_knows_when_a_schedule_is_due(cron: str, *, due: bool) -> None:
    a_sunday = datetime(2026, 11, 22, 3, 17, tzinfo=UTC)

    assert parse_table(schedule_text(cron)).schedules["s"].is_due(a_sunday) is due


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * * 7",
             "*/5 * * * *", "1,2 * * * *", "0 0 1 * 1"],
)  # fmt: skip
def test_refuses_a_time_it_cannot_keep(cron: str) -> None:
    with pytest.raises(ValidationError):
        parse_table(schedule_text(cron))
