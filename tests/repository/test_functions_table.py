"""functions/functions.yaml says what the code says."""

import ast
import tomllib

import pytest
from pydantic import ValidationError

from common.core.events import TOPICS
from common.runtime.settings import SETTINGS
from scripts.functions_table import Function, parse_functions, read_functions
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


def row_text(extra: str = "") -> str:
    """A table of one row, with lines of the test's own below it."""
    defaults = (ROOT / "functions/functions.yaml").read_text().partition("\nfunctions:")[0]
    return f"{defaults}\nfunctions:\n  f:\n    triggers: [{{http: public}}]\n{extra}"


def test_fills_in_defaults() -> None:
    assert parse_functions(row_text())["f"].memory == "512Mi"


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
        parse_functions(row_text(line))


@pytest.mark.parametrize("topic", TOPICS)
def test_knows_every_topic(topic: str) -> None:
    assert parse_functions(row_text(f"    publishes: [{topic}]"))["f"].publishes == (topic,)


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
