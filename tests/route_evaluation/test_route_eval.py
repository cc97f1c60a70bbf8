"""`scripts/route_eval`: a file in, and a rule with what it is worth out."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from common.routing.rules import read_table
from scripts.commands.route_eval import cli

SEEDED = ("--seeded", "1200", "--seed", "3")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_ends_with_a_rule_and_the_report_that_lets_it_out_of_shadow() -> None:
    printed = run(*SEEDED).stdout

    _, told = printed.split("`report`:\n")
    text, report = told.split("\n\nreport:\n")
    rule = json.loads(text)
    assert rule["shadow"] is True
    served = {**rule, "shadow": False, "report": report.strip()}
    [read] = read_table({"rules": [served]}).rules
    assert read.use.structural is not None
    assert (read.use.structural.small, read.use.structural.large) == ("small-model", "large-model")
    assert "Saved at equal mean score" in read.report
    assert f"threshold {read.use.structural.threshold}" in read.report


def test_prints_every_way_to_choose_and_all_tenths() -> None:
    printed = run(*SEEDED).stdout

    begins = [row.split("  ")[0] for row in printed.splitlines()]
    for name in ("rule", "always large", "always small", "random", "oracle"):
        assert name in begins
    for tenth in range(10):
        assert f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}" in begins


def test_judges_a_file_as_the_set_it_was_made_of(tmp_path: Path) -> None:
    file = str(tmp_path / "labelled.jsonl")

    made = run(*SEEDED, file)
    again = run("--seed", "3", file)

    assert made.exit_code == again.exit_code == 0
    assert made.stdout.splitlines()[1:] == again.stdout.splitlines()


def test_never_writes_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("mine")

    refused = run(*SEEDED, str(file))

    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert "nothing was written" in refused.stderr


def test_names_bad_lines_and_prints_no_figures(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"model": "a"}\nnothing\n')

    refused = run(str(file))

    assert refused.exit_code == 1
    assert refused.stdout == ""
    first, second = refused.stderr.splitlines()
    assert first.startswith("line 1: features: Field required")
    assert second == "line 2: this is no JSON"


def test_says_what_it_needs() -> None:
    assert run().exit_code == 2
    assert run("nowhere.jsonl").stderr == "nowhere.jsonl: No such file or directory\n"
