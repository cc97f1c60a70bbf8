"""One copy of what Terraform reads, initialised once, and what it comes to without a cloud."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from common.warehouse.tables import load_definitions
from scripts.functions_table import read_functions, read_table
from scripts.terraform_checks.checkouts import Checkout, ProvidersMissing, copy_checkout, modules
from scripts.terraform_checks.designed_events import Sources
from scripts.terraform_checks.mocked_apply import (
    COMPLETE,
    FULL,
    IAP,
    MINIMAL,
    PLAIN,
    Applied,
    apply_mocked,
)
from tests.repository.sources import ROOT

INSTALLATIONS = (PLAIN, FULL, IAP, MINIMAL, COMPLETE)
NAMES = [each.name for each in INSTALLATIONS]


@dataclass(frozen=True, slots=True)
class Installations:
    """What each installation comes to, and everything that Terraform printed of them."""

    applied: Mapping[str, Applied] = field(repr=False)
    printed: str = field(repr=False)

    def __getitem__(self, name: str) -> Applied:
        return self.applied[name]

    @property
    def plain(self) -> Applied:
        return self.applied["plain"]

    @property
    def full(self) -> Applied:
        return self.applied["full"]


@pytest.fixture(scope="session")
def terraform() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")


@pytest.fixture(scope="session")
def checkout(terraform: None, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy with providers; skips where there are none, fails where anything else is wrong."""
    copy = copy_checkout(ROOT, tmp_path_factory.mktemp("terraform"))
    try:
        for module in modules(copy.terraform):
            copy.init(module)
    except ProvidersMissing as missing:
        pytest.skip(f"terraform init found no providers: {missing}")
    return copy


@pytest.fixture(scope="session")
def installations(checkout: Checkout) -> Installations:
    return Installations(*apply_mocked(checkout, read_functions(ROOT), INSTALLATIONS))


@pytest.fixture(scope="session")
def sources(checkout: Checkout) -> Sources:
    documents = yaml.safe_load((ROOT / "terraform/state.yaml").read_text())
    return Sources(read_table(ROOT), load_definitions(), documents, Path(checkout.root / "dist"))
