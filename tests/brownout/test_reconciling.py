"""What is made of the difference between signals and what their source says now."""

from typing import Any

import pytest

from common.brownout.modes import Mode
from common.brownout.reconciling import Found, Group, Monitor, Mute, reconciled
from common.brownout.signals import Signal
from tests.brownout.scenes import LEASE, a_signal, at

ASKED, NOW = at(1000), at(1003)
A = frozenset({"host:a"})
B = frozenset({"host:b"})


def a_group(
    level: Mode | None = Mode.HARD, tags: frozenset[str] = A, scopes: tuple[str, ...] = ("global",)
) -> Group:
    return Group(tags, level, scopes)


def told(*known: Signal, monitors: tuple[Monitor, ...] | None = None, **of: Any) -> list[Signal]:
    """What is to be stored where the only monitor has these groups and mutes."""
    of = {"groups": (a_group(),), "link": "https://x/", **of}
    asked = (Monitor("17", **of),) if monitors is None else monitors
    return reconciled(Found("datadog", asked, ASKED, LEASE), known, NOW)


def a_live(**changed: Any) -> Signal:
    return a_signal(
        **{"group": "host:a", "observed_at": at(900), "lease_until": at(5000), **changed}
    )


class TestRaising:
    def test_makes_a_signal_of_an_alert_that_has_none(self) -> None:
        assert told() == [
            Signal(
                source="datadog",
                monitor="17",
                group="host:a",
                scope="global",
                level=Mode.HARD,
                observed_at=ASKED,
                received_at=NOW,
                lease_until=ASKED + LEASE,
                link="https://x/",
            )
        ]

    def test_makes_one_for_each_scope(self) -> None:
        groups = (a_group(scopes=("org:a", "org:b")),)

        found = told(a_live(scope="org:b"), groups=groups)

        assert [each.scope for each in found] == ["org:a"]

    def test_makes_the_same_signal_as_the_webhook_would(self) -> None:
        [found] = told(groups=(a_group(tags=frozenset({"b:2", "a:1"})),))

        assert found.id == a_signal(group="a:1,b:2").id

    @pytest.mark.parametrize("until", [at(0), NOW])
    def test_raises_again_what_has_run_out(self, until: Any) -> None:
        [found] = told(a_live(lease_until=until))

        assert (found.lease_until, found.told_over) == (ASKED + LEASE, False)

    def test_leaves_a_signal_that_says_the_same(self) -> None:
        assert told(a_live()) == []

    def test_renews_a_lease_of_which_less_than_half_is_left(self) -> None:
        known = a_live(lease_until=NOW + LEASE / 2, link="https://y/", about="errors")

        assert told(known) == []
        [found] = told(a_live(lease_until=NOW + LEASE / 2 - (NOW - ASKED) / 3, about="errors"))
        assert (found.lease_until, found.about) == (ASKED + LEASE, "errors")

    @pytest.mark.parametrize("level", [Mode.SOFT, Mode.EMERGENCY])
    def test_moves_a_signal_to_the_level_of_its_alert(self, level: Mode) -> None:
        [found] = told(a_live(), groups=(a_group(level),))

        assert (found.id, found.level, found.observed_at) == (a_live().id, level, ASKED)

    def test_raises_nothing_of_an_alert_that_nobody_can_tell(self) -> None:
        assert told(groups=(a_group(None),)) == []


class TestEnding:
    @pytest.mark.parametrize(
        "groups",
        [(), (a_group(tags=B),), (a_group(scopes=("org:a",)),)],
        ids=["calm", "another group", "another scope"],
    )
    def test_ends_a_signal_whose_alert_is_over(self, groups: tuple[Group, ...]) -> None:
        over = [each for each in told(a_live(), groups=groups) if each.id == a_live().id]

        assert [(each.told_over, each.lease_until) for each in over] == [(True, NOW)]
        assert over[0].observed_at == ASKED

    def test_leaves_what_nobody_can_tell(self) -> None:
        assert told(a_live(lease_until=NOW + LEASE / 9), groups=(a_group(None),)) == []

    @pytest.mark.parametrize(
        "known",
        [
            a_live(monitor="18"),
            a_live(source="monitoring"),
            a_live(source="rollup"),
            a_live(lease_until=NOW),
        ],
        ids=["unknown monitor", "other source", "rollup", "run out"],
    )
    def test_leaves_what_the_source_does_not_know(self, known: Signal) -> None:
        assert told(known, groups=()) == []

    def test_ends_nothing_where_there_are_no_monitors(self) -> None:
        assert told(a_live(), monitors=()) == []


class TestGroups:
    """A post names a group by other tags than the source does."""

    @pytest.mark.parametrize("group", ["env:prod,host:a", "host:a,service:x", "", "host:a"])
    def test_takes_a_signal_of_more_or_fewer_tags_for_the_same(self, group: str) -> None:
        assert told(a_live(group=group)) == []

    def test_takes_a_group_without_tags_for_every_signal_of_its_monitor(self) -> None:
        known = (a_live(group="host:a"), a_live(group="env:prod"))

        assert told(*known, groups=(a_group(tags=frozenset()),)) == []

    def test_takes_a_signal_for_its_own_group_and_no_other(self) -> None:
        groups = (a_group(Mode.SOFT), a_group(Mode.EMERGENCY, frozenset({"host:a", "x:1"})))

        found = told(a_live(), groups=groups)

        assert {(each.group, each.level) for each in found} == {
            ("host:a", Mode.SOFT),
            ("host:a,x:1", Mode.EMERGENCY),
        }

    def test_takes_the_highest_level_of_several_groups_that_a_signal_may_be_about(self) -> None:
        groups = (a_group(Mode.SOFT), a_group(Mode.EMERGENCY, B))

        [found] = told(a_live(group=""), groups=groups)

        assert (found.group, found.level) == ("", Mode.EMERGENCY)


MUTED = {
    "everything": Mute(frozenset()),
    "its group": Mute(A),
    "since now": Mute(A, since=NOW),
    "for a second": Mute(A, until=at(1004)),
}
NOT_MUTED = {
    "another group": Mute(B),
    "another of its keys": Mute(frozenset({"host:b", "env:x"})),
    "later": Mute(A, since=at(1004)),
    "before": Mute(A, until=NOW),
}


class TestMutes:
    @pytest.mark.parametrize("mute", MUTED.values(), ids=MUTED)
    def test_lets_a_muted_alert_drive_nothing(self, mute: Mute) -> None:
        [over] = told(a_live(), mutes=(Mute(B), mute))

        assert over.told_over
        assert told(mutes=(mute,)) == []

    @pytest.mark.parametrize("mute", NOT_MUTED.values(), ids=NOT_MUTED)
    def test_hears_what_is_not_muted(self, mute: Mute) -> None:
        assert told(a_live(), mutes=(mute,)) == []
        assert len(told(mutes=(mute,))) == 1

    def test_leaves_what_may_be_muted(self) -> None:
        """The tags of a group do not say of which environment it is."""
        mutes = (Mute(frozenset({"env:staging"})),)

        assert told(mutes=mutes) == []
        assert told(a_live(lease_until=at(1010)), mutes=mutes) == []


def test_protects_before_it_relieves() -> None:
    """Only so many are stored at one time."""
    groups = (a_group(Mode.SOFT), a_group(Mode.EMERGENCY, B))

    found = told(a_live(group="host:c"), groups=groups)

    assert [(each.told_over, each.level) for each in found] == [
        (False, Mode.EMERGENCY),
        (False, Mode.SOFT),
        (True, Mode.HARD),
    ]
