"""Write what texts say about the code from the code: `.env.example`, and tables in READMEs.

A table stands between `<!-- NAME: written by scripts/docs -->` and `<!-- end of NAME -->`; what is
between these markers is replaced. Tables: `endpoints`, `functions`, `settings`, and of Terraform
`terraform-variables` and `terraform-outputs`.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from common.llm.paths import ENDPOINTS
from common.runtime.function_settings import SETTINGS
from scripts.functions_table import TopicTrigger, Trigger, read_functions

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 100

SCRIPT_VARIABLES = {
    "AZURE_LLM_TRACE": "A recorded trace (CSV) that scripts/savings_coverage draws lengths from.",
    "CLOUDOPS_KEY": "A gateway key, with which scripts/cloudops doctor asks how upstreams stand.",
    "CLOUDOPS_TOKEN": "Identity token for an API on Cloud Run: gcloud auth print-identity-token.",
    "CLOUDOPS_URL": "The API that scripts/cloudops talks to. Default: http://127.0.0.1:3000.",
    "CODING_AGENTS": "Folder with claude, codex, gemini or aider, for tests that run those found.",
    "ENGINES": "cloud: stacks of tests run on emulators (tests/emulated.py). Default: local.",
    "LAW_CALLS": "Calls that each law of tests/laws makes, instead of its own number.",
    "PORT": "The port of scripts/dev. Default: 3000.",
    "REQUIRE_ALL": "1 makes a test that skips because something is missing fail (scripts/test).",
    "TEST_DATA": "Folder of recorded data, for tests that use it (scripts/test).",
}
"""Variables that scripts read, beside the settings of the functions."""

FORMER_NAMES = {
    "CEREBRA_PORT, ECONOMIST_PORT, AEGIS_PORT, DASHBOARD_PORT": "PORT: one port serves everything",
    "POSTGRES_HOST and its like": "STATE_URL and WAREHOUSE_URL: no database server is needed",
}
"""Names of earlier versions that are not read any more, and what to use instead."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `default` and `bounds` are for people, empty if there are none."""

    name: str
    description: str
    default: str
    bounds: str
    functions: tuple[str, ...]

    def sentences(self) -> str:
        return (
            f"{self.description} {self.bounds.capitalize()}." if self.bounds else self.description
        )


def settings() -> list[Setting]:
    """Every setting of every function once, by name."""
    described: dict[str, Setting] = {}
    for function, kind in SETTINGS.items():
        for field, schema in kind.model_json_schema()["properties"].items():
            name = field.upper()
            users = (*(described[name].functions if name in described else ()), function)
            default, bounds = _default(schema), _bounds(schema)
            described[name] = Setting(name, schema["description"], default, bounds, users)
    return [described[name] for name in sorted(described)]


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    return "" if value in (None, [], "") else str(value).removesuffix(".0")


def _bounds(schema: dict[str, Any]) -> str:
    """`1 to 300` or `more than 0, at most 3600`."""
    if "minimum" in schema and "maximum" in schema:
        return f"{_number(schema['minimum'])} to {_number(schema['maximum'])}"
    words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    given = [key for key in words if key in schema]
    return ", ".join(f"{words[key]} {_number(schema[key])}" for key in given)


def _number(value: float) -> str:
    """As one would write it into the setting: all digits, and no point behind a whole number."""
    return str(int(value)) if value == int(value) else str(value)


def env_example() -> str:
    """The text of `.env.example`: every variable, commented out, with its default."""
    return "\n".join([*_heading(), *_settings_lines(), *_script_lines(), *_former_lines()])


def _heading() -> list[str]:
    return ["# Every setting, with its default. Written by scripts/docs.", ""]


def _settings_lines() -> Iterator[str]:
    for setting in settings():
        yield from _comment(f"{setting.sentences()} Read by {_list(setting.functions)}.")
        yield f"#{setting.name}={setting.default}"
        yield ""


def _script_lines() -> Iterator[str]:
    yield "# Read by scripts:"
    yield from (f"#   {name}: {text}" for name, text in SCRIPT_VARIABLES.items())
    yield ""


def _former_lines() -> Iterator[str]:
    yield "# Not read any more, and what to use instead:"
    yield from (f"#   {name} -> {text}" for name, text in FORMER_NAMES.items())
    yield ""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH - 2)]


def _list(names: tuple[str, ...]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def settings_table() -> str:
    rows = ["| setting | default | what it is | read by |", "|---|---|---|---|"]
    for setting in settings():
        default = f"`{setting.default}`" if setting.default else "-"
        what, readers = setting.sentences(), _list(setting.functions)
        rows.append(f"| `{setting.name}` | {default} | {what} | {readers} |")
    return "\n".join(rows)


def functions_table() -> str:
    rows = [
        "| function | job | called by | publishes | state, warehouse | memory, at once, timeout |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in read_functions(ROOT).items():
        called = _list(tuple(_caller(trigger) for trigger in row.triggers))
        topics = _list(row.publishes) or "-"
        size = f"{row.memory}, {row.concurrency}, {row.timeout} s"
        stores = f"{row.state}, {row.warehouse}"
        rows.append(f"| `{name}` | {_job(name)} | {called} | {topics} | {stores} | {size} |")
    return "\n".join(rows)


def _job(name: str) -> str:
    """What a function is for, as the first line of its module says."""
    tree = ast.parse((ROOT / "functions" / name / "main.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition(": ")[2].rstrip(".")


def _caller(trigger: Trigger) -> str:
    if isinstance(trigger, TopicTrigger):
        events = _list(tuple(f"`{each}`" for each in trigger.types)) or "every event"
        return f"{events} on {trigger.topic}"
    callers = {"public": "anybody", "private": "identities that may invoke it"}
    return callers[trigger.http]


def endpoints_table() -> str:
    rows = ["| API | metered | free |", "|---|---|---|"]
    for protocol in dict.fromkeys(each[0] for each in ENDPOINTS):
        cells: dict[bool, list[str]] = {True: [], False: []}
        for of_protocol, _, method, path, form in ENDPOINTS:
            if of_protocol == protocol:
                cells[form is not None].append(f"`{method} /{protocol}{path}`")
        rows.append(f"| {protocol} | {'<br>'.join(cells[True])} | {'<br>'.join(cells[False])} |")
    return "\n".join(rows)


def variables_table() -> str:
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, block in _blocks("variable", (ROOT / "terraform/variables.tf").read_text()):
        default = re.search(r"^  default += (.+)$", block, re.MULTILINE)
        shown = f"`{default[1]}`" if default else "-"
        rows.append(f"| `{name}` | {shown} | {_described(block)} |")
    return "\n".join(rows)


def outputs_table() -> str:
    rows = ["| output | what it is |", "|---|---|"]
    for name, block in _blocks("output", (ROOT / "terraform/outputs.tf").read_text()):
        rows.append(f"| `{name}` | {_described(block)} |")
    return "\n".join(rows)


def _blocks(kind: str, text: str) -> list[tuple[str, str]]:
    """Name and content of each block of this kind, as `terraform fmt` lays them out."""
    return re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', text, re.MULTILINE | re.DOTALL)


def _described(block: str) -> str:
    found = re.search(r'^  description = "(.*)"$', block, re.MULTILINE)
    return found[1].replace('\\"', '"') if found else ""


TABLES: dict[str, Callable[[], str]] = {
    "endpoints": endpoints_table,
    "functions": functions_table,
    "settings": settings_table,
    "terraform-outputs": outputs_table,
    "terraform-variables": variables_table,
}
WITH_TABLES = (
    Path("README.md"),
    Path("docs/clients.md"),
    Path("docs/settings.md"),
    Path("terraform/README.md"),
)


def fill(text: str, name: str, table: str) -> str:
    """The text with the table between its markers; unchanged where there are none."""
    start, end = f"<!-- {name}: written by scripts/docs -->", f"<!-- end of {name} -->"
    between = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    return between.sub(lambda _: f"{start}\n{table}\n{end}", text)


def documents(root: Path) -> Iterator[tuple[Path, str]]:
    """Each file this command writes, with the text it should have."""
    yield Path(".env.example"), env_example()
    for path in WITH_TABLES:
        if (root / path).exists():
            text = (root / path).read_text(encoding="utf-8")
            for name, table in TABLES.items():
                text = fill(text, name, table())
            yield path, text


def stale(root: Path) -> list[Path]:
    """Files whose text is not what the code says."""
    return [
        path
        for path, text in documents(root)
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def main(
    *, check: Annotated[bool, typer.Option(help="Only say which files are stale.")] = False
) -> None:
    """Write .env.example and the tables of READMEs."""
    if check:
        found = stale(ROOT)
        for path in found:
            typer.echo(f"{path} is stale. Run scripts/docs.", err=True)
        raise typer.Exit(code=1 if found else 0)
    for path, text in documents(ROOT):
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
