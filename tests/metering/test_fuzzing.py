"""The laws of all fuzzed parsers on a few hundred inputs each, and the command that runs more."""

from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from common.llm.forms import FORMS
from scripts.commands.fuzz import cli, table
from scripts.fuzzing.mutation import mutate
from scripts.fuzzing.runs import Run, fuzz, repeat
from scripts.fuzzing.targets import targets
from tests.metering.planted_parsers import targets as planted

TARGETS = targets()
INPUTS = 200
SEED = 20261122
PLANTED = "tests.metering.planted_parsers"


def ran(name: str, findings: Path) -> Run:
    return fuzz(PLANTED, name, planted()[name].seeds, seconds=1, findings=findings)


@pytest.mark.parametrize("name", TARGETS)
def test_it_holds_its_laws(name: str) -> None:
    target, random = TARGETS[name], Random(SEED)
    inputs = [mutate(random.choice(target.seeds), random, target.seeds) for _ in range(INPUTS)]

    for data in (b"", *target.seeds, *inputs):
        target.check(data)


def test_it_fuzzes_every_form() -> None:
    parts = {name.partition(".")[0] for name in TARGETS}

    assert set(FORMS) <= parts
    assert {f"{name}.array" for name, form in FORMS.items() if form.array_tap} <= set(TARGETS)
    assert {f"{name}.end" for name, form in FORMS.items() if form.read_end} <= set(TARGETS)


def test_it_changes_most_inputs() -> None:
    random, seeds = Random(SEED), TARGETS["openai_chat.stream"].seeds

    changed = [mutate(seed, random, seeds) != seed for seed in seeds for _ in range(100)]

    assert sum(changed) > 0.8 * len(changed)


def test_it_counts_the_runs_of_what_is_sound(tmp_path: Path) -> None:
    run = ran("sound", tmp_path)

    assert (run.failed, run.finding, run.runs > 100) == (False, None, True)


def test_it_keeps_what_crashes_and_repeats_it(tmp_path: Path) -> None:
    run = ran("crashes", tmp_path)

    assert (run.crashes, run.hangs) == (1, 0)
    assert run.finding is not None
    assert len(run.finding.read_bytes()) > 4
    assert "ValueError: five bytes" in run.text
    assert repeat(PLANTED, "crashes", run.finding).crashes == 1


@pytest.mark.slow
def test_it_tells_what_hangs(tmp_path: Path) -> None:
    run = ran("hangs", tmp_path)

    assert (run.crashes, run.hangs) == (0, 1)


def test_it_counts_an_early_end_as_a_crash(tmp_path: Path) -> None:
    assert ran("ends", tmp_path).crashes == 1


def test_it_prints_a_table_and_succeeds(tmp_path: Path) -> None:
    options = ["--seconds", "1", "--target", "events", "--findings", str(tmp_path)]

    done = CliRunner().invoke(cli, options)

    rows = done.stdout.splitlines()
    assert (done.exit_code, rows[0].split()) == (
        0,
        ["target", "runs", "crashes", "hangs", "seconds"],
    )
    assert rows[1].split()[0] == "events"
    assert list(tmp_path.iterdir()) == []


def test_it_lists_its_targets() -> None:
    assert CliRunner().invoke(cli, ["--list"]).stdout.split() == list(TARGETS)


def test_it_refuses_a_target_that_is_not_there() -> None:
    assert CliRunner().invoke(cli, ["--target", "gone"]).exit_code == 2


def test_it_is_failed_by_a_hang_as_by_a_crash() -> None:
    hung = Run("a", runs=1, crashes=0, hangs=1, seconds=1.0)

    assert hung.failed
    assert table([hung])[1].split() == ["a", "1", "0", "1", "1.0"]
