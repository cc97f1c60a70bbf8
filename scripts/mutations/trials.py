"""What the checks say to a mutant, fastest first: whoever refuses it ends the trial.

A trial has a copy of the checkout for itself, puts the mutant into it, and takes it out again.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from pydantic import ValidationError

from common.warehouse.tables import Definitions, load_definitions
from scripts.commands import lock
from scripts.functions_table import Table, parse_table
from scripts.mutations.mutant import Mutant
from scripts.terraform_checks import resource_rules, rights, table_rules, text_rules
from scripts.terraform_checks.checkouts import (
    COMPANIONS,
    Checkout,
    counts,
    messages,
    modules,
)
from scripts.terraform_checks.designed_events import Sources
from scripts.terraform_checks.hcl_text import read
from scripts.terraform_checks.mocked_apply import (
    CANARIES,
    COMPLETE,
    FULL,
    IAP,
    MINIMAL,
    PLAIN,
    ApplyFailed,
    Installation,
    apply_mocked,
)
from scripts.terraform_checks.resource_rules import leaks
from scripts.terraform_checks.table_rules import Code

TABLE = Path("functions/functions.yaml")
UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""How a check fails that expects something where a mutant left nothing."""
EXAMPLES = {each.folder: each for each in (MINIMAL, COMPLETE)}
OWN_TESTS = {
    "checks.tf": "rules.tftest.hcl",
    "dashboards.tf": "monitoring.tftest.hcl",
    "iap.tf": "iap.tftest.hcl",
    "monitoring.tf": "monitoring.tftest.hcl",
    "variables.tf": "variables.tftest.hcl",
}
"""Where a mutant of a file is most likely refused, which saves the time of everything else."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which check refused a mutant, and with which words."""

    check: str
    words: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A copy of the checkout to try mutants in, and the code that its table is held against."""

    checkout: Checkout
    code: Code
    warehouse: Definitions

    def refusal(self, mutant: Mutant) -> Refusal | None:
        """The first check that refuses the mutant, None if it survives all."""
        path = self.checkout.root / mutant.file
        text = path.read_text(encoding="utf-8")
        path.write_text(mutant.apply(text), encoding="utf-8")
        try:
            return next(self._refusals(mutant), None)
        finally:
            path.write_text(text, encoding="utf-8")

    def baseline(self) -> Refusal | None:
        """What the checks say without any mutant: nothing, if a run is to mean anything."""
        return next(self._all(), None)

    def _refusals(self, mutant: Mutant) -> Iterator[Refusal]:
        if mutant.file == str(TABLE):
            yield from self._of_table()
            yield from self._of_apply(FULL, PLAIN)
            yield from self._of_own_tests(".")
            return
        path = Path(mutant.file).relative_to("terraform")
        yield from self._of_text()
        if example := EXAMPLES.get(path.parent.as_posix()):
            yield from self._of_apply(example)
            yield from self._of_own_tests(".", "examples.tftest.hcl")
            return
        if path.parent.as_posix() in COMPANIONS:
            yield from self._of_own_tests(path.parent.as_posix())
            return
        if path.parent == Path() and (own := OWN_TESTS.get(path.name)):
            yield from self._of_own_tests(".", own)
        yield from self._of_apply(*([IAP] if path == Path("iap.tf") else []), FULL, PLAIN)
        if path.parent != Path():
            yield from self._of_own_tests(path.parent.as_posix())
        yield from self._of_own_tests(".")

    def _all(self) -> Iterator[Refusal]:
        yield from self._of_table()
        yield from self._of_text()
        yield from self._of_apply(FULL, PLAIN, IAP, *EXAMPLES.values())
        for folder in modules(self.checkout.terraform):
            yield from self._of_folder(folder)

    def _of_table(self) -> Iterator[Refusal]:
        try:
            table = self._table()
        except (ValidationError, *UNREADABLE) as error:
            yield Refusal("the table's form", str(error).partition("\n")[0])
            return
        for rule in table_rules.RULES:
            yield from _said(f"table: {rule.__name__}", partial(rule, table, self.code))
        yield from _said("requirements", partial(lock.findings, self.checkout.root))

    def _of_text(self) -> Iterator[Refusal]:
        files = read(self.checkout.terraform)
        for rule in text_rules.RULES:
            yield from _said(f"text: {rule.__name__}", partial(rule, files))

    def _of_apply(self, *installations: Installation) -> Iterator[Refusal]:
        """One after the other: most mutants are refused by the first."""
        table = self._table()
        sources = self._sources(table)
        for installation in installations:
            try:
                applied, printed = apply_mocked(self.checkout, table.functions, [installation])
            except ApplyFailed as failed:
                yield Refusal("terraform apply", str(failed).partition("\n")[0])
                return
            found = applied[installation.name]
            for name, rule in rights.RULES.items():
                yield from _said(name, partial(rule, found))
            for name, other in resource_rules.RULES.items():
                yield from _said(name, partial(other, found, sources))
            yield from _said("secrets that leak", partial(leaks, found, printed, CANARIES))

    def _of_own_tests(self, folder: str, file: str = "") -> Iterator[Refusal]:
        """All tests of a folder, or those of one file."""
        tests = self.checkout.terraform / folder / "tests"
        if (tests / file).exists():
            printed = self.checkout.test(
                *([f"-filter=tests/{file}"] if file else []), module=folder
            )
            counted = counts(printed)
            if counted.failed or not counted.passed:
                yield Refusal("terraform test", _failed_run(printed))

    def _of_folder(self, folder: str) -> Iterator[Refusal]:
        for diagnostic in self.checkout.validate(folder):
            if diagnostic["severity"] == "error":
                yield Refusal("terraform validate", diagnostic["summary"])
        yield from self._of_own_tests(folder)

    def _table(self) -> Table:
        return parse_table((self.checkout.root / TABLE).read_text(encoding="utf-8"))

    def _sources(self, table: Table) -> Sources:
        state = (self.checkout.terraform / "state.yaml").read_text(encoding="utf-8")
        return Sources(table, self.warehouse, yaml.safe_load(state), self.checkout.root / "dist")


def a_trial(template: Path, folder: Path, root: Path) -> Trial:
    """A trial in `folder`, copied from a checkout that is initialised; `root` holds the code."""
    shutil.copytree(template, folder, symlinks=True)
    for path in (Path("pyproject.toml"), *(each.path for each in lock.locks(root))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, folder / path)
    return Trial(Checkout(folder), table_rules.read_code(root), load_definitions())


def _said(check: str, rule: Callable[[], list[str]]) -> Iterator[Refusal]:
    """What a rule finds, one after the other; one that cannot read what it is given refuses it."""
    try:
        for words in rule():
            yield Refusal(check, words)
    except UNREADABLE as error:
        yield Refusal(check, repr(error))


def _failed_run(printed: str) -> str:
    for message in messages(printed, "test_run"):
        run = message["test_run"]
        if run.get("status") in ("fail", "error"):
            return f"{run['path']}: {run['run']}"
    return "no run passed"
