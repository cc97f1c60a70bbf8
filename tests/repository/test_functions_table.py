"""functions/functions.yaml says what the code says."""

from dataclasses import replace
from types import MappingProxyType

import pytest
import yaml
from pydantic import SecretStr

from common.core.events import Event
from common.runtime.settings import Settings
from scripts.functions_table import Table, parse_table
from scripts.terraform_checks import table_rules
from scripts.terraform_checks.table_rules import Code, Rule, entry_points, read_code
from tests.repository.sources import ROOT

TEXT = (ROOT / "functions/functions.yaml").read_text()
TABLE = parse_table(TEXT)
CODE = read_code(ROOT)


class Gossip(Event):
    topic = "events"


class StrangeSettings(Settings):
    password: SecretStr


def with_row(name: str, **fields: object) -> Table:
    """The table with some fields of a row set to something else."""
    table = yaml.safe_load(TEXT)
    table["functions"][name] = table["functions"].get(name, {}) | fields
    return parse_table(yaml.safe_dump(table))


def without_row(name: str) -> Table:
    table = yaml.safe_load(TEXT)
    del table["functions"][name]
    return parse_table(yaml.safe_dump(table))


def with_schedule(**fields: object) -> Table:
    table = yaml.safe_load(TEXT)
    table["schedules"]["budgets-sweep"] |= fields
    return parse_table(yaml.safe_dump(table))


@pytest.mark.parametrize("rule", table_rules.RULES, ids=lambda rule: rule.__name__)
def test_agrees_with_the_code(rule: Rule) -> None:
    assert rule(TABLE, CODE) == []


WRONG_TABLES: list[tuple[Rule, Table, str]] = [
    (
        table_rules.rows_without_code,
        with_row("sweeper", triggers=[{"http": "private"}]),
        "sweeper: in functions.yaml, not in functions/",
    ),
    (
        table_rules.rows_without_code,
        without_row("usage"),
        "usage: in functions/, not in functions.yaml",
    ),
    (
        table_rules.rows_without_code,
        with_row("sweeper", triggers=[{"http": "private"}]),
        "sweeper: in functions.yaml, not in SETTINGS",
    ),
    (
        table_rules.unknown_settings,
        with_row("proxy", env={"FIRST_BYTE_TIMEOUT": "3"}),
        "proxy: nobody reads FIRST_BYTE_TIMEOUT",
    ),
    (
        table_rules.unknown_settings,
        with_row("proxy", env={"FINGERPRINT_KEY": "in everybody's sight"}),
        "proxy: FINGERPRINT_KEY is a secret",
    ),
    (
        table_rules.unknown_settings,
        with_row("proxy", secrets={}),
        "proxy: FINGERPRINT_KEY is not given",
    ),
    (
        table_rules.unknown_settings,
        with_row("usage", secrets={"STATE_URL": "state-url"}),
        "usage: STATE_URL is no secret",
    ),
    (
        table_rules.secrets_of_other_settings,
        with_row("proxy", secrets={"OPENAI_API_KEY": "gemini-api-key"}),
        "proxy: OPENAI_API_KEY is given gemini-api-key",
    ),
    (
        table_rules.unknown_settings,
        with_row("notifier", env={"CHANNEL_OPS": "in everybody's sight"}),
        "notifier: CHANNEL_OPS is a secret",
    ),
    (
        table_rules.prefixes_nobody_reads,
        with_row("notifier", secret_prefixes=[]),
        "notifier: is given secrets of (), and reads those of ('channel-',)",
    ),
    (
        table_rules.prefixes_nobody_reads,
        with_row("api", secret_prefixes=["channel-"]),
        "api: is given secrets of ('channel-',), and reads those of ()",
    ),
    (
        table_rules.rights_nobody_uses,
        with_row("usage", warehouse="read"),
        "usage: rights, but no setting WAREHOUSE_URL",
    ),
    (
        table_rules.rights_nobody_uses,
        with_row("proxy", publishes=[]),
        "proxy: BUS_URL, but no rights",
    ),
    (
        table_rules.other_extras,
        with_row("usage", extras=["web", "state-cloud", "states"]),
        "usage: no extra is called states",
    ),
    (
        table_rules.other_extras,
        with_row("usage", extras=["web"]),
        "usage: needs the extra state-cloud",
    ),
    (
        table_rules.other_extras,
        with_row("usage", extras=["web", "state-cloud", "telemetry", "bus-cloud"]),
        "usage: the extra bus-cloud has no use",
    ),
    (
        table_rules.other_extras,
        with_row("usage", extras=["web", "state-cloud"]),
        "usage: needs the extra telemetry",
    ),
    (
        table_rules.other_extras,
        with_row("api", extras=["web", "telemetry"]),
        "api: the extra telemetry has no use",
    ),
    (
        table_rules.other_extras,
        with_row("proxy", extras=["web", "upstream", "state-cloud", "bus-cloud"]),
        "proxy: needs the extra google-identity",
    ),
    (
        table_rules.unknown_types,
        with_row("usage", triggers=[{"topic": "usage", "types": ["usage.calls"]}]),
        "usage: there is no usage.calls on usage",
    ),
    (
        table_rules.unknown_types,
        with_row("usage", triggers=[{"topic": "events", "types": ["usage.call"]}]),
        "usage: there is no usage.call on events",
    ),
    (
        table_rules.unknown_types,
        with_row("usage", triggers=[{"topic": "usage"}, {"topic": "usage"}]),
        "usage: two triggers of usage",
    ),
    (
        table_rules.types_without_an_end,
        with_row("usage", triggers=[{"http": "private"}]),
        "usage.call: no function takes it",
    ),
    (
        table_rules.types_without_an_end,
        with_row("usage", triggers=[{"topic": "events", "types": ["key."]}]),
        "key.created: listed as a fact, but usage takes it",
    ),
    (
        table_rules.types_without_an_end,
        with_schedule(command="budgets.other"),
        "budgets.sweep: nothing publishes it",
    ),
    (
        table_rules.topics_nobody_may_publish,
        with_row("proxy", publishes=["events"]),
        "usage: no function may publish on it",
    ),
    (
        table_rules.topics_nobody_may_publish,
        with_row("proxy", publishes=["usage", "usage"]),
        "proxy: publishes a topic twice",
    ),
    (
        table_rules.schedules_without_a_taker,
        with_schedule(command="usage.call"),
        "budgets-sweep: usage.call is no command",
    ),
    (
        table_rules.schedules_without_a_taker,
        with_schedule(data={"depth": 3}),
        "budgets-sweep: budgets.sweep has no field depth",
    ),
    (
        table_rules.schedules_without_a_taker,
        with_row("budgets", triggers=[{"http": "private"}]),
        "budgets-sweep: no function takes budgets.sweep",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_row("usage", concurrency=79),
        "usage: gathers 80 events at once, and is given 79",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_row("proxy", timeout=60),
        "proxy: a call may last 3600 s, and is cut after 60",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_row("insights", timeout=60),
        "insights: reading bills may last 240 s, and is cut after 60",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_row("budgets", instances={"min": 0, "max": 2}),
        "budgets: two sweeps at a time would ask the warehouse twice",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_row("brownout_tick", concurrency=2),
        "brownout_tick: two ticks at a time would fold and publish the same",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_row("api", instances={"min": 1, "max": 2}),
        "api: costs money while nobody calls; leave that to var.functions",
    ),
    (
        table_rules.sizes_the_code_does_not_expect,
        with_schedule(cron="0 * * * *"),
        "budgets.sweep: not every minute",
    ),
]


@pytest.mark.parametrize(("rule", "table", "finding"), WRONG_TABLES)
def test_finds_a_row_that_the_code_does_not_have(rule: Rule, table: Table, finding: str) -> None:
    assert finding in rule(table, CODE)


SYNC = "@functions_framework.http\ndef usage(request): ..."


WRONG_CODE: list[tuple[Rule, Code, str]] = [
    (
        table_rules.rows_without_code,
        replace(CODE, modules={**CODE.modules, "forgotten": ""}),
        "forgotten: in functions/, not in functions.yaml",
    ),
    (
        table_rules.rows_without_code,
        replace(CODE, settings={**CODE.settings, "forgotten": Settings}),
        "forgotten: in SETTINGS, not in functions.yaml",
    ),
    (
        table_rules.rows_without_code,
        replace(CODE, pinned=CODE.pinned - {"usage"}),
        "usage: no requirements.txt",
    ),
    (
        table_rules.other_entry_points,
        replace(CODE, modules={**CODE.modules, "usage": SYNC}),
        "usage: main.py serves nothing",
    ),
    (
        table_rules.other_entry_points,
        replace(CODE, modules={**CODE.modules, "usage": CODE.modules["api"]}),
        "usage: main.py serves api",
    ),
    (
        table_rules.unknown_settings,
        replace(CODE, settings={**CODE.settings, "usage": StrangeSettings}),
        "usage: PASSWORD is not given",
    ),
    (
        table_rules.rights_nobody_uses,
        replace(CODE, settings={**CODE.settings, "usage": Settings}),
        "usage: rights, but no setting STATE_URL",
    ),
    (
        table_rules.other_extras,
        replace(CODE, extras=CODE.extras | {"forgotten"}),
        "nobody uses the extra forgotten",
    ),
    (
        table_rules.types_without_an_end,
        replace(CODE, events={**CODE.events, "gossip.heard": Gossip}),
        "gossip.heard: no function takes it",
    ),
    (
        table_rules.types_without_an_end,
        replace(CODE, constructed=CODE.constructed - {"KeyEvent"}),
        "key.created: nothing publishes it",
    ),
    (
        table_rules.types_without_an_end,
        replace(CODE, events=MappingProxyType({})),
        "key.created: listed, and no such event exists",
    ),
    (
        table_rules.unknown_types,
        replace(CODE, events=MappingProxyType({})),
        "usage: there is no usage.call on usage",
    ),
]


@pytest.mark.parametrize(("rule", "code", "finding"), WRONG_CODE)
def test_finds_code_that_the_table_does_not_have(rule: Rule, code: Code, finding: str) -> None:
    assert finding in rule(TABLE, code)


def test_seeds_a_violation_of_every_rule() -> None:
    """A rule that nobody has seen refuse anything is none."""
    assert {*table_rules.RULES} == {rule for rule, *_ in (*WRONG_TABLES, *WRONG_CODE)}


def test_knows_what_a_module_publishes() -> None:
    source = (
        "KeyEvent(id=i)\nCredentialEvent.failed(a, b)\nisinstance(e, BudgetChanged)\nprint(Other())"
    )

    assert table_rules.constructed(source) == {"KeyEvent", "CredentialEvent"}


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
