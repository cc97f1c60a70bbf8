"""Domains read no clock, environment, random number or socket: these come as arguments.

Names are resolved through the imports of the module, so that `from time import time as now` is
found as well as `time.time`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.sources import texts

DOMAINS = (
    "common/core",
    "common/llm",
    "common/brownout",
    "common/budgets",
    "common/incidents",
    "common/pricing",
    "common/reconciliation",
    "common/usage",
    "common/gateway",
    "common/api",
)

CLOCK = "take a Clock (common/core/ports.py)"
ENTROPY = "take random bytes as an argument"
SETTINGS = "take the value as an argument; common/runtime/settings.py reads it"
SOCKET = "take a port; its adapter opens the connection"
IMPURE = {
    "datetime.date.today": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "os.environ": SETTINGS,
    "os.getenv": SETTINGS,
    "os.urandom": ENTROPY,
    "random": ENTROPY,
    "secrets": ENTROPY,
    "socket": SOCKET,
    "subprocess": SOCKET,
    "time.monotonic": CLOCK,
    "time.monotonic_ns": CLOCK,
    "time.perf_counter": CLOCK,
    "time.perf_counter_ns": CLOCK,
    "time.time": CLOCK,
    "time.time_ns": CLOCK,
    "uuid.uuid1": ENTROPY,
    "uuid.uuid4": ENTROPY,
}


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name of a module stands for: `{"now": "time.time"}`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """The full name that an expression like `dt.datetime.now` stands for."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, names)
        return owner and f"{owner}.{node.attr}"
    return None


def impurities(path: Path, source: str) -> Iterator[str]:
    tree = ast.parse(source)
    names = imported_names(tree)
    for node in ast.walk(tree):
        name = dotted(node, names)
        if name in IMPURE and isinstance(node, ast.expr):
            yield f"{path}:{node.lineno} {name}: {IMPURE[name]}"


def test_reads_no_clock_environment_randomness_or_socket_in_a_domain() -> None:
    domains = {p: s for p, s in texts(".py").items() if str(p).startswith(DOMAINS)}

    assert [line for path, source in domains.items() for line in impurities(path, source)] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("import datetime as dt\ndt.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("from time import monotonic as ticks\nticks()", "time.monotonic"),
        ("import os\nos.environ['HOME']", "os.environ"),
        ("from os import environ\nenviron['HOME']", "os.environ"),
        ("import random\nrandom.random()", "random"),
        ("import secrets\nsecrets.token_bytes()", "secrets"),
    ],
)
def test_catches_an_impure_domain(source: str, name: str) -> None:
    assert list(impurities(Path("a.py"), source)) == [f"a.py:2 {name}: {IMPURE[name]}"]


@pytest.mark.parametrize(
    "source",
    ["clock.now()", "from common.core.secrets import Secret\nSecret('x')", "row['time']"],
)
def test_lets_ports_and_arguments_pass(source: str) -> None:
    assert list(impurities(Path("a.py"), source)) == []
