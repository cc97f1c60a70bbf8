"""Many instances that spend one budget, on virtual time: nobody waits long, little lies idle.

`scripts/budget_sim` shows it for large budgets.
"""

import pytest

from scripts.lease_load.load import Scene, run


@pytest.mark.parametrize("skewed", [False, True])
def test_a_budget_is_spent_before_a_call_is_refused(*, skewed: bool) -> None:
    found = run(Scene(instances=10, per_second=50, calls=20_000, skewed=skewed), seed=0)

    assert 0.98 < found.spent + found.held <= 1
    assert found.unanswered == 0
    assert found.commits_per_1000 < 100


def test_instances_that_start_at_once_do_not_keep_each_other_waiting() -> None:
    found = run(Scene(instances=30, per_second=600, calls=30_000), seed=0)

    assert found.unanswered == 0
    assert found.longest_s < 3


def test_a_run_depends_on_its_seed_alone() -> None:
    scene = Scene(instances=3, per_second=50, calls=2_000)

    assert run(scene, seed=1) == run(scene, seed=1) != run(scene, seed=2)
