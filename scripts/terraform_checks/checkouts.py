"""A copy of what Terraform reads, so that nothing it writes lands in the checkout.

`terraform/` with the files beside it that it reads: the table of functions, the tables of the
warehouse, the policy of brownouts and the bundles. Whatever `terraform` is on PATH is run, with
whatever providers its configuration finds; no lock file and no state of the checkout comes along.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from scripts.commands.bundle import write_bundles
from scripts.functions_table import read_functions

READ_BESIDE = (
    Path("functions/functions.yaml"),
    Path("common/warehouse"),
    Path("common/brownout/defaults.yaml"),
)
"""What Terraform's files name outside of their folder, but for the bundles in `dist`."""
COMPANIONS = ("modules/datadog", "modules/monitoring", "modules/policy")
"""Configurations that no installation needs, and that are applied by themselves."""
LEFT_OUT = shutil.ignore_patterns(
    ".terraform*", "*.tfstate*", "*.tfvars", "backend_override.tf", "__pycache__"
)
RUNNING_PROVIDERS = "TF_REATTACH_PROVIDERS"
"""Terraform's variable with the providers that run already, which it then does not start."""
NO_PROVIDERS = ("Failed to query available provider packages",)
"""How `terraform init` begins to say that it found none, or none of the versions asked for."""
NO_SUCH_VERSION = "no available releases match the given constraints"

Message = dict[str, Any]


class ProvidersMissing(Exception):
    """`terraform init` found none of the providers: neither a registry nor a mirror."""


class InitFailed(Exception):
    """The configuration cannot be initialised, for a reason of its own."""


class TerraformEnded(Exception):
    """A command was ended from outside: what it has said is worth nothing."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder that holds `terraform/` and what that reads."""

    root: Path

    @property
    def terraform(self) -> Path:
        return self.root / "terraform"

    def run(self, *command: str, module: str = ".") -> subprocess.CompletedProcess[str]:
        """What `terraform COMMAND...` says in a folder of `terraform/`.

        Raises:
            TerraformEnded: somebody ended it before it had said all.
        """
        # Providers' schemas are large, and collecting garbage is half of the time a command takes.
        variables = os.environ | {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "GOGC": "800"}
        if command[0] == "init":  # of several folders with the same providers, which are large
            variables.pop(RUNNING_PROVIDERS, None)  # else it asks nobody for their versions
            (self.root / "providers").mkdir(exist_ok=True)
            variables |= {
                "TF_PLUGIN_CACHE_DIR": str(self.root / "providers"),
                "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
            }
        done = subprocess.run(
            ["terraform", *command],  # noqa: S607 -- the one on PATH is the one that is meant
            cwd=self.terraform / module,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode < 0:
            raise TerraformEnded(f"terraform {command[0]} was ended by signal {-done.returncode}")
        return done

    def init(self, module: str = ".") -> None:
        """Find the providers and modules of one folder.

        Raises:
            ProvidersMissing: no registry and no mirror has them.
            InitFailed: anything else.
        """
        done = self.run("init", "-backend=false", "-input=false", "-no-color", module=module)
        if done.returncode == 0:
            return
        raise why_init_failed(done.stderr)

    def test(self, *arguments: str, module: str = ".") -> str:
        """What `terraform test` prints: a JSON object in each line."""
        return self.run("test", "-json", *arguments, module=module).stdout

    def validate(self, module: str = ".") -> list[Message]:
        """What is wrong in one folder, as Terraform's diagnostics."""
        done = self.run("validate", "-json", module=module)
        return list(json.loads(done.stdout)["diagnostics"])


def why_init_failed(said: str) -> ProvidersMissing | InitFailed:
    """Whether the machine lacks the providers, or the configuration is wrong."""
    lines = [line.strip(" │╷╵") for line in said.splitlines()]
    text = " ".join(line for line in lines if line)
    if NO_SUCH_VERSION in text or not any(beginning in text for beginning in NO_PROVIDERS):
        return InitFailed(said)
    reason = re.search(r"Could not retrieve[^:]*: [^:]*", text)
    return ProvidersMissing(reason[0] if reason else text)


def copy_checkout(source: Path, target: Path) -> Checkout:
    """Copy what Terraform reads of the repository at `source`, with new bundles."""
    shutil.copytree(source / "terraform", target / "terraform", ignore=LEFT_OUT)
    for path in READ_BESIDE:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if (source / path).is_dir():
            shutil.copytree(source / path, target / path, ignore=LEFT_OUT)
        else:
            shutil.copy(source / path, target / path)
    write_bundles(source, list(read_functions(source)), target / "dist")
    return Checkout(target)


def messages(printed: str, kind: str) -> Iterator[Message]:
    """Those of one type, in order."""
    mark = f'"type":"{kind}"'
    for line in printed.splitlines():
        if mark in line:  # a state is megabytes, and is read only where it is wanted
            message = orjson.loads(line)
            if message["type"] == kind:
                yield message


def errors(printed: str) -> list[str]:
    """What Terraform found wrong, one sentence each."""
    return [
        sentence(message["diagnostic"])
        for message in messages(printed, "diagnostic")
        if message["diagnostic"]["severity"] == "error"
    ]


@dataclass(frozen=True, slots=True)
class Counts:
    """How the runs of `terraform test` ended."""

    passed: int
    failed: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.passed + other.passed, self.failed + other.failed)


def counts(printed: str) -> Counts:
    """Of all files together; a run that was left out counts as failed."""
    summaries = [each["test_summary"] for each in messages(printed, "test_summary")]
    return Counts(
        passed=sum(each["passed"] for each in summaries),
        failed=sum(each[end] for each in summaries for end in ("failed", "errored", "skipped")),
    )


def modules(terraform: Path) -> list[str]:
    """The folders below `terraform/` that hold a configuration of their own, with the root."""
    found = {path.parent.relative_to(terraform).as_posix() for path in terraform.rglob("*.tf")}
    return sorted(path for path in found if ".terraform" not in path)


def sentence(diagnostic: Mapping[str, Any]) -> str:
    """A diagnostic in one line: where, what, why."""
    place = diagnostic.get("range") or {}
    where = f"{place['filename']}:{place['start']['line']}: " if place else ""
    return f"{where}{diagnostic['summary']}: {diagnostic.get('detail', '')}".strip()
