"""What is deployed is what scripts/bundle wrote; without it nothing is planned."""

import hashlib
import json
from pathlib import Path

import pytest

from scripts.functions_table import read_functions
from scripts.terraform_checks.checkouts import Checkout, messages, sentence
from scripts.terraform_checks.mocked_apply import PLAIN, key_of, mocked_test, write_test
from tests.repository.sources import ROOT
from tests.terraform.conftest import Installations


def test_deploys_each_function_by_the_hash_of_its_bundle(
    checkout: Checkout, installations: Installations
) -> None:
    deployed = {
        key_of(address): (checkout.terraform / values["source"], values["name"])
        for address, values in installations.plain.of_type("google_storage_bucket_object").items()
    }

    assert {*deployed} == {*read_functions(ROOT)}
    for key, (path, name) in deployed.items():
        assert name == f"{key}/{hashlib.sha256(path.read_bytes()).hexdigest()}.zip"


def test_builds_each_function_from_its_own_bundle(installations: Installations) -> None:
    built = {}
    for address, values in installations.plain.of_type("google_cloudfunctions2_function").items():
        [build] = values["build_config"]
        [source] = build["source"]
        [stored] = source["storage_source"]
        built[key_of(address)] = (build["entry_point"], stored["object"].partition("/")[0])

    assert built == {key: (key, key) for key in read_functions(ROOT)}


@pytest.fixture(scope="module")
def refusals(checkout: Checkout) -> dict[str, list[str]]:
    """What a plan says where no bundle is, and where that of one function is missing."""
    manifest = json.loads((checkout.root / "dist/manifest.json").read_text())
    folders = {"nothing": "./nowhere"}
    for missing in manifest:
        folder = checkout.root / f"without-{missing}"
        folder.mkdir()
        rows = {name: row for name, row in manifest.items() if name != missing}
        (folder / "manifest.json").write_text(json.dumps(rows))
        folders[missing] = f"../without-{missing}"
    plan = {"command": "plan", "plan_options": {"target": ["terraform_data.checked"]}}
    for missing, path in folders.items():
        document = mocked_test(PLAIN, [], {"plan": plan})
        variables = {**document["variables"], "bundle_dir": path}
        write_test(checkout, "without", {**document, "variables": variables}, missing)
    printed = checkout.test("-test-directory=without")
    said: dict[str, list[str]] = {missing: [] for missing in folders}
    for message in messages(printed, "diagnostic"):
        if message["diagnostic"]["severity"] == "error":
            missing = Path(message["@testfile"]).name.partition(".")[0]
            said[missing].append(sentence(message["diagnostic"]))
    return said


def test_plans_nothing_without_bundles(refusals: dict[str, list[str]]) -> None:
    [said] = refusals["nothing"]

    assert said.endswith(
        f"No bundle of {', '.join(sorted(read_functions(ROOT)))} in ./nowhere: "
        "run scripts/bundle first."
    )


@pytest.mark.parametrize("missing", sorted(read_functions(ROOT)))
def test_names_the_function_whose_bundle_is_missing(
    refusals: dict[str, list[str]], missing: str
) -> None:
    [said] = refusals[missing]

    assert f"No bundle of {missing} in " in said
