"""functions/functions.yaml held against the code, in both directions: a rule lists what differs.

The code is what is true: folders, entry points, Settings, events, extras. A rule is given both
sides and reads nothing else, so that a seeded difference shows that the rule sees it.
"""

import ast
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic.fields import FieldInfo

from common.adapters.bus_subscriptions import wants
from common.adapters.provider_costs import DEADLINE_S as BILL_S
from common.core.event_types import EVENT_TYPES
from common.core.events import Event
from common.runtime.function_settings import SETTINGS, ProxySettings, TelemetrySettings
from common.runtime.settings import Settings
from common.usage.gathering import AT_ONCE
from scripts.commands.lock import LAPTOP_EXTRAS
from scripts.functions_table import Function, Table, TopicTrigger, setting_of

DECORATOR = "functions_framework.aio.http"

FACTS = {
    "key.created": "who made which key",
    "key.rotated": "who replaced which key",
    "key.revoked": "who withdrew which key",
    "upstream.changed": "who changed which upstream",
    "route.changed": "who changed which organisation's rules",
    "budget.changed": "who changed which budget",
    "lease.corrected": "what was written off and is proven now",
    "bound.violated": "which call cost more than was held for it",
    "credential.failed": "which of the installation's keys a provider refuses",
    "lease.written_off": "what counts as spent because nobody told",
    "budget.exhausted": "which budget refuses calls",
    "incident.opened": "what went wrong",
    "incident.joined": "what made it worse",
    "incident.acknowledged": "who has seen it",
    "incident.mitigated": "what is right again",
    "incident.resolved": "and has stayed right",
    "incident.reopened": "what is wrong again",
    "incident.reviewed": "what was learned of it",
    "incident.escalated": "who is told that it goes on",
    "notification.failed": "which channel did not take a message",
    "notification.test": "who tries which channel",
    "recommendation.proposed": "what would cost less",
    "price_book.published": "which prices hold from now on",
    "price_book.held": "which prices somebody has to look at",
    "price_source.stale": "that no price list has come for long",
}
"""Types that no function asks for by name: `notifier`, which is given all, tells people of some,
and whoever else wants to be told subscribes to the topic of events."""

ALONE = {
    "brownout_tick": "two ticks at a time would fold and publish the same",
    "budgets": "two sweeps at a time would ask the warehouse twice",
    "insights": "two looks at a time would find the same twice",
    "pricing": "two refreshes at a time would publish the same book",
}
"""Functions of which one instance does one thing at a time."""

NAMED_BY_PEOPLE = {"notifier": ("channel-",)}
"""Functions that read variables whose names people choose, by how those of their secrets begin."""

BILLS = 2
"""Providers that are asked what they billed, one after the other."""

LONGEST = {
    "proxy": ("a call may last", ProxySettings.model_fields["call_timeout_s"].default),
    "insights": ("reading bills may last", BILLS * BILL_S),
}
"""What takes longest of what a function does, in seconds."""

EVERY_MINUTE = ("brownout.tick", "budgets.sweep")
"""Commands whose takers count on the next one."""

CLIENTS = {"state": "state-cloud", "publishes": "bus-cloud", "warehouse": "warehouse-cloud"}
"""The extra that a right needs on Cloud Run."""

TELEMETRY = "telemetry"
"""The extra of functions whose Settings say where to send metrics."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the table is held against. `modules` holds each function's main.py by its folder."""

    modules: Mapping[str, str]
    pinned: frozenset[str]
    settings: Mapping[str, type[Settings]]
    events: Mapping[str, type[Event]]
    constructed: frozenset[str]
    extras: frozenset[str]


def read_code(root: Path) -> Code:
    """The code of the repository at `root`, with the Settings and events of this process."""
    folders = {path.parent.name: path for path in sorted((root / "functions").glob("*/main.py"))}
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Code(
        modules={name: path.read_text(encoding="utf-8") for name, path in folders.items()},
        pinned=frozenset(
            name for name, path in folders.items() if (path.parent / "requirements.txt").is_file()
        ),
        settings=SETTINGS,
        events=EVENT_TYPES,
        constructed=frozenset(
            name
            for path in (root / "common").rglob("*.py")
            if path.name != "events.py"
            for name in constructed(path.read_text(encoding="utf-8"))
        ),
        extras=frozenset(project["optional-dependencies"]),
    )


def entry_points(source: str) -> list[str]:
    """Functions that the framework serves: async, with its decorator."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.AsyncFunctionDef)
        and DECORATOR in {ast.unparse(decorator) for decorator in node.decorator_list}
    ]


def constructed(source: str) -> set[str]:
    """Names of events that a module makes, by calling the class or a method of it."""
    names = {event.__name__ for event in EVENT_TYPES.values()}
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    made = (call.value if isinstance(call, ast.Attribute) else call for call in calls)
    return names & {call.id for call in made if isinstance(call, ast.Name)}


def rows_without_code(table: Table, code: Code) -> list[str]:
    return [
        *_apart("functions.yaml", table.functions, "functions/", code.modules),
        *_apart("functions.yaml", table.functions, "SETTINGS", code.settings),
        *(f"{name}: no requirements.txt" for name in table.functions if name not in code.pinned),
    ]


def other_entry_points(_table: Table, code: Code) -> list[str]:
    return [
        f"{name}: main.py serves {', '.join(found) or 'nothing'}"
        for name, source in code.modules.items()
        if (found := entry_points(source)) != [name]
    ]


def unknown_settings(table: Table, code: Code) -> list[str]:
    """Variables that no Settings has, and secrets of Settings that the table does not give."""
    found = []
    for name, row, fields in _with_fields(table, code):
        secrets = {
            key.upper() for key, info in fields.items() if "SecretStr" in str(info.annotation)
        }
        known = {key.upper() for key in fields}
        found += [f"{name}: nobody reads {each}" for each in sorted({*row.env} - known)]
        found += [f"{name}: {each} is a secret" for each in sorted({*row.env} & secrets)]
        found += [f"{name}: {each} is a secret" for each in row.env if row.is_named_by_people(each)]
        found += [f"{name}: {each} is no secret" for each in sorted({*row.secrets} - secrets)]
        found += [f"{name}: {each} is not given" for each in sorted(secrets - {*row.secrets})]
    return found


def secrets_of_other_settings(table: Table, _code: Code) -> list[str]:
    """A setting's secret is called as the setting is: no key may stand in for another."""
    return [
        f"{name}: {setting} is given {secret}"
        for name, row in table.functions.items()
        for setting, secret in row.secrets.items()
        if setting != setting_of(secret)
    ]


def prefixes_nobody_reads(table: Table, _code: Code) -> list[str]:
    """Only who asks for variables by their names may be given secrets by their beginnings."""
    return [
        f"{name}: is given secrets of {row.secret_prefixes}, and reads those of {read}"
        for name, row in table.functions.items()
        if row.secret_prefixes != (read := NAMED_BY_PEOPLE.get(name, ()))
    ]


def rights_nobody_uses(table: Table, code: Code) -> list[str]:
    """Rights on a store go with the setting that names it, both ways."""
    found = []
    for name, row, fields in _with_fields(table, code):
        for field, has in {
            "state_url": row.state != "none",
            "bus_url": row.publishes != (),
            "warehouse_url": row.warehouse != "none",
        }.items():
            if has and field not in fields:
                found.append(f"{name}: rights, but no setting {field.upper()}")
            if not has and field in fields:
                found.append(f"{name}: {field.upper()}, but no rights")
    return found


def other_extras(table: Table, code: Code) -> list[str]:
    """Extras exist, are used, and hold the client of every store that a function has rights on."""
    found = []
    used = {*LAPTOP_EXTRAS}
    for name, row in table.functions.items():
        used |= {*row.extras}
        needed = {"web"} | {
            extra for right, extra in CLIENTS.items() if getattr(row, right) not in ("none", ())
        }
        settings = code.settings.get(name, Settings)
        if settings is ProxySettings:
            needed |= {"upstream", "google-identity"}
        if issubclass(settings, TelemetrySettings):
            needed |= {TELEMETRY}
        given = {*row.extras}
        found += [f"{name}: no extra is called {each}" for each in sorted(given - code.extras)]
        found += [f"{name}: needs the extra {each}" for each in sorted(needed - given)]
        spare = given & {*CLIENTS.values(), TELEMETRY} - needed
        found += [f"{name}: the extra {each} has no use" for each in sorted(spare)]
        found += [f"{name}: an extra twice" for _ in [0] if len(given) != len(row.extras)]
    return [*found, *(f"nobody uses the extra {each}" for each in sorted(code.extras - used))]


def unknown_types(table: Table, code: Code) -> list[str]:
    """Types that are asked for and do not exist on that topic, or that arrive twice."""
    found = []
    for name, trigger in _subscriptions(table):
        on_topic = [type_ for type_, event in code.events.items() if event.topic == trigger.topic]
        found += [
            f"{name}: there is no {type_} on {trigger.topic}"
            for type_ in trigger.types
            if not any(wants([type_], known) for known in on_topic)
        ]
    pairs = [(name, trigger.topic) for name, trigger in _subscriptions(table)]
    found += [
        f"{name}: two triggers of {topic}"
        for name, topic in {*pairs}
        if pairs.count((name, topic)) > 1
    ]
    return found


def types_without_an_end(table: Table, code: Code) -> list[str]:
    """Each type is taken by a function or listed as a fact, and published.

    A function that is given all types of a topic takes none for certain.
    """
    found = []
    scheduled = {schedule.command for schedule in table.schedules.values()}
    for type_, event in code.events.items():
        taken = [
            name
            for name, trigger in _subscriptions(table)
            if trigger.topic == event.topic and trigger.types and wants(trigger.types, type_)
        ]
        published = event.__name__ in code.constructed or type_ in scheduled
        if not taken and type_ not in FACTS:
            found.append(f"{type_}: no function takes it")
        if taken and type_ in FACTS:
            found.append(f"{type_}: listed as a fact, but {', '.join(taken)} takes it")
        if not published:
            found.append(f"{type_}: nothing publishes it")
    gone = {*FACTS} - {*code.events}
    return [*found, *(f"{type_}: listed, and no such event exists" for type_ in sorted(gone))]


def topics_nobody_may_publish(table: Table, code: Code) -> list[str]:
    """Each topic of an event is published by some function, but commands by schedules alone."""
    may = {topic for row in table.functions.values() for topic in row.publishes}
    needed = {event.topic for event in code.events.values()} - {"commands"}
    return [
        *(f"{topic}: no function may publish on it" for topic in sorted(needed - may)),
        *(
            f"{name}: publishes a topic twice"
            for name, row in table.functions.items()
            if len({*row.publishes}) != len(row.publishes)
        ),
    ]


def schedules_without_a_taker(table: Table, code: Code) -> list[str]:
    """What is scheduled is a command of the form of its event, that a function takes."""
    found = []
    for name, schedule in table.schedules.items():
        event = code.events.get(schedule.command)
        if event is None or event.topic != "commands":
            found.append(f"{name}: {schedule.command} is no command")
            continue
        unknown = sorted({*schedule.data} - {*event.model_fields})
        found += [f"{name}: {schedule.command} has no field {field}" for field in unknown]
        takers = [
            function
            for function, trigger in _subscriptions(table)
            if trigger.topic == "commands" and wants(trigger.types, schedule.command)
        ]
        if not takers:
            found.append(f"{name}: no function takes {schedule.command}")
    return found


def sizes_the_code_does_not_expect(table: Table, _code: Code) -> list[str]:
    """What the code counts on: how much comes at once, how long a call may last, who is alone."""
    found = []
    for name, row in table.functions.items():
        if row.instances.min:
            found.append(f"{name}: costs money while nobody calls; leave that to var.functions")
    if (usage := table.functions.get("usage")) and usage.concurrency != AT_ONCE:
        found.append(f"usage: gathers {AT_ONCE} events at once, and is given {usage.concurrency}")
    for name, (what, seconds) in LONGEST.items():
        cut = table.functions.get(name)
        if cut and cut.timeout < seconds:
            found.append(f"{name}: {what} {seconds:.0f} s, and is cut after {cut.timeout}")
    for name, why in ALONE.items():
        alone = table.functions.get(name)
        if alone and (alone.concurrency, alone.instances.max) != (1, 1):
            found.append(f"{name}: {why}")
    for command in EVERY_MINUTE:
        crons = [each.cron for each in table.schedules.values() if each.command == command]
        if crons != ["* * * * *"]:
            found.append(f"{command}: not every minute")
    return found


Rule = Callable[[Table, Code], list[str]]

RULES: tuple[Rule, ...] = (
    rows_without_code,
    other_entry_points,
    unknown_settings,
    secrets_of_other_settings,
    prefixes_nobody_reads,
    rights_nobody_uses,
    other_extras,
    unknown_types,
    types_without_an_end,
    topics_nobody_may_publish,
    schedules_without_a_taker,
    sizes_the_code_does_not_expect,
)


def _apart(
    first: str, one: Mapping[str, object], second: str, two: Mapping[str, object]
) -> list[str]:
    return [
        *(f"{name}: in {first}, not in {second}" for name in sorted({*one} - {*two})),
        *(f"{name}: in {second}, not in {first}" for name in sorted({*two} - {*one})),
    ]


def _with_fields(
    table: Table, code: Code
) -> Iterator[tuple[str, Function, Mapping[str, FieldInfo]]]:
    for name, row in table.functions.items():
        if name in code.settings:
            yield name, row, code.settings[name].model_fields


def _subscriptions(table: Table) -> Iterator[tuple[str, TopicTrigger]]:
    for name, row in table.functions.items():
        for trigger in row.triggers:
            if isinstance(trigger, TopicTrigger):
                yield name, trigger
