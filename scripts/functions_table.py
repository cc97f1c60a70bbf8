"""The table of functions, `functions/functions.yaml`, checked: a misspelt key is an error here.

Keys are explained at the top of the table. A row overrides `defaults` key by key.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from common.core.events import Topic

Access = Literal["none", "read", "write"]
SettingName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
EventType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z0-9_.]*$")]
ScheduleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
SecretPrefix = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*-$")]


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpTrigger(Row):
    """Requests. `private` callers need an identity that may invoke it."""

    http: Literal["public", "private"]


class TopicTrigger(Row):
    """Events of a topic: a type that ends in a dot is a prefix, and no types mean all."""

    topic: Topic
    types: tuple[EventType, ...] = ()

    def subscription(self, function: str) -> str:
        """The name of the subscription; a function has one on a topic."""
        return f"{self.topic}-{function}"


Trigger = HttpTrigger | TopicTrigger


class Instances(Row):
    min: Annotated[int, Field(ge=0)]
    max: Annotated[int, Field(ge=1)]


class Function(Row):
    """One row, defaults filled in. `timeout` is in seconds."""

    triggers: Annotated[tuple[Trigger, ...], Field(min_length=1)]
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*[MG]i$")]
    cpu: Annotated[int, Field(ge=1)]
    concurrency: Annotated[int, Field(ge=1, le=1000)]
    timeout: Annotated[int, Field(ge=1, le=3600)]
    instances: Instances
    extras: tuple[str, ...]
    env: dict[SettingName, str]
    secrets: dict[SettingName, SecretName]
    secret_prefixes: tuple[SecretPrefix, ...]
    publishes: tuple[Topic, ...]
    state: Access
    warehouse: Access

    def is_named_by_people(self, setting: str) -> bool:
        """Whether a setting holds a secret that begins with one of `secret_prefixes`."""
        return any(setting.startswith(setting_of(prefix)) for prefix in self.secret_prefixes)


class Schedule(Row):
    """A command that is published whenever its time comes, in UTC."""

    cron: Annotated[str, Field(pattern=r"^(\*|\d{1,2})( (\*|\d{1,2})){4}$")]
    command: EventType
    data: dict[str, str | int | bool]

    @field_validator("cron")
    @classmethod
    def _exists(cls, cron: str) -> str:
        bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
        for field, (first, last) in zip(cron.split(), bounds, strict=True):
            if field != "*" and not first <= int(field) <= last:
                raise ValueError(f"{field} is not {first} to {last}")
        if cron.split()[2] != "*" and cron.split()[4] != "*":
            raise ValueError("cron means either by a day and a weekday: give one of them")
        return cron

    def is_due(self, minute: datetime) -> bool:
        """Whether it is published in this minute."""
        sunday_first = minute.isoweekday() % 7
        time = (minute.minute, minute.hour, minute.day, minute.month, sunday_first)
        return all(
            field == "*" or int(field) == part
            for field, part in zip(self.cron.split(), time, strict=True)
        )


class Table(Row):
    functions: dict[str, Function]
    schedules: dict[ScheduleName, Schedule] = {}

    @model_validator(mode="before")
    @classmethod
    def fill_defaults(cls, data: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
        rest = {key: value for key, value in data.items() if key != "defaults"}
        rows = {name: {**data["defaults"], **row} for name, row in data["functions"].items()}
        return {**rest, "functions": rows}

    @model_validator(mode="after")
    def _prefixes_are_of_no_named_secret(self) -> "Table":
        named = {secret for row in self.functions.values() for secret in row.secrets.values()}
        for name, row in self.functions.items():
            if taken := sorted(each for each in named if each.startswith(row.secret_prefixes)):
                raise ValueError(f"{name}: a prefix would give it {', '.join(taken)} too")
        return self


def setting_of(secret: str) -> str:
    """The variable that holds a secret: it is called as the secret is."""
    return secret.upper().replace("-", "_")


def parse_table(text: str) -> Table:
    """Functions and schedules by name; a function's is folder, entry point and Settings alike.

    Raises:
        pydantic.ValidationError: unknown keys and values, all at once.
    """
    return Table.model_validate(yaml.safe_load(text))


def read_functions(root: Path) -> dict[str, Function]:
    """The functions of the repository at `root`; raises as `parse_table` does."""
    return read_table(root).functions


def read_schedules(root: Path) -> dict[str, Schedule]:
    """The schedules of the repository at `root`; raises as `parse_table` does."""
    return read_table(root).schedules


def read_table(root: Path) -> Table:
    """The whole table of the repository at `root`; raises as `parse_table` does."""
    return parse_table((root / "functions/functions.yaml").read_text(encoding="utf-8"))
