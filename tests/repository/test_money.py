"""Money and binary fractions never meet.

Two laws: modules that compute money hold no float at all, and anywhere a name that says money is
never annotated as a float and never converted to one.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.sources import files, texts

MONEY_MODULES = (
    "common/core/money.py",
    "common/llm/compile_book.py",
    "common/llm/costs.py",
    "common/llm/price_book.py",
    "common/llm/price_cards.py",
    "common/llm/price_tariffs.py",
)
MONEY_NAME = re.compile(r"(^|_)(nanos|cost|costs|price|prices|usd|amount|spend|rate_usd)(_|$)")


def floats(path: Path, source: str) -> Iterator[str]:
    """Every float in a module: the word and the literals."""
    for node in ast.walk(ast.parse(source)):
        word = isinstance(node, ast.Name) and node.id == "float"
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        if isinstance(node, ast.expr) and (word or literal):
            yield f"{path}:{node.lineno} {ast.unparse(node)}: use Nanos or Decimal"


def money_floats(path: Path, source: str) -> Iterator[str]:
    """Names that say money with the type float, and conversions of them."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AnnAssign(target=target, annotation=annotation):
                named, kind = ast.unparse(target), annotation
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                named, kind = name, annotation
            case ast.FunctionDef(name=name, returns=ast.expr() as annotation):
                named, kind = name, annotation
            case ast.Call(func=ast.Name(id="float") as kind, args=[argument]):
                named = ast.unparse(argument)
            case _:
                continue
        words = re.findall(r"\w+", named)
        if any(MONEY_NAME.search(word) for word in words) and "float" in ast.unparse(kind):
            yield f"{path}:{node.lineno} {named} is a float: use Nanos or Decimal"


def test_holds_no_float_in_modules_that_compute_money() -> None:
    modules = {path: s for path, s in texts(".py").items() if str(path) in MONEY_MODULES}

    assert [line for path, source in modules.items() for line in floats(path, source)] == []


def test_names_only_money_modules_that_exist() -> None:
    assert sorted(set(MONEY_MODULES) - {str(path) for path in files(".py")}) == []


def test_types_no_name_that_says_money_as_a_float() -> None:
    ours = {path: s for path, s in texts(".py").items() if path.parts[0] != "tests"}

    assert [line for path, source in ours.items() for line in money_floats(path, source)] == []


@pytest.mark.parametrize("source", ["x = 0.1", "x = float(y)", "def f(x: float) -> None: ..."])
def test_catches_a_float_in_a_money_module(source: str) -> None:
    assert len(list(floats(Path("a.py"), source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "cost_nanos: float | None = None",
        "def f(price: float) -> None: ...",
        "def total_cost() -> float: ...",
        "x = float(row.cost_nanos)",
    ],
)
def test_catches_money_as_a_float(source: str) -> None:
    assert len(list(money_floats(Path("a.py"), source))) == 1


def test_lets_durations_and_shares_pass() -> None:
    source = "duration_s: float = 1.5\ndef share(costly: float) -> float: ..."

    assert list(money_floats(Path("a.py"), source)) == []
