"""functions/functions.yaml says what the code says."""

import ast
import tomllib
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from common.adapters.bus_subscriptions import wants
from common.core.events import EVENT_TYPES, TOPICS
from common.runtime.settings import SETTINGS
from common.usage.gathering import AT_ONCE
from scripts.functions_table import (
    Function,
    HttpTrigger,
    TopicTrigger,
    parse_table,
    read_functions,
    read_schedules,
)
from tests.repository.sources import ROOT

FUNCTIONS = read_functions(ROOT)
DECORATOR = "functions_framework.aio.http"

each_function = pytest.mark.parametrize(
    ("name", "row"), [pytest.param(name, row, id=name) for name, row in FUNCTIONS.items()]
)


def entry_points(source: str) -> list[str]:
    """Functions that the framework serves: async, with its decorator."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.AsyncFunctionDef)
        and DECORATOR in {ast.unparse(decorator) for decorator in node.decorator_list}
    ]


def secret_fields(name: str) -> set[str]:
    """Names of the settings of a function that hold a secret."""
    fields = SETTINGS[name].model_fields.items()
    return {field.upper() for field, info in fields if "SecretStr" in str(info.annotation)}


def test_has_a_row_for_every_folder_and_a_folder_for_every_row() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/main.py")}

    assert set(FUNCTIONS) == folders


def test_has_settings_for_every_row() -> None:
    assert set(SETTINGS) == set(FUNCTIONS)


@each_function
def test_names_the_one_entry_point_of_the_module(name: str, row: Function) -> None:
    source = (ROOT / "functions" / name / "main.py").read_text()

    assert entry_points(source) == [name]


@each_function
def test_has_pinned_requirements(name: str, row: Function) -> None:
    assert (ROOT / "functions" / name / "requirements.txt").is_file()


@each_function
def test_names_extras_that_exist(name: str, row: Function) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert set(row.extras) - set(project["optional-dependencies"]) == set()


@each_function
def test_gives_every_secret_setting_its_secret(name: str, row: Function) -> None:
    assert set(row.secrets) == secret_fields(name)


@each_function
def test_sets_only_settings_that_the_function_reads(name: str, row: Function) -> None:
    known = {field.upper() for field in SETTINGS[name].model_fields}

    assert set(row.env) - known == set()


@each_function
def test_reads_the_url_of_each_store_it_has_rights_on(name: str, row: Function) -> None:
    rights = {
        "STATE_URL": row.state != "none",
        "BUS_URL": row.publishes != (),
        "WAREHOUSE_URL": row.warehouse != "none",
    }
    fields = SETTINGS[name].model_fields

    assert rights == {url: url.lower() in fields for url in rights}


@each_function
def test_subscribes_to_events_that_exist_on_that_topic(name: str, row: Function) -> None:
    asked = [
        (trigger.topic, type_)
        for trigger in row.triggers
        if isinstance(trigger, TopicTrigger)
        for type_ in trigger.types
    ]
    unknown = [
        (topic, type_)
        for topic, type_ in asked
        if not any(wants([type_], known) and topic == e.topic for known, e in EVENT_TYPES.items())
    ]

    assert unknown == []


def test_gathers_as_many_events_as_an_instance_is_given_at_once() -> None:
    assert FUNCTIONS["usage"].concurrency == AT_ONCE


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


@pytest.mark.parametrize(
    "source",
    [
        "async def proxy(request): ...",
        "@functions_framework.http\ndef proxy(request): ...",
        "@functions_framework.aio.cloud_event\nasync def proxy(event): ...",
    ],
)
def test_takes_nothing_else_for_an_entry_point(source: str) -> None:
    assert entry_points(source) == []


def test_schedules_commands_that_somebody_takes() -> None:
    taken = {
        type_
        for row in FUNCTIONS.values()
        for trigger in row.triggers
        if isinstance(trigger, TopicTrigger) and trigger.topic == "commands"
        for type_ in trigger.types
    }
    scheduled = {schedule.command for schedule in read_schedules(ROOT).values()}

    assert scheduled <= taken
    assert {EVENT_TYPES[command].topic for command in scheduled} == {"commands"}


def test_sweeps_budgets_every_minute() -> None:
    [cron] = [s.cron for s in read_schedules(ROOT).values() if s.command == "budgets.sweep"]

    assert cron == "* * * * *"


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
