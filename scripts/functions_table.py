"""The table of functions, `functions/functions.yaml`, checked: a misspelt key is an error here.

Keys are explained at the top of the table. A row overrides `defaults` key by key.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.core.events import Topic

Access = Literal["none", "read", "write"]
SettingName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trigger(Row):
    """What calls the function. `private` callers need an identity that may invoke it."""

    http: Literal["public", "private"]


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
    publishes: tuple[Topic, ...]
    state: Access
    warehouse: Access


class Table(Row):
    functions: dict[str, Function]

    @model_validator(mode="before")
    @classmethod
    def fill_defaults(cls, data: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
        rest = {key: value for key, value in data.items() if key != "defaults"}
        rows = {name: {**data["defaults"], **row} for name, row in data["functions"].items()}
        return {**rest, "functions": rows}


def parse_functions(text: str) -> dict[str, Function]:
    """The rows by name, which is folder, entry point and Settings alike.

    Raises:
        pydantic.ValidationError: unknown keys and values, all at once.
    """
    return Table.model_validate(yaml.safe_load(text)).functions


def read_functions(root: Path) -> dict[str, Function]:
    """The table of the repository at `root`; raises as `parse_functions` does."""
    return parse_functions((root / "functions/functions.yaml").read_text(encoding="utf-8"))
