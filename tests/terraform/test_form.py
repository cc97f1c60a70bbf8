"""Terraform's files are formatted and valid, and their own tests pass."""

from pathlib import Path

import pytest

from scripts.terraform_checks import text_rules
from scripts.terraform_checks.checkouts import (
    COMPANIONS,
    Checkout,
    Counts,
    InitFailed,
    ProvidersMissing,
    counts,
    errors,
    modules,
    sentence,
    why_init_failed,
)
from scripts.terraform_checks.hcl_text import read
from scripts.terraform_checks.mocked_apply import FULL
from tests.repository.sources import ROOT

FILES = read(ROOT / "terraform")
FOLDERS = modules(ROOT / "terraform")
TESTED = [folder for folder in FOLDERS if (ROOT / "terraform" / folder / "tests").is_dir()]


def test_is_formatted(terraform: None) -> None:
    done = Checkout(ROOT).run("fmt", "-check", "-recursive", "-list=true")

    assert (done.stdout.split(), done.returncode) == ([], 0)


@pytest.mark.parametrize("folder", FOLDERS)
def test_is_valid(checkout: Checkout, folder: str) -> None:
    assert [sentence(each) for each in checkout.validate(folder)] == []


def test_has_the_configurations_that_people_begin_with() -> None:
    assert {".", "modules/function", "examples/minimal", "examples/complete"} <= {*FOLDERS}
    assert {*COMPANIONS} <= {*TESTED}


@pytest.mark.slow
@pytest.mark.parametrize("folder", TESTED)
def test_passes_its_own_tests(
    checkout: Checkout, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = checkout.test(module=folder)
    counted = counts(printed)

    with capsys.disabled():
        print(  # noqa: T201 -- how much was tested is worth a line
            f"\nterraform test, {folder}: {counted.passed} runs pass, {counted.failed} do not"
        )
    assert errors(printed) == []
    assert counted.failed == 0
    assert counted.passed > 0


@pytest.mark.parametrize("rule", text_rules.RULES, ids=lambda rule: rule.__name__)
def test_says_in_its_files_what_no_apply_shows(rule: text_rules.Rule) -> None:
    assert rule(FILES) == []


@pytest.mark.parametrize(
    ("rule", "file", "old", "new", "finding"),
    [
        (
            text_rules.undescribed,
            "outputs.tf",
            '"Address of the API."',
            '""',
            "outputs.tf: output api_url has no description that is a sentence",
        ),
        (
            text_rules.untyped,
            "variables.tf",
            "  type        = bool\n",
            "",
            "variables.tf: variable deletion_protection has no type",
        ),
        (
            text_rules.out_of_order,
            "warehouse.tf",
            "  depends_on = [google_bigquery_table.table]\n",
            "",
            (
                "google_bigquery_table.view does not wait for google_bigquery_table.table: "
                "a view of a table that is not there"
            ),
        ),
        (
            text_rules.out_of_order,
            "functions.tf",
            "    google_project_iam_member.builder_logs,\n",
            "    # google_project_iam_member.builder_logs,\n",
            (
                "time_sleep.builder_is_known does not wait for "
                "google_project_iam_member.builder_logs: "
                "rights of the builder"
            ),
        ),
        (
            text_rules.replaced_with_a_gap,
            "secrets.tf",
            "create_before_destroy = true",
            "create_before_destroy = false",
            (
                "resource google_secret_manager_secret_version given is gone before its "
                "successor is "
                "there"
            ),
        ),
        (
            text_rules.wrong_where_nobody_sees_it,
            "iap.tf",
            "  depends_on = [module.image]\n",
            "",
            (
                "data google_cloud_run_v2_service image: depends_on is not [module.image]: "
                "a plan would read it before the apply that changes it"
            ),
        ),
        (
            text_rules.unbounded_versions,
            "versions.tf",
            '">= 3.7.0, < 4.0.0"',
            '">= 3.7.0"',
            "versions.tf: random is not hashicorp/random >= 3.7.0, < 4.0.0",
        ),
        (
            text_rules.unbounded_versions,
            "modules/datadog/versions.tf",
            ", < 5.0.0",
            "",
            "modules/datadog/versions.tf: datadog is not DataDog/datadog >= 3.82.0, < 5.0.0",
        ),
        (
            text_rules.without_a_default,
            "variables.tf",
            '  default     = "oco"\n',
            "",
            "variables.tf: variable prefix has no default",
        ),
        (
            text_rules.examples_that_lead_elsewhere,
            "examples/complete/main.tf",
            "  secret_values   = var.secret_values\n",
            "",
            "examples/complete/main.tf: secret_values is not handed on",
        ),
        (
            text_rules.unsealed,
            "variables.tf",
            "  ephemeral   = true\n",
            "",
            "secret_values is not ephemeral and sensitive",
        ),
        (
            text_rules.unsealed,
            "modules/monitoring/variables.tf",
            "  sensitive   = true\n",
            "",
            "token is not sensitive",
        ),
        (
            text_rules.unbounded_versions,
            "modules/policy/versions.tf",
            'terraform {\n  required_version = ">= 1.11.0"\n}\n',
            "",
            "modules/policy/ does not say which Terraform it needs",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_finds_what_its_files_lack(
    rule: text_rules.Rule, file: str, old: str, new: str, finding: str
) -> None:
    assert old in FILES[file]

    assert rule({**FILES, file: FILES[file].replace(old, new, 1)}) == [finding]


def test_finds_a_provider_of_another_region() -> None:
    file = "examples/complete/main.tf"
    text = FILES[file].replace('region  = "europe-west4"', 'region  = "europe-west1"', 1)

    [found] = text_rules.examples_that_lead_elsewhere({file: text})

    assert found.startswith(f"{file}: provider google is not ")


def test_tries_every_variable_with_another_value_than_its_default() -> None:
    """What is left alone: the folder of bundles, and a table for tests of Terraform's own."""
    blocks = {
        line.split('"')[1] for line in FILES["variables.tf"].splitlines() if line[:9] == "variable "
    }

    assert {*FULL.variables} == blocks - {
        "project_id",
        "bundle_dir",
        "functions_table",
        "console_members",
    }


PACKAGES = "Error: Failed to query available provider packages\n\nCould not retrieve the list of "


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            PACKAGES + "available versions for provider a/b: could not connect to x",
            ProvidersMissing,
        ),
        (
            PACKAGES + "available versions: was not found in any of the search locations",
            ProvidersMissing,
        ),
        (
            PACKAGES + "versions: no available releases match the given\n│ constraints >= 9",
            InitFailed,
        ),
        ("Error: Unreadable module directory", InitFailed),
        ("Error: Unsupported Terraform Core version", InitFailed),
    ],
)
def test_tells_missing_providers_from_a_configuration_that_is_wrong(
    said: str, kind: type[Exception]
) -> None:
    assert type(why_init_failed(said)) is kind


def test_stops_at_a_configuration_that_is_wrong(terraform: None, tmp_path: Path) -> None:
    (tmp_path / "terraform").mkdir()
    (tmp_path / "terraform/main.tf").write_text('module "a" {\n  source = "./gone"\n}\n')

    with pytest.raises(InitFailed, match="gone"):
        Checkout(tmp_path).init()


def test_counts_a_run_that_was_left_out_as_failed() -> None:
    line = '{"test_summary":{"passed":3,"failed":1,"errored":1,"skipped":2},"type":"test_summary"}'

    assert counts(line) == Counts(passed=3, failed=4)
