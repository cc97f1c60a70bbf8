"""scripts/terraform_mutations changes everything there is, and says who refuses it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.commands.terraform_mutations import HARMLESS, fits, mutants, reason, report, unneeded
from scripts.mutations.hcl_mutants import hcl_mutants
from scripts.mutations.mutant import Mutant
from scripts.mutations.table_mutants import FITS_NOTHING, table_mutants
from scripts.mutations.together import refused_together
from scripts.mutations.trials import Refusal, Trial, a_trial
from scripts.terraform_checks.checkouts import Checkout
from scripts.terraform_checks.hcl_text import mask, pieces, read
from tests.repository.sources import ROOT

ALL = {mutant.name: mutant for mutant in mutants(ROOT)}
REASONS = yaml.safe_load(HARMLESS.read_text())

HCL = """\
# a = "not an argument"
resource "kind" "name" {
  plain = "text with } and # and ${lookup({ a = "b" }, "a")} inside"
  list = [
    "one",
    "two", # the second
  ]
  object = {
    key   = var.x
    other = { inner = 1 }
  }
  text = <<-EOT
    word = not an argument {
  EOT

  block {
    flag = true
  }
  empty {}
}
"""


@pytest.fixture
def trial(checkout: Checkout, tmp_path: Path) -> Trial:
    return a_trial(checkout.root, tmp_path / "copy", ROOT)


def named(part: str, kind: str, change: str = "", file: str = "") -> Mutant:
    """The one mutant of this kind at this place."""
    [found] = [
        mutant
        for mutant in ALL.values()
        if mutant.place == part
        and mutant.kind == kind
        and change in mutant.change
        and mutant.file.startswith(file)
    ]
    return found


def test_finds_every_piece_of_a_text() -> None:
    found = [(piece.kind, " / ".join(piece.path), piece.value(HCL)) for piece in pieces(HCL)]

    assert [(kind, path) for kind, path, _ in found] == [
        ("block", "resource kind name"),
        ("argument", "resource kind name / plain"),
        ("argument", "resource kind name / list"),
        ("item", "resource kind name / list / one"),
        ("argument", "resource kind name / object"),
        ("argument", "resource kind name / object / key"),
        ("argument", "resource kind name / object / other"),
        ("argument", "resource kind name / text"),
        ("block", "resource kind name / block"),
        ("argument", "resource kind name / block / flag"),
        ("block", "resource kind name / empty"),
    ]
    values = {path.rpartition(" / ")[2]: value for _, path, value in found}
    assert values["plain"] == '"text with } and # and ${lookup({ a = "b" }, "a")} inside"'
    assert values["key"] == "var.x"
    assert values["other"] == "{ inner = 1 }"
    assert values["text"].endswith("EOT")
    assert values["flag"] == "true"


def test_masks_what_is_no_code_without_moving_anything() -> None:
    masked = mask(HCL)

    assert len(masked) == len(HCL)
    assert "argument" not in masked
    assert [masked[piece.start : piece.value_start] for piece in pieces(HCL)] == [
        HCL[piece.start : piece.value_start]
        if '"' not in HCL[piece.start : piece.value_start]
        else masked[piece.start : piece.value_start]
        for piece in pieces(HCL)
    ]


def test_reaches_every_line_with_an_argument() -> None:
    """Counted in another way: lines that begin like one, outside of texts."""
    for path, text in read(ROOT / "terraform").items():
        lines = [
            line for line in mask(text).splitlines() if re.match(r'\s*"?[\w-]+"?\s+= \S', line)
        ]
        arguments = [piece for piece in pieces(text) if piece.kind == "argument"]

        assert len(arguments) == len(lines), path


@pytest.mark.parametrize("kind", ["rename", "drop", "type"])
def test_renames_drops_and_mistypes_every_argument(kind: str) -> None:
    wanted = {
        f"terraform/{path}: {' / '.join(piece.path)}"
        for path, text in read(ROOT / "terraform").items()
        for piece in pieces(text)
        if piece.kind == "argument"
    }
    places = {f"{m.file}: {m.place}" for m in ALL.values() if m.kind == kind}

    assert wanted - places == set()


def test_changes_every_field_of_the_table() -> None:
    table = yaml.safe_load((ROOT / "functions/functions.yaml").read_text())
    fields = [f"functions.{name}.{key}" for name, row in table["functions"].items() for key in row]
    fields += [f"defaults.{key}" for key in table["defaults"]]
    fields += [f"schedules.{name}.{key}" for name, row in table["schedules"].items() for key in row]

    for kind in ("rename", "drop", "type"):
        places = {mutant.place for mutant in ALL.values() if mutant.kind == kind}
        assert [field for field in fields if field not in places] == []


def test_changes_one_thing_at_a_time() -> None:
    text = 'resource "a" "b" {\n  role = "roles/run.invoker"\n  member = local.x\n}\n'
    changed = {mutant.name: mutant.apply(text) for mutant in hcl_mutants({"a.tf": text})}
    place = "a.tf: resource a b"

    assert changed == {
        f"{place}: drop": "",
        f"{place} / role: drop": text.replace('  role = "roles/run.invoker"\n', ""),
        f"{place} / role: rename": text.replace("role =", "role_renamed ="),
        f"{place} / role: type": text.replace('"roles/run.invoker"', '[{ fits = ["nothing"] }]'),
        f'{place} / role: wider "roles/run.invoker" to "roles/owner"': text.replace(
            "roles/run.invoker", "roles/owner"
        ),
        f"{place} / member: drop": text.replace("  member = local.x\n", ""),
        f"{place} / member: rename": text.replace("member =", "member_renamed ="),
        f"{place} / member: type": text.replace("local.x", '[{ fits = ["nothing"] }]'),
        f"{place} / member: wider to everybody": text.replace("local.x", '"allUsers"'),
    }


@pytest.mark.parametrize("kind", ["drop", "type"])
def test_changes_the_field_it_names_and_nothing_else(kind: str) -> None:
    """Made again as data: the text has to say the same."""
    text = (ROOT / "functions/functions.yaml").read_text()
    differing = []
    for mutant in table_mutants(text):
        *around, last = (int(part) if part.isdigit() else part for part in mutant.place.split("."))
        if mutant.kind == kind:
            wanted = yaml.safe_load(text)
            place = wanted
            for part in around:
                place = place[part]
            if kind == "drop":
                del place[last]
            else:
                place[last] = FITS_NOTHING
            if without_empty(yaml.safe_load(mutant.apply(text))) != without_empty(wanted):
                differing.append(mutant.name)

    assert differing == []


def without_empty(value: Any) -> Any:
    """With nothing where a block has lost its last field: YAML cannot tell which kind it was."""
    if isinstance(value, dict):
        return {key: without_empty(inner) for key, inner in value.items()} or None
    if isinstance(value, list):
        return [without_empty(inner) for inner in value] or None
    return value


def test_opens_what_was_private() -> None:
    text = (ROOT / "functions/functions.yaml").read_text()

    opened = yaml.safe_load(named("functions.api.triggers.0.http", "wider").apply(text))

    assert opened["functions"]["api"]["triggers"] == [{"http": "public"}]


def test_has_no_name_twice() -> None:
    assert len(ALL) == len([*mutants(ROOT)])


def test_refuses_together_what_the_schema_refuses(trial: Trial) -> None:
    bucket = "resource google_storage_bucket source"
    refused = {
        named(f"{bucket} / labels", "rename"),
        named(f"{bucket} / labels", "type"),
        named(f"{bucket} / location", "drop"),
        named("module function / region", "drop"),
        named("resource google_service_account function / account_id", "rename"),
        named("resource datadog_webhook brownout / url", "rename"),
        named("resource datadog_webhook brownout / name", "drop"),
        named("resource google_monitoring_alert_policy brownout / combiner", "type"),
    }
    allowed = {named(f"{bucket} / labels", "drop"), named(f"{bucket} / force_destroy", "drop")}
    before = read(trial.checkout.terraform)
    tried = sorted(refused | allowed, key=lambda each: each.name)

    assert refused_together(trial.checkout, tried) == refused
    assert read(trial.checkout.terraform) == before


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (named("functions.usage.state", "type"), "the table's form"),
        (named("functions.proxy.timeout", "drop"), "table: sizes_the_code_does_not_expect"),
        (named("functions.api.extras.1", "drop"), "requirements"),
        (
            named("resource google_pubsub_subscription push / lifecycle", "drop"),
            "text: replaced_with_a_gap",
        ),
    ],
    ids=lambda value: getattr(value, "place", None),
)
def test_says_which_check_refuses_a_mutant(trial: Trial, mutant: Mutant, check: str) -> None:
    before = read(trial.checkout.terraform)

    refusal = trial.refusal(mutant)

    assert refusal is not None
    assert refusal.check == check
    assert read(trial.checkout.terraform) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (
            named("resource google_pubsub_topic_iam_member publisher / role", "wider"),
            "rights differ from the design",
        ),
        (
            named("resource google_pubsub_subscription push / retry_policy", "drop"),
            "arguments differ from the design",
        ),
        (
            named("variable prefix / validation / condition", "wider", file="terraform/v"),
            "terraform test",
        ),
        (
            named("resource datadog_monitor brownout / tags", "drop"),
            "terraform test",
        ),
        (
            named("module image / ingress", "wider"),
            "arguments differ from the design",
        ),
    ],
    ids=lambda value: getattr(value, "place", None),
)
def test_lets_terraform_say_what_is_wrong_with_a_mutant(
    trial: Trial, mutant: Mutant, check: str
) -> None:
    refusal = trial.refusal(mutant)

    assert refusal is not None
    assert refusal.check == check


def test_knows_the_place_of_every_harmless_mutant() -> None:
    """Whether one still survives, only a whole run can tell."""
    gone = [pattern for pattern in REASONS if not any(fits(each, pattern) for each in ALL.values())]

    assert gone == []
    assert [why for why in REASONS.values() if len(why) < len("it does no harm")] == []


def test_reports_survivors_with_their_reasons() -> None:
    dead, alive, unexplained = list(ALL.values())[:3]
    reasons = {alive.name: "nobody reads it"}
    lines = report([(dead, Refusal("a check", "no")), (alive, None), (unexplained, None)], reasons)

    assert f"{alive.name}\n    nobody reads it" in lines
    assert f"{unexplained.name}\n    NO REASON" in lines
    assert "all                                     3        2  66.7 %" in lines
    assert reason(unexplained, reasons) is None
    assert unneeded([alive], {**reasons, "gone: *": "it was there once"}) == ["gone: *"]
